#include "tensor/kernels/kernels.h"

#include "tensor/kernels/reference.h"

namespace advisor::kernels {

void to_f32(DType dtype, std::span<const std::byte> in, std::span<float> out) { reference::to_f32(dtype, in, out); }
void from_f32(DType dtype, std::span<const float> in, std::span<std::byte> out) { reference::from_f32(dtype, in, out); }
void round_to(DType dtype, std::span<float> values) { reference::round_to(dtype, values); }
Range min_max(std::span<const float> values) { return reference::min_max(values); }
void quantize(std::span<const float> x, float scale, int zero, int qmin, int qmax, std::span<std::int8_t> q) {
  reference::quantize(x, scale, zero, qmin, qmax, q);
}
void dequantize(std::span<const std::int8_t> q, float scale, int zero, std::span<float> x) {
  reference::dequantize(q, scale, zero, x);
}
double quantization_error(std::span<const float> x, float scale, int zero, int qmin, int qmax) {
  return reference::quantization_error(x, scale, zero, qmin, qmax);
}
void pack(std::span<const std::uint8_t> values, int bits, std::span<std::uint32_t> words) {
  reference::pack(values, bits, words);
}
void unpack(std::span<const std::uint32_t> words, int bits, std::span<std::uint8_t> values) {
  reference::unpack(words, bits, values);
}

}  // namespace advisor::kernels
