#include "core/suggest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace advisor {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
const std::vector<std::string> models{"meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-70B", "Qwen/Qwen3-8B", "gpt2"};

TEST(Suggest, TypingErrorsComeFirst) {
  EXPECT_EQ(nearest("meta-llama/Lama-3.1-8B", models).front(), "meta-llama/Llama-3.1-8B");
  EXPECT_EQ(nearest("QWEN/qwen3-8b", models).front(), "Qwen/Qwen3-8B");
}

TEST(Suggest, PartsOfANameAreNear) {
  EXPECT_THAT(nearest("llama-3.1", models), ElementsAre("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-70B"));
}

TEST(Suggest, NothingNear) {
  EXPECT_THAT(nearest("zzzzzzzz", models), IsEmpty());
  EXPECT_THAT(nearest("", models), IsEmpty());
  EXPECT_THAT(nearest(std::string(100000, 'a'), models), IsEmpty());
  EXPECT_EQ(did_you_mean("zzzzzzzz", models), "");
}

TEST(Suggest, OrderOfCandidatesDoesNotMatterAndDuplicatesAreOne) {
  const std::vector<std::string> twice{"b1", "a1", "a1", "c1"};
  EXPECT_THAT(nearest("x1", twice), ElementsAre("a1", "b1", "c1"));
}

TEST(Suggest, Sentence) {
  EXPECT_EQ(did_you_mean("gpt3", models), "; did you mean \"gpt2\"?");
  EXPECT_EQ(did_you_mean("x1", std::vector<std::string>{"a1", "b1", "c1"}), "; did you mean \"a1\", \"b1\" or \"c1\"?");
}

}  // namespace
}  // namespace advisor
