#include <set>

#include "compress/fixture.h"
#include "compress/technique.h"
#include "gmock/gmock.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;
using testing::refusal;

TEST(Techniques, EachIsCompleteAndFoundByItsId) {
  std::set<std::string_view> ids;
  for (const TechniqueImpl* technique : techniques()) {
    EXPECT_TRUE(ids.insert(technique->id).second);
    EXPECT_EQ(&find_technique(technique->id), technique);
    EXPECT_TRUE(technique->check && technique->solve);
    EXPECT_EQ(technique->quantize != nullptr, technique->needs == Needs::nothing);
    EXPECT_EQ(technique->error_bound != nullptr, technique->quantize != nullptr);
    for (const TechniqueParam& param : technique->params) EXPECT_FALSE(param.doc.empty()) << param.id;
    EXPECT_NO_THROW(technique->check(QuantScheme{}, complete_params(*technique, {}))) << "defaults must be valid";
  }
}

TEST(Techniques, UnknownNameListsTheKnownOnes) {
  EXPECT_THAT(refusal(ErrorCode::not_found, [] { find_technique("gptqq"); }), HasSubstr("this build has: rtn"));
}

TEST(Techniques, DefaultsAreFilledIn) {
  const TechniqueParams params = complete_params(rtn_technique, {{"clip", "mse"}});
  EXPECT_EQ(params,
            (TechniqueParams{{"range", "full"}, {"clip", "mse"}, {"clip_floor", "0.80"}, {"clip_points", "20"}}));
}

TEST(Techniques, UnknownKeysAndValuesAreRefused) {
  EXPECT_THAT(refusal(ErrorCode::invalid_argument,
                      [] {
                        complete_params(rtn_technique, {{"clipp", "mse"}});
                      }),
              HasSubstr("clip, clip_floor"));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument,
                      [] {
                        complete_params(rtn_technique, {{"clip", "maybe"}});
                      }),
              HasSubstr("none|mse"));
  refusal(ErrorCode::invalid_argument, [] { complete_params(rtn_technique, {{"clip", ""}}); });
}

}  // namespace
}  // namespace advisor
