#include "estimate/quality.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "fixture.h"

namespace advisor {
namespace {

QualityMeasurement row(const char* source, const char* model, double params, const char* technique, double bits,
                       const char* task, const char* family, double baseline, double value) {
  QualityMeasurement r;
  r.source = source, r.model = model, r.params = params, r.technique = technique;
  r.scheme = bits == 4 ? "W4A16-g128" : "W8A16-channel";
  r.weight_bits = bits, r.activation_bits = 16, r.group_size = bits == 4 ? 128 : -1;
  r.task = task, r.family = family, r.metric = "acc", r.metric_kind = "proportion";
  r.baseline = baseline, r.value = value;
  return r;
}

struct Quality : testing::Test {
  Knowledge knowledge;
  Yardstick mmlu{"mmlu", "knowledge", 0.25};
  Quality() {
    knowledge.tasks = {{"mmlu", "benchmark", "knowledge", 0.25, true}};
    knowledge.families = {{"general", "", ""},
                          {"knowledge", "", "general"},
                          {"medical", "", "knowledge"},
                          {"code", "", "general"},
                          {"language_modelling", "", ""}};
  }
  std::optional<Retention> w4(const Model& model, const char* technique = "gptq") const {
    return QualityEstimator(knowledge).retention(
        model, as(model, technique, "W4A16-g128", "compressed-tensors", "vllm"), mmlu);
  }
};

TEST_F(Quality, UncompressedKeepsEverything) {
  const auto m = llama_8b();
  const auto kept = QualityEstimator(knowledge).retention(m, as(m, "none", "W16A16", "safetensors", "vllm"), mmlu);
  EXPECT_EQ(kept->recovery.mean, 1);
  EXPECT_EQ(kept->recovery.sd, 0);
}

TEST_F(Quality, NothingMeasuredIsNoEstimate) { EXPECT_FALSE(w4(llama_8b())); }

TEST_F(Quality, RecoveryIsAboveChance) {
  knowledge.quality = {row("s", "meta-llama/Llama-3.1-8B-Instruct", 8e9, "gptq", 4, "mmlu", "knowledge", 0.65, 0.61)};
  const auto kept = w4(llama_8b());
  EXPECT_NEAR(kept->recovery.mean, 0.36 / 0.40, 1e-12);
  EXPECT_EQ(kept->basis, Basis::measured);
  EXPECT_GT(kept->recovery.sd, 0.02) << "one row never has zero spread";
}

TEST_F(Quality, MeasuredBeatsTransferredAndDistanceWidens) {
  for (const char* source : {"a", "b", "c", "d"})
    knowledge.quality.push_back(row(source, "other/7B", 7e9, "gptq", 4, "mmlu", "knowledge", 0.65, 0.60));
  const auto near = w4(llama_8b());
  EXPECT_EQ(near->basis, Basis::transferred);
  EXPECT_LT(near->recovery.sd, w4(llama_8b(), "awq")->recovery.sd) << "another technique is farther";
  knowledge.quality.push_back(
      row("e", "meta-llama/Llama-3.1-8B-Instruct", 8e9, "gptq", 4, "mmlu", "knowledge", 0.65, 0.65));
  EXPECT_EQ(w4(llama_8b())->basis, Basis::measured);
  EXPECT_NEAR(w4(llama_8b())->recovery.mean, 1, 1e-9);
}

TEST_F(Quality, LargerModelsLoseLess) {
  for (const char* source : {"a", "b", "c", "d"})
    knowledge.quality.push_back(row(source, "other/7B", 7e9, "gptq", 4, "mmlu", "knowledge", 0.65, 0.61));
  EXPECT_GT(w4(llama_70b())->recovery.mean, w4(llama_8b())->recovery.mean);
  Model tiny;
  tiny.id = "tiny", tiny.params = 1e6;
  EXPECT_LT(w4(tiny)->recovery.mean, w4(llama_8b())->recovery.mean);
  EXPECT_GT(w4(tiny)->recovery.sd, w4(llama_8b())->recovery.sd);
}

TEST_F(Quality, PerplexityDoesNotSpeakForKnowledge) {
  auto perplexity =
      row("a", "meta-llama/Llama-3.1-8B-Instruct", 8e9, "gptq", 4, "wikitext2", "language_modelling", 6, 6.1);
  perplexity.metric = "perplexity", perplexity.metric_kind = "perplexity", perplexity.higher_is_better = false;
  knowledge.quality = {perplexity};
  EXPECT_FALSE(w4(llama_8b()));
  const Yardstick text{"wikitext2", "language_modelling", 0};
  const auto m = llama_8b();
  const auto kept =
      QualityEstimator(knowledge).retention(m, as(m, "gptq", "W4A16-g128", "compressed-tensors", "vllm"), text);
  EXPECT_NEAR(kept->recovery.mean, 6 / 6.1, 1e-12);
}

TEST_F(Quality, UnfitRowsAreLeftOut) {
  const auto good = row("a", "meta-llama/Llama-3.1-8B-Instruct", 8e9, "gptq", 4, "mmlu", "knowledge", 0.65, 0.61);
  const auto bad = [&](auto change) {
    auto r = good;
    change(r);
    knowledge.quality = {r};
    EXPECT_FALSE(w4(llama_8b()));
  };
  bad([](auto& r) { r.suspect = "abnormal baseline"; });
  bad([](auto& r) { r.retrained = true; });
  bad([](auto& r) { r.technique = "other-quantization"; });
  bad([](auto& r) { r.kv_bits = 4; });
  bad([](auto& r) { r.baseline = 0.28; });  // three points over guessing
  bad([](auto& r) { r.metric_kind = "divergence"; });
  bad([](auto& r) { r.activation_bits.reset(); });
  bad([](auto& r) { r.group_size = -1; });  // per channel does not speak for groups
  bad([](auto& r) { r.weight_bits = 3; });
}

TEST_F(Quality, MoreBitsKeepNoLess) {
  for (const char* source : {"a", "b", "c", "d"}) {
    auto six = row(source, "other/7B", 7e9, "gguf-k", 6, "mmlu", "knowledge", 0.65, 0.648);
    six.scheme = "Q6_K";
    knowledge.quality.push_back(six);
  }
  const auto m = llama_8b();
  const auto kept = QualityEstimator(knowledge).retention(m, as(m, "rtn", "Q8_0", "gguf", "llama.cpp"), mmlu);
  ASSERT_TRUE(kept);
  EXPECT_THAT(kept->how, testing::StartsWith("at least what 6 bits keep"));
}

TEST_F(Quality, OrderOfRowsChangesNothing) {
  for (int i = 0; i < 40; ++i)
    knowledge.quality.push_back(row(i % 3 == 0 ? "a" : "b", "other/7B", 7e9, "gptq", 4, "mmlu", "knowledge", 0.65,
                                    0.58 + 0.001 * (i * 7 % 40)));
  const auto before = w4(llama_8b());
  std::reverse(knowledge.quality.begin(), knowledge.quality.end());
  const auto after = w4(llama_8b());
  EXPECT_EQ(before->recovery.mean, after->recovery.mean);
  EXPECT_EQ(before->recovery.sd, after->recovery.sd);
}

TEST_F(Quality, ScoresCompareOnlyInOneTable) {
  const auto score = [](const char* model, const char* harness, double value) {
    return Score{model, "mmlu", "knowledge", "acc", "5", "", harness, value, "url", "", "proportion"};
  };
  knowledge.scores = {score("a", "x", 0.7), score("b", "x", 0.8), score("c", "x", 0.6), score("d", "y", 0.9)};
  const QualityEstimator quality(knowledge);
  const auto table = quality.choose_table("d", mmlu);
  EXPECT_EQ(table->harness, "y") << "the one that has the model";
  EXPECT_EQ(quality.choose_table("unknown", mmlu)->harness, "x") << "the one with most models";
  EXPECT_FALSE(quality.baseline("a", *table));
  EXPECT_THAT(quality.ranked(*quality.choose_table("a", mmlu)), testing::ElementsAre("b", "a", "c"));
  EXPECT_FALSE(quality.choose_table("a", {"gsm8k", "math", 0}));
}

TEST(RelativeToBaseline, ChanceMovesItTowardOne) {
  const auto relative = relative_to_baseline({0.9, 0.02, 5}, 0.65, 0.25);
  EXPECT_NEAR(relative.mean, (0.25 + 0.9 * 0.4) / 0.65, 1e-12);
  EXPECT_NEAR(relative.sd, 0.02 * 0.4 / 0.65, 1e-12);
}

}  // namespace
}  // namespace advisor
