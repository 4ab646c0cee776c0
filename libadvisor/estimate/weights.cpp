#include "estimate/weights.h"

#include <algorithm>
#include <cmath>

namespace advisor {

namespace {

using Role = TensorRole;

bool is_quantized(Role role) {
  return role != Role::embedding && role != Role::head && role != Role::router && role != Role::wide &&
         role != Role::vector;
}

bool is_quantized(const TensorGroup& group, const WeightFormat& format) {
  return is_quantized(group.role) && (group.routed || !format.routed_only);
}

/// compressed-tensors, GPTQ, AutoAWQ, ModelOpt: a matrix of codes, its scales and zero points, and small change.
double folder_bytes(const TensorGroup& group, const WeightFormat& format) {
  const double dense = std::max(16.0, format.bits >= 16 ? format.bits : 16.0) / 8;
  if (!is_quantized(group, format) || format.bits >= 16) {
    const double kept = is_quantized(group.role) ? format.kept : 1;
    return group.elements() * dense * kept;
  }
  const auto rows = static_cast<double>(group.rows), columns = static_cast<double>(group.columns);
  const double groups = format.group > 0 ? std::ceil(columns / static_cast<double>(format.group)) : 1;
  double values = columns * format.bits / 8;
  if (format.two_four) values = values / 2 + columns / 2 * 2 / 8;
  if (format.row_words > 0) values = std::ceil(values / 4) * 4;
  const double zeros = format.zero_bits > 0 ? std::ceil(rows * format.zero_bits / 32) * 4 * groups : 0;
  const double matrix =
      rows * (values + groups * format.scale_bits / 8) + zeros + format.matrix_bytes + columns * format.input_bytes;
  return matrix * static_cast<double>(group.copies * group.layers) * format.kept;
}

/// Without the shapes of the matrices the mix cannot be laid out; its published average is taken.
bool is_shapeless(const Layout& layout) { return layout.basis == "parameters"; }

}  // namespace

double stored_bytes(const TensorGroup& group, const Layout& layout, const WeightFormat& format) {
  if (!format.mix) {
    return is_shapeless(layout) && is_quantized(group.role) && format.bits < 16
               ? group.elements() * (format.two_four ? format.nominal / 2 + 1 : format.nominal) / 8 * format.kept
               : folder_bytes(group, format);
  }
  if (is_shapeless(layout)) return group.elements() * format.nominal / 8 * (is_quantized(group.role) ? format.kept : 1);
  const double bytes = gguf_bytes(group, *format.mix, format.imatrix, layout.gguf);
  return is_quantized(group.role) ? bytes * format.kept : bytes;
}

std::optional<ParameterCount> count_parameters(const Model& model) {
  const auto layout = layout_of(model);
  if (!layout) return std::nullopt;
  ParameterCount count;
  count.basis = layout->basis;
  for (const auto& group : layout->groups) {
    auto& place = group.role == Role::embedding ? count.embedding
                  : group.role == Role::head    ? count.head
                  : is_quantized(group.role)    ? count.linear
                                                : count.norm;
    place += group.elements();
  }
  return count;
}

double touched_share(const Model& model, double sequences) {
  const auto experts = static_cast<double>(model.experts.value_or(0));
  const auto used = static_cast<double>(model.experts_used.value_or(0));
  if (experts <= 1 || used <= 0 || used >= experts) return 1;
  return 1 - std::pow(1 - used / experts, std::max(1.0, sequences));
}

WeightFormat weight_format(const Variant& variant) {
  const SchemeInfo scheme = describe_scheme(variant.scheme);
  WeightFormat format;
  format.bits = scheme.weight_bits;
  format.nominal = scheme.bits_per_weight;
  format.group = scheme.group;
  if (variant.pattern == "2:4") {
    format.two_four = scheme.grid != "gguf";
  } else if (variant.pattern.starts_with("structured")) {
    format.kept = 1 - variant.sparsity;
  }
  if (variant.format == "gguf") {
    format.mix = gguf_mix_named(variant.scheme);
    // Sixteen or more bits of a folder's scheme, converted.
    if (!format.mix && scheme.weight_bits >= 16) format.mix = GgufMix::f16;
    format.imatrix = variant.scheme.starts_with("IQ");  // these are not made without one, or should not be
    if (format.mix) return format;
  }
  const bool packed = format.bits < 8 || (format.bits == 8 && scheme.activation_bits >= 16 && scheme.grid != "fp8");
  const bool older = variant.format == "gptq" || variant.format == "autoawq";
  if (scheme.grid == "nvfp4" || scheme.grid == "mxfp4") {
    format.scale_bits = 8;
    format.matrix_bytes = scheme.grid == "nvfp4" ? (scheme.activation_bits < 16 ? 8 : 4) : 0;  // global scales, F32
    return format;
  }
  if (packed) format.row_words = 1;
  if (packed && !older) format.matrix_bytes = 16;  // weight_shape, two I64
  if (!scheme.symmetric || older) format.zero_bits = format.bits;
  if (variant.format == "gptq") format.input_bytes = 4;  // g_idx, I32
  if (variant.format == "autoawq" && format.group == 0) format.group = 128;
  return format;
}

WeightFormat weight_format(const Variant& variant, const Model& model) {
  auto format = weight_format(variant);
  format.routed_only =
      !format.mix && model.native_dtype.starts_with("mxfp4") && format.bits == 4 && variant.scheme.ends_with("mxfp4");
  return format;
}

WeightBytes weight_bytes(const Layout& layout, const WeightFormat& format) {
  WeightBytes bytes;
  for (const auto& group : layout.groups) {
    const double stored = stored_bytes(group, layout, format);
    bytes.stored += stored;
    if (group.role == Role::embedding) {
      if (layout.gguf.tied) bytes.read += stored;  // it is the output head as well
    } else {
      bytes.read += group.routed ? stored * layout.used_experts : stored;
    }
  }
  return bytes;
}

std::optional<WeightEstimate> estimate_weights(const Model& model, const Variant& variant) {
  const auto layout = layout_of(model);
  if (!layout) return std::nullopt;
  return estimate_weights(model, *layout, weight_format(variant, model));
}

WeightEstimate estimate_weights(const Model& model, const Layout& layout, const WeightFormat& format) {
  const auto bytes = weight_bytes(layout, format);
  WeightEstimate estimate;
  estimate.basis = layout.basis;
  estimate.bytes = bytes.stored;
  estimate.read_bytes = bytes.read;
  double total = 0, active = 0, linear = 0, other = 0;
  for (const auto& group : layout.groups) {
    const double elements = group.elements();
    total += elements;
    active += group.routed ? elements * layout.used_experts : elements;
    (group.role == Role::embedding || group.role == Role::head ? other : linear) += elements;
  }
  estimate.active_params = active;
  if (layout.basis == "parameters" && model.active_params) {
    // No experts to count: the stated active share of what is not embedding or head.
    estimate.active_params = std::clamp(*model.active_params, 0.0, total);
    const double share = std::clamp((estimate.active_params - other) / std::max(1.0, linear), 0.02, 1.0);
    double linear_bytes = 0;
    for (const auto& group : layout.groups)
      if (is_quantized(group.role)) linear_bytes += stored_bytes(group, layout, format);
    estimate.read_bytes -= linear_bytes * (1 - share);
  }
  return estimate;
}

}  // namespace advisor
