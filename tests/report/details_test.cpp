#include <gmock/gmock.h>

#include "core/error.h"
#include "report/explain.h"
#include "sample.h"

namespace advisor {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(Details, EveryNumberHasIntervalBasisAndSources) {
  const auto text = as_text(details(sample(), 2));
  EXPECT_THAT(text, StartsWith("Option 2: compress some/model-8B, awq W8A8-fp8 (compressed-tensors) on vllm"));
  for (const char* part : {"score on mmlu", "65 (63.4 to 66.6) %", "measured", "some-source", "modelled",
                           "time per output token", "unknown", "sd 95.37 MiB", "met with probability 0.97", "quantize",
                           "advisor compress m out", "technique: awq", "vllm serve out", "advisor evaluate out"})
    EXPECT_THAT(text, HasSubstr(part));
}

TEST(Details, OneOptionAlone) {
  const auto one = only_option(sample(), 2);
  ASSERT_EQ(one.options.size(), 1U);
  EXPECT_EQ(one.options[0].variant.scheme, "W8A8-fp8");
  EXPECT_EQ(one.rejections.size(), sample().rejections.size());
}

TEST(Details, RefusesARankThatIsNotThere) {
  try {
    details(sample(), 3);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_THAT(error.what(), HasSubstr("options 1 to 2"));
  }
  EXPECT_THROW(details(Recommendation{}, 1), Error);
}

}  // namespace
}  // namespace advisor
