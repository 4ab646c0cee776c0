#include "tensor/tensor.h"

#include <cstring>
#include <utility>

#include "core/error.h"

namespace advisor {

std::int64_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
    case DType::i64:
    case DType::u64: return 8;
    case DType::f32:
    case DType::i32:
    case DType::u32: return 4;
    case DType::f16:
    case DType::bf16:
    case DType::i16:
    case DType::u16: return 2;
    case DType::f8_e4m3:
    case DType::f8_e5m2:
    case DType::i8:
    case DType::u8:
    case DType::boolean: return 1;
  }
  throw Error(ErrorCode::internal, "size_of: not a dtype");
}

std::string_view name(DType dtype) {
  switch (dtype) {
    case DType::f64: return "f64";
    case DType::f32: return "f32";
    case DType::f16: return "f16";
    case DType::bf16: return "bf16";
    case DType::f8_e4m3: return "f8_e4m3";
    case DType::f8_e5m2: return "f8_e5m2";
    case DType::i64: return "i64";
    case DType::i32: return "i32";
    case DType::i16: return "i16";
    case DType::i8: return "i8";
    case DType::u64: return "u64";
    case DType::u32: return "u32";
    case DType::u16: return "u16";
    case DType::u8: return "u8";
    case DType::boolean: return "bool";
  }
  throw Error(ErrorCode::internal, "name: not a dtype");
}

std::int64_t element_count(std::span<const std::int64_t> shape) {
  // 2^62: with a factor of 8 for the widest dtype, the byte count still fits an unsigned 64-bit number.
  constexpr std::int64_t limit = std::int64_t{1} << 62;
  // A zero anywhere makes the product 0, but must not hide a negative dimension or an absurd one beside it.
  std::int64_t product = 1;
  bool empty = false;
  for (const std::int64_t d : shape) {
    if (d < 0) throw Error(ErrorCode::parse_error, "shape has the negative dimension " + std::to_string(d));
    if (d == 0) {
      empty = true;
    } else if (d > limit / product) {
      throw Error(ErrorCode::parse_error, "shape has more than 2^62 elements");
    } else {
      product *= d;
    }
  }
  return empty ? 0 : product;
}

Tensor::Tensor(std::vector<std::int64_t> shape) : shape_(std::move(shape)), size_(element_count(shape_)) {
  constexpr std::size_t alignment = 64;  // one cache line, one AVX-512 vector
  constexpr std::int64_t limit = std::int64_t{1} << 60;
  void* p = nullptr;
  if (size_ < limit) {
    const std::size_t bytes = (static_cast<std::size_t>(size_) * sizeof(float) + alignment - 1) / alignment * alignment;
    p = std::aligned_alloc(alignment, bytes == 0 ? alignment : bytes);
    if (p != nullptr) std::memset(p, 0, bytes);
  }
  if (p == nullptr) {
    throw Error(ErrorCode::out_of_memory, "cannot allocate a tensor of " + std::to_string(size_) + " float32 elements");
  }
  data_.reset(static_cast<float*>(p));
}

}  // namespace advisor
