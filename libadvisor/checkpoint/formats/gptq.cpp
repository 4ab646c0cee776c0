// Writes GPTQ folders. Layout: checkpoint/gptq.h.
#include "checkpoint/gptq.h"

#include <algorithm>

#include "checkpoint/formats/quantized_writer.h"
#include "checkpoint/json.h"
#include "core/error.h"
#include "core/version.h"

namespace advisor {

extern const FormatImpl gptq_format;

namespace {

using json::OrderedJson;

WeightLayout layout_of(const PlannedTensor& t) {
  return gptq::layout(module_of(t.source.name), *t.scheme, t.source.shape[0], t.source.shape[1],
                      gptq::writes_version_1(*t.scheme));
}

/// "-:" in front of a regular expression: modules that it matches are not quantized.
std::string exclusion(const std::string& module) {
  std::string pattern = "-:^";
  for (const char c : module) {
    if (c == '.') pattern += '\\';
    pattern += c;
  }
  return pattern + "$";
}

OrderedJson quantization_config(const OutputPlan& plan) {
  const QuantScheme scheme = schemes_of(plan).front();
  OrderedJson root;
  root["bits"] = scheme.bits;
  root["group_size"] = scheme.group == 0 ? -1 : scheme.group;
  root["desc_act"] = false;
  root["sym"] = scheme.symmetric;
  root["quant_method"] = "gptq";
  root["checkpoint_format"] = gptq::writes_version_1(scheme) ? "gptq" : "gptq_v2";
  root["pack_dtype"] = "int32";
  std::set<std::string> dense = dense_modules(plan);
  root["lm_head"] = !dense.contains("lm_head");
  dense.erase("lm_head");  // never quantized unless the line above says so
  for (const std::string& module : dense) root["dynamic"][exclusion(module)] = OrderedJson::object();
  root["meta"]["quantizer"] = OrderedJson::array({"libadvisor:" + std::string(version())});
  return root;
}

std::vector<SideFile> side(const OutputPlan& plan) {
  const OrderedJson config = quantization_config(plan);
  std::vector<SideFile> files = side_files(plan, config.dump());
  files.push_back({"quantize_config.json", {}, config.dump(2) + "\n"});
  return files;
}

std::optional<std::string> refuses_tensor(const PlannedTensor& t) {
  const QuantScheme& scheme = *t.scheme;
  const bool bits = scheme.bits == 2 || scheme.bits == 3 || scheme.bits == 4 || scheme.bits == 8;
  if (scheme.code || scheme.activation_bits != 16 || !bits) {
    return scheme.id() + ": GPTQ files hold integer weights of 2, 3, 4 or 8 bits with 16-bit activations only";
  }
  for (const std::int64_t side : t.source.shape) {
    if (side % 32 != 0) {
      return "tensor \"" + t.source.name + "\" has " + std::to_string(side) +
             " inputs or outputs, and GPTQ kernels need a multiple of 32; leave it dense or use compressed-tensors";
    }
  }
  return std::nullopt;
}

std::optional<std::string> refuses(const OutputPlan& plan) {
  if (auto reason = refuses_quantized(plan, refuses_tensor)) return reason;
  return refuses_mixture(plan);
}

std::int64_t bytes(const OutputPlan& plan) { return quantized_folder_bytes(plan, layout_of, side(plan)); }

std::unique_ptr<FormatWriter> create(const OutputPlan& plan, const std::filesystem::path& folder) {
  if (const auto reason = refuses(plan)) throw Error(ErrorCode::unsupported, *reason);
  return make_quantized_writer(plan, layout_of, side(plan), folder);
}

DType scale_dtype(const OutputPlan&) { return DType::f16; }

}  // namespace

const FormatImpl gptq_format{
    .id = "gptq",
    .refuses = refuses,
    .takes_codes = true,
    .stored_type = dense_stored_type,
    .bytes = bytes,
    .create = create,
    .scale_dtype = scale_dtype,
};

}  // namespace advisor
