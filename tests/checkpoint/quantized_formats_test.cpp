// Every quantized format, written and read back: what a scheme stands for must not depend on where its bytes lie.
#include <cstring>
#include <nlohmann/json.hpp>

#include "quantized_fixture.h"

namespace advisor {
namespace {

using namespace testing_support;

struct Case {
  std::string format, scheme;
  std::int64_t rows, cols;
};

const std::vector<Case> cases{{"compressed-tensors", "W2A16-g32", 70, 64},
                              {"compressed-tensors", "W3A16-g32-asym", 70, 64},
                              {"compressed-tensors", "W5A16-channel", 33, 21},
                              {"compressed-tensors", "W6A16-g8-asym", 64, 40},
                              {"compressed-tensors", "W7A16-g32", 40, 32},
                              {"compressed-tensors", "W8A8-fp8-channel", 70, 13},
                              {"compressed-tensors", "W8A8-fp8-tensor", 70, 13},
                              {"compressed-tensors", "W8A8-fp8-tensor-static", 64, 32},
                              {"compressed-tensors", "W8A16-fp8-channel", 3, 5},
                              {"compressed-tensors", "W8A8-fp8-block128", 300, 256},
                              {"compressed-tensors", "W4A4-nvfp4", 70, 48},
                              {"compressed-tensors", "W4A16-nvfp4", 33, 64},
                              {"compressed-tensors", "W4A16-mxfp4", 70, 64},
                              {"compressed-tensors", "W4A4-mxfp4", 32, 32},
                              {"gptq", "W4A16-g32", 96, 64},
                              {"gptq", "W4A16-g32-asym", 96, 64},
                              {"gptq", "W3A16-g32", 64, 96},
                              {"gptq", "W3A16-g32-asym", 64, 96},
                              {"gptq", "W2A16-channel", 32, 64},
                              {"gptq", "W2A16-g64-asym", 96, 64},
                              {"gptq", "W8A16-g32", 64, 64},
                              {"gptq", "W8A16-channel-asym", 64, 32},
                              {"autoawq", "W4A16-g32", 72, 64},
                              {"autoawq", "W4A16-g32-asym", 72, 64},
                              {"autoawq", "W4A16-channel-asym", 40, 21},
                              {"modelopt", "W8A8-fp8-tensor-static", 70, 13},
                              {"modelopt", "W8A8-fp8-channel", 70, 13},
                              {"modelopt", "W4A16-g32", 70, 64},
                              {"modelopt", "W4A4-nvfp4", 70, 48},
                              {"modelopt", "W4A16-nvfp4", 33, 64}};

std::int64_t folder_bytes(const std::filesystem::path& folder) {
  std::int64_t total = 0;
  for (const auto& item : std::filesystem::directory_iterator(folder)) {
    total += static_cast<std::int64_t>(item.file_size());
  }
  return total;
}

void expect_same(const QuantizedTensor& a, const QuantizedTensor& b) {
  EXPECT_EQ(a.scheme, b.scheme);
  EXPECT_EQ(a.codes, b.codes);
  EXPECT_EQ(a.scales, b.scales);
  EXPECT_EQ(a.zeros, b.zeros);
  EXPECT_EQ(a.tensor_scale, b.tensor_scale);
  EXPECT_EQ(a.input_scale, b.input_scale);
}

TEST(QuantizedFormats, WhatIsWrittenIsReadBackBitForBit) {
  for (const Case& c : cases) {
    for (const std::string type : {"bf16", "f16"}) {
      SCOPED_TRACE(c.format + " " + c.scheme + " " + type);
      const QuantizedPlan f(c.scheme, c.rows, c.cols, type);
      const FormatImpl& format = find_format(c.format);
      ASSERT_EQ(format.refuses(f.plan), std::nullopt);
      const QuantizedTensor q = random_codes(f.scheme(), c.rows, c.cols, format.scale_dtype(f.plan));
      write_model(format, f.plan, q, f.out.path(), 2, true);
      EXPECT_EQ(folder_bytes(f.out.path()), format.bytes(f.plan));

      const auto model = open_checkpoint(f.out.path());
      EXPECT_EQ(model->format(), c.format);
      ASSERT_EQ(model->tensors().size(), 2U);
      const TensorInfo* info = model->find(weight_name);
      ASSERT_NE(info, nullptr);
      EXPECT_EQ(info->stored_as, q.scheme.id());
      EXPECT_THAT(info->shape, testing::ElementsAre(c.rows, c.cols));
      EXPECT_EQ(parse_quant_scheme(info->stored_as), q.scheme);

      std::vector<float> expected(q.codes.size());
      dequantize(q, expected);
      const Tensor w = model->load(weight_name);
      EXPECT_EQ(std::memcmp(w.data(), expected.data(), expected.size() * sizeof(float)), 0);
      // any range of rows is that part of the whole
      const std::int64_t begin = c.rows / 3, end = c.rows - c.rows / 4;
      std::vector<float> part(static_cast<std::size_t>((end - begin) * c.cols));
      model->read_rows(*info, begin, end, part);
      EXPECT_EQ(std::memcmp(part.data(), expected.data() + begin * c.cols, part.size() * sizeof(float)), 0);

      const auto codes = model->read_codes(*info, 0, c.rows);
      ASSERT_TRUE(codes.has_value());
      expect_same(*codes, q);
      EXPECT_FALSE(model->read_codes(*model->find("model.norm.weight"), 0, 8).has_value());
      EXPECT_THAT(model->load("model.norm.weight").span(), testing::Each(0.5F));
    }
  }
}

TEST(QuantizedFormats, FilesDoNotDependOnThreadsOrOrder) {
  for (const Case& c : cases) {
    SCOPED_TRACE(c.format + " " + c.scheme);
    const QuantizedPlan f(c.scheme, c.rows, c.cols);
    const FormatImpl& format = find_format(c.format);
    const QuantizedTensor q = random_codes(f.scheme(), c.rows, c.cols, format.scale_dtype(f.plan));
    write_model(format, f.plan, q, f.out.path(), 1, false);
    const TempFolder other;
    write_model(format, f.plan, q, other.path(), 3, true);
    EXPECT_EQ(read_file(f.out / "model.safetensors"), read_file(other / "model.safetensors"));
  }
}

// The same integers in every int4 file: converting is copying codes, scales and zero points.
TEST(QuantizedFormats, Int4FilesConvertIntoEachOtherExactly) {
  const std::vector<std::string> formats{"compressed-tensors", "gptq", "autoawq"};
  for (const std::string scheme : {"W4A16-g32-asym", "W4A16-g32"}) {
    const QuantizedPlan f(scheme, 96, 64, "f16");
    const QuantizedTensor q = random_codes(f.scheme(), 96, 64, DType::f16);
    for (const std::string& from : formats) {
      const TempFolder first;
      write_model(find_format(from), f.plan, q, first.path(), 1, false);
      for (const std::string& to : formats) {
        SCOPED_TRACE(from + " to " + to);
        const auto source = open_checkpoint(first.path());
        const TempFolder second, direct;
        const auto codes = source->read_codes(*source->find(weight_name), 0, 96);
        ASSERT_TRUE(codes.has_value());
        write_model(find_format(to), f.plan, *codes, second.path(), 1, false);
        write_model(find_format(to), f.plan, q, direct.path(), 1, false);
        EXPECT_EQ(read_file(second / "model.safetensors"), read_file(direct / "model.safetensors"));
        expect_same(*open_checkpoint(second.path())->read_codes(*source->find(weight_name), 0, 96), q);
      }
    }
  }
}

TEST(QuantizedFormats, CodesAreReadInWholeWords) {
  const QuantizedPlan f("W4A16-g32-asym", 96, 64);
  const QuantizedTensor q = random_codes(f.scheme(), 96, 64, DType::f16);
  write_model(find_format("gptq"), f.plan, q, f.out.path(), 1, false);
  const auto model = open_checkpoint(f.out.path());
  const TensorInfo& info = *model->find(weight_name);
  expect_same(*model->read_codes(info, 32, 96), rows_of(q, 32, 96));
  for (const auto& [begin, end] : std::vector<std::pair<int, int>>{{16, 96}, {0, 20}, {64, 32}, {-32, 32}, {64, 128}}) {
    expect_error([&] { (void)model->read_codes(info, begin, end); }, ErrorCode::invalid_argument, {weight_name, "32"});
  }
}

TEST(QuantizedFormats, PlansThatAFormatCannotHoldAreRefusedBeforeAnythingIsWritten) {
  const auto refused = [](const std::string& id, const QuantizedPlan& f, const std::string& word) {
    SCOPED_TRACE(id + " " + f.plan.scheme_id);
    const FormatImpl& format = find_format(id);
    const auto reason = format.refuses(f.plan);
    ASSERT_TRUE(reason.has_value()) << word;
    EXPECT_THAT(*reason, testing::HasSubstr(word));
    expect_error([&] { format.create(f.plan, f.out.path()); }, ErrorCode::unsupported, {word});
    EXPECT_TRUE(std::filesystem::is_empty(f.out.path()));
  };
  refused("gptq", {"W5A16-g32", 32, 32}, "2, 3, 4 or 8 bits");
  refused("gptq", {"W8A8-fp8", 32, 32}, "2, 3, 4 or 8 bits");
  refused("gptq", {"W8A8", 32, 32}, "16-bit activations");
  refused("gptq", {"W4A16-g8", 32, 40}, "multiple of 32");
  refused("gptq", {"W4A16-g8", 40, 32}, "multiple of 32");
  refused("gptq", {"W4A16-g64", 32, 96}, "group size 64");
  refused("autoawq", {"W8A16-g32", 32, 32}, "4-bit integers");
  refused("autoawq", {"W4A16-nf4", 32, 64}, "4-bit integers");
  refused("autoawq", {"W4A16-g32", 36, 32}, "8 of them");
  refused("modelopt", {"W4A16-g32-asym", 32, 32}, "ModelOpt files hold");
  refused("modelopt", {"W8A8-fp8-block128", 128, 128}, "ModelOpt files hold");
  refused("modelopt", {"W4A16-g32", 31, 32}, "two of them");
  for (const std::string id : {"gptq", "autoawq", "modelopt"}) {
    QuantizedPlan mixed("W4A16-g32", 32, 64);
    mixed.plan.tensors.push_back({{"x.weight", {32, 64}, "", 0}, parse_quant_scheme("W4A16-g64")});
    refused(id, mixed, "one scheme");
  }
  QuantizedPlan head("W4A16-g32", 32, 32);
  head.plan.tensors[0].source.name = "lm_head.weight";
  refused("autoawq", head, "lm_head");
}

TEST(QuantizedFormats, ScalesOfActivationsComeFromCalibration) {
  for (const std::string scheme : {"W8A8-fp8-tensor-static", "W4A4-nvfp4"}) {
    for (const std::string id : {"compressed-tensors", "modelopt"}) {
      const QuantizedPlan f(scheme, 32, 32);
      QuantizedTensor q = random_codes(f.scheme(), 32, 32, DType::f32);
      q.input_scale = 0;
      const auto writer = find_format(id).create(f.plan, f.out.path());
      expect_error([&] { writer->write_quantized(0, 0, q); }, ErrorCode::invalid_argument, {"input", "calibration"});
    }
  }
}

nlohmann::json written_config(const QuantizedPlan& f, const std::string& id) {
  const FormatImpl& format = find_format(id);
  const auto& shape = f.plan.tensors[0].source.shape;
  write_model(format, f.plan, random_codes(f.scheme(), shape[0], shape[1], format.scale_dtype(f.plan)), f.out.path(), 1,
              false);
  return nlohmann::json::parse(read_file(f.out / "config.json"))["quantization_config"];
}

TEST(QuantizedFormats, ConfigsSayWhatEnginesNeed) {
  QuantizedPlan one("W4A16-g32", 32, 32);
  one.plan.tensors.push_back({{"model.layers.0.mlp.gate.weight", {4, 32}, "", 0}, std::nullopt});
  const auto gptq = written_config(one, "gptq");
  EXPECT_EQ(gptq["quant_method"], "gptq");
  EXPECT_EQ(gptq["bits"], 4);
  EXPECT_EQ(gptq["group_size"], 32);
  EXPECT_EQ(gptq["desc_act"], false);
  EXPECT_EQ(gptq["sym"], true);
  EXPECT_EQ(gptq["checkpoint_format"], "gptq");
  EXPECT_EQ(gptq["lm_head"], false);
  EXPECT_TRUE(gptq["dynamic"].contains(R"(-:^model\.layers\.0\.mlp\.gate$)"));
  EXPECT_EQ(nlohmann::json::parse(read_file(one.out / "quantize_config.json")), gptq);
  EXPECT_EQ(written_config({"W4A16-channel-asym", 32, 32}, "gptq")["checkpoint_format"], "gptq_v2");
  EXPECT_EQ(written_config({"W4A16-channel-asym", 32, 32}, "gptq")["group_size"], -1);
  EXPECT_EQ(written_config({"W3A16-g32", 32, 32}, "gptq")["checkpoint_format"], "gptq_v2");

  const auto awq = written_config({"W4A16-g32-asym", 32, 32}, "autoawq");
  EXPECT_EQ(awq["quant_method"], "awq");
  EXPECT_EQ(awq["version"], "gemm");
  EXPECT_EQ(awq["zero_point"], true);
  EXPECT_EQ(awq["modules_to_not_convert"], nlohmann::json::array({"lm_head"}));

  const QuantizedPlan nvfp4("W4A4-nvfp4", 32, 32);
  const auto modelopt = written_config(nvfp4, "modelopt");
  EXPECT_EQ(modelopt["quant_method"], "modelopt");
  EXPECT_EQ(modelopt["quant_algo"], "NVFP4");
  EXPECT_EQ(modelopt["config_groups"]["group_0"]["weights"]["group_size"], 16);
  const auto own = nlohmann::json::parse(read_file(nvfp4.out / "hf_quant_config.json"))["quantization"];
  EXPECT_EQ(own["quant_algo"], "NVFP4");
  EXPECT_EQ(own["group_size"], 16);
  EXPECT_EQ(own["exclude_modules"], nlohmann::json::array({"lm_head"}));

  const auto packed = written_config({"W4A4-nvfp4", 32, 32}, "compressed-tensors");
  EXPECT_EQ(packed["format"], "nvfp4-pack-quantized");
  const auto& group = packed["config_groups"]["group_0"];
  EXPECT_EQ(group["weights"]["strategy"], "tensor_group");
  EXPECT_EQ(group["input_activations"]["dynamic"], "local");
  const auto block = written_config({"W8A8-fp8-block128", 128, 128}, "compressed-tensors");
  EXPECT_EQ(block["format"], "float-quantized");
  EXPECT_EQ(block["config_groups"]["group_0"]["weights"]["block_structure"], nlohmann::json::array({128, 128}));
  EXPECT_EQ(block["config_groups"]["group_0"]["input_activations"]["group_size"], 128);
}

TEST(QuantizedFormats, CompressedTensorsHoldsSeveralSchemesAsGroups) {
  QuantizedPlan f("W4A16-g32", 32, 32);
  f.plan.tensors[1] = {{"model.layers.0.mlp.down_proj.weight", {32, 32}, "", 0},
                       parse_quant_scheme("W8A8-fp8-channel")};
  const FormatImpl& format = find_format("compressed-tensors");
  ASSERT_EQ(format.refuses(f.plan), std::nullopt);
  const QuantizedTensor first = random_codes(f.scheme(), 32, 32, DType::bf16);
  const QuantizedTensor second = random_codes(*f.plan.tensors[1].scheme, 32, 32, DType::bf16);
  const auto writer = format.create(f.plan, f.out.path());
  writer->write_quantized(0, 0, first);
  writer->write_quantized(1, 0, second);
  writer->finish();
  const auto root = nlohmann::json::parse(read_file(f.out / "config.json"))["quantization_config"];
  EXPECT_EQ(root["format"], "mixed-precision");
  EXPECT_EQ(root["config_groups"]["group_0"]["targets"], nlohmann::json::array({"model.layers.0.mlp.up_proj"}));
  EXPECT_EQ(root["config_groups"]["group_1"]["targets"], nlohmann::json::array({"model.layers.0.mlp.down_proj"}));
  EXPECT_EQ(root["config_groups"]["group_1"]["format"], "float-quantized");
  const auto model = open_checkpoint(f.out.path());
  expect_same(*model->read_codes(*model->find(weight_name), 0, 32), first);
  expect_same(*model->read_codes(*model->find("model.layers.0.mlp.down_proj.weight"), 0, 32), second);
}

}  // namespace
}  // namespace advisor
