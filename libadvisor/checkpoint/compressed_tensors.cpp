#include "checkpoint/compressed_tensors.h"

#include "checkpoint/quantized_reader.h"
#include "core/error.h"

namespace advisor::compressed_tensors {
namespace {

using json::Json;
using json::OrderedJson;
using kernels::FloatCode;

bool is_fp8(const QuantScheme& scheme) { return scheme.code == FloatCode::e4m3; }

/// The spelling of compressed-tensors' QuantizationArgs, which forbids keys that it does not know.
OrderedJson quantization_args(int bits, const char* type, const char* strategy) {
  OrderedJson args;
  args["num_bits"] = bits;
  args["type"] = type;
  args["symmetric"] = true;
  args["strategy"] = strategy;
  args["group_size"] = nullptr;
  args["block_structure"] = nullptr;
  args["dynamic"] = false;
  args["actorder"] = nullptr;
  args["observer"] = "minmax";
  args["observer_kwargs"] = OrderedJson::object();
  return args;
}

OrderedJson weights_to_json(const QuantScheme& scheme) {
  const char* strategy = scheme.block_rows == 0            ? "tensor"
                         : scheme.block_rows > 1           ? "block"
                         : scheme.scale == ScaleType::e4m3 ? "tensor_group"
                         : scheme.group == 0               ? "channel"
                                                           : "group";
  OrderedJson args = quantization_args(scheme.bits, scheme.code ? "float" : "int", strategy);
  args["symmetric"] = scheme.symmetric;
  if (scheme.block_rows > 1) {
    args["block_structure"] = {scheme.block_rows, scheme.group};
  } else if (scheme.group != 0) {
    args["group_size"] = scheme.group;
  }
  // Without it the package would load these bytes as floats of the model's dtype.
  if (scheme.scale == ScaleType::e4m3) args["scale_dtype"] = "torch.float8_e4m3fn";
  if (scheme.scale == ScaleType::e8m0) args["scale_dtype"] = "torch.uint8";
  return args;
}

OrderedJson activations_to_json(const QuantScheme& scheme) {
  if (scheme.activation_bits == 16) return nullptr;
  const char* type = scheme.code ? "float" : "int";
  const auto dynamic = [&](const char* strategy, std::int64_t group, const OrderedJson& how) {
    OrderedJson args = quantization_args(scheme.activation_bits, type, strategy);
    if (group != 0) args["group_size"] = group;
    args["dynamic"] = how;
    args["observer"] = how == "local" ? OrderedJson("minmax") : OrderedJson(nullptr);
    return args;
  };
  if (scheme.static_activations) return quantization_args(scheme.activation_bits, type, "tensor");
  if (scheme.scale == ScaleType::e4m3) {
    OrderedJson args = dynamic("tensor_group", scheme.group, "local");
    args["scale_dtype"] = "torch.float8_e4m3fn";
    return args;
  }
  if (scheme.scale == ScaleType::e8m0) {
    OrderedJson args = dynamic("group", scheme.group, true);
    args["scale_dtype"] = "torch.uint8";
    return args;
  }
  return scheme.block_rows > 1 ? dynamic("group", scheme.group, true) : dynamic("token", 0, true);
}

std::int64_t read_bits(const Json& args, const std::string& where) {
  return json::find_integer(args, "num_bits", where).value_or(8);
}

bool read_float(const Json& args, const std::string& where) {
  const std::string type = json::find_string(args, "type", where).value_or("int");
  if (type != "int" && type != "float") bad_file(where, "the number type \"" + type + "\" is unknown");
  return type == "float";
}

void read_block(const Json& args, QuantScheme& scheme, const std::string& where) {
  const Json* shape = json::find(args, "block_structure");
  if (shape == nullptr || *shape != Json::array({128, 128})) {
    cannot_read(where, "the strategy \"block\" can be read with a \"block_structure\" of [128, 128] only");
  }
  scheme.group = scheme.block_rows = 128;
}

/// Number type, bits and granularity of "weights".
QuantScheme weights_from_json(const Json& args, const std::string& where) {
  QuantScheme scheme;
  const std::int64_t bits = read_bits(args, where);
  const bool floats = read_float(args, where);
  if (floats ? bits != 8 && bits != 4 : bits < 2 || bits > 8) {
    cannot_read(where,
                std::string(floats ? "float " : "") + "weights of " + std::to_string(bits) + " bits cannot be read");
  }
  scheme.bits = static_cast<int>(bits);
  scheme.symmetric = json::find_bool(args, "symmetric", where).value_or(true);
  if (floats) scheme.code = bits == 8 ? FloatCode::e4m3 : FloatCode::e2m1;
  if (floats && !scheme.symmetric) cannot_read(where, "float weights with zero points cannot be read");

  const auto group_size = json::find_integer(args, "group_size", where);
  const std::string strategy =
      json::find_string(args, "strategy", where).value_or(group_size.value_or(-1) > 0 ? "group" : "channel");
  if (strategy == "group" || strategy == "tensor_group") {
    if (group_size.value_or(0) <= 0)
      bad_file(where, "the strategy \"" + strategy + "\" needs a positive \"group_size\"");
    scheme.group = *group_size;
  } else if (strategy == "block") {
    read_block(args, scheme, where);
  } else if (strategy == "tensor") {
    scheme.block_rows = 0;
  } else if (strategy != "channel") {
    cannot_read(where, "the strategy \"" + strategy + "\" cannot be read");
  }
  if (floats && bits == 4) {
    if (strategy == "tensor_group" && scheme.group == 16) scheme.scale = ScaleType::e4m3;
    if (strategy == "group" && scheme.group == 32) scheme.scale = ScaleType::e8m0;
    if (scheme.scale == ScaleType::dense) cannot_read(where, "4-bit floats can be read as NVFP4 and MXFP4 only");
  } else if (strategy == "tensor_group" || (!floats && (scheme.block_rows != 1)) ||
             (is_fp8(scheme) && strategy == "group")) {
    cannot_read(where, "the strategy \"" + strategy + "\" cannot be read for weights of this type");
  }
  return scheme;
}

void read_activations(const Json& args, QuantScheme& scheme, const std::string& where) {
  if (!args.is_object()) bad_file(where, "\"input_activations\" must be an object or null");
  const std::int64_t bits = read_bits(args, where);
  const bool floats = read_float(args, where);
  if (floats != scheme.code.has_value() || bits != scheme.bits || (bits != 8 && !floats)) {
    cannot_read(where, "activations of " + std::to_string(bits) + " bits (" + (floats ? "float" : "int") +
                           ") with weights of another type cannot be read");
  }
  scheme.activation_bits = static_cast<int>(bits);
  const Json* dynamic = json::find(args, "dynamic");
  const bool fixed = dynamic == nullptr || *dynamic == false;
  if (!fixed) return;
  const std::string strategy = json::find_string(args, "strategy", where).value_or("tensor");
  if (!is_fp8(scheme) || scheme.block_rows > 1 || strategy != "tensor") {
    cannot_read(where, "static activation scales can be read for fp8 per tensor only");
  }
  scheme.static_activations = true;
}

}  // namespace

std::string_view format_of(const QuantScheme& scheme) {
  if (scheme.scale == ScaleType::e4m3) return nvfp4_format;
  if (scheme.scale == ScaleType::e8m0) return mxfp4_format;
  if (scheme.code) return scheme.activation_bits == 16 ? naive_format : float_format;
  return scheme.activation_bits == 16 ? pack_format : int_format;
}

std::optional<std::string> refuses(const QuantScheme& scheme) {
  if (scheme.code == FloatCode::nf4) {
    return scheme.id() + ": compressed-tensors has no NF4; use W4A16-nvfp4 or W4A16-mxfp4, or integers";
  }
  return std::nullopt;
}

WeightLayout layout(const std::string& module, const QuantScheme& scheme, std::int64_t out, std::int64_t in,
                    DType dense) {
  const std::int64_t groups = scheme.groups(in), blocks = scheme.blocks(out);
  const std::string_view format = format_of(scheme);
  const int middle = scheme.code ? 0 : 1 << (scheme.bits - 1);
  WeightLayout w{.weight = module + ".weight", .scheme = scheme, .rows = out, .cols = in};
  w.scales = {module + ".weight_scale", dense, false, {blocks, groups}};
  if (scheme.block_rows == 0) w.scales.shape = {1};
  if (scheme.static_activations) w.input_scale = {module + ".input_scale", {1}, false};
  if (format == pack_format) {
    w.codes = {module + ".weight_packed", {Packing::row_streams, DType::i32, scheme.bits, middle, false, out, in}};
    w.shape_name = module + ".weight_shape";
    w.zeros = {module + ".weight_zero_point",
               {Packing::column_streams, DType::i32, scheme.bits, middle, false, out, groups}};
  } else if (format == nvfp4_format || format == mxfp4_format) {
    w.codes = {module + ".weight_packed", {Packing::row_streams, DType::u8, scheme.bits, 0, false, out, in}};
    w.scales.dtype = format == nvfp4_format ? DType::f8_e4m3 : DType::u8;
    if (format == nvfp4_format) w.tensor_scale = {module + ".weight_global_scale", {1}, true};
    if (format == nvfp4_format && scheme.activation_bits != 16) {
      w.input_scale = {module + ".input_global_scale", {1}, true};
    }
  } else {
    w.codes = {module + ".weight", {Packing::bytes, scheme.code ? DType::f8_e4m3 : DType::i8, 8, 0, false, out, in}};
    w.zeros = {module + ".weight_zero_point", {Packing::bytes, DType::i8, 8, 0, false, out, groups}};
  }
  if (scheme.symmetric) w.zeros = {};
  return w;
}

OrderedJson scheme_to_json(const QuantScheme& scheme) {
  OrderedJson group;
  group["weights"] = weights_to_json(scheme);
  group["input_activations"] = activations_to_json(scheme);
  group["output_activations"] = nullptr;
  return group;
}

QuantScheme scheme_from_json(const Json& group, const std::string& where) {
  const Json* weights = json::find(group, "weights");
  if (weights == nullptr || !weights->is_object()) bad_file(where, "a group of \"config_groups\" has no \"weights\"");
  QuantScheme scheme = weights_from_json(*weights, where);
  if (const Json* inputs = json::find(group, "input_activations")) read_activations(*inputs, scheme, where);
  return scheme;
}

}  // namespace advisor::compressed_tensors
