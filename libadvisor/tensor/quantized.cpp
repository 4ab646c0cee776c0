#include "tensor/quantized.h"

#include <charconv>
#include <string_view>

#include "core/error.h"

namespace advisor {
namespace {

constexpr int min_bits = 2, max_bits = 8;
// Engines use 32, 64 and 128; the bounds only keep nonsense out.
constexpr std::int64_t min_group = 8, max_group = 65536;

[[noreturn]] void invalid(const std::string& text, const std::string& why) {
  throw Error(
      ErrorCode::invalid_argument,
      "scheme '" + text + "': " + why + "; write W<bits>A<bits>[-int8][-g<size>|-channel][-asym], e.g. W4A16-g128");
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

/// What the suffixes said, so that a second word on the same subject is an error and not an override.
struct Suffixes {
  bool granularity = false, int8 = false, asymmetric = false;
};

void apply_suffix(const std::string& text, std::string_view word, QuantScheme& scheme, Suffixes& seen) {
  const auto once = [&](bool& flag) {
    if (flag) invalid(text, "'-" + std::string(word) + "' repeats or contradicts an earlier part");
    flag = true;
  };
  if (word == "asym") {
    once(seen.asymmetric);
    scheme.symmetric = false;
  } else if (word == "channel") {
    once(seen.granularity);
    scheme.group = 0;
  } else if (word == "tensor") {
    unsupported(text, "one scale per tensor is not implemented; use -channel");
  } else if (word == "int8") {
    once(seen.int8);
  } else if (word == "fp8" || word == "nvfp4" || word == "mxfp4") {
    unsupported(text, std::string(word) + " weights are not implemented; this build writes integer schemes only");
  } else if (word.starts_with('g') && word.size() > 1) {
    once(seen.granularity);
    std::string_view digits = word.substr(1);
    scheme.group = take_number(digits);
    if (!digits.empty() || scheme.group < min_group || scheme.group > max_group) {
      invalid(text, "the group size in '-" + std::string(word) + "' must be a number from " +
                        std::to_string(min_group) + " to " + std::to_string(max_group));
    }
  } else {
    invalid(text, "unknown part '-" + std::string(word) + "'");
  }
}

}  // namespace

std::string QuantScheme::id() const {
  std::string text = "W";
  text += std::to_string(bits);
  text += 'A';
  text += std::to_string(activation_bits);
  if (activation_bits == 8) text += "-int8";
  if (group == 0) {
    text += "-channel";
  } else {
    text += "-g";
    text += std::to_string(group);
  }
  if (!symmetric) text += "-asym";
  return text;
}

QuantScheme parse_quant_scheme(const std::string& text) {
  std::string_view rest = text;
  const auto expect = [&](char letter) {
    if (!rest.starts_with(letter)) invalid(text, std::string("expected '") + letter + "' and a number of bits");
    rest.remove_prefix(1);
    const std::int64_t value = rest.empty() ? -1 : take_number(rest);
    if (value < 0) invalid(text, std::string("expected a number of bits after '") + letter + "'");
    return value;
  };
  const std::int64_t weight_bits = expect('W');
  const std::int64_t activation_bits = expect('A');
  if (weight_bits < 1 || weight_bits > 16) invalid(text, "weights of " + std::to_string(weight_bits) + " bits");
  if (activation_bits < 1 || activation_bits > 16) {
    invalid(text, "activations of " + std::to_string(activation_bits) + " bits");
  }

  QuantScheme scheme;
  scheme.bits = static_cast<int>(weight_bits);
  scheme.activation_bits = static_cast<int>(activation_bits);
  // Without a granularity: what the presets of the same name mean elsewhere, W4A16 = g128, W8A16 and W8A8 = channel.
  scheme.group = weight_bits < 8 ? 128 : 0;
  Suffixes seen;
  while (!rest.empty()) {
    if (rest.front() != '-') invalid(text, "unexpected '" + std::string(rest) + "'");
    rest.remove_prefix(1);
    const std::string_view word = rest.substr(0, rest.find('-'));
    apply_suffix(text, word, scheme, seen);
    rest.remove_prefix(word.size());
  }

  if (weight_bits < min_bits || weight_bits > max_bits) {
    unsupported(text, "weights of " + std::to_string(weight_bits) + " bits are not implemented; use 2 to 8");
  }
  if (activation_bits != 16 && activation_bits != 8) {
    unsupported(text, "activations of " + std::to_string(activation_bits) + " bits are not implemented; use A16 or A8");
  }
  if (activation_bits == 8 && weight_bits != 8) {
    unsupported(text, "int8 activations need int8 weights (W8A8)");
  }
  if (seen.int8 && weight_bits != 8) invalid(text, "'-int8' contradicts W" + std::to_string(weight_bits));
  return scheme;
}

}  // namespace advisor
