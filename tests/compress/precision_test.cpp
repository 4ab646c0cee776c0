// Budgets: what each matrix gets, and scales of the cache.
#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "checkpoint/checkpoint.h"
#include "compress/fixture.h"
#include "compress/job.h"
#include "lm/block.h"
#include "lm/decoder.h"

namespace advisor {
namespace {

using testing::contents;
using ::testing::HasSubstr;
using testing::refusal;
namespace fs = std::filesystem;

CompressRequest request(const fs::path& out, double bits, std::vector<RecipeFormat> formats,
                        std::vector<std::string> candidates) {
  CompressRequest r = testing::request(testing::tiny(), out, "W4A16-g32", std::move(formats));
  r.recipe.budget = RecipeBudget{bits, 0, std::move(candidates)};
  r.calibration.texts = {fs::path(ADVISOR_SOURCE_DIR) / "examples/calibration/tiny.txt"};
  r.calibration.samples = 16;
  r.calibration.sequence_length = 64;
  r.threads = 2;
  return r;
}
const std::vector<std::string> kSchemes{"W4A16-g32", "W8A16-g32"}, kTypes{"Q4_0", "Q5_0", "Q8_0"};

/// What a finished model puts into its cache while it reads the calibration text, as scales.
std::vector<KvScales> cached(const Checkpoint& model, const CalibrationRequest& text) {
  const ModelConfig& config = model.config();
  const Architecture& architecture = find_architecture(config.architecture);
  const OuterWeights outer = load_outer(model, 1);
  std::vector<Tensor> streams;
  for (const auto& sequence : read_calibration(model, text).sequences)
    streams.push_back(embed(config, architecture, outer.embedding, sequence));
  std::vector<KvScales> scales;
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const BlockWeights block = load_block(model, layer, 1);
    KvScales& most = scales.emplace_back(KvScales{0, 0});
    for (Tensor& x : streams)
      forward_block(config, architecture, layer, block, x,
                    [&](Site site, const float* rows, std::int64_t n, std::int64_t cols, std::int64_t ld) {
                      if (site.kind != SiteKind::cached_keys && site.kind != SiteKind::cached_values) return;
                      EXPECT_EQ(cols, config.kv_heads * config.head_dim);
                      float& scale = site.kind == SiteKind::cached_keys ? most.key : most.value;
                      for (std::int64_t i = 0; i < n * cols; ++i)
                        scale = std::max(scale, std::fabs(rows[i / cols * ld + i % cols]) / 448);
                    });
  }
  return scales;
}

class Precision : public ::testing::Test {
 protected:
  testing::TempFolder temp_;
};

TEST_F(Precision, MoreBitsNeverRaiseTheDivergenceAndNoBudgetIsExceeded) {
  for (const bool gguf : {false, true}) {
    double before = std::numeric_limits<double>::infinity();
    for (const double bits : {4.6, 5.2, 6.0, 7.5, 9.0}) {
      const CompressRequest spent =
          spend_budget(gguf ? request(temp_ / "out", bits, {{"gguf", "Q4_0"}}, kTypes)
                            : request(temp_ / "out", bits, {{"compressed-tensors", ""}}, kSchemes),
                       {});
      const PrecisionReport& report = *spent.precision;
      EXPECT_FALSE(spent.recipe.budget.has_value());
      EXPECT_LE(8.0 * static_cast<double>(report.bytes), bits * static_cast<double>(report.weights));
      EXPECT_LE(report.divergence, before);
      EXPECT_EQ(report.divergence, report.divergence_bound) << "so few matrices are solved exactly";
      before = report.divergence;
      std::int64_t bytes = 0, weights = 0;
      for (const auto& row : report.rows) {
        EXPECT_GT(row.divergence, 0) << row.tensors.front();
        EXPECT_GT(row.error, 0);
        EXPECT_LT(row.error, 0.1);
        bytes += row.bytes;
        weights += row.weights;
      }
      EXPECT_EQ(bytes, report.bytes);
      EXPECT_EQ(weights, report.weights);
    }
  }
}

TEST_F(Precision, TheJobStoresWhatTheBudgetChose) {
  for (const bool gguf : {false, true}) {
    const fs::path out = temp_ / (gguf ? "gguf" : "tensors");
    const CompressReport report = run_compression(gguf ? request(out, 5.5, {{"gguf", "Q4_0"}}, kTypes)
                                                       : request(out, 5.5, {{"compressed-tensors", ""}}, kSchemes),
                                                  {});
    const PrecisionReport& precision = *report.plan.precision;
    std::map<std::string, const TensorReport*> stored;
    for (const TensorReport& tensor : report.outputs[0].tensors) stored[tensor.name] = &tensor;
    std::set<std::string> used;
    for (const auto& row : precision.rows) {
      std::int64_t bytes = 0;
      for (const std::string& name : row.tensors) {
        EXPECT_EQ(stored.at(name)->stored_as, row.choice) << name;
        bytes += stored.at(name)->bytes;
      }
      EXPECT_EQ(bytes, row.bytes);
      EXPECT_EQ(row.tensors.size() > 1, !gguf && (row.tensors[0].find("q_proj") != std::string::npos ||
                                                  row.tensors[0].find("gate_proj") != std::string::npos));
      used.insert(row.choice);
    }
    EXPECT_GT(used.size(), 1u) << "5.5 bits are neither 4 nor 8";
    EXPECT_THAT(to_json(report), HasSubstr("\"divergence_bound\""));
  }
}

TEST_F(Precision, ASizeIsThatOfTheWholeOutput) {
  for (const char* format : {"compressed-tensors", "gguf"}) {
    const bool gguf = std::string(format) == "gguf";
    CompressRequest r = request(temp_ / "out", 0, {{format, gguf ? "Q4_0" : ""}}, gguf ? kTypes : kSchemes);
    r.recipe.budget = RecipeBudget{4.6, 0, gguf ? kTypes : kSchemes};
    const std::int64_t least = plan_compression(r).output_bytes;
    std::int64_t before = 0;
    for (const std::int64_t extra : {0, 5000, 20000, 1000000}) {
      r.recipe.budget->bits_per_weight = 0;
      r.recipe.budget->size = least + extra;
      const CompressPlan plan = plan_compression(r);
      EXPECT_LE(plan.output_bytes, least + extra) << format;
      EXPECT_GE(plan.output_bytes, before) << format;
      before = plan.output_bytes;
    }
    EXPECT_GT(before, least + 20000);
  }
}

TEST_F(Precision, ThreadsDoNotMatter) {
  CompressRequest one = request(temp_ / "one", 5.5, {{"gguf", "Q4_0"}}, kTypes), two = one;
  one.threads = 1;
  two.out = temp_ / "two";
  EXPECT_EQ(recipe_to_yaml(spend_budget(one, {}).recipe), recipe_to_yaml(spend_budget(two, {}).recipe));
  run_compression(one, {});
  run_compression(two, {});
  EXPECT_TRUE(contents(one.out) == contents(two.out));
}

TEST_F(Precision, WhatCannotBeKeptIsRefusedWithWhatCould) {
  const auto why = [&](ErrorCode code, const std::function<void(CompressRequest&)>& edit) {
    CompressRequest r = request(temp_ / "out", 5.5, {{"compressed-tensors", ""}}, kSchemes);
    edit(r);
    return refusal(code, [&] { spend_budget(r, {}); });
  };
  using R = CompressRequest&;
  const auto bad = ErrorCode::invalid_argument;
  EXPECT_THAT(why(bad, [](R r) { r.recipe.budget->bits_per_weight = 4; }), HasSubstr("at least 4.5"));
  EXPECT_THAT(why(bad, [](R r) { r.recipe.budget = RecipeBudget{0, 1000, kSchemes}; }), HasSubstr("at least"));
  EXPECT_THAT(why(bad, [](R r) { r.recipe.steps.push_back(r.recipe.steps[0]); }), HasSubstr("one step"));
  EXPECT_THAT(why(bad, [](R r) { r.recipe.formats.push_back({"gguf", "Q4_0"}); }), HasSubstr("one format"));
  EXPECT_THAT(why(bad, [](R r) { r.calibration.texts.clear(); }), HasSubstr("--calibration"));
  EXPECT_THAT(why(bad, [](R r) { r.recipe.steps[0].technique = "none"; }), HasSubstr("technique none"));
  EXPECT_THAT(why(bad, [](R r) { r.recipe.budget->candidates = {"W4A16-g96"}; }), HasSubstr("does not divide"));
  EXPECT_THAT(why(bad, [](R r) { r.recipe.budget->candidates = {"W4A16-g32", "W4A16-g32"}; }), HasSubstr("twice"));
  EXPECT_THAT(why(bad, [](R r) { r.recipe.budget->candidates = {"four"}; }), HasSubstr("four"));
  EXPECT_THAT(why(ErrorCode::unsupported, [](R r) { r.recipe.formats = {{"gptq", ""}}; }), HasSubstr("one scheme"));
  EXPECT_THAT(why(bad,
                  [](R r) {
                    r.recipe.formats = {{"gguf", "Q4_0"}};
                    r.recipe.budget->candidates = {"Q4_K"};
                  }),
              HasSubstr("no candidate fits"));
  EXPECT_THAT(testing::names_in(temp_.path()), ::testing::IsEmpty());
}

TEST_F(Precision, CancellingTheMeasurementLeavesNothing) {
  const CompressRequest r = request(temp_ / "out", 5.5, {{"compressed-tensors", ""}}, kSchemes);
  refusal(ErrorCode::cancelled, [&] { run_compression(r, [](const Progress& p) { return p.stage != "measure"; }); });
  EXPECT_THAT(testing::names_in(temp_.path()), ::testing::IsEmpty());
}

TEST_F(Precision, ScalesOfTheCacheAreThoseOfWhatTheModelCaches) {
  for (const char* format : {"compressed-tensors", "modelopt"}) {
    CompressRequest r = request(temp_ / format, 0, {{format, ""}}, {});
    r.recipe.budget.reset();
    r.recipe.kv_cache = "fp8";
    const CompressReport report = run_compression(r, {});
    EXPECT_EQ(report.plan.outputs[0].bytes, report.outputs[0].bytes);
    const auto result = open_checkpoint(temp_ / format);
    const std::vector<KvScales> scales = result->kv_scales();
    ASSERT_EQ(static_cast<std::int64_t>(scales.size()), result->config().layers);
    const std::vector<KvScales> again = cached(*result, r.calibration);
    for (std::size_t i = 0; i < scales.size(); ++i) {
      EXPECT_NEAR(scales[i].key, again[i].key, 1e-4F * again[i].key) << format << " layer " << i;
      EXPECT_NEAR(scales[i].value, again[i].value, 1e-4F * again[i].value) << format << " layer " << i;
    }
    EXPECT_EQ(result->tensors().size(), open_checkpoint(testing::tiny())->tensors().size()) << "they are no weights";
    Decoder(*result, 1).logits(std::vector<std::int32_t>{0, 5, 9});  // which a reader of tensors would refuse
    const std::string config = testing::read_file(temp_ / format / "config.json");
    EXPECT_THAT(config, HasSubstr("kv_cache_scheme"));
    EXPECT_THAT(config, HasSubstr("\"num_bits\""));
  }
}

TEST_F(Precision, FormatsWithoutPlaceForScalesRefuseThem) {
  CompressRequest r = request(temp_ / "out", 0, {{"gguf", "Q4_0"}}, {});
  r.recipe.budget.reset();
  r.recipe.kv_cache = "fp8";
  EXPECT_THAT(refusal(ErrorCode::unsupported, [&] { plan_compression(r); }), HasSubstr("no place for scales"));
  r.recipe.formats = {{"gptq", ""}};
  refusal(ErrorCode::unsupported, [&] { plan_compression(r); });
  r.recipe.formats = {{"compressed-tensors", ""}};
  r.recipe.kv_cache = "int8";
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { plan_compression(r); }), HasSubstr("only fp8"));
  r.recipe.kv_cache = "fp8";
  r.calibration.texts.clear();
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { plan_compression(r); }), HasSubstr("--calibration"));
}

}  // namespace
}  // namespace advisor
