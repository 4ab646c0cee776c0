// GPTQ, AutoAWQ, ModelOpt and float compressed-tensors as others may have written them: tiny files made by hand from
// the published layouts, and files that do not hold together.
#include "quantized_fixture.h"

namespace advisor {
namespace {

using namespace testing_support;
using testing::ElementsAre;
using Words = std::vector<std::uint32_t>;
using Halves = std::vector<std::uint16_t>;
using Bytes = std::vector<std::uint8_t>;

constexpr std::uint16_t half_one = 0x3c00, half_two = 0x4000;

class QuantizedReading : public testing::Test {
 protected:
  std::unique_ptr<Checkpoint> open(const std::string& config) {
    write_folder(folder_.path(), parts_, config);
    return open_checkpoint(folder_.path());
  }
  void expect_refused(ErrorCode code, const std::vector<std::string>& words, const std::string& config) {
    expect_error([&] { open(config); }, code, words);
  }
  TempFolder folder_;
  std::vector<StoredPart> parts_;
};

/// 8 inputs, 8 outputs, groups of 4 inputs: u counts 0..7 down the inputs of every output, scale 1 and 2.
class GptqReading : public QuantizedReading {
 protected:
  void SetUp() override { fill(0x88888888U, true); }
  void fill(std::uint32_t zeros, bool with_index) {
    Halves scales(16, half_one);
    for (std::size_t i = 8; i < 16; ++i) scales[i] = half_two;
    parts_ = {{"m.qweight", "I32", "[1, 8]", raw(Words(8, 0x76543210U))},
              {"m.qzeros", "I32", "[2, 1]", raw(Words(2, zeros))},
              {"m.scales", "F16", "[2, 8]", raw(scales)}};
    if (with_index) {
      parts_.push_back({"m.g_idx", "I32", "[8]", raw(std::vector<std::int32_t>{0, 0, 0, 0, 1, 1, 1, 1})});
    }
  }
  static std::string config(const std::string& version, bool symmetric) {
    return R"({"quant_method": "gptq", "bits": 4, "group_size": 4, "desc_act": false, "sym": )" +
           std::string(symmetric ? "true" : "false") + R"(, "checkpoint_format": ")" + version + "\"}";
  }
};

TEST_F(GptqReading, AHandMadeFile) {
  const auto model = open(config("gptq_v2", true));
  ASSERT_EQ(model->tensors().size(), 1U);
  EXPECT_EQ(model->tensors()[0], (TensorInfo{"m.weight", {8, 8}, "W4A16-g4", 32 + 8 + 32 + 32}));
  EXPECT_THAT(model->load("m.weight").row(5), ElementsAre(-8, -7, -6, -5, -8, -6, -4, -2));
}

TEST_F(GptqReading, SymmetricWordsTellTheVersionWhateverTheConfigSays) {
  for (const std::uint32_t zeros : {0x88888888U, 0x77777777U}) {
    for (const std::string version : {"gptq", "gptq_v2"}) {
      fill(zeros, false);  // some writers omit g_idx
      EXPECT_THAT(open(config(version, true))->load("m.weight").row(0), ElementsAre(-8, -7, -6, -5, -8, -6, -4, -2));
    }
  }
}

TEST_F(GptqReading, AsymmetricZeroPointsFollowTheDeclaredVersion) {
  fill(0x66666666U, true);
  EXPECT_THAT(open(config("gptq_v2", false))->load("m.weight").row(0), ElementsAre(-6, -5, -4, -3, -4, -2, 0, 2));
  EXPECT_THAT(open(config("gptq", false))->load("m.weight").row(0), ElementsAre(-7, -6, -5, -4, -6, -4, -2, 0));
}

TEST_F(GptqReading, ReorderedColumnsTakeTheScaleOfTheirGroup) {
  parts_.back().data = raw(std::vector<std::int32_t>{1, 0, 1, 0, 1, 0, 1, 0});
  const auto model = open(config("gptq_v2", true));
  EXPECT_THAT(model->load("m.weight").row(7), ElementsAre(-16, -7, -12, -5, -8, -3, -4, -1));
  EXPECT_FALSE(model->read_codes(*model->find("m.weight"), 0, 8).has_value());
}

TEST_F(GptqReading, SettingsBesideAPlainConfigAreFound) {
  write_folder(folder_.path(), parts_, "");
  write_file(folder_ / "quantize_config.json", R"({"bits": 4, "group_size": 4, "desc_act": false, "sym": true})");
  const auto model = open_checkpoint(folder_.path());
  EXPECT_EQ(model->format(), "gptq");
  EXPECT_THAT(model->load("m.weight").row(0), ElementsAre(-8, -7, -6, -5, -8, -6, -4, -2));
}

TEST_F(GptqReading, WhatDoesNotHoldTogetherIsNamed) {
  const auto good = parts_;
  const std::string sound = config("gptq_v2", true);
  const auto parse_error = ErrorCode::parse_error, unsupported = ErrorCode::unsupported;
  for (std::size_t part = 1; part < 3; ++part) {
    parts_ = good;
    parts_.erase(parts_.begin() + static_cast<std::ptrdiff_t>(part));
    expect_refused(parse_error, {good[part].name, "missing"}, sound);
  }
  parts_ = good;
  parts_[3].data = raw(std::vector<std::int32_t>{0, 0, 0, 0, 1, 1, 1, 2});
  expect_refused(parse_error, {"m.g_idx", "group 2 of 2"}, sound);
  parts_[3].data = raw(std::vector<std::int32_t>{0, 0, 0, 0, 1, 1, 1, -1});
  expect_refused(parse_error, {"m.g_idx", "group -1"}, sound);
  parts_ = good;
  parts_[0].shape = "[8]";
  expect_refused(parse_error, {"m.qweight", "two dimensions"}, sound);
  parts_ = good;
  parts_[0].dtype = "F32";
  expect_refused(parse_error, {"m.qweight", "I32"}, sound);
  parts_ = good;
  parts_[1].data = raw(Words(2, 0x99999999U));
  const auto model = open(sound);
  expect_error([&] { model->load("m.weight"); }, parse_error, {"m.qzeros", "symmetric"});
  const auto with = [&](const std::string& piece, const std::string& replacement) {
    std::string text = sound;
    return text.replace(text.find(piece), piece.size(), replacement);
  };
  parts_ = good;
  expect_refused(unsupported, {"5 bits"}, with("\"bits\": 4", "\"bits\": 5"));
  expect_refused(parse_error, {"group_size"}, with("\"group_size\": 4", "\"group_size\": 0"));
  expect_refused(parse_error, {"m.qweight", "group size 3"}, with("\"group_size\": 4", "\"group_size\": 3"));
  expect_refused(parse_error, {"m.qzeros"}, with("\"group_size\": 4", "\"group_size\": 8"));
  expect_refused(unsupported, {"marlin"}, with("gptq_v2", "marlin"));
  expect_refused(unsupported, {"3-bit"},
                 R"({"quant_method": "gptq", "bits": 3, "group_size": -1, "sym": false, "checkpoint_format": "gptq"})");
}

class AwqReading : public QuantizedReading {
 protected:
  void SetUp() override {
    // one input, two for the second word of rows; nibbles lowest first belong to outputs 0 2 4 6 1 3 5 7
    parts_ = {{"m.qweight", "I32", "[2, 1]", raw(Words{0x75316420U, 0xffffffffU})},
              {"m.qzeros", "I32", "[1, 1]", raw(Words{0x00000001U})},
              {"m.scales", "F16", "[1, 8]", raw(Halves(8, half_two))}};
  }
};

TEST_F(AwqReading, AHandMadeFile) {
  const std::string config = R"({"quant_method": "awq", "bits": 4, "group_size": 2, "zero_point": true,
    "version": "gemm"})";
  const auto model = open(config);
  EXPECT_EQ(model->tensors()[0], (TensorInfo{"m.weight", {8, 2}, "W4A16-g2-asym", 8 + 4 + 16}));
  EXPECT_THAT(model->load("m.weight").span(), ElementsAre(-2, 28, 2, 30, 4, 30, 6, 30, 8, 30, 10, 30, 12, 30, 14, 30));
  expect_refused(ErrorCode::unsupported, {"gemv"},
                 R"({"quant_method": "awq", "bits": 4, "group_size": 2, "version": "gemv"})");
  expect_refused(ErrorCode::unsupported, {"8 bits"}, R"({"quant_method": "awq", "bits": 8, "group_size": 2})");
  parts_[2].shape = "[2, 4]";
  expect_refused(ErrorCode::parse_error, {"m.scales", "F16 [1, 8]"}, config);
}

TEST_F(QuantizedReading, ModelOptByHand) {
  // 0x38 is 1.0 in e4m3, 0x40 is 2.0, 0xc0 is -2.0
  parts_ = {{"m.weight_scale", "F32", "[]", raw(std::vector<float>{0.5F})},
            {"m.input_scale", "F32", "[]", raw(std::vector<float>{0.25F})},
            {"m.weight", "F8_E4M3", "[1, 3]", raw(Bytes{0x38, 0x40, 0xc0})}};
  const std::string fp8 = R"({"quant_method": "modelopt", "quant_algo": "FP8"})";
  auto model = open(fp8);
  EXPECT_THAT(model->load("m.weight").span(), ElementsAre(0.5F, 1, -1));
  EXPECT_EQ(model->read_codes(*model->find("m.weight"), 0, 1)->input_scale, 0.25F);
  parts_[1].data = raw(std::vector<float>{-1});
  expect_refused(ErrorCode::parse_error, {"m.input_scale", "positive"}, fp8);
  parts_.push_back({"m.pre_quant_scale", "F32", "[3]", raw(std::vector<float>{1, 1, 1})});
  expect_refused(ErrorCode::unsupported, {"pre_quant_scale"}, fp8);

  // rows 0 and 1 in a byte, the even one low, two's complement
  parts_ = {{"m.weight_scale", "F32", "[2, 1]", raw(std::vector<float>{1, 2})},
            {"m.weight", "U8", "[1, 2]", raw(Bytes{0x18, 0xf7})}};
  write_folder(folder_.path(), parts_, "");
  write_file(folder_ / "hf_quant_config.json",
             R"({"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "W4A16_AWQ", "group_size": 2}})");
  model = open_checkpoint(folder_.path());
  EXPECT_EQ(model->format(), "modelopt");
  EXPECT_THAT(model->load("m.weight").span(), ElementsAre(-8, 7, 2, -2));
  expect_refused(ErrorCode::unsupported, {"MIXED_PRECISION"},
                 R"({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"})");
}

TEST_F(QuantizedReading, Nvfp4ByHandInBothDialects) {
  // codes 0..15 along one row: 0 .5 1 1.5 2 3 4 6 and their negatives; group scale 2, tensor scale 1/4
  const std::string codes = raw(Bytes{0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe});
  const auto halves = ElementsAre(0, .25F, .5F, .75F, 1, 1.5F, 2, 3, 0, -.25F, -.5F, -.75F, -1, -1.5F, -2, -3);
  parts_ = {{"m.weight_global_scale", "F32", "[1]", raw(std::vector<float>{4})},
            {"m.weight_scale", "F8_E4M3", "[1, 1]", raw(Bytes{0x40})},
            {"m.weight_packed", "U8", "[1, 8]", codes}};
  const std::string group = R"("config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 4,
    "type": "float", "strategy": "tensor_group", "group_size": 16}}}})";
  EXPECT_THAT(open(R"({"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized", )" + group)
                  ->load("m.weight")
                  .span(),
              halves);
  parts_ = {{"m.weight_scale_2", "F32", "[]", raw(std::vector<float>{0.25F})},
            {"m.weight_scale", "F8_E4M3", "[1, 1]", raw(Bytes{0x40})},
            {"m.weight", "U8", "[1, 8]", codes}};
  EXPECT_THAT(open(R"({"quant_method": "modelopt", "quant_algo": "W4A16_NVFP4"})")->load("m.weight").span(), halves);
}

TEST_F(QuantizedReading, Mxfp4AndBlocksOfFp8ByHand) {
  parts_ = {{"m.weight_scale", "U8", "[1, 1]", raw(Bytes{128})},  // 2^(128 - 127)
            {"m.weight_packed", "U8", "[1, 16]", raw(Bytes(16, 0x91))}};
  const auto config = [](const std::string& format, const std::string& weights) {
    return R"({"quant_method": "compressed-tensors", "format": ")" + format +
           R"(", "config_groups": {"group_0": {"targets": ["Linear"], "weights": )" + weights + "}}}";
  };
  const auto model = open(
      config("mxfp4-pack-quantized", R"({"num_bits": 4, "type": "float", "strategy": "group", "group_size": 32})"));
  EXPECT_THAT(model->load("m.weight").span().subspan(0, 4), ElementsAre(1, -1, 1, -1));

  parts_ = {{"m.weight_scale", "F32", "[2, 1]", raw(std::vector<float>{1, 4})},
            {"m.weight", "F8_E4M3", "[129, 128]", raw(Bytes(129 * 128, 0x38))}};
  const std::string block = R"({"num_bits": 8, "type": "float", "strategy": "block", "block_structure": [128, 128]})";
  const Tensor w = open(config("float-quantized", block))->load("m.weight");
  EXPECT_THAT(w.row(127), testing::Each(1));
  EXPECT_THAT(w.row(128), testing::Each(4));
  std::string other = block;
  other.replace(other.find("[128, 128]"), 10, "[64, 128]");
  expect_refused(ErrorCode::unsupported, {"block_structure"}, config("float-quantized", other));
}

TEST_F(QuantizedReading, SeveralGroupsNameTheirModules) {
  const auto module = [&](const std::string& name, std::uint32_t word) {
    parts_.push_back({name + ".weight_packed", "I32", "[1, 1]", raw(Words{word})});
    parts_.push_back({name + ".weight_scale", "F32", "[1, 1]", raw(std::vector<float>{1})});
    parts_.push_back({name + ".weight_shape", "I64", "[2]", raw(std::vector<std::int64_t>{1, 4})});
  };
  module("a", 0x00007654U);
  module("b", 0x83828180U);
  for (StoredPart& part : parts_) part.shape = part.name.ends_with("shape") ? "[2]" : "[1, 1]";
  const auto config = [](const std::string& first, const std::string& second) {
    return R"({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {
      "group_0": {"targets": [)" +
           first + R"(], "weights": {"num_bits": 4, "strategy": "channel"}},
      "group_1": {"targets": [)" +
           second + R"(], "weights": {"num_bits": 8, "strategy": "channel"}}}})";
  };
  std::sort(parts_.begin(), parts_.end(), [](const auto& x, const auto& y) { return x.data.size() > y.data.size(); });
  for (const std::string first : {R"("a")", R"("Linear")"}) {
    const auto model = open(config(first, R"("b")"));
    EXPECT_THAT(model->load("a.weight").span(), ElementsAre(-4, -3, -2, -1));
    EXPECT_THAT(model->load("b.weight").span(), ElementsAre(0, 1, 2, 3));
  }
  expect_refused(ErrorCode::parse_error, {"target \"b\""}, config(R"("a")", R"("c")"));
  expect_refused(ErrorCode::parse_error, {"target \"a\""}, config(R"("a")", R"("a")"));
  expect_refused(ErrorCode::parse_error, {"Linear"}, config(R"("Linear")", R"("Linear")"));
  // A name goes before an expression, which matches from the beginning, and that before a class.
  for (const auto& [first, second] : {std::pair{R"("Linear")", R"("re:.*b")"},
                                      {R"("re:[ab]$")", R"("b")"},
                                      {R"("re:a")", R"("Linear")"},
                                      {R"("re:b[^b]", "re:a")", R"("re:b")"}}) {
    const auto model = open(config(first, second));
    EXPECT_EQ(model->find("a.weight")->stored_as, "W4A16-channel") << first;
    EXPECT_EQ(model->find("b.weight")->stored_as, "W8A16-channel") << first;
  }
  expect_refused(ErrorCode::parse_error, {"target \"b\""}, config(R"("a")", R"("re:ab")"));
  expect_refused(ErrorCode::unsupported, {"re:(b", "regular expression"}, config(R"("a")", R"("re:(b")"));
  expect_refused(ErrorCode::unsupported, {"re:"}, config(R"("a")", "\"re:" + std::string(2000, '(') + "\""));
  expect_refused(ErrorCode::parse_error, {"target \"re:b\""}, config(R"("re:b")", R"("re:b")"));
}

TEST_F(QuantizedReading, APresetStandsForItsScheme) {
  parts_ = {{"m.weight_packed", "I32", "[1, 16]", raw(Words(16, 0x99999999U))},
            {"m.weight_scale", "F32", "[1, 1]", raw(std::vector<float>{2})},
            {"m.weight_shape", "I64", "[2]", raw(std::vector<std::int64_t>{1, 128})}};
  std::sort(parts_.begin(), parts_.end(), [](const auto& x, const auto& y) { return x.data.size() > y.data.size(); });
  const auto model = open(R"({"quant_method": "compressed-tensors", "format": "pack-quantized",
                              "config_groups": {"W4A16": ["re:m"], "FP8": ["other"]}})");
  EXPECT_EQ(model->find("m.weight")->stored_as, "W4A16-g128");
  EXPECT_THAT(model->load("m.weight").span(), testing::Each(2));
}

TEST_F(QuantizedReading, AnExpressionCannotTakeForEver) {
  const std::string name(40, 'a');
  parts_ = {{name + ".weight", "F8_E4M3", "[1, 1]", raw(Bytes{0x38})},
            {name + ".weight_scale", "F32", "[1, 1]", raw(std::vector<float>{1})}};
  std::sort(parts_.begin(), parts_.end(), [](const auto& x, const auto& y) { return x.data.size() > y.data.size(); });
  const auto model = open(R"({"quant_method": "compressed-tensors", "format": "naive-quantized", "config_groups": {
      "a": {"targets": ["re:(a|a|aa)*(a*)*b"], "weights": {"num_bits": 4, "strategy": "channel"}},
      "b": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float", "strategy": "channel"}}}})");
  EXPECT_EQ(model->find(name + ".weight")->stored_as, "W8A16-fp8-channel");
}

}  // namespace
}  // namespace advisor
