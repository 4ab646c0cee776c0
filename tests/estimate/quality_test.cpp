#include "estimate/quality.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "estimate/quality_fit.h"
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
  EXPECT_NEAR(kept->recovery.mean, 0.36 / 0.40, 0.005) << "0.61 / 0.65 would be 0.938";
  EXPECT_EQ(kept->basis, Basis::measured);
  EXPECT_GT(kept->recovery.sd, 0.02) << "one row never has zero spread";
  EXPECT_THAT(kept->sources, testing::ElementsAre("s"));
}

TEST_F(Quality, MeasuredComesFirst) {
  for (const char* source : {"a", "b", "c", "d"})
    knowledge.quality.push_back(row(source, "other/7B", 7e9, "gptq", 4, "mmlu", "knowledge", 0.65, 0.60));
  EXPECT_EQ(w4(llama_8b())->basis, Basis::transferred);
  EXPECT_NEAR(w4(llama_8b())->recovery.mean, 0.875, 0.02);
  knowledge.quality.push_back(
      row("e", "meta-llama/Llama-3.1-8B-Instruct", 8e9, "gptq", 4, "mmlu", "knowledge", 0.65, 0.65));
  EXPECT_EQ(w4(llama_8b())->basis, Basis::measured);
  EXPECT_GT(w4(llama_8b())->recovery.mean, 0.93);
  EXPECT_THAT(w4(llama_8b())->sources, testing::ElementsAre("e"));
}

TEST_F(Quality, LargerModelsLoseLess) {
  for (const char* source : {"a", "b", "c", "d"}) {
    knowledge.quality.push_back(row(source, "other/1B", 1e9, "gptq", 4, "mmlu", "knowledge", 0.65, 0.57));
    knowledge.quality.push_back(row(source, "other/7B", 7e9, "gptq", 4, "mmlu", "knowledge", 0.65, 0.61));
    knowledge.quality.push_back(row(source, "other/30B", 30e9, "gptq", 4, "mmlu", "knowledge", 0.65, 0.63));
  }
  EXPECT_GT(w4(llama_70b())->recovery.mean, w4(llama_8b())->recovery.mean);
  Model tiny;
  tiny.id = "tiny", tiny.params = 1e8;
  EXPECT_LT(w4(tiny)->recovery.mean, w4(llama_8b())->recovery.mean);
  EXPECT_GT(w4(tiny)->recovery.sd, w4(llama_8b())->recovery.sd);
}

TEST_F(Quality, PerplexityAloneDoesNotSpeakForKnowledge) {
  auto perplexity =
      row("a", "meta-llama/Llama-3.1-8B-Instruct", 8e9, "gptq", 4, "wikitext2", "language_modelling", 6, 6.1);
  perplexity.metric = "perplexity", perplexity.metric_kind = "perplexity", perplexity.higher_is_better = false;
  knowledge.quality = {perplexity};
  EXPECT_FALSE(w4(llama_8b()));
  const Yardstick text{"wikitext2", "language_modelling", 0};
  const auto m = llama_8b();
  const auto kept =
      QualityEstimator(knowledge).retention(m, as(m, "gptq", "W4A16-g128", "compressed-tensors", "vllm"), text);
  EXPECT_NEAR(kept->recovery.mean, 6 / 6.1, 1e-3);
  EXPECT_EQ(kept->basis, Basis::measured);
}

TEST_F(Quality, UnknownFormatsAreNoEstimate) {
  knowledge.quality = {row("a", "other/7B", 7e9, "gptq", 4, "mmlu", "knowledge", 0.65, 0.61)};
  const auto m = llama_8b();
  const auto ask = [&](const char* technique, const char* scheme, const char* pattern = "", double sparsity = 0) {
    auto v = as(m, technique, scheme, "compressed-tensors", "vllm");
    v.pattern = pattern, v.sparsity = sparsity;
    return QualityEstimator(knowledge).retention(m, v, mmlu);
  };
  EXPECT_TRUE(ask("gptq", "W4A16-g128"));
  EXPECT_TRUE(ask("gptq", "W8A16-channel")) << "more bits lose no more";
  EXPECT_FALSE(ask("gptq", "W3A16-g128")) << "fewer bits than were ever measured";
  EXPECT_FALSE(ask("fp8", "W8A8-fp8"));
  EXPECT_FALSE(ask("sparsegpt", "W16A16", "2:4", 0.5));
}

/// A small world: two techniques, four bit widths, three sizes, three families, six sources that agree up to a
/// per-source factor. Damage = 0.004 * 4^(8 - bits) / 16 ..., so that everything is known.
std::vector<QualityMeasurement> world() {
  std::vector<QualityMeasurement> rows;
  struct Task {
    const char *id, *family;
    double sensitivity;
  };
  for (int source = 0; source < 6; ++source)
    for (const double params : {1e9, 7e9, 30e9})
      for (const double bits : {3.0, 4.0, 8.0})
        for (const char* technique : {"gptq", "rtn"})
          for (const auto& task : {Task{"mmlu", "knowledge", 1.5}, Task{"hellaswag", "commonsense", 1.0}}) {
            const double factor = 1 + 0.1 * (source - 2.5) / 2.5;
            const double damage = 0.02 * std::pow(4, 4 - bits) * std::pow(params / 7e9, -0.3) * task.sensitivity *
                                  (technique[0] == 'r' ? 1.5 : 1) * factor;
            auto r = row(("s" + std::to_string(source)).c_str(),
                         ("model/" + std::to_string(static_cast<int>(params / 1e9)) + "B").c_str(), params, technique,
                         bits, task.id, task.family, 0.75, 0.25 + 0.5 * std::exp(-damage));
            r.scheme = bits == 8 ? "W8A16-channel" : bits == 4 ? "W4A16-g128" : "W3A16-g128";
            rows.push_back(r);
          }
  return rows;
}

struct QualityWorld : Quality {
  QualityWorld() {
    knowledge.tasks.push_back({"hellaswag", "benchmark", "commonsense", 0.25, false});
    knowledge.quality = world();
  }
  Model of_size(const char* id, double params) const {
    Model m;
    m.id = id, m.params = params;
    return m;
  }
  std::optional<Retention> ask(const Model& m, const char* technique, const char* scheme,
                               const Yardstick& yardstick) const {
    return QualityEstimator(knowledge).retention(m, as(m, technique, scheme, "compressed-tensors", "vllm"), yardstick);
  }
};

TEST_F(QualityWorld, TheFitFindsTheWorld) {
  const auto unseen = of_size("unseen/14B", 14e9);
  const double damage = 0.02 * std::pow(2, -0.3) * 1.5;
  EXPECT_NEAR(ask(unseen, "gptq", "W4A16-g128", mmlu)->recovery.mean, std::exp(-damage), 0.004);
  EXPECT_NEAR(ask(unseen, "rtn", "W3A16-g128", mmlu)->recovery.mean, std::exp(-damage * 1.5 * 4), 0.02);
  EXPECT_GT(ask(unseen, "gptq", "W8A16-channel", mmlu)->recovery.mean, 0.998);
}

TEST_F(QualityWorld, UnknownGroundIsWider) {
  const auto known = of_size("model/7B", 7e9), unseen = of_size("unseen/7B", 7e9);
  Model unsized;
  unsized.id = "unseen/x";
  const Yardstick tools{"bfcl_v4", "tool_use", 0.25};
  const auto sd = [&](const Model& m, const char* technique, const Yardstick& y) {
    return ask(m, technique, "W4A16-g128", y)->recovery.sd;
  };
  EXPECT_LT(sd(known, "gptq", mmlu), sd(unseen, "gptq", mmlu)) << "a model";
  EXPECT_LT(sd(unseen, "gptq", mmlu), sd(unsized, "gptq", mmlu)) << "a size";
  EXPECT_LT(sd(unseen, "gptq", mmlu), sd(unseen, "awq", mmlu)) << "a technique";
  const auto share = [&](const Yardstick& y) {  // of what is lost
    const auto kept = ask(unseen, "gptq", "W4A16-g128", y)->recovery;
    return kept.sd / (1 - kept.mean);
  };
  EXPECT_LT(share(mmlu), share({"", "knowledge", 0.25})) << "which task of the family";
  EXPECT_LT(sd(unseen, "gptq", mmlu), sd(unseen, "gptq", tools)) << "a family";
  EXPECT_EQ(ask(unseen, "awq", "W4A16-g128", mmlu)->basis, Basis::modelled);
  EXPECT_EQ(ask(unseen, "gptq", "W4A16-g128", mmlu)->basis, Basis::transferred);
}

TEST_F(QualityWorld, MoreRowsNeverWidenTheirCell) {
  const auto m = of_size("model/7B", 7e9);
  double before = ask(m, "gptq", "W4A16-g128", mmlu)->recovery.sd;
  const double value = 0.25 + 0.5 * ask(m, "gptq", "W4A16-g128", mmlu)->recovery.mean;
  for (const char* source : {"n1", "n2", "n3", "n4"}) {
    knowledge.quality.push_back(row(source, "model/7B", 7e9, "gptq", 4, "mmlu", "knowledge", 0.75, value));
    const double after = ask(m, "gptq", "W4A16-g128", mmlu)->recovery.sd;
    EXPECT_LE(after, before * (1 + 1e-9));
    before = after;
  }
}

TEST_F(QualityWorld, MoreBitsNeverLoseMoreAndMoreSparsityNeverLess) {
  // A few rows that say otherwise: 8 bits of rtn at 80 %.
  for (const char* source : {"x", "y"}) {
    auto bad = row(source, "model/7B", 7e9, "rtn", 8, "mmlu", "knowledge", 0.75, 0.65);
    knowledge.quality.push_back(bad);
    auto pruned = row(source, "model/7B", 7e9, "sparsegpt", 16, "mmlu", "knowledge", 0.75, 0.6);
    pruned.scheme = "W16A16", pruned.group_size.reset(), pruned.pattern = "unstructured", pruned.sparsity = 0.3;
    knowledge.quality.push_back(pruned);
    pruned.sparsity = 0.6, pruned.value = 0.7;
    knowledge.quality.push_back(pruned);
  }
  const auto m = of_size("unseen/7B", 7e9);
  for (const char* technique : {"gptq", "rtn", "awq"}) {
    double kept = 0;
    for (const char* scheme : {"W3A16-g128", "W4A16-g128", "W5A16-g128", "W6A16-g128", "W8A16-g128"}) {
      const auto more = ask(m, technique, scheme, mmlu)->recovery.mean;
      EXPECT_GE(more, kept) << technique << " " << scheme;
      kept = more;
    }
  }
  const QualityEstimator quality(knowledge);
  double kept = 1;
  for (const double sparsity : {0.1, 0.3, 0.5, 0.7, 0.9}) {
    auto v = as(m, "sparsegpt", "W16A16", "safetensors", "vllm");
    v.sparsity = sparsity, v.pattern = "unstructured";
    const auto less = quality.retention(m, v, mmlu)->recovery.mean;
    EXPECT_LE(less, kept);
    kept = less;
  }
}

TEST_F(QualityWorld, OneModelsRowsAndTheFitSuffice) {
  Knowledge whole = knowledge;
  whole.fits = fit_quality(knowledge);
  Knowledge slice = whole;
  std::erase_if(slice.quality, [](const auto& r) { return r.model != "model/7B"; });
  const auto m = of_size("model/7B", 7e9);
  for (const char* scheme : {"W4A16-g128", "W3A16-g128", "W8A16-channel", "W4A16-channel"}) {
    const auto v = as(m, "gptq", scheme, "compressed-tensors", "vllm");
    const auto a = QualityEstimator(whole).retention(m, v, mmlu), b = QualityEstimator(slice).retention(m, v, mmlu);
    EXPECT_EQ(a->recovery.mean, b->recovery.mean);
    EXPECT_EQ(a->recovery.sd, b->recovery.sd);
    EXPECT_EQ(a->how, b->how);
    EXPECT_EQ(a->sources, b->sources);
  }
}

TEST_F(QualityWorld, OwnRowsSharpenAtOnce) {
  knowledge.fits = fit_quality(knowledge);
  const auto m = of_size("mine/7B", 7e9);
  const auto before = ask(m, "gptq", "W4A16-g128", mmlu), other = ask(m, "rtn", "W4A16-g128", mmlu);
  auto own = row("recorded", "mine/7B", 7e9, "gptq", 4, "mmlu", "knowledge", 0.75, 0.70);
  own.recorded = "2026-11-20";
  knowledge.quality.push_back(own);
  const auto after = ask(m, "gptq", "W4A16-g128", mmlu), moved = ask(m, "rtn", "W4A16-g128", mmlu);
  EXPECT_EQ(after->basis, Basis::measured);
  EXPECT_THAT(after->how, testing::HasSubstr("measured here on 2026-11-20"));
  EXPECT_THAT(after->sources, testing::Contains("recorded"));
  EXPECT_LT(std::abs(after->recovery.mean - 0.9), std::abs(before->recovery.mean - 0.9));
  EXPECT_LT(moved->recovery.mean, other->recovery.mean) << "the model is more sensitive than was thought";
  EXPECT_THAT(moved->how, testing::HasSubstr("measured here"));
  EXPECT_EQ(fit_quality(knowledge), knowledge.fits) << "the user's rows are not in the fit";
}

TEST_F(QualityWorld, PreparedPartsGiveTheSameNumbers) {
  const QualityEstimator quality(knowledge);
  for (const char* id : {"model/7B", "unseen/7B"})
    for (const char* technique : {"gptq", "awq", "none"}) {
      const auto m = of_size(id, 7e9);
      const auto v = as(m, technique, "W4A16-g128", "compressed-tensors", "vllm");
      const auto numbers = quality.numbers(quality.prepare(m), quality.prepare(v), quality.prepare(mmlu));
      const auto words = quality.retention(m, v, mmlu);
      EXPECT_EQ(numbers->distribution.mean, words->recovery.mean);
      EXPECT_EQ(numbers->distribution.sd, words->recovery.sd);
      EXPECT_EQ(numbers->basis, words->basis);
      EXPECT_EQ(numbers->rows, words->rows);
    }
}

TEST_F(QualityWorld, NothingIsEstimatedWithoutSources) {
  const QualityEstimator quality(knowledge);
  for (const char* id : {"model/7B", "unseen/7B"})
    for (const char* technique : {"gptq", "awq"})
      for (const char* scheme : {"W3A16-g128", "W4A16-g128", "W6A16-g128"}) {
        const auto m = of_size(id, 7e9);
        const auto kept = quality.retention(m, as(m, technique, scheme, "compressed-tensors", "vllm"), mmlu);
        ASSERT_TRUE(kept);
        EXPECT_GT(kept->rows, 0);
        EXPECT_FALSE(kept->sources.empty());
        EXPECT_FALSE(kept->how.empty());
        EXPECT_GT(kept->recovery.sd, 0);
      }
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

TEST(RelativeToBaseline, ChanceMovesItTowardOne) {
  const auto relative = relative_to_baseline({0.9, 0.02, 5}, 0.65, 0.25);
  EXPECT_NEAR(relative.mean, (0.25 + 0.9 * 0.4) / 0.65, 1e-12);
  EXPECT_NEAR(relative.sd, 0.02 * 0.4 / 0.65, 1e-12);
}

}  // namespace
}  // namespace advisor
