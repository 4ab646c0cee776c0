#include "estimate/speed_fit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "estimate/weights.h"
#include "fixture.h"

namespace advisor {
namespace {

/// Three sources that measured two models in two formats on a machine with η 0.7 and 0.12 ms per layer.
Knowledge world() {
  Knowledge knowledge;
  knowledge.models = {llama_8b(), llama_70b()};
  knowledge.devices = {a100().device};
  for (const char* source : {"s", "t", "u"})
    for (const auto& model : knowledge.models)
      for (const auto& [format, bits, scheme] :
           {std::tuple{"bf16", 16.0, "W16A16"}, std::tuple{"W4A16-GPTQ", 4.0, "W4A16-g128"}}) {
        if (model.layers == 80 && bits > 4) continue;
        SpeedMeasurement r;
        r.source = source, r.model = model.id, r.format = format, r.weight_bits = bits;
        r.engine = "vllm", r.engine_version = source == std::string("t") ? "0.20.1" : "0.9.2", r.hardware = "a100";
        r.concurrency = 1, r.load = "1", r.input_tokens = 1, r.output_tokens = 16, r.metric = "decode_tok_s";
        const auto weights = estimate_weights(model, as(model, "rtn", scheme, "compressed-tensors", "vllm"));
        r.value = 1 / (weights->read_bytes / (0.7 * 2.039e12) + 1.2e-4 * static_cast<double>(*model.layers));
        knowledge.speed.push_back(r);
      }
  return knowledge;
}

const FittedTerm* find(const std::vector<FittedTerm>& terms, const std::string& term, const std::string& level) {
  const auto found =
      std::find_if(terms.begin(), terms.end(), [&](const auto& t) { return t.term == term && t.level == level; });
  return found == terms.end() ? nullptr : &*found;
}

TEST(SpeedFit, FindsWhatMadeTheRows) {
  const auto terms = fit_speed(world());
  const auto* memory = find(terms, "memory efficiency", "4|vllm|new|hbm|16");
  const auto* device = find(terms, "memory efficiency, device", "1|a100");
  ASSERT_TRUE(memory && device);
  EXPECT_NEAR(1 / (1 + std::exp(-memory->value - device->value)), 0.7, 0.07);
  EXPECT_EQ(memory->rows, 3);
  EXPECT_EQ(memory->sources, (std::vector<std::string>{"s", "t", "u"}));
  const auto* launch = find(terms, "launch time", "4|vllm|new|hbm|graph");
  ASSERT_TRUE(launch);
  EXPECT_NEAR(std::exp(launch->value), 1.2e-4, 0.3e-4);
}

TEST(SpeedFit, LeadingLevelsAreWider) {
  const auto terms = fit_speed(world());
  double last = 0;
  for (const char* level : {"4|vllm|new|hbm|16", "3|vllm|new|hbm", "2|vllm|new", "1|vllm", "0"}) {
    const auto* term = find(terms, "memory efficiency", level);
    ASSERT_TRUE(term) << level;
    EXPECT_GT(term->sd, last) << level;
    last = term->sd;
  }
}

TEST(SpeedFit, RowsInAnyOrderGiveTheSameBytes) {
  auto knowledge = world();
  const auto terms = fit_speed(knowledge);
  std::reverse(knowledge.speed.begin(), knowledge.speed.end());
  EXPECT_EQ(fit_speed(knowledge), terms);
  std::rotate(knowledge.speed.begin(), knowledge.speed.begin() + 3, knowledge.speed.end());
  EXPECT_EQ(fit_speed(knowledge), terms);
}

TEST(SpeedFit, MoreRowsSharpenTheLevel) {
  auto knowledge = world();
  const double before = find(fit_speed(knowledge), "memory efficiency", "4|vllm|new|hbm|16")->sd;
  auto extra = knowledge.speed;
  for (auto& r : extra) r.source += "2";
  knowledge.speed.insert(knowledge.speed.end(), extra.begin(), extra.end());
  EXPECT_LT(find(fit_speed(knowledge), "memory efficiency", "4|vllm|new|hbm|16")->sd, before);
}

TEST(SpeedFit, RecordedAndRefusedRowsAreNotInIt) {
  auto knowledge = world();
  const auto terms = fit_speed(knowledge);
  auto recorded = knowledge.speed.front(), suspect = recorded;
  recorded.recorded = "2026-11-23", recorded.value *= 3;
  suspect.suspect = "mislabelled", suspect.value *= 3;
  knowledge.speed.insert(knowledge.speed.end(), {recorded, suspect});
  EXPECT_EQ(fit_speed(knowledge), terms);
}

TEST(SpeedFit, TheNewestVersionCountsByNumber) {
  EXPECT_TRUE(find(fit_speed(world()), "engine version", "vllm|0.20.1"));
}

TEST(SpeedFit, AnOutlierHardlyMoves) {
  auto knowledge = world();
  const double before = find(fit_speed(knowledge), "memory efficiency", "3|vllm|new|hbm")->value;
  auto wild = knowledge.speed.front();
  wild.source = "w", wild.value /= 20;  // weights in main memory, say
  knowledge.speed.push_back(wild);
  EXPECT_NEAR(find(fit_speed(knowledge), "memory efficiency", "3|vllm|new|hbm")->value, before, 0.25);
}

TEST(SpeedFit, SpreadsAreOfEveryKindAndEitherAddOrNarrow) {
  auto knowledge = world();
  for (const double scatter : {0.0, 0.5}) {
    std::int64_t turn = 0;
    for (auto& row : knowledge.speed) row.value *= 1 + scatter * static_cast<double>(turn++ % 3);
    const auto terms = fit_speed(knowledge);
    for (const char* key : {"single", "single|vllm"}) {
      const auto *added = find(terms, "spread", key), *share = find(terms, "spread share", key);
      ASSERT_TRUE(added && share) << key;
      EXPECT_GT(share->value, 0) << key;
      EXPECT_LE(share->value, 1) << key;
      EXPECT_TRUE(added->value == 0 || share->value == 1) << key;
      if (scatter > 0) {
        EXPECT_GT(added->value, 0) << "sources differ by more than noise and parameters: " << key;
      }
    }
    if (scatter == 0) {
      EXPECT_LT(find(terms, "spread share", "single")->value, 1) << "sources agree better than noise says";
    }
  }
}

TEST(SpeedFit, SourcesOfOnePublisherAreLeftOutTogether) {
  auto knowledge = world();
  std::int64_t turn = 0;
  for (auto& row : knowledge.speed) row.value *= 1 + 0.5 * static_cast<double>(turn++ % 3);
  const double apart = find(fit_speed(knowledge), "spread", "single")->value;
  for (const char* id : {"s", "t", "u"}) {
    Source source;
    source.id = id, source.publisher = "P";
    knowledge.sources.push_back(source);
  }
  const auto terms = fit_speed(knowledge);
  const auto* spread = find(terms, "spread", "single");
  EXPECT_NE(spread->value, apart) << "nothing is left to predict them from";
  EXPECT_EQ(spread->sources.size(), 3u);
}

TEST(SpeedFit, ALargeTableDoesNotOutvoteManySmallOnes) {
  auto knowledge = world();
  const double before = find(fit_speed(knowledge), "memory efficiency", "4|vllm|new|hbm|16")->value;
  auto odd = knowledge.speed.front();
  odd.source = "odd", odd.value *= 0.8;
  knowledge.speed.push_back(odd);
  for (int i = 0; i < 199; ++i) knowledge.speed.push_back(odd);
  const double table = find(fit_speed(knowledge), "memory efficiency", "4|vllm|new|hbm|16")->value;
  for (std::size_t i = 1; i < 200; ++i) knowledge.speed[knowledge.speed.size() - i].source += std::to_string(i);
  const double tables = find(fit_speed(knowledge), "memory efficiency", "4|vllm|new|hbm|16")->value;
  EXPECT_LT(table, before);
  EXPECT_LT(tables, table) << "two hundred that agree are another matter";
}

TEST(SpeedFit, NothingMeasuredIsJustThePrior) {
  const auto terms = fit_speed(Knowledge{});
  EXPECT_FALSE(find(terms, "memory efficiency", "1|vllm"));
  for (const auto& term : terms) EXPECT_EQ(term.rows, 0);
}

}  // namespace
}  // namespace advisor
