#include "recommend/evidence_counts.h"

#include <gtest/gtest.h>

#include "fixture.h"

namespace advisor {
namespace {

Variant variant(const char* technique, const char* scheme, double sparsity = 0, const char* pattern = "") {
  Variant v;
  v.technique = technique, v.scheme = scheme, v.sparsity = sparsity, v.pattern = pattern;
  return v;
}

QualityMeasurement pruned(const char* technique, const char* pattern, const char* kind) {
  auto row = measured("p", technique, "W16A16", 16, 0.9);
  row.sparsity = 0.5, row.pattern = pattern, row.metric_kind = kind;
  if (row.metric_kind == "perplexity") row.task = "wikitext2", row.family = "language_modelling";
  return row;
}

Knowledge world() {
  auto knowledge = small_knowledge();
  for (const char* technique : {"wanda", "owl"}) knowledge.quality.push_back(pruned(technique, "2:4", "perplexity"));
  knowledge.quality.push_back(pruned("sparsegpt", "unstructured", "proportion"));
  auto chat = measured("c", "gptq", "W4A16-g128", 4, 0.9);
  chat.task = "chat";
  knowledge.quality.push_back(chat);
  return knowledge;
}

TEST(EvidenceCounts, CountTheNarrowestGroupThatWasMeasured) {
  const EvidenceCounts counts(world());
  const auto rtn = counts.of(variant("rtn", "W4A16-g128"));
  ASSERT_TRUE(rtn);
  EXPECT_EQ(rtn->accuracies, 5);
  EXPECT_EQ(rtn->knowledge, 5);
  EXPECT_EQ(counts.of(variant("gguf-legacy", "Q4_0"))->accuracies, 5) << "rounds to nearest";
  EXPECT_EQ(counts.of(variant("rtn", "W2A16-g128"))->accuracies, 10) << "of the technique at any bits";
  EXPECT_EQ(counts.of(variant("hqq", "W4A16-g128"))->accuracies, 11) << "of any technique at these bits";
  EXPECT_FALSE(counts.of(variant("hqq", "W3A16-g128")));
  EXPECT_FALSE(counts.of(variant("none", "W16A16")));
}

TEST(EvidenceCounts, TellPerplexitiesFromAccuraciesAndFactsFromTheRest) {
  const EvidenceCounts counts(world());
  EXPECT_TRUE(counts.of(variant("wanda", "W16A16", 0.5, "2:4"))->perplexity_only());
  EXPECT_FALSE(counts.of(variant("sparsegpt", "W16A16", 0.5, "unstructured"))->perplexity_only());
  const auto gptq = counts.of(variant("gptq", "W4A16-g128"));
  EXPECT_EQ(gptq->accuracies, 1);
  EXPECT_EQ(gptq->knowledge, 0);
  EXPECT_FALSE(gptq->perplexity_only());
}

TEST(EvidenceCounts, OfSeveralPartsTheWeakestSpeaks) {
  const EvidenceCounts counts(world());
  const auto both = counts.of(std::vector{variant("rtn", "W4A16-g128"), variant("wanda", "W16A16", 0.5, "2:4")});
  ASSERT_TRUE(both);
  EXPECT_EQ(both->knowledge, 0);
  EXPECT_TRUE(both->perplexity_only());
  EXPECT_FALSE(counts.of(std::vector<Variant>{}));
}

TEST(EvidenceCounts, LeaveOutWhatDoesNotSpeakOfTheTechniqueAlone) {
  auto knowledge = world();
  const auto before = EvidenceCounts(knowledge).of(variant("rtn", "W4A16-g128"))->accuracies;
  for (int what = 0; what < 4; ++what) {
    auto row = measured("x", "rtn", "W4A16-g128", 4, 0.9);
    if (what == 0) row.suspect = "yes";
    if (what == 1) row.retrained = true;
    if (what == 2) row.kv_bits = 8;
    if (what == 3) row.metric_kind = "divergence";
    knowledge.quality.push_back(row);
  }
  EXPECT_EQ(EvidenceCounts(knowledge).of(variant("rtn", "W4A16-g128"))->accuracies, before);
}

}  // namespace
}  // namespace advisor
