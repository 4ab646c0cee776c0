// Sizes that the estimator predicts from a checkpoint's tensors, against the files that the backend writes.
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>

#include "checkpoint/checkpoint.h"
#include "estimate/weights.h"
#include "fixture.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;

Model model_at(const fs::path& folder) {
  const auto checkpoint = open_checkpoint(folder);
  Model model;
  model.layers = checkpoint->config().layers;
  model.heads = checkpoint->config().heads;
  model.kv_heads = checkpoint->config().kv_heads;
  std::vector<NamedShape> shapes;
  for (const TensorInfo& tensor : checkpoint->tensors()) shapes.push_back({tensor.name, tensor.shape});
  model.tensors = group_tensors(shapes);
  return model;
}

/// Bytes of the tensors alone: headers, vocabulary and metadata weigh nothing in a real model, but much in a tiny one.
std::int64_t data_bytes(const fs::path& folder) {
  std::int64_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".safetensors") {
      std::uint64_t header = 0;
      std::ifstream(entry.path(), std::ios::binary).read(reinterpret_cast<char*>(&header), sizeof header);
      bytes += static_cast<std::int64_t>(fs::file_size(entry.path()) - header - sizeof header);
    } else if (entry.path().extension() == ".gguf") {
      for (const TensorInfo& tensor : open_checkpoint(entry.path())->tensors()) bytes += tensor.bytes;
    }
  }
  return bytes;
}

struct Case {
  const char *technique, *scheme, *format, *type;
};

TEST(Size, EstimatedBytesAreThoseOfTheFiles) {
  constexpr Case cases[] = {
      {"rtn", "W4A16-g128", "compressed-tensors", ""},
      {"rtn", "W4A16-g32", "compressed-tensors", ""},
      {"rtn", "W4A16-g128-asym", "compressed-tensors", ""},
      {"rtn", "W8A16-channel", "compressed-tensors", ""},
      {"rtn", "W8A8-int8", "compressed-tensors", ""},
      {"none", "", "safetensors", ""},
      {"none", "", "gguf", "F16"},
      {"none", "", "gguf", "Q8_0"},
      {"none", "", "gguf", "Q4_0"},
      {"none", "", "gguf", "Q4_1"},
      {"none", "", "gguf", "Q5_0"},
      {"none", "", "gguf", "Q5_1"},
  };
  const Model model = model_at(testing::tiny());
  for (const auto& c : cases) {
    testing::TempFolder folder;
    CompressRequest request;
    request.model = testing::tiny();
    request.out = folder / "out";
    RecipeStep step;
    step.technique = c.technique, step.scheme = c.scheme;
    request.recipe.steps = {step};
    request.recipe.formats = {{c.format, c.type}};
    const auto report = run_compression(request, nullptr);
    Variant variant;
    variant.format = c.format;
    variant.scheme = *c.type != '\0' ? c.type : *c.scheme != '\0' ? c.scheme : "W16A16";
    const double estimated = estimate_weights(model, variant)->bytes;
    const auto written = static_cast<double>(data_bytes(report.outputs.front().folder));
    EXPECT_NEAR(estimated / written, 1, 1e-3) << variant.scheme << " " << c.format;
  }
}

}  // namespace
}  // namespace advisor
