// parity MODEL ID...: what the decoder computes for a sequence, as JSON: logits of the last position and the residual
// stream there after the embedding and each layer. For reference_check.py; the CLI does not show logits.
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "lm/decoder.h"

namespace {

void print(const char* name, std::span<const float> values) {
  std::printf("\"%s\": [", name);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::printf("%s%.9g", i == 0 ? "" : ", ", static_cast<double>(values[i]));
  }
  std::printf("]");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: parity MODEL ID...\n");
    return 2;
  }
  try {
    std::vector<std::int32_t> ids;
    for (int i = 2; i < argc; ++i) {
      ids.push_back(std::stoi(argv[i]));
    }
    advisor::Decoder decoder(*advisor::open_checkpoint(argv[1]));
    auto last = static_cast<std::int64_t>(ids.size()) - 1;
    std::printf("{");
    print("logits", decoder.logits(ids).row(last));
    std::printf(", \"residual\": [");
    std::vector<advisor::Tensor> states = decoder.hidden_states(ids);
    for (std::size_t i = 0; i < states.size(); ++i) {
      std::printf("%s{", i == 0 ? "" : ", ");
      print("last", states[i].row(last));
      std::printf("}");
    }
    std::printf("]}\n");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "parity: %s\n", error.what());
    return 4;
  }
}
