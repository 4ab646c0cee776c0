// Transforms of blocks: AWQ and SmoothQuant.
#include <algorithm>
#include <cmath>

#include "compress/block_fixture.h"
#include "compress/fixture.h"
#include "compress/techniques/fold.h"
#include "compress/techniques/output_error.h"
#include "gmock/gmock.h"

namespace advisor {
namespace {

using testing::BlockCase;
using ::testing::HasSubstr;
using testing::RandomBlock;
using testing::refusal;

const QuantScheme int3{3, true, 32, 16};
const std::vector<BlockCase> cases{{4, 0, false}, {2, 0, false}, {1, 0, true}, {4, 3, false}, {2, 4, true}};

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(double{a[i]} - double{b[i]}, 2);
    norm += std::pow(double{a[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

std::vector<float> attention_norm(const RandomBlock& block) {
  const auto values = block.weights.attention_norm.weight.span();
  return {values.begin(), values.end()};
}

TEST(Transform, TheBlockComputesWhatItDidAlsoWhenNormsAreRounded) {
  for (const TechniqueImpl* technique : {&awq_technique, &awq_gptq_technique, &smoothquant_technique})
    for (const BlockCase& kind : cases)
      for (const DType dense : {DType::f32, DType::bf16, DType::f16}) {
        RandomBlock block(kind);
        const std::vector<float> before = block.run(), norm = attention_norm(block);
        EXPECT_TRUE(technique->transform(block.task(int3, dense), {}).empty());
        EXPECT_NE(attention_norm(block), norm) << "nothing was folded";
        // float32 rounding only: a norm rounded to bf16 alone would be off by 2e-3.
        EXPECT_LT(distance(before, block.run()), 3e-6) << technique->id << " experts " << kind.experts;
        std::vector<float> stored = attention_norm(block);
        kernels::round_to(dense, stored);
        EXPECT_EQ(stored, attention_norm(block)) << "norms must be what will be stored";
      }
}

TEST(Transform, StatisticsFollowTheInputs) {
  for (const TechniqueImpl* technique : {&awq_technique, &smoothquant_technique})
    for (const BlockCase& kind : cases) {
      RandomBlock block(kind);
      technique->transform(block.task(int3), {});
      const BlockStats followed = std::move(block.stats);
      block.collect();
      ASSERT_EQ(followed.sites.size(), block.stats.sites.size());
      for (const auto& [site, fresh] : block.stats.sites) {
        const LayerStats& s = followed.sites.at(site);
        ASSERT_EQ(s.tokens, fresh.tokens);
        for (std::size_t i = 0; i < fresh.mean_abs.size(); ++i) {
          ASSERT_NEAR(s.mean_abs[i], fresh.mean_abs[i], 1e-4f * fresh.mean_abs[i]);
          ASSERT_NEAR(s.mean_square[i], fresh.mean_square[i], 1e-4f * fresh.mean_square[i]);
          ASSERT_NEAR(s.abs_max[i], fresh.abs_max[i], 1e-4f * fresh.abs_max[i]);
          for (std::size_t j = 0; j < fresh.mean_abs.size(); ++j) {
            const auto row = static_cast<std::int64_t>(i);
            const float size = std::sqrt(fresh.mean_square[i] * fresh.mean_square[j]);
            ASSERT_NEAR(s.gram.row(row)[j], fresh.gram.row(row)[j], 1e-4f * size);
          }
        }
      }
    }
}

TEST(Transform, AwqLowersTheOutputErrorOfRounding) {
  for (const BlockCase& kind : cases) {
    RandomBlock block(kind);
    const auto error = [&] {
      const Tensor& weight = block.weights.qkv.weight;
      const QuantizedTensor q = rtn_technique.quantize(weight.span(), weight.cols(), int3, {}, DType::bf16);
      return relative_output_error(weight.span(), q, block.stats.at({SiteKind::attention_in}).gram, 1);
    };
    const double before = error();
    awq_technique.transform(block.task(int3), {});
    EXPECT_LT(error(), 0.8 * before);
  }
}

TEST(Transform, SameBytesForAnyNumberOfThreads) {
  for (const TechniqueImpl* technique : {&awq_technique, &smoothquant_technique}) {
    RandomBlock one({2, 3, false}), two({2, 3, false});
    technique->transform(one.task(int3, DType::bf16, 1), {});
    technique->transform(two.task(int3, DType::bf16, 2), {});
    EXPECT_EQ(one.run(), two.run());
  }
}

TEST(Transform, WhatStaysDenseIsNotScaled) {
  RandomBlock block({4, 0, false});
  const std::vector<float> before = attention_norm(block);
  BlockTask task = block.task(int3);
  task.scheme_of = [](const std::string& name) {
    return name == "down" ? std::optional<QuantScheme>(int3) : std::nullopt;
  };
  const auto places = fold_places(task);
  ASSERT_EQ(places.size(), 1U);
  EXPECT_EQ(places[0].fold.site, SiteKind::down_in);
  awq_technique.transform(task, {});
  EXPECT_EQ(attention_norm(block), before);
}

TEST(Transform, AnExpertWithoutTokensIsReportedAndLeftAlone) {
  RandomBlock block({4, 3, false});
  block.stats.at({SiteKind::expert_down_in, 1}).tokens = 0;
  const auto before = block.run();
  const std::vector<std::string> notes = awq_technique.transform(block.task(int3), {});
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_THAT(notes[0], HasSubstr("experts.1.down: no token"));
  EXPECT_LT(distance(before, block.run()), 3e-6);
}

TEST(Transform, ANormThatIsZeroSomewhereKeepsItsColumn) {
  RandomBlock block({4, 0, false});
  block.weights.attention_norm.weight.data()[7] = 0;
  block.collect();
  const auto before = block.run();
  awq_technique.transform(block.task(int3), {});
  EXPECT_EQ(block.weights.attention_norm.weight.data()[7], 0);
  EXPECT_LT(distance(before, block.run()), 3e-6);
}

TEST(Transform, QueryHeadsThatShareAValueHeadShareScales) {
  RandomBlock block({2, 0, false});  // heads 0 and 1 read value head 0, heads 2 and 3 value head 1
  const auto places = fold_places(block.task(int3));
  const FoldPlace* place = nullptr;
  for (const FoldPlace& p : places)
    if (p.fold.source == FoldSource::value_rows) place = &p;
  ASSERT_NE(place, nullptr);
  std::vector<float> scales(64);
  for (std::size_t i = 0; i < 64; ++i) scales[i] = i < 16 ? 1.0f : i < 32 ? 4.0f : 3.0f;
  tie_scales(*place, scales);
  for (std::size_t i = 0; i < 64; ++i) EXPECT_FLOAT_EQ(scales[i], i < 32 ? 2.0f : 3.0f) << i;
  const auto before = block.run();
  apply_fold(block.task(int3), *place, scales);
  EXPECT_LT(distance(before, block.run()), 3e-6);
}

TEST(Transform, SmoothQuantLevelsInputsAndWeights) {
  // With alpha = 0.5 the largest input and the largest weight of every column become equal.
  RandomBlock block({4, 0, false});
  smoothquant_technique.transform(block.task({8, true, 0, 8}, DType::f32), {});
  const LayerStats& stats = block.stats.at({SiteKind::attention_in});
  for (std::size_t c = 0; c < 64; ++c) {
    float largest = 0;
    for (std::int64_t r = 0; r < block.weights.qkv.weight.rows(); ++r)
      largest = std::max(largest, std::abs(block.weights.qkv.weight.row(r)[c]));
    EXPECT_NEAR(largest, stats.abs_max[c], 1e-3f * largest);
  }
}

TEST(Transform, Refusals) {
  RandomBlock block({4, 0, false});
  const auto message = [&](const std::function<void()>& act) { return refusal(ErrorCode::invalid_argument, act); };
  message([&] { awq_technique.check(int3, {{"search_points", "0"}}); });
  message([&] { awq_technique.check(int3, {{"scaling", "some"}}); });
  message([&] { awq_gptq_technique.check(int3, {{"search_rows", "1"}}); });
  message([&] { awq_gptq_technique.check(int3, {{"damp", "7"}}); });
  message([&] { smoothquant_technique.check(int3, {{"alpha", "1.5"}}); });
  refusal(ErrorCode::unsupported, [&] { awq_technique.check({1, true, 32, 16}, {}); });

  block.stats.at({SiteKind::mlp_in}).mean_square[3] = std::nanf("");
  EXPECT_THAT(message([&] { awq_technique.transform(block.task(int3), {}); }), HasSubstr("input 3"));
  block.stats.sites.erase({SiteKind::attention_in, -1});
  refusal(ErrorCode::internal, [&] { smoothquant_technique.transform(block.task(int3), {}); });

  RandomBlock other({4, 0, false});
  const BlockTask task = other.task(int3);
  const FoldPlace place = fold_places(task).front();
  std::vector<float> scales(64, 1.0f);
  scales[9] = 0;
  EXPECT_THAT(message([&] { apply_fold(task, place, scales); }), HasSubstr("input 9 of q"));
  EXPECT_THAT(message([&] { divide_inputs(*place.readers.front().stats, std::vector<float>(3, 1.0f)); }),
              HasSubstr("3 scales"));
}

}  // namespace
}  // namespace advisor
