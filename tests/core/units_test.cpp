#include "core/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/error.h"

namespace advisor {
namespace {

std::string refusal(const std::string& text, Dimension dimension = Dimension::bytes) {
  try {
    parse_quantity(text, dimension);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
    return error.what();
  }
  return "(no error)";
}

TEST(Units, ReadsWhatPeopleWrite) {
  EXPECT_EQ(parse_quantity("16 GiB", Dimension::bytes), 17179869184.0);
  EXPECT_EQ(parse_quantity("24GB", Dimension::bytes), 24e9);
  EXPECT_EQ(parse_quantity(" 936 GB/s ", Dimension::bytes_per_second), 936e9);
  EXPECT_EQ(parse_quantity("142 TFLOPS", Dimension::ops_per_second), 142e12);
  EXPECT_EQ(parse_quantity("624 TOPS", Dimension::ops_per_second), 624e12);
  EXPECT_EQ(parse_quantity("400 ms", Dimension::seconds), 0.4);
  EXPECT_EQ(parse_quantity("1 s", Dimension::seconds), 1);
  EXPECT_DOUBLE_EQ(parse_quantity("3.5 %", Dimension::ratio), 0.035);
  EXPECT_EQ(parse_quantity("75%", Dimension::ratio), 0.75);
  EXPECT_DOUBLE_EQ(parse_quantity("3.6 USD/h", Dimension::usd_per_second), 0.001);
  EXPECT_EQ(parse_quantity("1e3 tok/s", Dimension::tokens_per_second), 1000);
  EXPECT_EQ(parse_quantity("+2", Dimension::count), 2);
  EXPECT_EQ(parse_quantity("-2 s", Dimension::seconds), -2);
}

TEST(Units, PlainNumberCountsInThePlainUnit) {
  EXPECT_EQ(parse_quantity("2", Dimension::seconds), 2);
  EXPECT_EQ(parse_quantity("2", Dimension::seconds, "h"), 7200);
}

TEST(Units, Refusals) {
  EXPECT_THAT(refusal(""), testing::HasSubstr("must start with a number"));
  EXPECT_THAT(refusal("GiB"), testing::HasSubstr("must start with a number"));
  EXPECT_THAT(refusal("1 gib"), testing::HasSubstr("did you mean \"GiB\""));
  EXPECT_THAT(refusal("1 s"), testing::HasSubstr("expected bytes, got seconds"));
  EXPECT_THAT(refusal("3 %"), testing::HasSubstr("expected bytes"));
  EXPECT_THAT(refusal("1e999"), testing::HasSubstr("too large"));
  EXPECT_THAT(refusal("1e308 TiB"), testing::HasSubstr("too large"));
  EXPECT_THAT(refusal("inf"), testing::HasSubstr("finite"));
  EXPECT_THAT(refusal("nan"), testing::HasSubstr("finite"));
  EXPECT_THAT(refusal("1 2"), testing::HasSubstr("unknown unit"));
  EXPECT_THAT(refusal("0x10"), testing::HasSubstr("unknown unit"));
  EXPECT_THAT(refusal("1,5 GiB"), testing::HasSubstr("unknown unit"));
}

TEST(Units, FormatsForPeople) {
  EXPECT_EQ(format_quantity(17179869184.0, Dimension::bytes), "16 GiB");
  EXPECT_EQ(format_quantity(936e9, Dimension::bytes_per_second), "936 GB/s");
  EXPECT_EQ(format_quantity(3.35e12, Dimension::bytes_per_second), "3.35 TB/s");
  EXPECT_EQ(format_quantity(142e12, Dimension::ops_per_second), "142 TFLOPS");
  EXPECT_EQ(format_quantity(0.4, Dimension::seconds), "400 ms");
  EXPECT_EQ(format_quantity(0, Dimension::seconds), "0 s");
  EXPECT_EQ(format_quantity(4 / 3600.0, Dimension::usd_per_second), "4 USD/h");
  EXPECT_EQ(format_quantity(0.123456, Dimension::none), "0.1235");
  EXPECT_EQ(format_quantity(200000, Dimension::count), "200000");
  EXPECT_EQ(format_quantity(2, Dimension::bytes * Dimension::bytes), "2 bytes*bytes");
  EXPECT_EQ(format_quantity(-2048, Dimension::bytes), "-2 KiB");
}

TEST(Units, CountsKeepAllDigits) {
  EXPECT_EQ(format_quantity(131072, Dimension::count), "131072");
  EXPECT_EQ(format_quantity(8030261248.0, Dimension::count), "8030261248");
}

TEST(Units, NumbersAreShortAndReadBack) {
  EXPECT_EQ(format_number(0.1), "0.1");
  EXPECT_EQ(format_number(8192), "8192");
  EXPECT_EQ(format_number(100000), "100000");
  EXPECT_EQ(format_number(-0.0), "0");
  EXPECT_EQ(format_number(1e300), "1e+300");
}

TEST(Units, ExactTextReadsBackExactly) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> exponent(-9, 16);
  for (const Dimension dimension : {Dimension::bytes, Dimension::seconds, Dimension::bytes_per_second,
                                    Dimension::ops_per_second, Dimension::usd_per_second, Dimension::none}) {
    for (int i = 0; i < 500; ++i) {
      const double value = std::pow(10.0, exponent(random));
      EXPECT_EQ(parse_quantity(format_exact(value, dimension), dimension), value) << format_exact(value, dimension);
    }
  }
  EXPECT_EQ(format_exact(24.0 * 1024 * 1024 * 1024, Dimension::bytes), "24 GiB");
  EXPECT_EQ(format_exact(24e9, Dimension::bytes), "24 GB");
  EXPECT_EQ(format_exact(0.05, Dimension::seconds), "50 ms");
}

TEST(Units, DimensionsMultiplyAndDivide) {
  EXPECT_EQ(Dimension::bytes / Dimension::seconds, Dimension::bytes_per_second);
  EXPECT_EQ(Dimension::bytes_per_second * Dimension::seconds, Dimension::bytes);
  EXPECT_EQ(name(Dimension::bytes_per_second), "bytes/seconds");
  EXPECT_EQ(name(Dimension::none / Dimension::seconds), "1/seconds");
  EXPECT_EQ(name(Dimension::ratio), "a plain number");
}

}  // namespace
}  // namespace advisor
