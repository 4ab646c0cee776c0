// Writes compressed-tensors folders. Layout: checkpoint/compressed_tensors.h.
#include "checkpoint/compressed_tensors.h"

#include <algorithm>

#include "checkpoint/formats/quantized_writer.h"
#include "core/error.h"

namespace advisor {

extern const FormatImpl compressed_tensors_format;

namespace {

using json::OrderedJson;

const KvScaleNames kv_names{"self_attn.k_scale", "self_attn.v_scale", {1}};

LayoutOf layouts(const OutputPlan& plan) {
  return [dense = dense_type(plan)](const PlannedTensor& t) {
    return compressed_tensors::layout(module_of(t.source.name), *t.scheme, t.source.shape[0], t.source.shape[1], dense);
  };
}

/// One scheme applies to every linear module that is not ignored; of several, each names its modules.
OrderedJson targets(const OutputPlan& plan, const QuantScheme& scheme, bool only) {
  OrderedJson list = OrderedJson::array();
  if (only) list.push_back("Linear");
  for (const PlannedTensor& t : plan.tensors) {
    if (!only && t.scheme == scheme) list.push_back(module_of(t.source.name));
  }
  return list;
}

std::string quantization_config(const OutputPlan& plan) {
  const std::vector<QuantScheme> schemes = schemes_of(plan);
  const std::string_view first = compressed_tensors::format_of(schemes.front());
  const bool one_format = std::all_of(schemes.begin(), schemes.end(),
                                      [&](const auto& s) { return compressed_tensors::format_of(s) == first; });
  OrderedJson root;
  root["quant_method"] = "compressed-tensors";
  root["format"] = one_format ? first : compressed_tensors::mixed_format;
  root["quantization_status"] = "compressed";
  root["global_compression_ratio"] = nullptr;
  root["kv_cache_scheme"] = nullptr;
  if (plan.kv_scales) {
    root["kv_cache_scheme"] = {
        {"num_bits", 8}, {"type", "float"}, {"strategy", "tensor"}, {"symmetric", true}, {"dynamic", false}};
  }
  root["ignore"] = dense_modules(plan);
  for (std::size_t i = 0; i < schemes.size(); ++i) {
    OrderedJson group;
    group["targets"] = targets(plan, schemes[i], schemes.size() == 1);
    group.update(compressed_tensors::scheme_to_json(schemes[i]));
    // Older readers forbid the key, so it is there only where it says something.
    if (!one_format) group["format"] = compressed_tensors::format_of(schemes[i]);
    root["config_groups"]["group_" + std::to_string(i)] = group;
  }
  return root.dump();
}

std::optional<std::string> refuses(const OutputPlan& plan) {
  return refuses_quantized(plan, [](const PlannedTensor& t) { return compressed_tensors::refuses(*t.scheme); });
}

std::int64_t bytes(const OutputPlan& plan) {
  return quantized_folder_bytes(plan, layouts(plan), side_files(plan, quantization_config(plan)), &kv_names);
}

std::int64_t tensor_bytes(const OutputPlan& plan, std::size_t tensor) {
  return quantized_tensor_bytes(plan, layouts(plan), tensor);
}

std::unique_ptr<FormatWriter> create(const OutputPlan& plan, const std::filesystem::path& folder) {
  if (const auto reason = refuses(plan)) throw Error(ErrorCode::unsupported, *reason);
  return make_quantized_writer(plan, layouts(plan), side_files(plan, quantization_config(plan)), folder, &kv_names);
}

}  // namespace

const FormatImpl compressed_tensors_format{
    .id = "compressed-tensors",
    .refuses = refuses,
    .takes_codes = true,
    .stored_type = dense_stored_type,
    .bytes = bytes,
    .create = create,
    .scale_dtype = dense_type,
    .tensor_bytes = tensor_bytes,
    .holds_kv_scales = true,
};

}  // namespace advisor
