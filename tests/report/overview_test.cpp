#include <gmock/gmock.h>

#include "report/explain.h"
#include "sample.h"

namespace advisor {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(Overview, BeginsWithTheVerdict) {
  EXPECT_THAT(explain(sample()),
              StartsWith("COMPRESS some/model-8B: awq W4A16-g128 (compressed-tensors) on vllm\n  memory"));
  auto r = sample();
  r.verdict = Verdict::keep;
  EXPECT_THAT(explain(r), StartsWith("KEEP some/model-8B as it is"));
  r.verdict = Verdict::switch_model;
  EXPECT_THAT(explain(r), StartsWith("SWITCH to some/model-8B: "));
  r.verdict = Verdict::compress_and_switch;
  EXPECT_THAT(explain(r), StartsWith("SWITCH to some/model-8B and COMPRESS it"));
  r.options.clear();
  r.outcome = Outcome::infeasible;
  EXPECT_THAT(explain(r), StartsWith("INFEASIBLE: nothing meets every limit for some/model-8B"));
  r.outcome = Outcome::insufficient_evidence;
  EXPECT_THAT(explain(r), StartsWith("NOT ENOUGH EVIDENCE"));
}

TEST(Overview, SaysEverythingThatDecides) {
  const auto text = explain(sample());
  for (const char* part :
       {"keeps 98.0 % (96.4 to 99.6), mmlu 65.0 % (63.4 % to 66.6 %); the limit is met with probability",
        "100 (91.8 to 108) tok/s, first token after 200 (167 to 233) ms", "11 (9.36 to 12.6) USD per million output",
        "30 (20.1 to 39.9) min, 5.588 GiB of memory at most", "ahead of #2: quality", "measure on your own data",
        "vllm serve out", "2 others meet every limit",
        "with 16 GiB more memory (hardware.memory 24 GiB -> 40 GiB): keep", "W3A16-g128 on mmlu: it may be good enough",
        "keep some/model-8B [W16A16] on vllm: needs 40 GiB", "2 other models, for example switch a/b: is under x",
        "speed of a/b: needs a measurement", "confidence = 0.9",
        "77 variants of 3 models, 4 meet every limit; knowledge 0123456789ab: "})
    EXPECT_THAT(text, HasSubstr(part));
}

TEST(Overview, PredictedScoresAreCalledSo) {
  auto r = sample();
  r.options[0].evidence.push_back({"prediction", "mmlu", "no score is known", {}});
  EXPECT_THAT(explain(r), AllOf(HasSubstr("mmlu predicted 65.0 %"), HasSubstr("no score is known")));
}

TEST(Overview, PortfolioShowsWhichTaskGoesWhere) {
  auto r = sample();
  r.verdict = Verdict::portfolio;
  r.assignments = {{"chat", 0.8, 1, sure(0.7, 0.01), 0.95, "cheapest that suffices"},
                   {"medical_qa", 0.2, 2, {}, 0.92, "needs the larger one"}};
  r.routing = {{"chat", 1, 2, 0.9, {}, {}, "confident ones"}};
  EXPECT_THAT(explain(r), AllOf(StartsWith("PORTFOLIO of 2 variants for 2 tasks"), HasSubstr("80.0 %  #1"),
                                HasSubstr("needs the larger one"), HasSubstr("send 90.0 % of the requests to #1")));
}

}  // namespace
}  // namespace advisor
