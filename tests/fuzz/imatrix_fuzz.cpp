// Any bytes as an importance matrix, GGUF or the binary form: refused, or numbers that can be used for a small mixture.
#include <cmath>

#include "checkpoint/imatrix.h"
#include "core/error.h"
#include "model_folder.h"

using namespace advisor;

namespace {

class Mixture final : public Checkpoint {
 public:
  Mixture() {
    config_.architecture = "MixtralForCausalLM";
    config_.layers = 1;
    config_.experts = 2;
    for (const char* name : {"self_attn.q_proj", "block_sparse_moe.experts.0.w1", "block_sparse_moe.experts.1.w1"})
      tensors_.push_back({"model.layers.0." + std::string(name) + ".weight", {4, 4}, "bf16", 32});
  }
  std::string_view format() const override { return "safetensors"; }
  const ModelConfig& config() const override { return config_; }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  void read_rows(const TensorInfo&, std::int64_t, std::int64_t, std::span<float>) const override {}
  TokenizerData tokenizer() const override { return {}; }

 private:
  ModelConfig config_;
  std::vector<TensorInfo> tensors_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Mixture model;
  fuzz::write("imatrix", {reinterpret_cast<const char*>(data), size});
  try {
    for (const auto& [name, values] : read_imatrix(fuzz::folder() / "imatrix", model)) {
      if (values.size() != 4) __builtin_trap();
      for (const float value : values)
        if (!std::isfinite(value) || value < 0) __builtin_trap();
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
