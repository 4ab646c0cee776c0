#include "recommend/pooled_quality.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

namespace advisor {
namespace {

QualityMeasurement row(const char* model, const char* task, const char* family, double baseline, double value) {
  QualityMeasurement r;
  r.source = std::string("source of ") + model, r.model = model, r.technique = "kv-quant", r.scheme = "W16A16";
  r.kv_bits = 8, r.weight_bits = 16, r.task = task, r.family = family, r.metric = "acc", r.metric_kind = "proportion";
  r.baseline = baseline, r.value = value;
  return r;
}

Knowledge caches(std::initializer_list<std::pair<const char*, double>> studies) {
  Knowledge k;
  k.tasks = {{"mmlu", "benchmark", "knowledge", 0.25, true, ""}};
  for (const auto& [model, kept] : studies)
    k.quality.push_back(row(model, "mmlu", "knowledge", 0.65, 0.25 + 0.4 * kept));
  return k;
}

TEST(PooledQuality, OneStudyIsNotEnough) {
  EXPECT_EQ(PooledQuality(caches({})).cache(8, "knowledge"), nullptr);
  EXPECT_EQ(PooledQuality(caches({{"a", 0.99}})).cache(8, "knowledge"), nullptr);
  EXPECT_EQ(PooledQuality(caches({{"a", 0.99}, {"a", 0.98}})).cache(8, ""), nullptr) << "one model is one study";
}

TEST(PooledQuality, RecoveryIsAboveChanceAndAGainIsNoise) {
  const PooledQuality pooled(caches({{"a", 0.98}, {"b", 1.0}, {"c", 0.99}}));
  const auto* kept = pooled.cache(8, "knowledge");
  ASSERT_NE(kept, nullptr);
  EXPECT_NEAR(kept->recovery.mean, 0.99, 1e-9);
  EXPECT_NEAR(kept->recovery.sd, 0.01 * std::sqrt(4.0 / 3), 1e-9) << "of one more study";
  EXPECT_EQ(kept->recovery.df, 2);
  EXPECT_EQ(kept->rows, 3);
  EXPECT_EQ(kept->sources.size(), 3U);
  const PooledQuality gains(caches({{"a", 1.02}, {"b", 1.03}, {"c", 1.04}}));
  EXPECT_EQ(gains.cache(8, "knowledge")->recovery.mean, 1);
}

TEST(PooledQuality, FewStudiesOfAFamilyLeaveTheWordToAll) {
  auto knowledge = caches({{"a", 0.98}, {"b", 1.0}, {"c", 0.99}});
  knowledge.quality.push_back(row("d", "gsm8k", "math", 0.5, 0.4));
  const PooledQuality pooled(knowledge);
  EXPECT_EQ(pooled.cache(8, "math")->rows, 4);
  EXPECT_EQ(pooled.cache(8, "knowledge")->rows, 3);
  EXPECT_EQ(pooled.cache(4, "knowledge"), nullptr);
}

TEST(PooledQuality, WhatCannotBeComparedIsLeftOut) {
  auto knowledge = caches({{"a", 0.98}, {"b", 1.0}});
  knowledge.quality[0].suspect = "typo";
  EXPECT_EQ(PooledQuality(knowledge).cache(8, ""), nullptr);
  knowledge = caches({{"a", 0.98}, {"b", 1.0}});
  knowledge.quality[0].weight_bits = 4;
  EXPECT_EQ(PooledQuality(knowledge).cache(8, ""), nullptr) << "the weights lost something too";
  knowledge = caches({{"a", 0.98}, {"b", 1.0}});
  knowledge.quality[0].metric_kind = "perplexity";
  EXPECT_EQ(PooledQuality(knowledge).cache(8, ""), nullptr);
}

TEST(PooledQuality, RetrainedCheckpointsAreJudgedByTheirOwnMeasurements) {
  auto knowledge = caches({{"a", 0.9}, {"b", 0.92}, {"c", 0.94}});
  for (auto& r : knowledge.quality) r.technique = "qat", r.kv_bits.reset(), r.weight_bits = 4, r.retrained = true;
  for (const double kept : {0.97, 0.98, 0.99}) {
    auto own = knowledge.quality.front();
    own.model = "mine", own.value = 0.25 + 0.4 * kept;
    knowledge.quality.push_back(own);
  }
  const PooledQuality pooled(knowledge);
  EXPECT_EQ(pooled.retrained(4, "mine", "knowledge")->basis, Basis::measured);
  EXPECT_NEAR(pooled.retrained(4, "mine", "knowledge")->recovery.mean, 0.98, 1e-9);
  EXPECT_EQ(pooled.retrained(4, "other", "knowledge")->basis, Basis::transferred);
  EXPECT_EQ(pooled.retrained(2, "mine", "knowledge"), nullptr);
}

TEST(PooledQuality, OrderOfRowsChangesNothing) {
  auto knowledge = caches({{"a", 0.981}, {"b", 1.003}, {"c", 0.992}, {"a", 0.977}, {"b", 0.995}, {"d", 0.97}});
  const PooledQuality before(knowledge);
  std::mt19937 random(5);
  for (int i = 0; i < 5; ++i) {
    std::shuffle(knowledge.quality.begin(), knowledge.quality.end(), random);
    const PooledQuality after(knowledge);
    EXPECT_EQ(after.cache(8, "knowledge")->recovery.mean, before.cache(8, "knowledge")->recovery.mean);
    EXPECT_EQ(after.cache(8, "knowledge")->recovery.sd, before.cache(8, "knowledge")->recovery.sd);
  }
}

}  // namespace
}  // namespace advisor
