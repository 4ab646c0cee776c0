// GPTQ files (AutoGPTQ, GPTQModel): what writer and reader share. One module's weight becomes
//   qweight I32 [words(in), out]   a stream along `in` for each output, of u = q + 2^(b-1)
//   qzeros  I32 [G, words(out)]    a stream along `out` of z + 2^(b-1); version 1 stores it minus one
//   scales  F16 [G, out]
//   g_idx   I32 [in]               the group of each column
// Private to checkpoint/.
#pragma once

#include <string>

#include "checkpoint/weight_layout.h"

namespace advisor::gptq {

/// Version 1 loses a zero point of 0 in some readers, and its 3-bit words differ between AutoGPTQ and GPTQModel; so it
/// is written only where every reader agrees on it: symmetric 2, 4 and 8 bits.
inline bool writes_version_1(const QuantScheme& scheme) { return scheme.symmetric && scheme.bits != 3; }

inline WeightLayout layout(const std::string& module, const QuantScheme& scheme, std::int64_t out, std::int64_t in,
                           bool version_1) {
  const std::int64_t groups = scheme.groups(in);
  const int middle = 1 << (scheme.bits - 1);
  WeightLayout w{.weight = module + ".weight", .scheme = scheme, .rows = out, .cols = in};
  w.codes = {module + ".qweight", {Packing::row_streams_t, DType::i32, scheme.bits, middle, false, out, in}};
  w.zeros = {module + ".qzeros", {Packing::column_streams_t, DType::i32, scheme.bits, middle, version_1, out, groups}};
  w.scales = {module + ".scales", DType::f16, true, {groups, out}};
  w.column_name = module + ".g_idx";
  return w;
}

}  // namespace advisor::gptq
