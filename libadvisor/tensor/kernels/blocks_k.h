// Decoders of ggml's K types, one super-block of 256 weights each: sub-blocks of 16 or 32 have small integer scales,
// themselves multiples of one half-precision scale. Private to blocks.cpp.
#pragma once

#include <cstdint>

namespace advisor::kernels {

void decode_q2_k(const std::uint8_t* in, float* out);  ///<  84 bytes
void decode_q3_k(const std::uint8_t* in, float* out);  ///< 110 bytes
void decode_q4_k(const std::uint8_t* in, float* out);  ///< 144 bytes
void decode_q5_k(const std::uint8_t* in, float* out);  ///< 176 bytes
void decode_q6_k(const std::uint8_t* in, float* out);  ///< 210 bytes

}  // namespace advisor::kernels
