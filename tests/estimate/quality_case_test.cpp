#include "estimate/quality_case.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "core/error.h"
#include "fixture.h"

namespace advisor {
namespace {

struct QualityCaseTest : testing::Test {
  Knowledge knowledge;
  QualityMeasurement row;
  QualityCaseTest() {
    knowledge.models = {llama_8b()};
    knowledge.tasks = {{"mmlu", "benchmark", "knowledge", 0.25, true}};
    row.source = "s", row.model = llama_8b().id, row.params = 8e9, row.technique = "gptq", row.scheme = "W4A16-g128";
    row.weight_bits = 4, row.activation_bits = 16, row.group_size = 128;
    row.task = "mmlu", row.family = "knowledge", row.metric = "acc", row.metric_kind = "proportion";
    row.baseline = 0.65, row.value = 0.61, row.url = "u";
  }
  std::optional<QualityCase> read(std::string* why = nullptr) const { return QualityCases(knowledge).read(row, why); }
  std::string why() const {
    std::string text;
    EXPECT_FALSE(read(&text));
    return text;
  }
};

TEST_F(QualityCaseTest, AccuracyIsRecoveryAboveChance) {
  const auto c = read();
  ASSERT_TRUE(c);
  EXPECT_EQ(c->measure, "accuracy");
  EXPECT_NEAR(c->observed, 0.36 / 0.40, 1e-12);
  EXPECT_EQ(c->model.layers, 32) << "the catalog's row";
  EXPECT_EQ(c->format, "W4A16");
  EXPECT_EQ(c->format_class, "W4");
  EXPECT_FALSE(c->pruning);
  EXPECT_EQ(c->source, "s");
}

TEST_F(QualityCaseTest, PerplexityIsALogRatioInAnyFamily) {
  row.metric = "perplexity", row.metric_kind = "perplexity", row.higher_is_better = false;
  row.baseline = 6, row.value = 6.3;
  const auto c = read();
  ASSERT_TRUE(c);
  EXPECT_EQ(c->measure, "perplexity");
  EXPECT_NEAR(c->observed, std::log(6.3 / 6), 1e-12);
}

TEST_F(QualityCaseTest, ErrorRatesCountAsTheirComplement) {
  row.metric = "wer", row.metric_kind = "error_rate", row.higher_is_better = false, row.baseline = 0.1,
  row.value = 0.19;
  EXPECT_NEAR(read()->observed, 0.9, 1e-12);
  row.baseline = 0.97;
  EXPECT_EQ(why(), "its baseline fails on nearly all items");
}

TEST_F(QualityCaseTest, PruningAndGridsHaveFormatsOfTheirOwn) {
  row.scheme = "W8A8-fp8", row.weight_bits = 8, row.activation_bits = 8, row.technique = "fp8", row.group_size.reset();
  EXPECT_EQ(read()->format, "W8A8-fp8");
  EXPECT_EQ(read()->treatment.technique, "w8a8");
  row.scheme = "W16A16", row.weight_bits = 16, row.activation_bits = 16, row.technique = "sparsegpt";
  row.pattern = "2:4", row.sparsity = 0.5;
  EXPECT_EQ(read()->format, "sparsegpt 2:4");
  EXPECT_EQ(read()->format_class, "pruned 2:4");
  EXPECT_TRUE(read()->pruning);
}

TEST_F(QualityCaseTest, SaysWhyARowIsNoCase) {
  const auto refused = [&](auto change, const char* because) {
    const auto good = row;
    change(row);
    EXPECT_THAT(why(), testing::HasSubstr(because));
    row = good;
  };
  refused([](auto& r) { r.suspect = "abnormal"; }, "suspect");
  refused([](auto& r) { r.retrained = true; }, "retrained");
  refused([](auto& r) { r.technique = "qat"; }, "retrained");
  refused([](auto& r) { r.technique = "other-quantization"; }, "not named");
  refused([](auto& r) { r.technique = "joint"; }, "several techniques");
  refused([](auto& r) { r.kv_bits = 4; }, "KV cache");
  refused([](auto& r) { r.baseline = 0.28; }, "within five points of guessing");
  refused([](auto& r) { r.baseline = 0; }, "not positive");
  refused([](auto& r) { r.value = -1; }, "not positive");
  refused([](auto& r) { r.baseline = std::numeric_limits<double>::quiet_NaN(); }, "not positive");
  refused([](auto& r) { r.value = std::numeric_limits<double>::infinity(); }, "not a finite number");
  refused([](auto& r) { r.metric_kind = "divergence"; }, "divergence");
  refused([](auto& r) { r.metric = "attack_success_rate"; }, "does not measure a task");
  refused([](auto& r) { r.higher_is_better = false; }, "lower is better");
  refused([](auto& r) { r.weight_bits.reset(); }, "weight bits");
  refused([](auto& r) { r.activation_bits.reset(); }, "activation bits");
  refused([](auto& r) { r.weight_bits = 16; }, "nothing was compressed");
  refused([](auto& r) { r.sparsity = 0.5, r.sparsity_of = "rank"; }, "sparsity of rank");
  refused([](auto& r) { r.metric_kind = "perplexity", r.value = 0; }, "perplexity of 0");
}

TEST(TreatmentOf, VariantsAndRowsMeanTheSame) {
  const auto m = llama_8b();
  const auto t = treatment_of(as(m, "gptq", "W4A16-g128", "compressed-tensors", "vllm"));
  EXPECT_EQ(t.group, 128);
  EXPECT_EQ(t.weight_bits, 4);
  EXPECT_EQ(treatment_of(as(m, "rtn", "W8A16-channel", "compressed-tensors", "vllm")).group, -1);
  EXPECT_EQ(treatment_of(as(m, "gguf-legacy", "Q4_0", "gguf", "llama.cpp")).technique, "rtn");
  EXPECT_EQ(treatment_of(as(m, "nvfp4", "W4A4-nvfp4", "compressed-tensors", "vllm")).grid, "nvfp4");
  EXPECT_THROW(treatment_of(as(m, "gptq", "four bits", "", "")), Error);
}

}  // namespace
}  // namespace advisor
