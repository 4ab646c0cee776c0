// Data types, non-owning views and one owning, aligned array. Knows nothing of models or files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace advisor {

enum class DType { f64, f32, f16, bf16, f8_e4m3, f8_e5m2, i64, i32, i16, i8, u64, u32, u16, u8, boolean };

std::int64_t size_of(DType dtype);   ///< bytes per element
std::string_view name(DType dtype);  ///< "bf16", ...

/// Product of the dimensions; throws parse_error when negative or over 2^62.
std::int64_t element_count(std::span<const std::int64_t> shape);

/// Row-major, little-endian, not owned.
struct TensorView {
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> data;
};

/// Owning float32 matrix or vector, 64-byte aligned. `shape` is row-major; a linear weight is [out, in].
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(std::vector<std::int64_t> shape);
  const std::vector<std::int64_t>& shape() const { return shape_; }
  std::int64_t size() const { return size_; }
  std::int64_t rows() const { return shape_.empty() ? 1 : shape_[0]; }
  std::int64_t cols() const { return rows() == 0 ? 0 : size_ / rows(); }
  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  std::span<float> span() { return {data_.get(), static_cast<std::size_t>(size_)}; }
  std::span<const float> span() const { return {data_.get(), static_cast<std::size_t>(size_)}; }
  std::span<float> row(std::int64_t r) {
    return span().subspan(static_cast<std::size_t>(r * cols()), static_cast<std::size_t>(cols()));
  }
  std::span<const float> row(std::int64_t r) const {
    return span().subspan(static_cast<std::size_t>(r * cols()), static_cast<std::size_t>(cols()));
  }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::vector<std::int64_t> shape_;
  std::int64_t size_ = 0;
  std::unique_ptr<float[], Free> data_;
};

}  // namespace advisor
