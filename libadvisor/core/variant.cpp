#include "core/variant.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/suggest.h"
#include "core/units.h"

namespace advisor {
namespace {

/// File types of llama.cpp. `bits_per_weight` of the uniform ones is that of their block; of the mixes (K-quants with
/// a suffix, IQ types) it is what llama.cpp's tools/quantize/README.md lists for Llama-3.1-8B, embeddings and output
/// head included. A K-quant without suffix means the same mix as for llama-quantize.
struct GgufType {
  std::string_view id;
  double nominal_bits, bits_per_weight;
};
constexpr std::array gguf_types{
    GgufType{"F32", 32, 32},        GgufType{"F16", 16, 16},        GgufType{"BF16", 16, 16},
    GgufType{"Q8_0", 8, 8.5},       GgufType{"Q4_0", 4, 4.5},       GgufType{"Q4_1", 4, 5},
    GgufType{"Q5_0", 5, 5.5},       GgufType{"Q5_1", 5, 6},         GgufType{"Q2_K", 2, 3.1593},
    GgufType{"Q2_K_S", 2, 2.9697},  GgufType{"Q3_K", 3, 3.9960},    GgufType{"Q3_K_S", 3, 3.6429},
    GgufType{"Q3_K_M", 3, 3.9960},  GgufType{"Q3_K_L", 3, 4.2979},  GgufType{"Q4_K", 4, 4.8944},
    GgufType{"Q4_K_S", 4, 4.6672},  GgufType{"Q4_K_M", 4, 4.8944},  GgufType{"Q5_K", 5, 5.7036},
    GgufType{"Q5_K_S", 5, 5.5704},  GgufType{"Q5_K_M", 5, 5.7036},  GgufType{"Q6_K", 6, 6.5633},
    GgufType{"IQ1_S", 1, 2.0042},   GgufType{"IQ1_M", 1, 2.1460},   GgufType{"IQ2_XXS", 2, 2.3824},
    GgufType{"IQ2_XS", 2, 2.5882},  GgufType{"IQ2_S", 2, 2.7403},   GgufType{"IQ2_M", 2, 2.9294},
    GgufType{"IQ3_XXS", 3, 3.2548}, GgufType{"IQ3_XS", 3, 3.4977},  GgufType{"IQ3_S", 3, 3.6606},
    GgufType{"IQ3_M", 3, 3.7628},   GgufType{"IQ4_XS", 4, 4.4597},  GgufType{"IQ4_NL", 4, 4.6818},
    GgufType{"MXFP4", 4, 4.25},     GgufType{"MXFP4_MOE", 4, 4.25}, GgufType{"TQ1_0", 1, 1.6875},
    GgufType{"TQ2_0", 2, 2.0625},
};

constexpr double scale_bits = 16;  // fp16 or bf16 scale per group
constexpr std::int64_t nvfp4_group = 16, mxfp4_group = 32;
constexpr double float_block_scale_bits = 8;  // E4M3 of nvfp4, E8M0 of mxfp4

[[noreturn]] void refuse(const std::string& scheme, const std::string& why) {
  std::vector<std::string> known{"W16A16", "W8A8-int8", "W8A8-fp8", "W8A16-channel", "W4A16-g128", "W4A4-nvfp4"};
  for (const GgufType& type : gguf_types) known.emplace_back(type.id);
  throw Error(ErrorCode::invalid_argument,
              "unknown scheme \"" + scheme + "\": " + why +
                  ". A scheme reads W<bits>A<bits>[-int8|-fp8|-nvfp4|-mxfp4][-g<size>|-channel|-tensor][-asym], as in "
                  "W4A16-g128, or is a GGUF type as Q4_0" +
                  did_you_mean(scheme, known));
}

std::optional<std::int64_t> take_integer(std::string_view& text) {
  std::int64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || value < 0) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(result.ptr - text.data()));
  return value;
}

SchemeInfo describe_gguf(const GgufType& type) {
  SchemeInfo info;
  info.weight_bits = type.nominal_bits;
  info.bits_per_weight = type.bits_per_weight;
  if (type.id == "F32") {
    info.weight_dtype = "fp32";
  } else if (type.id == "BF16" || type.id == "F16") {
    info.weight_dtype = type.id == "BF16" ? "bf16" : "fp16";
  } else if (type.id.substr(0, 5) == "MXFP4") {
    info.weight_dtype = "fp4";
  } else {
    info.weight_dtype = "int" + format_number(type.nominal_bits);
  }
  info.grid = "gguf";
  info.symmetric = type.id != "Q4_1" && type.id != "Q5_1";
  return info;
}

/// dtype of `bits` on a grid, for one side of a scheme.
std::string dtype_of(double bits, const std::string& grid) {
  if (bits == 32) return "fp32";
  if (bits == 16) return "fp16";
  if (grid == "fp8" && bits == 8) return "fp8";
  if ((grid == "nvfp4" || grid == "mxfp4") && bits == 4) return "fp4";
  if ((grid == "nvfp4" || grid == "mxfp4") && bits == 8) return "fp8";
  return "int" + format_number(bits);
}

double stored_bits(const SchemeInfo& info) {
  if (info.weight_bits >= 16) return info.weight_bits;
  if (info.grid == "nvfp4" || info.grid == "mxfp4") {
    const auto group = static_cast<double>(info.grid == "nvfp4" ? nvfp4_group : mxfp4_group);
    return info.weight_bits + float_block_scale_bits / group;
  }
  if (info.group == 0) return info.weight_bits;
  const double zero_bits = info.symmetric ? 0 : info.weight_bits;
  return info.weight_bits + (scale_bits + zero_bits) / static_cast<double>(info.group);
}

void apply_suffix(const std::string& scheme, std::string_view part, SchemeInfo& info, bool& sized) {
  constexpr std::array<std::string_view, 6> grids{"int8", "int4", "fp8", "nvfp4", "mxfp4", "nf4"};
  if (std::find(grids.begin(), grids.end(), part) != grids.end()) {
    if (!info.grid.empty()) refuse(scheme, "it names two number formats");
    info.grid = part;
  } else if (part == "static") {
    // where the scale of activations comes from changes neither bits nor dtypes
  } else if (part == "asym") {
    info.symmetric = false;
  } else if (part == "channel" || part == "tensor" || part == "block128") {
    if (sized) refuse(scheme, "it names two group sizes");
    sized = true;
  } else if (part.size() > 1 && part.front() == 'g') {
    std::string_view digits = part.substr(1);
    const auto size = take_integer(digits);
    if (!size || !digits.empty() || *size == 0) refuse(scheme, "\"" + std::string(part) + "\" is not a group size");
    if (sized) refuse(scheme, "it names two group sizes");
    info.group = *size;
    sized = true;
  } else {
    refuse(scheme, "\"" + std::string(part) + "\" is not known");
  }
}

}  // namespace

SchemeInfo describe_scheme(const std::string& scheme) {
  for (const GgufType& type : gguf_types) {
    if (type.id == scheme) return describe_gguf(type);
  }
  std::string_view rest = scheme;
  if (rest.empty() || rest.front() != 'W') refuse(scheme, "it does not start with W");
  rest.remove_prefix(1);
  const auto weight = take_integer(rest);
  if (!weight || *weight < 1 || *weight > 32) refuse(scheme, "weights need 1 to 32 bits");
  if (rest.empty() || rest.front() != 'A') refuse(scheme, "A<bits> of the activations is missing");
  rest.remove_prefix(1);
  const auto activation = take_integer(rest);
  if (!activation || *activation < 1 || *activation > 32) refuse(scheme, "activations need 1 to 32 bits");

  SchemeInfo info;
  bool sized = false;
  while (!rest.empty()) {
    if (rest.front() != '-') refuse(scheme, "\"" + std::string(rest) + "\" is not known");
    rest.remove_prefix(1);
    const std::string_view part = rest.substr(0, rest.find('-'));
    apply_suffix(scheme, part, info, sized);
    rest.remove_prefix(part.size());
  }
  info.weight_bits = static_cast<double>(*weight);
  info.activation_bits = static_cast<double>(*activation);
  const bool float4 = info.grid == "nvfp4" || info.grid == "mxfp4";
  if (float4 && *weight != 4) refuse(scheme, info.grid + " weights have 4 bits");
  if (info.grid == "fp8" && *weight != 8 && *activation != 8) refuse(scheme, "fp8 has 8 bits");
  if (float4 && info.group == 0) info.group = info.grid == "nvfp4" ? nvfp4_group : mxfp4_group;
  info.weight_dtype = dtype_of(info.weight_bits, info.grid);
  info.activation_dtype = dtype_of(info.activation_bits, info.grid);
  info.bits_per_weight = stored_bits(info);
  return info;
}

Sparsity parse_sparsity(std::string_view text) {
  if (text == "2:4" || text == "4:8") return {0.5, std::string(text)};
  const auto share = [&] {
    try {
      return parse_quantity(text, Dimension::none);
    } catch (const Error&) {
      return -1.0;
    }
  }();
  if (!(share >= 0 && share < 1)) {
    throw Error(ErrorCode::invalid_argument,
                "\"" + std::string(text) + "\" is neither a share from 0 to below 1 nor a pattern (2:4, 4:8)");
  }
  return {share, share > 0 ? "unstructured" : ""};
}

namespace {

/// The technique that a scheme is made with when nobody says: the simplest that libadvisor or the engine's tools have.
std::string usual_technique(const Variant& variant, const SchemeInfo& scheme) {
  if (scheme.grid == "gguf" && scheme.weight_bits < 16) {
    if (variant.scheme.starts_with("IQ") || variant.scheme.starts_with("TQ")) return "gguf-i";
    return variant.scheme.find("_K") != std::string::npos ? "gguf-k" : "gguf-legacy";
  }
  if (scheme.weight_bits < 16) {
    const bool own = scheme.grid == "fp8" || scheme.grid == "nvfp4" || scheme.grid == "mxfp4";
    return own ? scheme.grid : "rtn";
  }
  return variant.sparsity > 0 ? "wanda" : "none";
}

}  // namespace

void complete(Variant& variant) {
  const auto fill = [](std::string& member, const std::string& value) {
    if (member.empty()) member = value;
  };
  fill(variant.scheme, "W16A16");
  const SchemeInfo scheme = describe_scheme(variant.scheme);
  const bool plain = scheme.weight_bits >= 16 && variant.sparsity == 0;
  fill(variant.technique, usual_technique(variant, scheme));
  fill(variant.format, scheme.grid == "gguf" ? "gguf" : plain ? "safetensors" : "compressed-tensors");
  fill(variant.engine, variant.format == "gguf" ? "llama.cpp" : "vllm");
  fill(variant.kv, "fp16");
}

double bits_per_weight(const std::string& scheme) { return describe_scheme(scheme).bits_per_weight; }

std::string Variant::id() const {
  std::string text = model + "|" + technique + "|" + scheme;
  if (sparsity != 0 || !pattern.empty()) text += "|sparse-" + format_number(sparsity) + "-" + pattern;
  return text + "|kv-" + kv + "|" + format + "|" + engine;
}

}  // namespace advisor
