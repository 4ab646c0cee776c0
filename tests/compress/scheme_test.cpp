#include "compress/scheme.h"

#include <cmath>
#include <limits>

#include "compress/fixture.h"
#include "gmock/gmock.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;
using testing::refusal;

const QuantScheme int4{4, true, 32, 16}, int8{8, true, 32, 16}, int4_asym{4, false, 32, 16};

TEST(Scheme, ScaleConventions) {
  EXPECT_DOUBLE_EQ(ideal_scale({-3, 1}, 1, int4, ScaleRange::full), 3 / 7.5);
  EXPECT_DOUBLE_EQ(ideal_scale({-3, 1}, 1, int4, ScaleRange::restricted), 3 / 7.0);
  EXPECT_DOUBLE_EQ(ideal_scale({-3, 1}, 1, int8, ScaleRange::full), 3 / 127.5);
  EXPECT_DOUBLE_EQ(ideal_scale({-3, 1}, 1, int8, ScaleRange::restricted), 3 / 127.0);
  EXPECT_DOUBLE_EQ(ideal_scale({-2, 1}, 1, int4_asym, ScaleRange::full), 3 / 15.0);
  EXPECT_DOUBLE_EQ(ideal_scale({1, 3}, 1, int4_asym, ScaleRange::full), 3 / 15.0) << "0 is forced into the range";
  EXPECT_DOUBLE_EQ(ideal_scale({-3, 1}, 0.5, int4, ScaleRange::full), 1.5 / 7.5);
}

TEST(Scheme, TheWholeFloatRangeDoesNotOverflow) {
  constexpr float big = std::numeric_limits<float>::max();
  EXPECT_TRUE(std::isfinite(ideal_scale({-big, big}, 1, int4_asym, ScaleRange::full)));
}

TEST(Scheme, ZeroPointIsRoundedAndInRange) {
  EXPECT_EQ(zero_point({-2, 1}, 1, 0.2f, int4_asym), 2);
  EXPECT_EQ(zero_point({0, 3}, 1, 0.2f, int4_asym), -8);
  EXPECT_EQ(zero_point({-3, 0}, 1, 0.2f, int4_asym), 7);
  EXPECT_EQ(zero_point({-3, 0}, 1, 0.1f, int4_asym), 7) << "clamped";
  EXPECT_EQ(zero_point({-3, 1}, 1, 0.2f, int4), 0);
}

TEST(Scheme, StoredScalesCanBeDividedBy) {
  for (const DType dtype : {DType::f16, DType::bf16, DType::f32}) {
    const std::vector<double> ideal{0, 1e-45, 1e-39, 1e-9, 3e-6, 6e-5, 0.1, 100};
    const std::vector<float> scales = stored_scales(ideal, dtype);
    for (std::size_t i = 0; i < ideal.size(); ++i) {
      EXPECT_GT(scales[i], 0) << name(dtype) << " " << ideal[i];
      std::vector<float> again{scales[i]};
      kernels::round_to(dtype, again);
      EXPECT_EQ(again[0], scales[i]) << "already rounded";
      // below the smallest normal number it never clips
      if (i > 0 && ideal[i] < 6e-5 && dtype == DType::f16) {
        EXPECT_GE(double{scales[i]}, ideal[i]);
      }
    }
    EXPECT_EQ(scales[0], 1) << "a group of zeros";
  }
}

TEST(Scheme, AScaleThatOverflowsIsRefused) {
  const std::vector<double> ideal{1, 1e6};
  const std::string message = refusal(ErrorCode::invalid_argument, [&] { stored_scales(ideal, DType::f16); });
  EXPECT_THAT(message, HasSubstr("f16"));
  EXPECT_NO_THROW(stored_scales(ideal, DType::bf16));
}

TEST(Scheme, BoundIsHalfAStepInsideAndMoreOutside) {
  EXPECT_NEAR(error_bound({-1, 1}, {1.0f / 7, 0}, int4), 0.5 / 7, 1e-4);
  EXPECT_NEAR(error_bound({-1, 1}, {0.1f, 0}, int4), 0.05 + (1 - 0.75), 1e-4);
  EXPECT_EQ(error_bound({0, 0}, {1, 0}, int4), 0);
  EXPECT_NEAR(error_bound({-1e-3f, 1e-3f}, {1, 0}, int4), 1e-3, 1e-6) << "rounding to 0 at worst";
}

TEST(Scheme, NamesTheFirstValueThatIsNotFinite) {
  std::vector<float> rows(12, 1.0f);
  EXPECT_NO_THROW(check_finite(rows, 4));
  rows[6] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { check_finite(rows, 4, 100); }),
              HasSubstr("row 101, column 2 is NaN"));
  rows[3] = -std::numeric_limits<float>::infinity();
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { check_finite(rows, 4); }), HasSubstr("column 3 is infinite"));
}

}  // namespace
}  // namespace advisor
