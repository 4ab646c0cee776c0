#include "estimate/quality_calibration.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "estimate/distribution.h"
#include "estimate/quality_fit.h"
#include "estimate/quality_world.h"

namespace advisor {
namespace {

/// Evenly spaced quantiles of what the model promises, times `scale`.
void add(std::vector<HeldOutError>& errors, const std::string& family, const std::string& source, int n, double scale) {
  const Distribution promised{0, 1, 3};
  for (int i = 0; i < n; ++i) errors.push_back({family, source, std::abs(promised.quantile((i + 0.5) / n)) * scale, 3});
}

/// Ten sources that keep the promise in two families.
std::vector<HeldOutError> calm() {
  std::vector<HeldOutError> errors;
  for (int s = 0; s < 10; ++s)
    for (const char* family : {"knowledge", "math"}) add(errors, family, "s" + std::to_string(s), 30, 1);
  return errors;
}

const FittedTerm* of(const std::vector<FittedTerm>& terms, const std::string& level) {
  const auto found = std::find_if(terms.begin(), terms.end(),
                                  [&](const auto& t) { return t.term == "calibration" && t.level == level; });
  return found == terms.end() ? nullptr : &*found;
}

TEST(QualityCalibration, NothingHeldOutIsNoTerm) { EXPECT_TRUE(calibrate_widths({}).empty()); }

TEST(QualityCalibration, WidthsThatHoldStay) {
  const auto terms = calibrate_widths(calm());
  EXPECT_NEAR(of(terms, "knowledge")->value, 1, 0.12);
  EXPECT_GE(of(terms, "all")->value, of(terms, "knowledge")->value) << "a family nobody has seen is less sure";
  EXPECT_EQ(of(terms, "knowledge")->rows, 300);
  EXPECT_EQ(of(terms, "all")->sources.size(), 10);
}

TEST(QualityCalibration, WidthsThatAreWrongEverywhereAreCorrectedEverywhere) {
  for (const double scale : {0.5, 2.0}) {
    auto errors = calm();
    for (auto& e : errors) e.ratio *= scale;
    EXPECT_NEAR(of(calibrate_widths(errors), "all")->value, scale, 0.3 * scale);
  }
}

TEST(QualityCalibration, AFamilyIsTrustedByItsSourcesNotItsRows) {
  auto few = calm(), many = calm();
  add(few, "reading", "big", 400, 2.5);
  for (int s = 0; s < 10; ++s) add(many, "reading", "r" + std::to_string(s), 40, 2.5);
  const auto one = calibrate_widths(few), ten = calibrate_widths(many);
  EXPECT_GT(of(ten, "reading")->value, 1.6) << "over-dispersed, and ten sources say so";
  EXPECT_GT(of(ten, "reading")->value, 1.3 * of(ten, "math")->value);
  EXPECT_LT(of(one, "reading")->value, 0.92 * of(ten, "reading")->value) << "one source is pooled";
  EXPECT_GT(of(one, "reading")->value, of(one, "math")->value) << "though it is heard";
}

TEST(QualityCalibration, SourcesThatDifferWidenTheIntervalOfTheNext) {
  std::vector<HeldOutError> alike, unlike;
  for (int s = 0; s < 12; ++s) {
    add(alike, "code", "s" + std::to_string(s), 30, 1);
    add(unlike, "code", "s" + std::to_string(s), 30, s % 2 ? 3 : 1.0 / 3);
  }
  EXPECT_GT(of(calibrate_widths(unlike), "code")->value, 1.2 * of(calibrate_widths(alike), "code")->value);
  EXPECT_GT(of(calibrate_widths(unlike), "code")->sd, of(calibrate_widths(alike), "code")->sd);
}

TEST(QualityCalibration, OrderChangesNothing) {
  auto errors = calm();
  add(errors, "reading", "big", 40, 2);
  const auto before = calibrate_widths(errors);
  std::reverse(errors.begin(), errors.end());
  EXPECT_EQ(calibrate_widths(errors), before);
}

TEST(QualityCalibration, NoFactorIsBeyondReason) {
  auto errors = calm();
  for (auto& e : errors) e.ratio = 1e6;
  for (const auto& term : calibrate_widths(errors)) EXPECT_LE(term.value, 3) << term.level;
  for (auto& e : errors) e.ratio = 0;
  for (const auto& term : calibrate_widths(errors)) {
    EXPECT_GE(term.value, 1.0 / 3) << term.level;
    EXPECT_TRUE(std::isfinite(term.value)) << term.level;
  }
}

TEST(QualityCalibration, EverySourceIsHeldOutOnce) {
  const auto knowledge = small_quality_world();
  QualitySolver solver(knowledge);
  solver.solve();
  const auto errors = held_out_errors(knowledge, solver);
  EXPECT_EQ(errors.size(), 12);
  for (const char* source : {"a", "b", "c"})
    EXPECT_EQ(std::count_if(errors.begin(), errors.end(), [&](const auto& e) { return e.source == source; }), 4);
}

TEST(QualityCalibration, ASingleSourceCannotBeHeldOut) {
  auto knowledge = small_quality_world();
  std::erase_if(knowledge.quality, [](const auto& row) { return row.source != "a"; });
  EXPECT_EQ(of(fit_quality(knowledge), "knowledge"), nullptr);
}

TEST(QualityCalibration, TheFitWidensAFamilyWhoseRowsContradictEachOther) {
  auto calm_world = small_quality_world();
  for (const char* source : {"d", "e", "f", "g"})
    for (int i = 0; i < 12; ++i) {
      auto r = calm_world.quality[static_cast<std::size_t>(i)];
      r.source = source, r.task = "average", r.family = "mixed";
      calm_world.quality.push_back(r);
    }
  auto wild_world = calm_world;
  int n = 0;  // of each source's answers every fourth is far off, up and down in turn
  for (auto& row : wild_world.quality)
    if (row.family == "mixed" && n++ % 4 == 0) row.value += n % 8 < 4 ? 0.2 : -0.25;
  const auto calm_terms = fit_quality(calm_world), wild = fit_quality(wild_world);
  EXPECT_GT(of(wild, "mixed")->value, 1.1 * of(calm_terms, "mixed")->value);
}

}  // namespace
}  // namespace advisor
