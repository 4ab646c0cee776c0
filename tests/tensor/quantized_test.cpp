#include "tensor/quantized.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace advisor {
namespace {

void expect_refused(const std::string& text, ErrorCode code, const std::string& why) {
  try {
    parse_quant_scheme(text);
    FAIL() << text << " was accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << text << ": " << e.what();
    EXPECT_THAT(e.what(), testing::HasSubstr(why));
    EXPECT_THAT(e.what(), testing::HasSubstr("'" + text + "'"));
  }
}

TEST(QuantScheme, NamesAreReadBack) {
  for (const int bits : {2, 3, 4, 5, 6, 7, 8}) {
    for (const bool symmetric : {true, false}) {
      for (const std::int64_t group : {0, 32, 64, 128}) {
        for (const int activation : {16, 8}) {
          if (activation == 8 && bits != 8) continue;
          const QuantScheme scheme{bits, symmetric, group, activation};
          const QuantScheme again = parse_quant_scheme(scheme.id());
          EXPECT_EQ(again.bits, bits);
          EXPECT_EQ(again.symmetric, symmetric);
          EXPECT_EQ(again.group, group);
          EXPECT_EQ(again.activation_bits, activation);
          EXPECT_EQ(again.id(), scheme.id());
        }
      }
    }
  }
}

TEST(QuantScheme, NamesThatUsersWrite) {
  EXPECT_EQ(parse_quant_scheme("W4A16-g128").id(), "W4A16-g128");
  EXPECT_EQ(parse_quant_scheme("W4A16-asym-g32").id(), "W4A16-g32-asym");
  EXPECT_EQ(parse_quant_scheme("W4A16").id(), "W4A16-g128");
  EXPECT_EQ(parse_quant_scheme("W8A16").id(), "W8A16-channel");
  EXPECT_EQ(parse_quant_scheme("W8A8").id(), "W8A8-int8-channel");
  EXPECT_EQ(parse_quant_scheme("W8A16-int8-channel").id(), "W8A16-channel");
}

TEST(QuantScheme, SmallFloats) {
  for (const char* id : {"W8A8-fp8-channel", "W8A8-fp8-tensor", "W8A8-fp8-tensor-static", "W8A8-fp8-block128",
                         "W8A16-fp8-channel", "W4A4-nvfp4", "W4A16-nvfp4", "W4A16-mxfp4", "W4A4-mxfp4", "W4A16-nf4"})
    EXPECT_EQ(parse_quant_scheme(id).id(), id);
  EXPECT_EQ(parse_quant_scheme("W8A8-fp8").id(), "W8A8-fp8-channel");
  EXPECT_EQ(parse_quant_scheme("W4A4-nvfp4-g16").id(), "W4A4-nvfp4");
  const QuantScheme block = parse_quant_scheme("W8A8-fp8-block128");
  EXPECT_EQ(block.blocks(129), 2);
  EXPECT_EQ(block.groups(256), 2);
  EXPECT_EQ(parse_quant_scheme("W8A8-fp8-tensor").blocks(129), 1);
  EXPECT_NE(block, parse_quant_scheme("W8A8-fp8"));
}

TEST(QuantizedTensor, DecodesBlocksOfRowsAndTensorScales) {
  QuantizedTensor fp8{.rows = 129, .cols = 128, .scheme = parse_quant_scheme("W8A8-fp8-block128")};
  fp8.codes.assign(129 * 128, 0x38);  // 1.0
  fp8.scales = {0.5F, 2.0F};
  std::vector<float> out(129 * 128);
  dequantize(fp8, out);
  EXPECT_EQ(out.front(), 0.5F);
  EXPECT_EQ(out[127 * 128], 0.5F);
  EXPECT_EQ(out[128 * 128], 2.0F);

  QuantizedTensor nvfp4{.rows = 1, .cols = 32, .scheme = parse_quant_scheme("W4A16-nvfp4")};
  nvfp4.codes.assign(32, 0x7);  // 6
  nvfp4.scales = {1.0F, 1.5F};
  nvfp4.tensor_scale = 0.25F;
  dequantize(nvfp4, std::span(out).first(32));
  EXPECT_EQ(out[15], 1.5F);
  EXPECT_EQ(out[16], 2.25F);
}

TEST(QuantScheme, RangesAndGroups) {
  const QuantScheme scheme = parse_quant_scheme("W4A16-g128");
  EXPECT_EQ(scheme.qmin(), -8);
  EXPECT_EQ(scheme.qmax(), 7);
  EXPECT_EQ(scheme.groups(384), 3);
  EXPECT_EQ(scheme.groups(385), 4);
  EXPECT_EQ(parse_quant_scheme("W8A16-channel").groups(384), 1);
}

TEST(QuantScheme, WhatMakesNoSenseIsRefused) {
  const auto invalid = ErrorCode::invalid_argument;
  expect_refused("", invalid, "expected 'W'");
  expect_refused("w4a16", invalid, "expected 'W'");
  expect_refused("W4", invalid, "expected 'A'");
  expect_refused("WA16", invalid, "after 'W'");
  expect_refused("W4A", invalid, "after 'A'");
  expect_refused("W-4A16", invalid, "after 'W'");
  expect_refused("W4A16g128", invalid, "unexpected 'g128'");
  expect_refused("W4A16-", invalid, "unknown part '-'");
  expect_refused("W4A16-g", invalid, "unknown part '-g'");
  expect_refused("W4A16-g0", invalid, "group size");
  expect_refused("W4A16-g12x", invalid, "group size");
  expect_refused("W4A16-g-128", invalid, "unknown part");
  expect_refused("W4A16-g99999999999999999999", invalid, "group size");
  expect_refused("W4A16-g128-channel", invalid, "repeats or contradicts");
  expect_refused("W4A16-asym-asym", invalid, "repeats or contradicts");
  expect_refused("W4A16-fast", invalid, "unknown part '-fast'");
  expect_refused("W99A16", invalid, "weights of 99 bits");
  expect_refused("W4A99", invalid, "activations of 99 bits");
  expect_refused("W4A16-int8", invalid, "contradicts W4");
  expect_refused("W4A16-fp8", invalid, "8 bits");
  expect_refused("W8A16-nvfp4", invalid, "4 bits");
  expect_refused("W4A16-nvfp4-g32", invalid, "groups of 16");
  expect_refused("W4A16-mxfp4-asym", invalid, "zero point");
  expect_refused("W8A16-fp8-static", invalid, "W8A8-fp8-tensor-static");
  expect_refused("W8A8-fp8-block128-static", invalid, "per tensor");
  expect_refused("W8A8-fp8-int8", invalid, "repeats or contradicts");
}

TEST(QuantScheme, WhatThisBuildCannotDoIsSaidSo) {
  const auto unsupported = ErrorCode::unsupported;
  expect_refused("W8A8-fp8-g128", unsupported, "-block128");
  expect_refused("W4A8-nvfp4", unsupported, "A16 or A4");
  expect_refused("W4A4-nf4", unsupported, "A16");
  expect_refused("W8A8-static", unsupported, "fp8 only");
  expect_refused("W8A16-tensor", unsupported, "-channel");
  expect_refused("W1A16", unsupported, "1 bits");
  expect_refused("W16A16", unsupported, "16 bits");
  expect_refused("W4A4", unsupported, "4 bits");
  expect_refused("W4A8", unsupported, "W8A8");
}

}  // namespace
}  // namespace advisor
