// Quantized checkpoints from one format into another.
#include "compress/convert.h"

#include "checkpoint/checkpoint.h"
#include "checkpoint/folder.h"
#include "compress/fixture.h"
#include "gmock/gmock.h"
#include "nlohmann/json.hpp"

namespace advisor {
namespace {

using ::testing::HasSubstr;
using testing::refusal;
namespace fs = std::filesystem;

/// Every stored tensor, packed words and scales as they are: type, shape and bytes by name. Their order in the file is
/// that of the source.
std::map<std::string, std::string> stored(const fs::path& folder) {
  std::map<std::string, std::string> all;
  const ShardSet shards(folder);
  for (const ShardSet::Tensor& tensor : shards.tensors()) {
    std::string bytes(static_cast<std::size_t>(tensor.entry.end - tensor.entry.begin), 0);
    shards.read(tensor, 0, std::as_writable_bytes(std::span(bytes)));
    for (const std::int64_t side : tensor.entry.shape) bytes += "," + std::to_string(side);
    all[tensor.entry.name] = std::string(name(tensor.entry.dtype)) + bytes;
  }
  return all;
}

/// Files beside the weights.
std::map<std::string, nlohmann::json> configs(const fs::path& folder) {
  std::map<std::string, nlohmann::json> all;
  for (const auto& [name, text] : testing::contents(folder))
    if (name.ends_with(".json")) all[name] = nlohmann::json::parse(text);
  return all;
}

class Convert : public ::testing::Test {
 protected:
  /// The model in `format`, by rounding to nearest or, from `source`, by conversion.
  fs::path make(const std::string& name, const std::string& scheme, const RecipeFormat& format) {
    run_compression(testing::request(model_, temp_ / name, scheme, {format}), {});
    return temp_ / name;
  }
  static CompressRequest conversion(const fs::path& source, const fs::path& out, const RecipeFormat& format) {
    CompressRequest r = testing::request(source, out, "", {format});
    r.recipe.steps.front().technique = "none";
    r.recipe.steps.front().scheme.clear();
    return r;
  }

  /// Both directions: the bytes of every stored tensor are those of quantizing into the other format directly.
  void check_pair(const std::string& scheme, const RecipeFormat& a, const RecipeFormat& b) {
    const fs::path first = make("a", scheme, a), second = make("b", scheme, b);
    for (const auto& [from, to, format] : {std::tuple{first, second, b}, std::tuple{second, first, a}}) {
      const std::string what = scheme + " " + from.filename().string() + " " + a.id + " " + b.id;
      CompressRequest r = conversion(from, temp_ / "out", format);
      r.threads = 2;
      const CompressReport report = run_compression(r, {});
      EXPECT_EQ(report.outputs[0].worst_relative_error, 0) << what;
      EXPECT_GT(report.plan.quantized_tensors, 0) << what;
      EXPECT_EQ(report.plan.scheme, open_checkpoint(from)->find("model.layers.0.mlp.up_proj.weight")->stored_as);
      EXPECT_TRUE(stored(r.out) == stored(to)) << what;
      EXPECT_EQ(configs(r.out), configs(to)) << what;
      fs::remove_all(r.out);
    }
    fs::remove_all(first);
    fs::remove_all(second);
  }

  testing::TempFolder temp_;
  fs::path model_ = testing::write_model(temp_ / "model", [] {
    testing::ModelSpec spec;
    spec.dtype = DType::f16;  // so that scales are of one type in all formats
    return spec;
  }());
};

const RecipeFormat ct{"compressed-tensors", ""}, gptq{"gptq", ""}, awq{"autoawq", ""}, modelopt{"modelopt", ""};

TEST_F(Convert, EveryPairOfFormatsThatHoldTheSameIntegers) {
  for (const char* scheme : {"W4A16-g32", "W4A16-g64-asym", "W8A16-channel", "W2A16-g32", "W3A16-g32-asym"})
    check_pair(scheme, ct, gptq);
  for (const char* scheme : {"W4A16-g32", "W4A16-g32-asym"}) {
    check_pair(scheme, ct, awq);
    check_pair(scheme, gptq, awq);
  }
  check_pair("W4A16-g32", ct, modelopt);
  check_pair("W4A16-g32", gptq, modelopt);
}

TEST_F(Convert, FloatsWithScalesOfRowsAndOfBlocks) {
  check_pair("W4A16-nvfp4", ct, modelopt);
  testing::ModelSpec single;  // scales of FP8 are float32 in ModelOpt's files
  single.dtype = DType::f32;
  model_ = testing::write_model(temp_ / "f32", single);
  check_pair("W8A8-fp8-channel", ct, modelopt);
  // The same format again: blocks of rows that tiles do not follow.
  testing::ModelSpec spec;
  spec.hidden = 128;
  spec.intermediate = 256;
  const fs::path wide = testing::write_model(temp_ / "wide", spec);
  run_compression(testing::request(wide, temp_ / "blocks", "W8A8-fp8-block128", {ct}), {});
  run_compression(conversion(temp_ / "blocks", temp_ / "again", ct), {});
  EXPECT_TRUE(stored(temp_ / "blocks") == stored(temp_ / "again"));
}

TEST_F(Convert, TheTypeIsOneThatHoldsAllScales) {
  testing::ModelSpec spec;  // bf16, and scales are too
  const fs::path source = testing::write_model(temp_ / "bf16", spec);
  run_compression(testing::request(source, temp_ / "ct", "W4A16-g32", {ct}), {});
  const CompressReport kept = run_compression(conversion(temp_ / "ct", temp_ / "same", ct), {});
  EXPECT_EQ(kept.outputs[0].type, "bf16");
  run_compression(testing::request(source, temp_ / "gptq", "W4A16-g32", {gptq}), {});
  const CompressReport wide = run_compression(conversion(temp_ / "gptq", temp_ / "wide", ct), {});
  EXPECT_EQ(wide.outputs[0].type, "f16");
  EXPECT_THAT(wide.plan.notes, ::testing::Contains(HasSubstr("from bf16 to f16")));
  for (const TensorReport& tensor : wide.outputs[0].tensors)
    EXPECT_TRUE(tensor.relative_error == 0 || tensor.stored_as != "W4A16-g32") << tensor.name;
  EXPECT_THAT(refusal(ErrorCode::unsupported,
                      [&] {
                        plan_compression(conversion(temp_ / "gptq", temp_ / "no", {"compressed-tensors", "bf16"}));
                      }),
              HasSubstr("leave out the type"));
}

TEST_F(Convert, WhatWouldNotBeExactIsRefused) {
  const auto refused = [&](const CompressRequest& r) {
    const std::string message = refusal(ErrorCode::unsupported, [&] { run_compression(r, {}); });
    EXPECT_FALSE(fs::exists(r.out));
    return message;
  };
  const fs::path w8 = make("w8", "W8A16-g32", ct);
  EXPECT_THAT(refused(conversion(w8, temp_ / "out", awq)), HasSubstr("4-bit"));
  EXPECT_THAT(refused(conversion(w8, temp_ / "out", {"gguf", "Q8_0"})), HasSubstr("other values"));
  EXPECT_THAT(refused(conversion(w8, temp_ / "out", {"safetensors", ""})), HasSubstr("other values"));
  EXPECT_THAT(refused(testing::request(w8, temp_ / "out", "W4A16-g32", {ct})), HasSubstr("quantized already"));
  const fs::path gguf = temp_ / "gguf";
  run_compression(testing::request(testing::tiny(), gguf, "W4A16-g32", {{"gguf", "Q8_0"}}), {});
  EXPECT_THAT(refused(conversion(gguf, temp_ / "out", ct)), HasSubstr("GGUF"));
  CompressRequest calibrated = conversion(w8, temp_ / "out", gptq);
  calibrated.calibration.texts = {fs::path(ADVISOR_SOURCE_DIR) / "examples/calibration/tiny.txt"};
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { run_compression(calibrated, {}); }), HasSubstr("calibration"));

  testing::ModelSpec spec;
  spec.edit = [](const std::string& name, std::vector<float>& values) {
    if (name == "model.layers.1.mlp.up_proj.weight")
      for (float& v : values) v *= 1e-5F;
  };
  const fs::path small = testing::write_model(temp_ / "small", spec);
  run_compression(testing::request(small, temp_ / "tiny-scales", "W4A16-g32", {ct}), {});
  EXPECT_THAT(refused(conversion(temp_ / "tiny-scales", temp_ / "out", gptq)),
              ::testing::AllOf(HasSubstr("model.layers.1.mlp.up_proj.weight"), HasSubstr("f16")));
}

/// Overwrites the beginning of a stored tensor of a folder with one shard.
void patch(const fs::path& folder, const std::string& tensor, std::int32_t value) {
  const fs::path path = folder / "model.safetensors";
  const std::string text = testing::read_file(path);
  std::uint64_t header = 0;
  std::memcpy(&header, text.data(), sizeof header);
  const std::size_t entry = text.find('"' + tensor + '"');
  ASSERT_NE(entry, std::string::npos);
  const std::size_t offsets = text.find("\"data_offsets\":[", entry) + 16;
  const std::size_t at = 8 + header + std::stoull(text.substr(offsets));
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(at));
  file.write(reinterpret_cast<const char*>(&value), sizeof value);
}

TEST_F(Convert, ColumnsInAnotherOrderAreRefused) {
  const fs::path source = make("gptq", "W4A16-g32", gptq);
  patch(source, "model.layers.0.self_attn.q_proj.g_idx", 1);
  const CompressRequest r = conversion(source, temp_ / "out", ct);
  EXPECT_THAT(refusal(ErrorCode::unsupported, [&] { run_compression(r, {}); }), HasSubstr("desc_act"));
}

TEST_F(Convert, ScalesOfACacheGoAlongWhereThereIsAPlace) {
  CompressRequest calibrated = testing::request(testing::tiny(), temp_ / "kv", "W4A16-g32", {ct});
  calibrated.calibration.texts = {fs::path(ADVISOR_SOURCE_DIR) / "examples/calibration/tiny.txt"};
  calibrated.calibration.samples = 2;
  calibrated.recipe.kv_cache = "fp8";
  run_compression(calibrated, {});
  const auto scales = open_checkpoint(temp_ / "kv")->kv_scales();
  ASSERT_FALSE(scales.empty());
  run_compression(conversion(temp_ / "kv", temp_ / "modelopt", modelopt), {});
  EXPECT_EQ(open_checkpoint(temp_ / "modelopt")->kv_scales(), scales);
  const CompressReport without = run_compression(conversion(temp_ / "kv", temp_ / "gptq", gptq), {});
  EXPECT_TRUE(open_checkpoint(temp_ / "gptq")->kv_scales().empty());
  EXPECT_THAT(without.plan.notes, ::testing::Contains(HasSubstr("left out")));
}

TEST_F(Convert, SeveralFormatsAtOnceAndResumed) {
  const fs::path source = make("source", "W4A16-g32", gptq);
  CompressRequest r = conversion(source, temp_ / "whole", ct);
  r.recipe.formats.push_back(awq);
  run_compression(r, {});
  r.out = temp_ / "resumed";
  r.keep_cancelled = true;
  r.save_interval = std::chrono::milliseconds(0);
  refusal(ErrorCode::cancelled, [&] { run_compression(r, [](const Progress& p) { return p.stage == "compress"; }); });
  r.resume = true;
  run_compression(r, {});
  EXPECT_TRUE(testing::contents(temp_ / "whole") == testing::contents(temp_ / "resumed"));
}

}  // namespace
}  // namespace advisor
