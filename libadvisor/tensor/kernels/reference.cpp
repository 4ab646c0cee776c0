#include "tensor/kernels/reference.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "core/error.h"
#include "tensor/kernels/error_sum.h"

namespace advisor::kernels::reference {
namespace {

[[noreturn]] void refuse(DType dtype) {
  throw Error(ErrorCode::unsupported, "elements of type " + std::string(name(dtype)) + " are not a float weight type");
}

/// One code, as a float: NaN counts as 0, so that every input has a code. The clamp may come before the rounding
/// because its bounds are integers.
float code_of(float x, float scale, float low, float high) {
  float r = x / scale;
  if (std::isnan(r)) r = 0;
  return std::nearbyint(std::min(std::max(r, low), high));
}

}  // namespace

float bf16_to_f32(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

std::uint16_t f32_to_bf16(float value) {
  const auto u = std::bit_cast<std::uint32_t>(value);
  if ((u & 0x7fffffffU) > 0x7f800000U) return static_cast<std::uint16_t>((u >> 16) | 0x40U);  // quiet, sign kept
  return static_cast<std::uint16_t>((u + 0x7fffU + ((u >> 16) & 1U)) >> 16);                  // carries into infinity
}

void to_f32(DType dtype, std::span<const std::byte> in, std::span<float> out) {
  const auto each = [&]<typename T>(auto convert, T) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      T value;
      std::memcpy(&value, in.data() + i * sizeof(T), sizeof(T));
      out[i] = convert(value);
    }
  };
  switch (dtype) {
    case DType::f64: return each([](double v) { return static_cast<float>(v); }, double{});
    case DType::f32: return each([](float v) { return v; }, float{});
    case DType::f16: return each(f16_to_f32, std::uint16_t{});
    case DType::bf16: return each(bf16_to_f32, std::uint16_t{});
    default: refuse(dtype);
  }
}

void from_f32(DType dtype, std::span<const float> in, std::span<std::byte> out) {
  const auto each = [&](auto convert) {
    for (std::size_t i = 0; i < in.size(); ++i) {
      const auto value = convert(in[i]);
      std::memcpy(out.data() + i * sizeof(value), &value, sizeof(value));
    }
  };
  switch (dtype) {
    case DType::f32: return each([](float v) { return v; });
    case DType::f16: return each(f32_to_f16);
    case DType::bf16: return each(f32_to_bf16);
    default: refuse(dtype);
  }
}

void round_to(DType dtype, std::span<float> values) {
  switch (dtype) {
    case DType::f32: return;
    case DType::f16:
      for (float& v : values) v = f16_to_f32(f32_to_f16(v));
      return;
    case DType::bf16:
      for (float& v : values) v = bf16_to_f32(f32_to_bf16(v));
      return;
    default: refuse(dtype);
  }
}

std::uint32_t largest_magnitude(std::span<const float> values) {
  std::uint32_t largest = 0;
  for (const float x : values) largest = std::max(largest, std::bit_cast<std::uint32_t>(x) & 0x7fffffffU);
  return largest;
}

Range min_max(std::span<const float> values) {
  Range range = nothing;
  widen(range, values);
  return finish(range);
}

void min_max(std::span<const float> values, std::size_t group, std::span<Range> out) {
  for (std::size_t g = 0; g < out.size(); ++g) out[g] = min_max(values.subspan(g * group, group));
}

SquaredDistance squared_distance(std::span<const float> x, std::span<const float> y) {
  DistanceLanes lanes;
  lanes.add(x, y);
  return lanes.sum();
}

void quantize(std::span<const float> x, float scale, int zero, int qmin, int qmax, std::span<std::int8_t> q) {
  const auto low = static_cast<float>(qmin - zero), high = static_cast<float>(qmax - zero);
  for (std::size_t i = 0; i < x.size(); ++i) {
    q[i] = static_cast<std::int8_t>(static_cast<int>(code_of(x[i], scale, low, high)) + zero);
  }
}

void dequantize(std::span<const std::int8_t> q, float scale, int zero, std::span<float> x) {
  for (std::size_t i = 0; i < q.size(); ++i) x[i] = static_cast<float>(q[i] - zero) * scale;
}

void add_errors(std::span<const float> x, float scale, int zero, int qmin, int qmax, ErrorSum::Lanes& lanes) {
  const auto low = static_cast<float>(qmin - zero), high = static_cast<float>(qmax - zero);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float e = x[i] - code_of(x[i], scale, low, high) * scale;
    lanes[i % ErrorSum::width] += e * e;
  }
}

double quantization_error(std::span<const float> x, float scale, int zero, int qmin, int qmax) {
  ErrorSum total;
  for (std::size_t begin = 0; begin < x.size(); begin += ErrorSum::block) {
    ErrorSum::Lanes lanes{};
    add_errors(x.subspan(begin, std::min(ErrorSum::block, x.size() - begin)), scale, zero, qmin, qmax, lanes);
    total.add(lanes);
  }
  return total.value();
}

void pack(std::span<const std::uint8_t> values, int bits, std::span<std::uint32_t> words) {
  std::fill(words.begin(), words.end(), 0U);
  const std::uint32_t mask = (1U << bits) - 1U;
  std::size_t position = 0;
  for (const std::uint8_t value : values) {
    const std::uint64_t field = std::uint64_t{value & mask} << (position % 32);
    words[position / 32] |= static_cast<std::uint32_t>(field);
    if (field >> 32 != 0) words[position / 32 + 1] |= static_cast<std::uint32_t>(field >> 32);
    position += static_cast<std::size_t>(bits);
  }
}

void unpack(std::span<const std::uint32_t> words, int bits, std::span<std::uint8_t> values) {
  const std::uint32_t mask = (1U << bits) - 1U;
  std::size_t position = 0;
  for (std::uint8_t& value : values) {
    const std::size_t word = position / 32;
    std::uint64_t window = words[word];
    if (position % 32 + static_cast<std::size_t>(bits) > 32) window |= std::uint64_t{words[word + 1]} << 32;
    value = static_cast<std::uint8_t>((window >> (position % 32)) & mask);
    position += static_cast<std::size_t>(bits);
  }
}

}  // namespace advisor::kernels::reference
