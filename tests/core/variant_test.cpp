#include "core/variant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/error.h"

namespace advisor {
namespace {

TEST(BitsPerWeight, IntegerSchemes) {
  EXPECT_EQ(bits_per_weight("W16A16"), 16);
  EXPECT_EQ(bits_per_weight("W8A16-channel"), 8);
  EXPECT_EQ(bits_per_weight("W8A8-int8"), 8);
  EXPECT_EQ(bits_per_weight("W4A16-g128"), 4.125);
  EXPECT_EQ(bits_per_weight("W4A16-g32"), 4.5);
  EXPECT_EQ(bits_per_weight("W4A16-g128-asym"), 4.15625);
}

TEST(BitsPerWeight, FloatSchemes) {
  EXPECT_EQ(bits_per_weight("W8A8-fp8"), 8);
  EXPECT_EQ(bits_per_weight("W4A4-nvfp4"), 4.5);
  EXPECT_EQ(bits_per_weight("W4A16-mxfp4"), 4.25);
}

TEST(BitsPerWeight, Gguf) {
  EXPECT_EQ(bits_per_weight("F16"), 16);
  EXPECT_EQ(bits_per_weight("Q8_0"), 8.5);
  EXPECT_EQ(bits_per_weight("Q4_0"), 4.5);
  EXPECT_EQ(bits_per_weight("Q4_1"), 5);
  EXPECT_EQ(bits_per_weight("Q5_0"), 5.5);
  EXPECT_EQ(bits_per_weight("Q5_1"), 6);
  EXPECT_EQ(bits_per_weight("Q4_K"), bits_per_weight("Q4_K_M"));
  EXPECT_LT(bits_per_weight("Q2_K"), bits_per_weight("Q3_K_S"));
  EXPECT_LT(bits_per_weight("Q5_K_M"), bits_per_weight("Q6_K"));
}

TEST(Scheme, DtypesOfBothSides) {
  SchemeInfo info = describe_scheme("W4A8-int4-g64");
  EXPECT_EQ(info.weight_dtype, "int4");
  EXPECT_EQ(info.activation_dtype, "int8");
  EXPECT_EQ(info.group, 64);
  info = describe_scheme("W8A8-fp8");
  EXPECT_EQ(info.weight_dtype, "fp8");
  EXPECT_EQ(info.activation_dtype, "fp8");
  info = describe_scheme("W4A8-nvfp4");
  EXPECT_EQ(info.weight_dtype, "fp4");
  EXPECT_EQ(info.activation_dtype, "fp8");
  info = describe_scheme("Q4_K_M");
  EXPECT_EQ(info.weight_bits, 4);
  EXPECT_EQ(info.weight_dtype, "int4");
  EXPECT_EQ(info.activation_dtype, "fp16");
}

TEST(Scheme, Refusals) {
  for (const char* bad : {"",
                          "W",
                          "4A16",
                          "W4",
                          "W4A",
                          "W0A16",
                          "W64A16",
                          "W4A16-",
                          "W4A16-g",
                          "W4A16-g0",
                          "W4A16-gx",
                          "W4A16-g128-g64",
                          "W4A16-g128-channel",
                          "W4A16-foo",
                          "W4A16g128",
                          "W8A8-fp8-int8",
                          "W8A8-nvfp4",
                          "W16A16-fp8",
                          "q4_0",
                          "W99999999999999999999A16",
                          "W-4A16"}) {
    try {
      describe_scheme(bad);
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
      EXPECT_THAT(error.what(), testing::HasSubstr("unknown scheme")) << bad;
    }
  }
}

TEST(Variant, IdTellsVariantsApart) {
  Variant base;
  base.model = "a/b";
  std::set<std::string> ids{base.id()};
  std::vector<Variant> changed(8, base);
  changed[0].model = "c";
  changed[1].technique = "rtn";
  changed[2].scheme = "W4A16-g128";
  changed[3].sparsity = 0.5;
  changed[4].pattern = "2:4";
  changed[5].kv = "fp8";
  changed[6].format = "gguf";
  changed[7].engine = "vllm";
  for (const Variant& variant : changed) EXPECT_TRUE(ids.insert(variant.id()).second) << variant.id();
}

}  // namespace
}  // namespace advisor
