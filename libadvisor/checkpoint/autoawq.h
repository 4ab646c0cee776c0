// AutoAWQ files of version "gemm": what writer and reader share. One module's weight becomes
//   qweight I32 [in, out / 8]   u = q + 8; nibble i of a word is output 8c + {0 2 4 6 1 3 5 7}[i]
//   qzeros  I32 [G, out / 8]    z + 8 in the same order; 8 everywhere when symmetric
//   scales  F16 [G, out]
// Private to checkpoint/.
#pragma once

#include <string>

#include "checkpoint/weight_layout.h"

namespace advisor::autoawq {

inline constexpr int bits = 4, middle = 8;
inline constexpr std::int64_t rows_per_word = 8;

inline WeightLayout layout(const std::string& module, const QuantScheme& scheme, std::int64_t out, std::int64_t in) {
  const std::int64_t groups = scheme.groups(in);
  WeightLayout w{.weight = module + ".weight", .scheme = scheme, .rows = out, .cols = in};
  w.codes = {module + ".qweight", {Packing::awq, DType::i32, bits, middle, false, out, in}};
  w.zeros = {module + ".qzeros", {Packing::awq, DType::i32, bits, middle, false, out, groups}};
  w.scales = {module + ".scales", DType::f16, true, {groups, out}};
  return w;
}

}  // namespace advisor::autoawq
