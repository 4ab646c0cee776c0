#include "compress/plan.h"

#include "compress/fixture.h"
#include "gmock/gmock.h"

namespace advisor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::names_in;
using testing::refusal;
using testing::request;

class Plan : public ::testing::Test {
 protected:
  testing::TempFolder temp_;
  const std::filesystem::path model_ = testing::write_model(temp_ / "model");
  CompressRequest basic(const std::string& scheme = "W4A16-g32") { return request(model_, temp_ / "out", scheme); }
};

TEST_F(Plan, SaysEverythingAndWritesNothing) {
  CompressRequest r = basic();
  r.recipe.steps[0].params["clip"] = "mse";
  const CompressPlan plan = plan_compression(r);
  EXPECT_EQ(plan.architecture, "LlamaForCausalLM");
  EXPECT_EQ(plan.source_format, "safetensors");
  EXPECT_EQ(plan.technique, "rtn");
  EXPECT_EQ(plan.scheme, "W4A16-g32");
  EXPECT_EQ(plan.params.at("clip"), "mse");
  EXPECT_EQ(plan.params.at("range"), "full") << "defaults are shown";
  EXPECT_EQ(plan.tensors, 20);
  EXPECT_EQ(plan.quantized_tensors, 14);
  ASSERT_EQ(plan.outputs.size(), 1u);
  EXPECT_EQ(plan.outputs[0].folder, temp_ / "out") << "one format: the output folder itself";
  EXPECT_EQ(plan.outputs[0].type, "bf16");
  EXPECT_GT(plan.source_bytes, plan.output_bytes);
  EXPECT_GT(plan.disk_free, plan.output_bytes);
  EXPECT_GT(plan.peak_memory, 0);
  EXPECT_GT(plan.seconds, 0);
  EXPECT_THAT(names_in(temp_.path()), ElementsAre("model"));
}

TEST_F(Plan, SeveralFormatsGetAFolderEach) {
  const CompressPlan plan = plan_compression(request(testing::tiny(), temp_ / "out", "W4A16-g64",
                                                     {{"compressed-tensors", ""}, {"gguf", "Q8_0"}, {"gguf", "Q4_0"}}));
  ASSERT_EQ(plan.outputs.size(), 3u);
  EXPECT_EQ(plan.outputs[0].folder, temp_ / "out/compressed-tensors");
  EXPECT_EQ(plan.outputs[1].folder, temp_ / "out/gguf-Q8_0");
  EXPECT_EQ(plan.outputs[2].folder, temp_ / "out/gguf-Q4_0");
  EXPECT_THAT(plan.notes, ::testing::Contains(HasSubstr("gguf Q8_0 quantizes in its own blocks")));
}

TEST_F(Plan, GgufAloneNeedsNoTechnique) {
  CompressRequest r = request(testing::tiny(), temp_ / "out", "W4A16-g256", {{"gguf", "Q8_0"}});
  const CompressPlan plan = plan_compression(r);  // 256 divides no matrix of this model, and need not
  EXPECT_EQ(plan.technique, "none");
  EXPECT_EQ(plan.quantized_tensors, 0);
  EXPECT_THAT(plan.notes, ElementsAre(HasSubstr("own blocks")));
  r.recipe.steps[0].params["clip"] = "perhaps";
  refusal(ErrorCode::invalid_argument, [&] { plan_compression(r); });
}

TEST_F(Plan, AGroupThatDoesNotDivideNamesTensorAndWhatWorks) {
  const std::string message = refusal(ErrorCode::invalid_argument, [&] { plan_compression(basic("W4A16-g128")); });
  EXPECT_THAT(message, HasSubstr("model.layers.0.self_attn.q_proj.weight [64, 64]"));
  EXPECT_THAT(message, HasSubstr("8, 16, 32, 64; -channel"));
}

TEST_F(Plan, RefusesRecipesItCannotRun) {
  const auto refuse = [&](ErrorCode code, const std::function<void(CompressRequest&)>& edit) {
    CompressRequest r = basic();
    edit(r);
    return refusal(code, [&] { plan_compression(r); });
  };
  using R = CompressRequest&;
  refuse(ErrorCode::invalid_argument, [](R r) { r.recipe.steps.clear(); });
  EXPECT_THAT(refuse(ErrorCode::invalid_argument, [](R r) { r.recipe.steps.push_back(r.recipe.steps[0]); }),
              HasSubstr("entry 1 has already"));
  refuse(ErrorCode::invalid_argument, [](R r) { r.recipe.formats.clear(); });
  refuse(ErrorCode::invalid_argument, [](R r) { r.recipe.formats.push_back(r.recipe.formats[0]); });
  refuse(ErrorCode::not_found, [](R r) { r.recipe.formats[0].id = "onnx"; });
  EXPECT_THAT(refuse(ErrorCode::invalid_argument, [](R r) { r.recipe.formats[0].type = "Q4_0"; }),
              HasSubstr("bf16, f16 or f32"));
  refuse(ErrorCode::not_found, [](R r) { r.recipe.steps[0].technique = "magic"; });
  refuse(ErrorCode::invalid_argument, [](R r) { r.recipe.steps[0].scheme = "4 bits"; });
  refuse(ErrorCode::invalid_argument, [](R r) { r.recipe.steps[0].scheme = ""; });
  refuse(ErrorCode::unsupported, [](R r) { r.recipe.steps[0].scheme = "W8A4"; });
  refuse(ErrorCode::invalid_argument, [](R r) { r.recipe.steps[0].params["damp"] = "1"; });
  refuse(ErrorCode::invalid_argument, [](R r) { r.recipe.steps[0].targets = {"re:nothing"}; });
  refuse(ErrorCode::invalid_argument, [](R r) { r.threads = -1; });
  refuse(ErrorCode::not_found, [](R r) { r.model = "/nowhere/at/all"; });
  EXPECT_THAT(refuse(ErrorCode::invalid_argument,
                     [](R r) {
                       r.recipe.formats = {{"safetensors", ""}};
                     }),
              HasSubstr("would lose the scheme"));
  refuse(ErrorCode::invalid_argument, [](R r) {
    r.recipe.steps[0].technique = "none";
    r.recipe.steps[0].params["clip"] = "mse";
  });
}

TEST_F(Plan, SeveralStepsInOneFile) {
  CompressRequest r = basic("W4A16-g32");
  RecipeStep wide = r.recipe.steps[0];
  wide.scheme = "W4A16-g64";
  wide.targets = {"re:.*down_proj"};
  r.recipe.steps.insert(r.recipe.steps.begin(), wide);
  const CompressPlan plan = plan_compression(r);
  ASSERT_EQ(plan.steps.size(), 2u);
  EXPECT_EQ(plan.steps[0].tensors * 6, plan.steps[1].tensors);
  EXPECT_EQ(plan.scheme, "W4A16-g64, W4A16-g32");
  EXPECT_THAT(plan.outputs[0].schemes, ::testing::UnorderedElementsAre("W4A16-g64", "W4A16-g32"));
  for (const char* format : {"gptq", "modelopt"}) {
    r.recipe.formats = {{format, ""}};
    EXPECT_THAT(refusal(ErrorCode::unsupported, [&] { plan_compression(r); }), HasSubstr("one file holds one scheme"));
  }
  r.recipe.formats = {{"autoawq", ""}};
  refusal(ErrorCode::unsupported, [&] { plan_compression(r); });
}

TEST_F(Plan, FusedLayersShareASchemeOrTheRecipeSaysWhatToWrite) {
  CompressRequest r = basic("W4A16-g32");
  RecipeStep wide = r.recipe.steps[0];
  wide.scheme = "W8A16-g32";
  wide.targets = {"re:.*layers\\.0\\..*v_proj"};
  wide.places = {{"r.yaml", 3, 5}, {{"targets", {"r.yaml", 4, 14}}}};
  r.recipe.steps.insert(r.recipe.steps.begin(), wide);
  const std::string split = refusal(ErrorCode::invalid_argument, [&] { plan_compression(r); });
  EXPECT_THAT(split, HasSubstr("model.layers.0.self_attn.v_proj.weight as one matrix"));
  EXPECT_THAT(split, HasSubstr("W4A16-g32 and W8A16-g32"));
  EXPECT_THAT(split, HasSubstr("\"re:.*\\.(q_proj|k_proj|v_proj)$\""));
  r.recipe.steps[0].scheme = "W4A16-g32";  // the same scheme twice is no conflict
  plan_compression(r);
  r.recipe.steps = {r.recipe.steps[1]};
  r.recipe.steps[0].ignore = {"re:.*up_proj"};
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { plan_compression(r); }), HasSubstr("W4A16-g32 and dense"));
  r.model = testing::tiny();
  r.recipe.formats = {{"gguf", "Q8_0"}};  // whose tensors stand alone
  plan_compression(r);
}

TEST_F(Plan, TypesOfGgufTensors) {
  CompressRequest r = request(testing::tiny(), temp_ / "out", "", {{"gguf", "Q4_0"}});
  r.recipe.steps[0].technique = "none";
  const CompressPlan uniform = plan_compression(r);
  r.recipe.formats[0].tensor_types = {{{"re:.*down_proj"}, "q8_0"}, {{"Linear"}, "Q4_1"}};
  const CompressPlan mixed = plan_compression(r);
  EXPECT_GT(mixed.output_bytes, uniform.output_bytes);
  EXPECT_THAT(mixed.outputs[0].schemes, ::testing::UnorderedElementsAre("Q4_0", "Q8_0", "Q4_1"));
  const auto why = [&](const std::string& type) {
    r.recipe.formats[0].tensor_types[0].type = type;
    return refusal(ErrorCode::unsupported, [&] { plan_compression(r); });
  };
  EXPECT_THAT(why("Q4_K"), HasSubstr("blocks of 256"));
  EXPECT_THAT(why("Q4_K_M"), HasSubstr("no type that can be written"));
  r.recipe.formats[0] = {"safetensors", "", r.recipe.formats[0].tensor_types};
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { plan_compression(r); }), HasSubstr("has no tensor_types"));
}

TEST_F(Plan, ATokenizerModelAloneIsNotEnoughForGguf) {
  CompressRequest r = request(model_, temp_ / "out", "", {{"gguf", "Q4_0"}});
  r.recipe.steps[0].technique = "none";
  EXPECT_THAT(refusal(ErrorCode::not_found, [&] { plan_compression(r); }), HasSubstr("without it text cannot"));
  std::ofstream(model_ / "tokenizer.model") << "sentencepiece";
  EXPECT_THAT(refusal(ErrorCode::not_found, [&] { plan_compression(r); }), HasSubstr("save_pretrained"));
  run_compression(basic(), {});
  EXPECT_EQ(testing::read_file(temp_ / "out" / "tokenizer.model"), "sentencepiece") << "other formats take it along";
}

TEST_F(Plan, SplitGguf) {
  CompressRequest r = request(testing::tiny(), temp_ / "out", "", {{"gguf", "Q4_0"}});
  r.recipe.steps[0].technique = "none";
  r.recipe.formats[0].split_max_size = 20'000;
  run_compression(r, {});
  const std::vector<std::string> names = testing::names_in(r.out);
  EXPECT_THAT(names, ::testing::Contains(HasSubstr("Q4_0-00001-of-")));
  r.out = temp_ / "whole";
  r.recipe.formats[0].split_max_size = 0;
  run_compression(r, {});
  EXPECT_EQ(open_checkpoint(temp_ / "out")->tensors(), open_checkpoint(r.out)->tensors());
  r.recipe.formats = {{"compressed-tensors", "", {}, 20'000}};
  r.out = temp_ / "other";
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { plan_compression(r); }), HasSubstr("not split"));
  run_compression(request(testing::tiny(), temp_ / "codes"), {});
  r.model = temp_ / "codes";
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { plan_compression(r); }), HasSubstr("not split"));
}

TEST_F(Plan, AnArchitectureWithoutKnownLinearsNeedsNames) {
  testing::ModelSpec spec;
  spec.architecture = "NovelForCausalLM";
  try {
    plan_compression(request(testing::write_model(temp_ / "novel", spec), temp_ / "out"));
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("NovelForCausalLM"));
  }
}

// What a block holds at one time: benchmarks/block_memory.py compares predictions with measured peaks.
TEST_F(Plan, MemoryIsThatOfTheHungriestStepOfABlock) {
  const auto planned = [&](const std::string& technique, int threads, std::int64_t length) {
    CompressRequest r = request(testing::tiny(), temp_ / "out", "W4A16-g64");
    r.recipe.steps[0].technique = technique;
    r.calibration.texts = {std::filesystem::path(ADVISOR_SOURCE_DIR) / "examples/calibration/tiny.txt"};
    r.calibration.samples = 4;
    r.calibration.sequence_length = length;
    r.threads = threads;
    return plan_compression(r).peak_memory;
  };
  // Long sequences take more on their way through the block than its matrices while they are solved.
  const auto long_gptq = planned("gptq", 2, 256), long_rtn = planned("rtn", 2, 256);
  const ModelConfig config = open_checkpoint(testing::tiny())->config();
  const std::int64_t hidden = config.hidden, inner = config.intermediate, heads = config.heads * config.head_dim;
  const std::int64_t grams = 4 * (2 * hidden * hidden + heads * heads + inner * inner);
  EXPECT_NEAR(static_cast<double>(long_gptq - long_rtn), static_cast<double>(grams) * 17 / 16, 2) << "with slack";
  EXPECT_EQ(planned("awq", 2, 256), long_gptq) << "and what solving takes is not added";
  EXPECT_GT(long_gptq, planned("gptq", 1, 256)) << "each thread has a sequence";
  // With short ones the factor counts.
  const auto short_gptq = planned("gptq", 2, 8), short_rtn = planned("rtn", 2, 8);
  EXPECT_LT(short_gptq, long_gptq);
  EXPECT_GE(short_gptq - short_rtn, grams + 4 * inner * inner - 4 * 2 * 8 * (4 * hidden + 3 * inner));
}

TEST_F(Plan, AnOutputIsNoSource) {
  run_compression(basic(), {});
  EXPECT_THAT(refusal(ErrorCode::unsupported, [&] { plan_compression(request(temp_ / "out", temp_ / "again")); }),
              HasSubstr("quantized already (compressed-tensors)"));
}

TEST_F(Plan, JsonHasEveryField) {
  const std::string json = to_json(plan_compression(basic()));
  for (const char* key : {"\"schema\": \"advisor.compression_plan/1\"", "\"technique\": \"rtn\"", "\"params\"",
                          "\"outputs\"", "\"peak_memory\"", "\"disk_free\"", "\"seconds\"", "\"engines\""})
    EXPECT_THAT(json, HasSubstr(key));
}

}  // namespace
}  // namespace advisor
