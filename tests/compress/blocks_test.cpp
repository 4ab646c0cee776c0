// Jobs that see whole matrices and what calibration shows of their inputs.
#include "compress/blocks.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>

#include "checkpoint/checkpoint.h"
#include "compress/fixture.h"
#include "compress/observe.h"
#include "lm/decoder.h"
#include "lm/tokenizer.h"

namespace advisor {
namespace {

using testing::contents;
using ::testing::HasSubstr;
using testing::refusal;
namespace fs = std::filesystem;

const fs::path& text() {
  static const fs::path path = fs::path(ADVISOR_SOURCE_DIR) / "examples/calibration/tiny.txt";
  return path;
}

CompressRequest request(const fs::path& out, const std::string& technique, const std::string& scheme,
                        std::vector<RecipeFormat> formats = {{"compressed-tensors", ""}}) {
  CompressRequest r = testing::request(testing::tiny(), out, scheme, std::move(formats));
  r.recipe.steps.front().technique = technique;
  r.calibration.texts = {text()};
  r.calibration.samples = 16;
  r.calibration.sequence_length = 64;
  r.threads = 2;
  return r;
}

/// Mean over positions of KL(original || compressed) of the next token, on text that was not calibrated with.
double divergence(const Checkpoint& original, const Checkpoint& compressed) {
  const Decoder a(original, 1), b(compressed, 1);
  const Tokenizer tokenizer(original.tokenizer());
  std::vector<std::int32_t> ids{*tokenizer.bos()};
  for (const std::int32_t id : tokenizer.encode("The capital of France is Paris, and the river that runs through it "
                                                "is called the Seine. A long while ago there lived an old man."))
    ids.push_back(id);
  const Tensor p = a.logits(ids), q = b.logits(ids);
  const auto log_sum = [](std::span<const float> logits) {
    double sum = 0;
    for (const float x : logits) sum += std::exp(double{x});
    return std::log(sum);
  };
  double total = 0;
  for (std::int64_t r = 0; r < p.rows(); ++r) {
    const double zp = log_sum(p.row(r)), zq = log_sum(q.row(r));
    for (std::size_t i = 0; i < p.row(r).size(); ++i) {
      const double lp = double{p.row(r)[i]} - zp, lq = double{q.row(r)[i]} - zq;
      total += std::exp(lp) * (lp - lq);
    }
  }
  return total / static_cast<double>(p.rows());
}

class Blocks : public ::testing::Test {
 protected:
  testing::TempFolder temp_;
};

TEST_F(Blocks, ScalesOfActivationsComeFromCalibration) {
  const std::string tensor = "model.layers.0.self_attn.q_proj.weight";
  std::vector<float> scales;
  for (const char* scheme : {"W8A8-fp8-tensor-static", "W4A4-nvfp4"}) {
    auto r = request(temp_ / scheme, "rtn", scheme);
    const auto texts = std::exchange(r.calibration.texts, {});
    EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { plan_compression(r); }), HasSubstr("--calibration"));
    r.calibration.texts = texts;
    run_compression(r, {});
    const auto written = open_checkpoint(temp_ / scheme);
    scales.push_back(written->read_codes(*written->find(tensor), 0, 128).value().input_scale);
  }
  // The largest input is 448 steps of FP8, and 6 of the largest scale of a group, 448, in NVFP4.
  EXPECT_GT(scales[1], 0);
  EXPECT_NEAR(scales[0] / scales[1], 6, 1e-4);
}

TEST_F(Blocks, AScaleOfTheWholeTensorServesMatricesOfManyTiles) {
  testing::ModelSpec wide;
  wide.hidden = 512, wide.intermediate = 1024, wide.layers = 1;
  const fs::path model = testing::write_model(temp_ / "wide", wide);
  run_compression(testing::request(model, temp_ / "fp8", "W8A8-fp8-tensor"), {});
  const std::string name = "model.layers.0.mlp.gate_proj.weight";
  const Tensor before = open_checkpoint(model)->load(name), after = open_checkpoint(temp_ / "fp8")->load(name);
  double squares = 0, errors = 0;
  for (std::size_t i = 0; i < before.span().size(); ++i) {
    const double w{before.span()[i]}, e = w - double{after.span()[i]};
    squares += w * w;
    errors += e * e;
  }
  EXPECT_LT(errors, 0.04 * 0.04 * squares) << "three bits of mantissa lose at most 1/16, 0.027 on average";
}

TEST_F(Blocks, CalibratedTechniquesLoseLessThanRounding) {
  const auto original = open_checkpoint(testing::tiny());
  auto plain = request(temp_ / "rtn", "rtn", "W4A16-g64");
  plain.calibration.texts.clear();
  run_compression(plain, {});
  const double rtn = divergence(*original, *open_checkpoint(temp_ / "rtn"));
  for (const char* technique : {"gptq", "awq+gptq"}) {
    auto calibrated = request(temp_ / technique, technique, "W4A16-g64");
    calibrated.calibration.samples = 128;
    calibrated.calibration.sequence_length = 0;
    const CompressReport report = run_compression(calibrated, {});
    EXPECT_THAT(report.plan.calibration, HasSubstr("tiny.txt"));
    const double loss = divergence(*original, *open_checkpoint(temp_ / technique));
    EXPECT_LT(loss, 0.8 * rtn) << technique;
    EXPECT_GT(loss, 0) << technique;
  }
}

TEST_F(Blocks, BytesDoNotDependOnThreadsMemoryOrWhereActivationsLive) {
  for (const char* technique : {"gptq", "awq"}) {
    auto one = request(temp_ / (std::string(technique) + "-1"), technique, "W4A16-g32-asym");
    one.threads = 1;
    one.calibration.samples = 128;
    one.calibration.sequence_length = 128;
    run_compression(one, {});
    auto two = one;
    two.out = temp_ / (std::string(technique) + "-2");
    two.threads = 2;
    two.memory = plan_compression(two).peak_memory - 1;  // the activations no longer fit
    const CompressReport spilled = run_compression(two, {});
    EXPECT_THAT(spilled.plan.notes, ::testing::Contains(HasSubstr("go to a file")));
    EXPECT_TRUE(contents(one.out) == contents(two.out)) << technique;
  }
}

TEST_F(Blocks, ImportanceGoesIntoGgufToo) {
  auto plain = request(temp_ / "plain", "none", "", {{"gguf", "Q4_0"}});
  plain.calibration.texts.clear();
  run_compression(plain, {});
  auto weighted = request(temp_ / "weighted", "none", "", {{"gguf", "Q4_0"}});
  weighted.calibration.samples = 128;
  weighted.calibration.sequence_length = 0;
  run_compression(weighted, {});
  EXPECT_TRUE(contents(temp_ / "plain") != contents(temp_ / "weighted"));
  // Which of the two is closer to the original on one text is a matter of noise at four bits; both must be close.
  const auto original = open_checkpoint(testing::tiny());
  for (const char* name : {"plain", "weighted"})
    EXPECT_LT(divergence(*original, *open_checkpoint(temp_ / name)), 0.1) << name;
}

TEST_F(Blocks, OneSolutionGoesIntoSeveralFormats) {
  run_compression(request(temp_ / "both", "gptq", "W4A16-g32", {{"compressed-tensors", ""}, {"gguf", "Q8_0"}}), {});
  run_compression(request(temp_ / "one", "gptq", "W4A16-g32"), {});
  EXPECT_TRUE(contents(temp_ / "both" / "compressed-tensors") == contents(temp_ / "one"));
}

TEST_F(Blocks, EveryStepHasATechniqueOfItsOwn) {
  auto r = request(temp_ / "one", "gptq", "W4A16-g32");
  RecipeStep awq = r.recipe.steps.front(), dense = awq;
  awq.technique = "awq";
  awq.targets = {"re:.*mlp\\.(gate|up)_proj"};
  dense.technique = "none";
  dense.scheme = "";
  dense.targets = {"re:.*layers\\.0\\.mlp\\.down_proj"};
  r.recipe.steps = {dense, awq, r.recipe.steps.front()};
  const CompressReport report = run_compression(r, {});
  EXPECT_EQ(report.plan.technique, "awq+gptq");
  for (const TensorReport& tensor : report.outputs[0].tensors)
    EXPECT_EQ(tensor.stored_as.find("W4A16") != std::string::npos,
              tensor.name.find("proj") != std::string::npos && tensor.name != "model.layers.0.mlp.down_proj.weight")
        << tensor.name << " " << tensor.stored_as;
  const auto original = open_checkpoint(testing::tiny());
  EXPECT_LT(divergence(*original, *open_checkpoint(temp_ / "one")), 0.1);
  r.out = temp_ / "two";
  r.threads = 1;
  run_compression(r, {});
  EXPECT_TRUE(contents(temp_ / "one") == contents(temp_ / "two"));
}

TEST_F(Blocks, ObservationsAreThoseOfTheDecoder) {
  const auto model = open_checkpoint(testing::tiny());
  const ModelConfig& config = model->config();
  const Architecture& architecture = find_architecture(config.architecture);
  const std::vector<std::int32_t> ids{0, 17, 300, 4, 99};
  const Decoder decoder(*model, 1);
  const auto states = decoder.hidden_states(ids);
  Activations store({5}, config.hidden, 1 << 20, temp_.path());
  Tensor x({5, config.hidden});
  std::ranges::copy(states[0].span(), x.data());
  store.write(0, std::move(x));
  const BlockWeights block = load_block(*model, 0, 1);
  const BlockStats stats = observe_block(config, architecture, 0, block, store, Needs::gram, 2, [] {});
  for (const auto& [site, layer] : stats.sites) {
    EXPECT_EQ(layer.tokens, 5);
    for (std::int64_t i = 0; i < layer.gram.rows(); ++i)
      for (std::int64_t j = 0; j < i; ++j)
        ASSERT_EQ(layer.gram.row(i)[static_cast<std::size_t>(j)], layer.gram.row(j)[static_cast<std::size_t>(i)]);
  }
  advance_block(config, architecture, 0, block, store, 2, [] {});
  const Tensor after = store.read(0);
  for (std::size_t i = 0; i < after.span().size(); ++i) ASSERT_NEAR(after.span()[i], states[1].span()[i], 1e-5);
}

TEST_F(Blocks, WhatCannotBeDoneIsRefusedBeforeAnythingIsWritten) {
  auto none = request(temp_ / "out", "gptq", "W4A16-g32");
  none.calibration.texts.clear();
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { run_compression(none, {}); }), HasSubstr("--calibration"));
  auto small = request(temp_ / "out", "gptq", "W4A16-g32");
  small.memory = 1 << 20;
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { run_compression(small, {}); }), HasSubstr("--memory"));
  auto cancelled = request(temp_ / "out", "gptq", "W4A16-g32");
  refusal(ErrorCode::cancelled, [&] { run_compression(cancelled, [](const Progress&) { return false; }); });
  EXPECT_TRUE(testing::names_in(temp_.path()).empty());
}

}  // namespace
}  // namespace advisor
