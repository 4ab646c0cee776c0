// dump_weights MODEL FOLDER: every matrix as libadvisor reads it, float32 row-major, in FOLDER/<name>.f32; the other
// side of tests/interop/compressed_tensors_check.py --dump.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "checkpoint/checkpoint.h"
#include "core/error.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s MODEL FOLDER\n", argv[0]);
    return 2;
  }
  try {
    const auto checkpoint = advisor::open_checkpoint(argv[1]);
    std::filesystem::create_directories(argv[2]);
    for (const advisor::TensorInfo& tensor : checkpoint->tensors()) {
      if (tensor.shape.size() != 2) continue;
      const advisor::Tensor weight = checkpoint->load(tensor.name);
      std::ofstream out(std::filesystem::path(argv[2]) / (tensor.name + ".f32"), std::ios::binary);
      out.write(reinterpret_cast<const char*>(weight.data()), static_cast<std::streamsize>(weight.size() * 4));
    }
  } catch (const advisor::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
