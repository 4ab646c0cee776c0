#include <gmock/gmock.h>

#include "report/explain.h"
#include "sample.h"

namespace advisor {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(Difference, OfTheSameIsNothing) {
  const auto text = as_text(difference(sample(), sample()));
  EXPECT_THAT(text, StartsWith("Both: recommended, compress"));
  EXPECT_THAT(text, HasSubstr("Nothing differs."));
}

TEST(Difference, ShowsWhatChanged) {
  auto after = sample();
  after.outcome = Outcome::infeasible;
  after.verdict.reset();
  set_field(after.profile, "workload.context", "8192");
  after.options[0].quality->retention = sure(0.95, 0.01);
  after.options[1].variant.scheme = "W8A16-channel";
  after.rejections.pop_back();
  after.knowledge_digest = "ffff";
  const auto text = as_text(difference(sample(), after));
  for (const char* part : {"recommended, compress -> infeasible", "workload.context  4096    8192",
                           "98 (96.4 to 99.6) %", "95 (93.4 to 96.6) %", "is new", "is gone", "licence-not-listed",
                           "no longer", "The knowledge differs: 0123456789ab -> ffff"})
    EXPECT_THAT(text, HasSubstr(part));
  EXPECT_THAT(text, Not(HasSubstr("Nothing differs")));
}

TEST(Difference, ListsTheFieldsOfTasks) {
  auto before = sample(), after = sample();
  set_field(before.profile, "tasks.0.task", "chat");
  set_field(after.profile, "tasks.0.task", "closed_book_qa");
  set_field(after.profile, "tasks.1.task", "chat");
  const auto text = as_text(difference(before, after));
  for (const char* part : {"tasks.0.task.type", "closed_book_qa", "tasks.1.task.type"})
    EXPECT_THAT(text, HasSubstr(part));
}

TEST(Difference, SaysWhatBecameOfWhatWasAskedAbout) {
  const auto asked = [](const char* text, Judgement judgement, const char* because) {
    Answered one;
    one.asked = text, one.judgement = judgement, one.because = because;
    return one;
  };
  auto before = sample(), after = sample();
  before.answered = {asked("Q2_K", Judgement::rejected, "too inexact"), asked("awq", Judgement::option, "first"),
                     asked("fp8", Judgement::undecided, "no rates")};
  after.answered = {asked("Q2_K", Judgement::dominated, "option 1 is better"), asked("awq", Judgement::option, "first"),
                    asked("2:4", Judgement::rejected, "no units")};
  const auto text = as_text(difference(before, after));
  for (const char* part : {"rejected: too inexact", "dominated: option 1 is better", "not asked", "undecided: no rates",
                           "rejected: no units"})
    EXPECT_THAT(text, HasSubstr(part));
  EXPECT_THAT(text, Not(HasSubstr("option #0: first"))) << "of awq nothing changed";
  EXPECT_THAT(as_text(difference(before, before)), Not(HasSubstr("asked about")));
}

TEST(Difference, NamesOwnRulesAndLocalRowsThatDiffer) {
  auto before = sample(), after = sample();
  before.knowledge_digest = "0123456789abcdef+rules:aaaaaaaaaaaaaaaa";
  after.knowledge_digest = "0123456789abcdef+local:cccccccccccccccc+rules:bbbbbbbbbbbbbbbb";
  EXPECT_THAT(as_markdown(difference(before, after)),
              HasSubstr("0123456789ab+rules:aaaaaaaaaaaa -> 0123456789ab+local:cccccccccccc+rules:bbbbbbbbbbbb"));
}

TEST(Difference, LongTimesAreInSeconds) {
  auto after = sample();
  after.options[0].ttft_seconds->mean = 4.2;
  const auto text = as_text(difference(sample(), after));
  EXPECT_THAT(text, HasSubstr("4.2 ("));
  EXPECT_THAT(text, Not(HasSubstr("4200")));
}

}  // namespace
}  // namespace advisor
