// Names that users' scripts rely on.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "core/error.h"
#include "core/recommendation.h"
#include "core/version.h"

namespace advisor {
namespace {

TEST(Names, OutcomesVerdictsAndBases) {
  EXPECT_EQ(name(Outcome::recommended), "recommended");
  EXPECT_EQ(name(Outcome::infeasible), "infeasible");
  EXPECT_EQ(name(Outcome::insufficient_evidence), "insufficient_evidence");
  EXPECT_EQ(name(Verdict::keep), "keep");
  EXPECT_EQ(name(Verdict::compress), "compress");
  EXPECT_EQ(name(Verdict::switch_model), "switch");
  EXPECT_EQ(name(Verdict::compress_and_switch), "compress_and_switch");
  EXPECT_EQ(name(Verdict::portfolio), "portfolio");
  EXPECT_EQ(name(Basis::measured), "measured");
  EXPECT_EQ(name(Basis::transferred), "transferred");
  EXPECT_EQ(name(Basis::modelled), "modelled");
  EXPECT_EQ(name(Basis::prior), "prior");
}

TEST(Names, ErrorCodes) {
  EXPECT_EQ(name(ErrorCode::ok), "ok");
  EXPECT_EQ(name(ErrorCode::invalid_argument), "invalid_argument");
  EXPECT_EQ(name(ErrorCode::internal), "internal");
}

TEST(Names, VersionIsThreeNumbers) {
  int major = -1, minor = -1, patch = -1;
  EXPECT_EQ(std::sscanf(std::string(version()).c_str(), "%d.%d.%d", &major, &minor, &patch), 3);
}

}  // namespace
}  // namespace advisor
