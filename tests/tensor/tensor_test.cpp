#include "tensor/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "core/error.h"

namespace advisor {
namespace {

ErrorCode code_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) {
    return e.code();
  }
  return ErrorCode::ok;
}

TEST(DType, NamesAndSizes) {
  EXPECT_EQ(name(DType::bf16), "bf16");
  EXPECT_EQ(name(DType::boolean), "bool");
  EXPECT_EQ(size_of(DType::f64), 8);
  EXPECT_EQ(size_of(DType::i32), 4);
  EXPECT_EQ(size_of(DType::bf16), 2);
  EXPECT_EQ(size_of(DType::f8_e4m3), 1);
}

TEST(ElementCount, MultipliesAndChecks) {
  const auto count = [](std::vector<std::int64_t> shape) { return element_count(shape); };
  EXPECT_EQ(count({}), 1);  // a scalar
  EXPECT_EQ(count({3, 4}), 12);
  EXPECT_EQ(count({3, 0, 4}), 0);
  EXPECT_EQ(count({std::int64_t{1} << 31, std::int64_t{1} << 31}), std::int64_t{1} << 62);
  EXPECT_EQ(code_of([&] { count({-1, 4}); }), ErrorCode::parse_error);
  EXPECT_EQ(code_of([&] { count({0, -4}); }), ErrorCode::parse_error);
  EXPECT_EQ(code_of([&] { count({std::int64_t{1} << 40, std::int64_t{1} << 40}); }), ErrorCode::parse_error);
  EXPECT_EQ(code_of([&] { count({0, std::int64_t{1} << 40, std::int64_t{1} << 40}); }), ErrorCode::parse_error);
}

TEST(Tensor, IsAlignedZeroedAndViewedByRow) {
  Tensor t({3, 5});
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(t.data()) % 64, 0U);
  EXPECT_EQ(t.size(), 15);
  EXPECT_EQ(t.rows(), 3);
  EXPECT_EQ(t.cols(), 5);
  EXPECT_THAT(t.span(), testing::Each(0.0F));
  t.row(2)[4] = 7;
  EXPECT_EQ(t.data()[14], 7);
}

TEST(Tensor, MayBeEmpty) {
  EXPECT_EQ(Tensor().size(), 0);
  EXPECT_EQ(Tensor({0, 8}).size(), 0);
  EXPECT_EQ(Tensor({0, 8}).cols(), 0);
  EXPECT_EQ(Tensor(std::vector<std::int64_t>{}).size(), 1);
}

TEST(Tensor, RefusesWhatNoMachineCanHold) {
  EXPECT_EQ(code_of([] { Tensor t({std::int64_t{1} << 61}); }), ErrorCode::out_of_memory);
  EXPECT_EQ(code_of([] { Tensor t({-1}); }), ErrorCode::parse_error);
}

}  // namespace
}  // namespace advisor
