// The search without SIMD: the oracle of the vector versions, and their portable fallback.
#include <cmath>

#include "tensor/kernels/block_search.h"

namespace advisor::kernels {
namespace scalar {
namespace {

#define SEARCH_INLINE inline
#define SEARCH_ATTR

using F = float;
constexpr int width = 1;

F splat(float value) { return value; }
F load(const float* from) { return *from; }
void store(F value, float* to) { *to = value; }
void to_bytes(F value, std::uint8_t* to) { *to = static_cast<std::uint8_t>(value); }
F smaller(F a, F b) { return a < b ? a : b; }
F larger(F a, F b) { return a > b ? a : b; }
F magnitude(F x) { return std::fabs(x); }
bool less(F a, F b) { return a < b; }
bool at_most(F a, F b) { return a <= b; }
F choose(bool mask, F yes, F no) { return mask ? yes : no; }
void transpose4(const float* from, int from_row, float* to, int to_row) {
  for (int r = 0; r < 4; ++r) {
    for (int c = 0; c < 4; ++c) to[c * to_row + r] = from[r * from_row + c];
  }
}

#include "tensor/kernels/block_search-inl.h"

}  // namespace
}  // namespace scalar

const BlockSearch& scalar_search() {
  static constexpr BlockSearch table{
      scalar::fit_scale, scalar::fit_multiple, scalar::fit_affine, scalar::fit_affine_multiple,
      scalar::moments,   scalar::error,        scalar::codes,      scalar::interleave};
  return table;
}

}  // namespace advisor::kernels
