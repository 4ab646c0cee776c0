// Writes AutoAWQ folders. Layout: checkpoint/autoawq.h.
#include "checkpoint/autoawq.h"

#include "checkpoint/formats/quantized_writer.h"
#include "checkpoint/json.h"
#include "core/error.h"

namespace advisor {

extern const FormatImpl autoawq_format;

namespace {

using json::OrderedJson;

WeightLayout layout_of(const PlannedTensor& t) {
  return autoawq::layout(module_of(t.source.name), *t.scheme, t.source.shape[0], t.source.shape[1]);
}

std::string quantization_config(const OutputPlan& plan) {
  const QuantScheme scheme = schemes_of(plan).front();
  OrderedJson root;
  root["quant_method"] = "awq";
  root["bits"] = scheme.bits;
  root["group_size"] = scheme.group == 0 ? -1 : scheme.group;
  root["zero_point"] = true;  // always stored, and version "gemm" needs them
  root["sym"] = scheme.symmetric;
  root["version"] = "gemm";
  root["modules_to_not_convert"] = dense_modules(plan);
  return root.dump();
}

std::optional<std::string> refuses_tensor(const PlannedTensor& t) {
  const QuantScheme& scheme = *t.scheme;
  const std::string what = "tensor \"" + t.source.name + "\"";
  if (scheme.code || scheme.activation_bits != 16 || scheme.bits != autoawq::bits) {
    return scheme.id() + ": AutoAWQ files hold 4-bit integers with 16-bit activations only";
  }
  if (t.source.name == "lm_head.weight") return what + ": readers of AutoAWQ never quantize lm_head; leave it dense";
  if (t.source.shape[0] % autoawq::rows_per_word != 0) {
    return what + " has " + std::to_string(t.source.shape[0]) +
           " outputs, and AutoAWQ packs 8 of them into a word; leave it dense or use compressed-tensors";
  }
  return std::nullopt;
}

std::optional<std::string> refuses(const OutputPlan& plan) {
  if (auto reason = refuses_quantized(plan, refuses_tensor)) return reason;
  return refuses_mixture(plan);
}

std::int64_t bytes(const OutputPlan& plan) {
  return quantized_folder_bytes(plan, layout_of, side_files(plan, quantization_config(plan)));
}

std::unique_ptr<FormatWriter> create(const OutputPlan& plan, const std::filesystem::path& folder) {
  if (const auto reason = refuses(plan)) throw Error(ErrorCode::unsupported, *reason);
  return make_quantized_writer(plan, layout_of, side_files(plan, quantization_config(plan)), folder);
}

DType scale_dtype(const OutputPlan&) { return DType::f16; }

}  // namespace

const FormatImpl autoawq_format{
    .id = "autoawq",
    .refuses = refuses,
    .takes_codes = true,
    .stored_type = dense_stored_type,
    .bytes = bytes,
    .create = create,
    .scale_dtype = scale_dtype,
};

}  // namespace advisor
