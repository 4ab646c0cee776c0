// Opens unified Hugging Face checkpoints of ModelOpt.
#include <utility>

#include "checkpoint/json.h"
#include "checkpoint/modelopt.h"
#include "checkpoint/quantized_reader.h"
#include "core/error.h"

namespace advisor {
namespace {

using json::Json;

/// group_size at the top, or that of the first group's weights.
std::int64_t group_size(const Json& root, const std::string& where) {
  if (const auto size = json::find_integer(root, "group_size", where)) return *size;
  const Json* groups = json::find(root, "config_groups");
  if (groups == nullptr || !groups->is_object()) return 0;
  for (const auto& [id, group] : groups->items()) {
    const Json* weights = group.is_object() ? json::find(group, "weights") : nullptr;
    if (weights == nullptr || !weights->is_object()) continue;
    if (const auto size = json::find_integer(*weights, "group_size", where)) return *size;
  }
  return 0;
}

QuantScheme parse_scheme(const std::string& text, const std::string& where) {
  const Json root = json::parse(text, where);
  if (!root.is_object()) bad_file(where, "must be an object");
  const Json* inner = json::find(root, "quantization");  // hf_quant_config.json nests what config.json has flat
  const Json& settings = inner != nullptr && inner->is_object() ? *inner : root;
  const std::string algorithm = json::find_string(settings, "quant_algo", where).value_or("");
  const auto scheme = modelopt::scheme_of(algorithm, group_size(settings, where));
  if (!scheme) {
    cannot_read(where, "\"quant_algo\" is \"" + algorithm +
                           "\"; only FP8, FP8_PER_CHANNEL_PER_TOKEN, NVFP4, W4A16_NVFP4, and W4A16_AWQ with a "
                           "\"group_size\" can be read");
  }
  return *scheme;
}

}  // namespace

std::unique_ptr<Checkpoint> open_modelopt(const std::filesystem::path& folder, ModelConfig config,
                                          const std::string& quantization) {
  const QuantScheme scheme = parse_scheme(quantization, folder.string() + ": ModelOpt config");
  const DType codes = modelopt::layout("", scheme, 0, 0, DType::bf16).codes.matrix.dtype;
  QuantizedFolder files{"modelopt", folder, std::move(config), ShardSet(folder)};
  for (const ShardSet::Tensor& tensor : files.shards.tensors()) {
    const SafetensorsEntry& entry = tensor.entry;
    const std::string where = files.shards.path_of(tensor) + ": tensor \"" + entry.name + "\"";
    if (entry.name.ends_with(".pre_quant_scale")) {
      cannot_read(where, "multiplies activations; only files that have it folded into the weights can be read");
    }
    if (!entry.name.ends_with(".weight") || entry.dtype != codes) continue;
    if (entry.shape.size() != 2) bad_file(where, "must have two dimensions");
    constexpr std::int64_t limit = std::int64_t{1} << 40;  // keeps doubling far from overflow
    if (entry.shape[0] > limit || entry.shape[1] > limit) bad_file(where, "is too large");
    const bool row_pairs = !scheme.code, column_pairs = scheme.code == kernels::FloatCode::e2m1;
    const std::int64_t rows = entry.shape[0] * (row_pairs ? 2 : 1), cols = entry.shape[1] * (column_pairs ? 2 : 1);
    if (const std::string why = misfit(scheme, cols); !why.empty()) bad_file(where, why);
    files.weights.push_back(modelopt::layout(module_of(entry.name), scheme, rows, cols, DType::bf16));
  }
  return make_quantized_checkpoint(std::move(files));
}

}  // namespace advisor
