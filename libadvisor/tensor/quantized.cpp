#include "tensor/quantized.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "core/error.h"

namespace advisor {
namespace {

constexpr int min_bits = 2, max_bits = 8;
// Engines use 32, 64 and 128; the bounds only keep nonsense out.
constexpr std::int64_t min_group = 8, max_group = 65536;

[[noreturn]] void invalid(const std::string& text, const std::string& why) {
  throw Error(ErrorCode::invalid_argument,
              "scheme '" + text + "': " + why +
                  "; write W<bits>A<bits>[-int8|-fp8|-nvfp4|-mxfp4|-nf4]"
                  "[-g<size>|-channel|-tensor|-block128][-asym][-static], e.g. W4A16-g128");
}

[[noreturn]] void unsupported(const std::string& text, const std::string& why) {
  throw Error(ErrorCode::unsupported, "scheme '" + text + "': " + why);
}

/// Takes a decimal number off the front of `rest`; nullopt-like -1 when there is none.
std::int64_t take_number(std::string_view& rest) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (error != std::errc{} || rest.front() == '-') return -1;
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  return value;
}

using kernels::FloatCode;

constexpr std::int64_t fp8_block = 128, nvfp4_group = 16, mxfp4_group = 32, nf4_group = 64;

/// What the suffixes said, so that a second word on the same subject is an error and not an override.
struct Suffixes {
  std::string_view size, number;  ///< "g128", "channel" ...; "fp8" ...
  std::int64_t group = 0;
  bool asymmetric = false, fixed = false;
};

void read_suffix(const std::string& text, std::string_view word, Suffixes& seen) {
  const auto once = [&](bool already) {
    if (already) invalid(text, "'-" + std::string(word) + "' repeats or contradicts an earlier part");
  };
  if (word == "asym") {
    once(seen.asymmetric);
    seen.asymmetric = true;
  } else if (word == "static") {
    once(seen.fixed);
    seen.fixed = true;
  } else if (word == "int8" || word == "fp8" || word == "nvfp4" || word == "mxfp4" || word == "nf4") {
    once(!seen.number.empty());
    seen.number = word;
  } else if (word == "channel" || word == "tensor" || word == "block128") {
    once(!seen.size.empty());
    seen.size = word;
  } else if (word.starts_with('g') && word.size() > 1) {
    once(!seen.size.empty());
    seen.size = word;
    std::string_view digits = word.substr(1);
    seen.group = take_number(digits);
    if (!digits.empty() || seen.group < min_group || seen.group > max_group) {
      invalid(text, "the group size in '-" + std::string(word) + "' must be a number from " +
                        std::to_string(min_group) + " to " + std::to_string(max_group));
    }
  } else {
    invalid(text, "unknown part '-" + std::string(word) + "'");
  }
}

void check_integer(const std::string& text, const QuantScheme& scheme, const Suffixes& seen) {
  const std::string weights = "W" + std::to_string(scheme.bits);
  if (scheme.bits < min_bits || scheme.bits > max_bits) {
    unsupported(text, "weights of " + std::to_string(scheme.bits) + " bits are not implemented; use 2 to 8");
  }
  if (seen.number == "int8" && scheme.bits != 8) invalid(text, "'-int8' contradicts " + weights);
  if (scheme.activation_bits != 16 && scheme.activation_bits != 8) {
    unsupported(
        text, "activations of " + std::to_string(scheme.activation_bits) + " bits are not implemented; use A16 or A8");
  }
  if (scheme.activation_bits == 8 && scheme.bits != 8) unsupported(text, "int8 activations need int8 weights (W8A8)");
  if (seen.size == "tensor" || seen.size == "block128") {
    unsupported(text, "integers with one scale per " + std::string(seen.size == "tensor" ? "tensor" : "block") +
                          " are not implemented; use -channel");
  }
  if (seen.fixed) unsupported(text, "'-static' is implemented for fp8 only; int8 activations are scaled per token");
}

void complete_integer(const std::string& text, const Suffixes& seen, QuantScheme& scheme) {
  check_integer(text, scheme, seen);
  scheme.symmetric = !seen.asymmetric;
  // Without a granularity: what the presets of the same name mean elsewhere, W4A16 = g128, W8A16 and W8A8 = channel.
  scheme.group = seen.size.empty() ? (scheme.bits < 8 ? 128 : 0) : seen.group;
}

void complete_fp8(const std::string& text, const Suffixes& seen, QuantScheme& scheme) {
  scheme.code = FloatCode::e4m3;
  if (scheme.bits != 8) invalid(text, "fp8 weights have 8 bits");
  if (scheme.activation_bits != 8 && scheme.activation_bits != 16) invalid(text, "fp8 activations have 8 bits");
  if (seen.group != 0) unsupported(text, "fp8 in groups is not implemented; use -channel, -tensor or -block128");
  if (seen.size == "block128") scheme.group = scheme.block_rows = fp8_block;
  if (seen.size == "tensor") scheme.block_rows = 0;
  scheme.static_activations = seen.fixed;
  if (seen.fixed && (scheme.activation_bits != 8 || seen.size == "block128")) {
    invalid(text, "'-static' is a scale of 8-bit activations per tensor: use W8A8-fp8-tensor-static");
  }
}

/// Small floats in groups of a fixed size.
void complete_fp4(const std::string& text, const Suffixes& seen, QuantScheme& scheme) {
  const std::string number(seen.number);
  if (scheme.bits != 4) invalid(text, number + " weights have 4 bits");
  if (scheme.activation_bits != 16 && (scheme.activation_bits != 4 || number == "nf4")) {
    unsupported(text, number + " with activations of " + std::to_string(scheme.activation_bits) +
                          " bits is not implemented; use A16" + (number == "nf4" ? "" : " or A4"));
  }
  const std::int64_t group = number == "nvfp4" ? nvfp4_group : number == "mxfp4" ? mxfp4_group : nf4_group;
  if (!seen.size.empty() && seen.group != group) {
    invalid(text, number + " has groups of " + std::to_string(group) + "; leave out '-" + std::string(seen.size) + "'");
  }
  if (seen.fixed) invalid(text, "'-static' does not apply to " + number);
  scheme.group = group;
  scheme.code = number == "nf4" ? FloatCode::nf4 : FloatCode::e2m1;
  scheme.scale = number == "nvfp4" ? ScaleType::e4m3 : number == "mxfp4" ? ScaleType::e8m0 : ScaleType::dense;
}

std::string_view number_name(const QuantScheme& scheme) {
  if (!scheme.code) return scheme.activation_bits == 8 ? "-int8" : "";
  if (*scheme.code == FloatCode::e4m3) return "-fp8";
  if (*scheme.code == FloatCode::nf4) return "-nf4";
  return scheme.scale == ScaleType::e4m3 ? "-nvfp4" : "-mxfp4";
}

std::string size_name(const QuantScheme& scheme) {
  if (scheme.code && *scheme.code != FloatCode::e4m3) return "";  // follows from the number format
  if (scheme.block_rows == 0) return "-tensor";
  if (scheme.block_rows > 1) return "-block" + std::to_string(scheme.block_rows);
  return scheme.group == 0 ? "-channel" : "-g" + std::to_string(scheme.group);
}

}  // namespace

std::string QuantScheme::id() const {
  return "W" + std::to_string(bits) + "A" + std::to_string(activation_bits) + std::string(number_name(*this)) +
         size_name(*this) + (symmetric ? "" : "-asym") + (static_activations ? "-static" : "");
}

QuantScheme parse_quant_scheme(const std::string& text) {
  std::string_view rest = text;
  const auto expect = [&](char letter, const char* what) {
    if (!rest.starts_with(letter)) invalid(text, std::string("expected '") + letter + "' and a number of bits");
    rest.remove_prefix(1);
    const std::int64_t value = rest.empty() ? -1 : take_number(rest);
    if (value < 0) invalid(text, std::string("expected a number of bits after '") + letter + "'");
    if (value < 1 || value > 16) invalid(text, std::string(what) + " of " + std::to_string(value) + " bits");
    return static_cast<int>(value);
  };
  QuantScheme scheme;
  scheme.bits = expect('W', "weights");
  scheme.activation_bits = expect('A', "activations");
  Suffixes seen;
  while (!rest.empty()) {
    if (rest.front() != '-') invalid(text, "unexpected '" + std::string(rest) + "'");
    rest.remove_prefix(1);
    const std::string_view word = rest.substr(0, rest.find('-'));
    read_suffix(text, word, seen);
    rest.remove_prefix(word.size());
  }
  if (seen.number.empty() || seen.number == "int8") {
    complete_integer(text, seen, scheme);
    return scheme;
  }
  if (seen.asymmetric) invalid(text, "'-asym' needs integers; " + std::string(seen.number) + " has no zero point");
  seen.number == "fp8" ? complete_fp8(text, seen, scheme) : complete_fp4(text, seen, scheme);
  return scheme;
}

void quantize_values(const QuantScheme& scheme, std::span<const float> x, float scale, int zero,
                     std::span<std::int8_t> codes) {
  if (scheme.code) return kernels::quantize(*scheme.code, x, scale, codes);
  kernels::quantize(x, scale, zero, scheme.qmin(), scheme.qmax(), codes);
}

void dequantize_values(const QuantScheme& scheme, std::span<const std::int8_t> codes, float scale, int zero,
                       std::span<float> x) {
  if (scheme.code) return kernels::dequantize(*scheme.code, codes, scale, x);
  kernels::dequantize(codes, scale, zero, x);
}

double quantization_error(const QuantScheme& scheme, std::span<const float> x, float scale, int zero) {
  if (scheme.code) return kernels::quantization_error(*scheme.code, x, scale);
  return kernels::quantization_error(x, scale, zero, scheme.qmin(), scheme.qmax());
}

void dequantize(const QuantizedTensor& tensor, std::span<float> out) {
  const QuantScheme& scheme = tensor.scheme;
  const std::int64_t groups = scheme.groups(tensor.cols);
  const std::int64_t width = scheme.group == 0 ? tensor.cols : scheme.group;
  for (std::int64_t r = 0; r < tensor.rows; ++r) {
    const std::int64_t block = scheme.block_rows == 0 ? 0 : r / scheme.block_rows;
    for (std::int64_t g = 0; g < groups; ++g) {
      const auto at = static_cast<std::size_t>(block * groups + g);
      const auto begin = static_cast<std::size_t>(r * tensor.cols + g * width);
      const auto count = static_cast<std::size_t>(std::min(width, tensor.cols - g * width));
      dequantize_values(scheme, std::span(tensor.codes).subspan(begin, count), tensor.scales[at] * tensor.tensor_scale,
                        tensor.zeros.empty() ? 0 : tensor.zeros[at], out.subspan(begin, count));
    }
  }
}

}  // namespace advisor
