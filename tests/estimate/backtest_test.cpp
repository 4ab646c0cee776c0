// Leaving out really leaves out; baselines and figures as worked out by hand.
#include "estimate/backtest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "estimate/backtest_baselines.h"
#include "estimate/backtest_score.h"
#include "estimate/fits.h"
#include "estimate/quality_case.h"
#include "estimate/speed_case.h"
#include "fixture.h"

namespace advisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

QualityMeasurement accuracy(const std::string& source, const std::string& model, double bits, double value) {
  QualityMeasurement row;
  row.source = source, row.model = model;
  row.technique = "rtn";
  row.format = row.scheme = bits == 4 ? "W4A16" : "W8A16";
  row.weight_bits = bits, row.activation_bits = 16;
  row.task = "mmlu", row.family = "knowledge", row.metric = "acc", row.metric_kind = "proportion";
  row.baseline = 0.75, row.value = value;  // recovery = (value - 0.25) / 0.5
  return row;
}

SpeedMeasurement decode(const std::string& source, const std::string& model, double bits, double value) {
  SpeedMeasurement row;
  row.source = source, row.model = model;
  row.format = bits == 4 ? "W4A16" : "bf16";
  row.weight_bits = bits;
  row.engine = "vllm", row.hardware = "a100", row.metric = "decode_tok_s";
  row.load = "1", row.concurrency = 1, row.input_tokens = 128, row.output_tokens = 128;
  row.value = value;
  return row;
}

/// Three sources, two models, two formats, quality and speed.
Knowledge small() {
  Knowledge k;
  k.models = {llama_8b(), llama_70b()};
  k.devices = {a100().device};
  k.families = {{"knowledge", "facts", ""}};
  k.tasks = {{"mmlu", "benchmark", "knowledge", 0.25, true}};
  const std::string small = llama_8b().id, large = llama_70b().id;
  k.quality = {accuracy("a", small, 4, 0.74), accuracy("a", large, 4, 0.745), accuracy("b", small, 4, 0.73),
               accuracy("b", large, 4, 0.74), accuracy("c", small, 4, 0.72),  accuracy("c", small, 8, 0.75),
               accuracy("c", large, 8, 0.75)};
  k.speed = {decode("a", small, 16, 100), decode("a", large, 4, 40),  decode("b", small, 16, 90),
             decode("b", small, 4, 200),  decode("c", small, 16, 80), decode("c", large, 4, 36)};
  return k;
}

BacktestRequest everything(const Knowledge& k) {
  BacktestRequest request;
  request.quality = k.quality, request.speed = k.speed;
  return request;
}

std::vector<const BacktestRow*> rows_of(const BacktestReport& report, const std::string& source,
                                        const std::string& measure) {
  std::vector<const BacktestRow*> rows;
  for (const auto& row : report.scored)
    if (row.source == source && row.kind->measure == measure) rows.push_back(&row);
  return rows;
}

bool same_answer(const BacktestRow& a, const BacktestRow& b) {
  return a.predicted == b.predicted && a.prediction.mean == b.prediction.mean && a.prediction.sd == b.prediction.sd &&
         a.prediction.df == b.prediction.df && a.basis == b.basis && a.baselines == b.baselines;
}

TEST(Backtest, EveryRowIsScoredOrCounted) {
  Knowledge k = small();
  k.quality[3].suspect = "flagged";
  k.speed[1].hardware = "";
  const auto report = backtest(k, everything(k));
  EXPECT_EQ(report.rows, 13);
  EXPECT_THAT(report.scored, SizeIs(11));
  std::int64_t unscored = 0;
  for (const auto& [why, rows] : report.unscored) unscored += rows;
  EXPECT_EQ(unscored, 2);
  EXPECT_EQ(report.folds, 6);
  EXPECT_GE(std::count_if(report.scored.begin(), report.scored.end(), [](const auto& row) { return row.predicted; }),
            9);
  for (const auto& row : report.scored) {
    EXPECT_TRUE(row.known);
    EXPECT_EQ(row.probability, row.predicted ? row.prediction.probability_below(row.observed) : 0.5);
  }
}

TEST(Backtest, WhatASourceMeasuredDoesNotReachItsOwnPredictions) {
  Knowledge k = small();
  const auto before = backtest(k, everything(k));
  for (auto& row : k.quality)
    if (row.source == "a") row.value = 0.30;
  for (auto& row : k.speed)
    if (row.source == "a") row.value *= 0.2;
  const auto after = backtest(k, everything(k));
  for (const std::string measure : {"accuracy", "speed"}) {
    const auto own_before = rows_of(before, "a", measure), own_after = rows_of(after, "a", measure);
    ASSERT_THAT(own_before, SizeIs(2));
    for (std::size_t i = 0; i < own_before.size(); ++i) {
      EXPECT_TRUE(same_answer(*own_before[i], *own_after[i])) << measure << " " << i;
      EXPECT_NE(own_before[i]->observed, own_after[i]->observed);
    }
    const auto other_before = rows_of(before, "b", measure), other_after = rows_of(after, "b", measure);
    ASSERT_THAT(other_before, SizeIs(2));
    EXPECT_FALSE(same_answer(*other_before[0], *other_after[0])) << "the poison must be strong enough to be noticed";
  }
}

TEST(Backtest, ByModelLeavesTheModelOutOfEverySource) {
  Knowledge k = small();
  auto request = everything(k);
  request.left_out = LeftOut::model;
  const auto before = backtest(k, request);
  for (auto& row : k.quality)
    if (row.model == llama_70b().id) row.value = 0.30;
  const auto after = backtest(k, [&] {
    auto poisoned = everything(k);
    poisoned.left_out = LeftOut::model;
    return poisoned;
  }());
  EXPECT_EQ(before.folds, 4);
  for (std::size_t i = 0; i < before.scored.size(); ++i) {
    if (std::string(before.scored[i].kind->measure) != "accuracy") continue;
    EXPECT_EQ(same_answer(before.scored[i], after.scored[i]), before.scored[i].model == llama_70b().id) << i;
  }
}

TEST(Backtest, StoredTermsAreNotUsedWhereSomethingIsLeftOut) {
  Knowledge k = small();
  const auto before = backtest(k, everything(k));
  k.fits = fit_all(k);  // of all sources
  const auto after = backtest(k, everything(k));
  for (std::size_t i = 0; i < before.scored.size(); ++i)
    EXPECT_TRUE(same_answer(before.scored[i], after.scored[i])) << i;
}

TEST(Backtest, UnknownSourcesArePredictedWithEverything) {
  const Knowledge k = small();
  BacktestRequest request;
  request.quality = {accuracy("new", llama_8b().id, 4, 0.73)};
  const auto report = backtest(k, request);
  ASSERT_THAT(report.scored, SizeIs(1));
  EXPECT_FALSE(report.scored[0].known);
  const auto direct = QualityEstimator(k).predict(*QualityCases(k).read(request.quality[0]));
  ASSERT_TRUE(direct);
  EXPECT_EQ(report.scored[0].prediction.mean, direct->distribution.mean);
  EXPECT_NEAR(*report.scored[0].baselines[0], (0.98 + 0.99 + 0.96 + 0.98 + 0.94) / 5, 1e-12);
}

TEST(Backtest, ThreadsDoNotChangeTheResult) {
  const Knowledge k = small();
  auto request = everything(k);
  request.threads = 1;
  const auto one = backtest(k, request);
  for (const int threads : {0, 2, 7}) {
    request.threads = threads;
    const auto many = backtest(k, request);
    ASSERT_EQ(one.scored.size(), many.scored.size());
    for (std::size_t i = 0; i < one.scored.size(); ++i)
      EXPECT_TRUE(same_answer(one.scored[i], many.scored[i])) << threads << " threads, row " << i;
  }
}

TEST(Backtest, ProgressCountsFoldsAndCanCancel) {
  const Knowledge k = small();
  std::vector<std::int64_t> seen;
  backtest(k, everything(k), [&](std::int64_t done, std::int64_t total) {
    EXPECT_EQ(total, 6);
    seen.push_back(done);
    return true;
  });
  EXPECT_THAT(seen, ElementsAre(1, 2, 3, 4, 5, 6));
  try {
    backtest(k, everything(k), [](std::int64_t, std::int64_t) { return false; });
    FAIL() << "not cancelled";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::cancelled);
  }
}

TEST(Backtest, NothingAskedIsAnEmptyReport) {
  const auto report = backtest(small(), {});
  EXPECT_TRUE(report.scored.empty());
  EXPECT_EQ(report.folds, 0);
  EXPECT_EQ(score_overall(report).score.n, 0);
}

TEST(BacktestBaselines, FlatLossIsTheMeanOfTheOtherSources) {
  const Knowledge k = small();
  const auto report = backtest(k, everything(k));
  const auto a = rows_of(report, "a", "accuracy"), c = rows_of(report, "c", "accuracy");
  // Recoveries at 4 bits: a 0.98 0.99, b 0.96 0.98, c 0.94; at 8 bits: c 1 1.
  EXPECT_NEAR(*a[0]->baselines[0], (0.96 + 0.98 + 0.94) / 3, 1e-12);
  EXPECT_NEAR(*a[0]->baselines[1], 0.96, 1e-12);
  EXPECT_NEAR(*c[0]->baselines[0], (0.98 + 0.99 + 0.96 + 0.98) / 4, 1e-12);
  // Nobody else has 8 bits: all rows.
  EXPECT_NEAR(*c[1]->baselines[0], (0.98 + 0.99 + 0.96 + 0.98) / 4, 1e-12);
}

TEST(BacktestBaselines, RooflineHasOneFactorPerEngineAndHardware) {
  Knowledge k = small();
  k.speed = {decode("a", llama_8b().id, 16, 100), decode("b", llama_8b().id, 16, 50),
             decode("c", llama_8b().id, 16, 40), decode("d", llama_8b().id, 16, 80)};
  const auto report = backtest(k, everything(k));
  // Same bytes, so the factors are to each other as the rates: median of 50, 40, 80.
  EXPECT_NEAR(std::exp(*rows_of(report, "a", "speed")[0]->baselines[0]), 50, 1e-9);
  EXPECT_NEAR(std::exp(*rows_of(report, "b", "speed")[0]->baselines[0]), 80, 1e-9);
}

SpeedCase question(const std::string& quantity, const std::string& engine, std::int64_t devices, Load load) {
  SpeedCase c;
  c.model = llama_8b();
  c.variant = as(c.model, "none", "W16A16", "safetensors", engine.c_str());
  c.hardware = a100(devices);
  c.quantity = quantity, c.load = load;
  return c;
}

TEST(BacktestBaselines, IdealSpeedIsTheRoofline) {
  const auto ideal = [](const SpeedCase& c) { return std::exp(ideal_speed(c).value()); };
  const Load one{1000, 100, 1}, many{1000, 100, 4};
  // 2 bytes a parameter at 2039 GB/s: bandwidth / bytes; what is read per token is close to 16 GB.
  const double rate = ideal(question("decode", "vllm", 1, one));
  EXPECT_NEAR(rate, 2.039e12 / 16.0e9, 0.1 * rate);
  EXPECT_NEAR(ideal(question("tpot", "vllm", 1, one)), 1 / rate, 1e-12);
  EXPECT_NEAR(ideal(question("decode", "vllm", 1, many)), 4 * rate, 1e-9);
  EXPECT_NEAR(ideal(question("decode", "vllm", 2, one)), 2 * rate, 1e-9);
  EXPECT_NEAR(ideal(question("decode", "llama.cpp", 2, one)), rate, 1e-9) << "layers are split";
  // 2 operations a parameter and token at 312 Tflop/s.
  const double first = ideal(question("ttft", "vllm", 1, one));
  EXPECT_NEAR(first, 2 * 8.0e9 * 1000 / 312e12, 0.1 * first);
  EXPECT_NEAR(ideal(question("prefill", "vllm", 1, one)), 1000 / first, 1e-6);
  auto unknown = question("decode", "vllm", 1, one);
  unknown.hardware.device.bandwidth.reset();
  EXPECT_FALSE(ideal_speed(unknown));
}

TEST(BacktestBaselines, FiguresFallBackToOuterKeys) {
  GroupedFigures figures;
  for (const double value : {1.0, 2.0, 9.0}) figures.add({"x|inner", "x"}, value);
  figures.add({"y|inner", "y"}, 5);
  figures.finish();
  EXPECT_EQ(figures.mean({"x|inner", "x"}), 4);
  EXPECT_EQ(figures.median({"x|inner", "x"}), 2);
  EXPECT_EQ(figures.mean({"z|inner", "y"}), 5);
  EXPECT_FALSE(figures.mean({"z|inner", "z"}));
}

TEST(BacktestBaselines, Median) {
  EXPECT_EQ(median_of({3, 1, 2}), 2);
  EXPECT_EQ(median_of({4, 1, 3, 2}), 2.5);
  EXPECT_EQ(median_of({7}), 7);
}

const BacktestKind& kind(const std::string& id) {
  return *std::find_if(backtest_kinds().begin(), backtest_kinds().end(), [&](const auto& k) { return id == k.id; });
}

/// Predicted 0 with scale 1 and one degree of freedom (Cauchy), whose quantiles are tangents.
BacktestRow cauchy(const std::string& kind_id, double observed, double baseline) {
  BacktestRow row;
  row.kind = &kind(kind_id);
  row.source = "s", row.family = "knowledge";
  row.observed = observed;
  row.predicted = true;
  row.prediction = {0, 1, 1};
  row.probability = row.prediction.probability_below(observed);
  row.baselines = {baseline, std::nullopt};
  return row;
}

TEST(BacktestScores, FiguresWorkedOutByHand) {
  // Central Cauchy intervals: 50 % reaches 1, 80 % tan(0.4 pi) = 3.078, 90 % tan(0.45 pi) = 6.314.
  std::vector<BacktestRow> rows{cauchy("accuracy", 0.5, 1), cauchy("accuracy", 2, 1), cauchy("accuracy", -5, 1),
                                cauchy("accuracy", 7, 1)};
  rows.push_back(cauchy("accuracy", 1, 1));
  rows.back().predicted = false;
  std::vector<const BacktestRow*> pointers;
  for (const auto& row : rows) pointers.push_back(&row);
  const auto s = score(pointers);
  EXPECT_EQ(s.n, 5);
  EXPECT_EQ(s.predicted, 4);
  EXPECT_NEAR(s.mae, (0.5 + 2 + 5 + 7) / 4, 1e-12);
  EXPECT_NEAR(s.median_ae, 3.5, 1e-12);
  EXPECT_NEAR(s.bias, -(0.5 + 2 - 5 + 7) / 4, 1e-12);
  EXPECT_DOUBLE_EQ(s.coverage50, 0.25);
  EXPECT_DOUBLE_EQ(s.coverage80, 0.5);
  EXPECT_DOUBLE_EQ(s.coverage90, 0.75);
  EXPECT_NEAR(s.width90, 2 * std::tan(0.45 * M_PI), 1e-9);
  // Density 1 / (pi (1 + x^2)).
  EXPECT_NEAR(s.log_score, -std::log(M_PI) - (std::log(1.25) + std::log(5) + std::log(26) + std::log(50)) / 4, 1e-9);
  ASSERT_THAT(s.baselines, SizeIs(2));
  EXPECT_EQ(s.baselines[0].n, 4);
  EXPECT_NEAR(s.baselines[0].mae, (0.5 + 1 + 6 + 6) / 4, 1e-12);
  EXPECT_NEAR(s.baselines[0].median_ae, 3.5, 1e-12);
  EXPECT_NEAR(s.baselines[0].skill_mean, 14.5 / 13.5, 1e-12);
  EXPECT_EQ(s.baselines[1].n, 0);
}

TEST(BacktestScores, SpeedErrorsAreRelative) {
  std::vector<BacktestRow> rows{cauchy("decode_dense", std::log(2), std::log(4)),
                                cauchy("decode_dense", std::log(0.5), 0)};
  rows[0].baselines.resize(1), rows[1].baselines.resize(1);
  const auto s = score({&rows[0], &rows[1]});
  EXPECT_NEAR(s.mae, (0.5 + 1) / 2, 1e-12);  // 1 instead of 2, 1 instead of 0.5
  EXPECT_NEAR(s.bias, 0, 1e-12);             // half and twice
  EXPECT_NEAR(s.baselines[0].mae, 1, 1e-12);
}

TEST(BacktestScores, LogScoreHoldsFarOut) {
  const auto row = cauchy("accuracy", 1e100, 0);
  EXPECT_TRUE(std::isfinite(score({&row}).log_score));
}

TEST(BacktestScores, WhereTheErrorIs) {
  BacktestReport report;
  for (int i = 0; i < 20; ++i) {
    report.scored.push_back(cauchy("accuracy", i < 5 ? 9 : 1, 0));
    report.scored.back().format = i < 5 ? "W2A16" : "W4A16";
    report.scored.back().technique = i < 4 ? "rare" : "common";
  }
  const auto shares = error_shares(report);
  ASSERT_THAT(shares, SizeIs(1)) << "the rare technique has too few rows";
  EXPECT_EQ(shares[0].by, "format");
  EXPECT_EQ(shares[0].value, "W2A16");
  EXPECT_EQ(shares[0].rows, 5);
  EXPECT_DOUBLE_EQ(shares[0].share_of_rows, 0.25);
  EXPECT_DOUBLE_EQ(shares[0].share_of_error, 45.0 / 60);
  EXPECT_TRUE(error_shares({}).empty());
}

TEST(BacktestScores, GroupsByKindAndProperty) {
  BacktestReport report;
  report.scored = {cauchy("accuracy", 1, 0), cauchy("accuracy", 2, 0), cauchy("perplexity", 3, 0)};
  report.scored[1].family = "math";
  report.scored[1].kind = &kind("pruning_accuracy");
  EXPECT_THAT(score_kinds(report), SizeIs(3));
  const auto families = score_by(report, "task_family");
  ASSERT_THAT(families, SizeIs(3));
  EXPECT_EQ(families[0].kind, "accuracy");
  EXPECT_EQ(families[1].value, "math");
  const auto overall = score_overall(report);
  EXPECT_EQ(overall.kind, "accuracy");
  EXPECT_EQ(overall.score.n, 2) << "perplexities have another unit";
  for (const auto& property : backtest_properties()) EXPECT_NO_THROW(score_by(report, property)) << property;
  EXPECT_TRUE(score_by(report, "engine").empty()) << "quality rows have no engine";
  try {
    score_by(report, "tecnique");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    EXPECT_THAT(e.what(), HasSubstr("technique"));
  }
}

}  // namespace
}  // namespace advisor
