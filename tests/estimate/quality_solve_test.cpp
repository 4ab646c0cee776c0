#include "estimate/quality_solve.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "estimate/quality_world.h"

namespace advisor {
namespace {

double coefficient(const QualitySolver& solver, const std::string& term, const std::string& level) {
  for (std::size_t j = 0; j < solver.columns().size(); ++j)
    if (solver.columns()[j].term == term && solver.columns()[j].level == level) return solver.coefficient(j);
  ADD_FAILURE() << term << " " << level;
  return 0;
}

Knowledge two_opinions() {
  auto knowledge = small_quality_world();
  for (auto& row : knowledge.quality)
    if (row.source == "c") row.value = 0.25 + 0.5 * (row.weight_bits == 4.0 ? 0.6 : 0.95);
  return knowledge;
}

TEST(QualitySolve, LeavingASourceOutIsAsIfItHadNeverBeen) {
  const auto knowledge = two_opinions();
  QualitySolver solver(knowledge);
  solver.solve();
  const double with_all = coefficient(solver, "intercept", "quantized");
  solver.solve({"c"});
  Knowledge rest = knowledge;
  std::erase_if(rest.quality, [](const auto& row) { return row.source == "c"; });
  QualitySolver fresh(rest);
  fresh.solve();
  for (const auto& column : fresh.columns())
    EXPECT_NEAR(coefficient(solver, column.term, column.level), coefficient(fresh, column.term, column.level), 0.07)
        << column.term << " " << column.level;
  EXPECT_GT(std::abs(with_all - coefficient(solver, "intercept", "quantized")), 0.1) << "it had something to say";
  EXPECT_EQ(std::count_if(solver.rows().begin(), solver.rows().end(), [](const auto& row) { return row.used; }), 8);
}

TEST(QualitySolve, WhatNobodySpeaksForIsThePrior) {
  QualitySolver solver(two_opinions());
  solver.solve({"a", "b", "c"});
  for (std::size_t j = 0; j < solver.columns().size(); ++j) {
    std::vector<double> one(solver.columns().size());
    one[j] = 1;
    const auto& prior = solver.columns()[j].prior;
    EXPECT_NEAR(solver.value(one), prior.mean, 1e-6) << solver.columns()[j].term;
    EXPECT_NEAR(solver.variance(one), prior.sd * prior.sd, 1e-9) << solver.columns()[j].term;
  }
}

TEST(QualitySolve, PutBackItIsAsBefore) {
  QualitySolver solver(two_opinions());
  solver.solve();
  const double before = coefficient(solver, "technique", "gptq");
  solver.solve({"a"});
  solver.solve();
  EXPECT_NEAR(coefficient(solver, "technique", "gptq"), before, 0.01);
}

TEST(QualitySolve, NothingMeasuredIsNothingToSolve) {
  QualitySolver solver({});
  solver.solve();
  EXPECT_TRUE(solver.rows().empty());
  EXPECT_TRUE(solver.columns().empty());
}

}  // namespace
}  // namespace advisor
