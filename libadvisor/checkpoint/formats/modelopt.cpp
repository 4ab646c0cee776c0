// Writes unified Hugging Face checkpoints of ModelOpt. Layout: checkpoint/modelopt.h.
#include "checkpoint/modelopt.h"

#include "checkpoint/formats/quantized_writer.h"
#include "checkpoint/json.h"
#include "core/error.h"
#include "core/version.h"

namespace advisor {

extern const FormatImpl modelopt_format;

namespace {

using json::OrderedJson;

const KvScaleNames kv_names{"self_attn.k_proj.k_scale", "self_attn.v_proj.v_scale", {}};

LayoutOf layouts(const OutputPlan& plan) {
  return [dense = dense_type(plan)](const PlannedTensor& t) {
    return modelopt::layout(module_of(t.source.name), *t.scheme, t.source.shape[0], t.source.shape[1], dense);
  };
}

OrderedJson producer() { return {{"name", "libadvisor"}, {"version", version()}}; }

/// hf_quant_config.json
OrderedJson own_config(const OutputPlan& plan) {
  const QuantScheme scheme = schemes_of(plan).front();
  OrderedJson q;
  q["quant_algo"] = *modelopt::algorithm_of(scheme);
  q["kv_cache_quant_algo"] = plan.kv_scales ? OrderedJson("FP8") : OrderedJson(nullptr);
  if (scheme.bits == 4) q["group_size"] = scheme.group;
  if (!scheme.code) {  // W4A16_AWQ; scales of activations are folded into the weights
    q["has_zero_point"] = false;
    q["pre_quant_scale"] = false;
  }
  q["exclude_modules"] = dense_modules(plan);
  return {{"producer", producer()}, {"quantization", q}};
}

/// The same as quantization_config of config.json.
std::string quantization_config(const OutputPlan& plan) {
  const QuantScheme scheme = schemes_of(plan).front();
  const auto args = [&](int bits) {
    OrderedJson a{{"dynamic", !scheme.static_activations && scheme.code == kernels::FloatCode::e4m3},
                  {"num_bits", bits},
                  {"type", scheme.code ? "float" : "int"}};
    if (scheme.group != 0) a["group_size"] = scheme.group;
    return a;
  };
  OrderedJson group;
  if (scheme.activation_bits != 16) group["input_activations"] = args(scheme.activation_bits);
  group["weights"] = args(scheme.bits);
  group["weights"]["dynamic"] = false;
  group["targets"] = OrderedJson::array({"Linear"});
  OrderedJson root;
  root["config_groups"]["group_0"] = group;
  root["ignore"] = dense_modules(plan);
  root["quant_algo"] = *modelopt::algorithm_of(scheme);
  if (plan.kv_scales) root["kv_cache_scheme"] = {{"dynamic", false}, {"num_bits", 8}, {"type", "float"}};
  root["producer"] = producer();
  root["quant_method"] = "modelopt";
  return root.dump();
}

std::vector<SideFile> side(const OutputPlan& plan) {
  std::vector<SideFile> files = side_files(plan, quantization_config(plan));
  files.push_back({std::string(modelopt::config_name), {}, own_config(plan).dump(2) + "\n"});
  return files;
}

std::optional<std::string> refuses_tensor(const PlannedTensor& t) {
  const QuantScheme& scheme = *t.scheme;
  if (!modelopt::algorithm_of(scheme)) {
    return scheme.id() +
           ": ModelOpt files hold W8A8-fp8-tensor-static, W8A8-fp8-channel, W4A16-g<size>, W4A4-nvfp4 and "
           "W4A16-nvfp4; use compressed-tensors for others";
  }
  if (!scheme.code && t.source.shape[0] % 2 != 0) {
    return "tensor \"" + t.source.name + "\" has " + std::to_string(t.source.shape[0]) +
           " outputs, and ModelOpt packs two of them into a byte; leave it dense";
  }
  return std::nullopt;
}

std::optional<std::string> refuses(const OutputPlan& plan) {
  if (auto reason = refuses_quantized(plan, refuses_tensor)) return reason;
  return refuses_mixture(plan);
}

std::int64_t bytes(const OutputPlan& plan) {
  return quantized_folder_bytes(plan, layouts(plan), side(plan), &kv_names);
}

std::unique_ptr<FormatWriter> create(const OutputPlan& plan, const std::filesystem::path& folder) {
  if (const auto reason = refuses(plan)) throw Error(ErrorCode::unsupported, *reason);
  return make_quantized_writer(plan, layouts(plan), side(plan), folder, &kv_names);
}

/// FP8 has float32 scales; NVFP4's have a type of their own.
DType scale_dtype(const OutputPlan& plan) {
  const std::vector<QuantScheme> schemes = schemes_of(plan);
  return !schemes.empty() && schemes.front().code ? DType::f32 : dense_type(plan);
}

}  // namespace

const FormatImpl modelopt_format{
    .id = "modelopt",
    .refuses = refuses,
    .takes_codes = true,
    .stored_type = dense_stored_type,
    .bytes = bytes,
    .create = create,
    .scale_dtype = scale_dtype,
    .holds_kv_scales = true,
};

}  // namespace advisor
