#include "compress/job.h"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <limits>

#include "checkpoint/checkpoint.h"
#include "compress/fixture.h"
#include "compress/technique.h"
#include "gmock/gmock.h"

namespace advisor {
namespace {

using testing::contents;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::names_in;
using testing::refusal;
using testing::request;
namespace fs = std::filesystem;

class Job : public ::testing::Test {
 protected:
  testing::TempFolder temp_;
  const fs::path model_ = testing::write_model(temp_ / "model");
};

const std::vector<RecipeFormat> kAllFormats{
    {"compressed-tensors", ""}, {"gguf", "F16"}, {"gguf", "Q8_0"}, {"gguf", "Q4_0"}, {"gguf", "Q4_1"}};

TEST_F(Job, WhatIsWrittenIsWhatTheTechniqueChose) {
  for (const char* scheme : {"W4A16-g32", "W4A16-g64-asym", "W8A16-channel", "W8A16-g32", "W8A8-int8-channel"}) {
    const fs::path out = temp_ / scheme;
    const CompressReport report = run_compression(request(model_, out, scheme), {});
    EXPECT_EQ(names_in(temp_.path()).size(), 2u) << "no partial folder is left";
    const auto source = open_checkpoint(model_), result = open_checkpoint(out);
    EXPECT_EQ(result->format(), "compressed-tensors");
    const std::string name = "model.layers.1.mlp.down_proj.weight";
    const Tensor w = source->load(name), decoded = result->load(name);
    const QuantizedTensor q = rtn_technique.quantize(w.span(), w.cols(), parse_quant_scheme(scheme), {}, DType::bf16);
    const std::size_t group = q.codes.size() / q.scales.size();
    for (std::size_t i = 0; i < q.codes.size(); ++i)
      ASSERT_EQ(decoded.span()[i],
                static_cast<float>(q.codes[i] - (q.zeros.empty() ? 0 : q.zeros[i / group])) * q.scales[i / group]);
    const Tensor norm = source->load("model.norm.weight"), copy = result->load("model.norm.weight");
    EXPECT_TRUE(std::ranges::equal(norm.span(), copy.span()));
    EXPECT_EQ(report.outputs.at(0).tensors.size(), 20u);
    fs::remove_all(out);
  }
}

TEST_F(Job, TheReportTellsErrorBudgetAndDigest) {
  const CompressReport report = run_compression(request(testing::tiny(), temp_ / "out", "W4A16-g32", kAllFormats), {});
  ASSERT_EQ(report.outputs.size(), kAllFormats.size());
  for (const auto& output : report.outputs) {
    EXPECT_TRUE(fs::is_directory(output.folder)) << "the final name, not the partial one";
    EXPECT_EQ(output.sha256.size(), 64u);
    EXPECT_GT(output.bytes, 0);
    double worst = 0;
    for (const TensorReport& tensor : output.tensors) {
      EXPECT_LE(tensor.relative_error, tensor.budget) << tensor.name;
      EXPECT_LT(tensor.budget, 0.4) << tensor.name;
      worst = std::max(worst, tensor.relative_error);
    }
    EXPECT_EQ(output.worst_relative_error, worst);
  }
  EXPECT_GT(report.outputs[0].worst_relative_error, 0.05);  // int4
  EXPECT_LT(report.outputs[1].worst_relative_error, 0.001) << "F16";
  EXPECT_LT(report.outputs[2].worst_relative_error, 0.01) << "Q8_0";
  EXPECT_GT(report.peak_memory, 0);
  EXPECT_EQ(report.threads, 1);
  const std::string json = testing::read_file(temp_ / "out/advisor_report.json");
  EXPECT_EQ(json, to_json(report) + "\n");
  for (const char* key : {"\"schema\": \"advisor.compression/1\"", "\"relative_error\"", "\"budget\"", "\"sha256\"",
                          "\"stored_as\": \"Q4_0\"", "\"stored_as\": \"W4A16-g32\"", "\"plan\""})
    EXPECT_THAT(json, HasSubstr(key));
}

TEST_F(Job, OutputSizeIsWhatThePlanSaid) {
  const auto r = request(testing::tiny(), temp_ / "out", "W4A16-g64-asym", kAllFormats);
  const CompressPlan plan = plan_compression(r);
  const CompressReport report = run_compression(r, {});
  for (std::size_t i = 0; i < plan.outputs.size(); ++i)
    EXPECT_EQ(plan.outputs[i].bytes, report.outputs[i].bytes) << plan.outputs[i].folder;
}

TEST_F(Job, BytesDoNotDependOnThreads) {
  testing::ModelSpec spec;  // large enough for several tiles per tensor
  spec.hidden = 256;
  spec.intermediate = 1536;
  spec.vocab = 3000;
  const fs::path model = testing::write_model(temp_ / "wide", spec);
  for (const char* scheme : {"W4A16-g32-asym", "W8A16-channel"}) {
    CompressRequest one = request(model, temp_ / "one", scheme), two = request(model, temp_ / "two", scheme);
    one.overwrite = two.overwrite = true;
    two.threads = 2;
    const CompressReport a = run_compression(one, {}), b = run_compression(two, {});
    EXPECT_EQ(contents(temp_ / "one"), contents(temp_ / "two"));
    EXPECT_EQ(a.outputs[0].sha256, b.outputs[0].sha256);
    for (std::size_t i = 0; i < a.outputs[0].tensors.size(); ++i)
      EXPECT_EQ(a.outputs[0].tensors[i].relative_error, b.outputs[0].tensors[i].relative_error);
  }
}

TEST_F(Job, ProgressIsMonotonicAndComplete) {
  std::vector<std::string> stages;
  std::int64_t last = 0, total = 0;
  CompressRequest r = request(model_, temp_ / "out");
  r.threads = 2;
  run_compression(r, [&](const Progress& p) {
    if (stages.empty() || stages.back() != p.stage) {
      if (!stages.empty()) {
        EXPECT_EQ(last, total);
      }
      stages.push_back(p.stage);
      last = 0;
    }
    EXPECT_GT(p.done, last);
    EXPECT_FALSE(p.item.empty());
    last = p.done;
    total = p.total;
    return true;
  });
  EXPECT_EQ(last, total);
  EXPECT_THAT(stages, ElementsAre("compress", "verify"));
}

TEST_F(Job, CancelAtAnyPointLeavesNothing) {
  for (const int stop_after : {0, 5, 19, 20, 30, 40}) {
    int calls = 0;
    CompressRequest r = request(model_, temp_ / "out");
    r.threads = 2;
    refusal(ErrorCode::cancelled, [&] { run_compression(r, [&](const Progress&) { return calls++ < stop_after; }); });
    EXPECT_EQ(calls, stop_after + 1) << "not asked again";
    EXPECT_THAT(names_in(temp_.path()), ElementsAre("model"));
  }
}

TEST_F(Job, AThrowingCallbackLeavesNothing) {
  EXPECT_THROW(run_compression(request(model_, temp_ / "out"), [](const Progress&) -> bool { throw 42; }), int);
  EXPECT_THAT(names_in(temp_.path()), ElementsAre("model"));
}

TEST_F(Job, DamagedWeightsAreNamed) {
  for (const bool quantized : {true, false}) {
    const std::string name = quantized ? "model.layers.1.mlp.up_proj.weight" : "model.embed_tokens.weight";
    testing::ModelSpec spec;
    spec.edit = [&](const std::string& tensor, std::vector<float>& values) {
      if (tensor == name) values[64 * 70 + 3] = std::numeric_limits<float>::quiet_NaN();
    };
    const fs::path model = testing::write_model(temp_ / "damaged", spec);
    EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { run_compression(request(model, temp_ / "out"), {}); }),
                HasSubstr(name + ": row 70, column 3 is NaN"));
    EXPECT_FALSE(fs::exists(temp_ / "out"));
    fs::remove_all(model);
    EXPECT_THAT(names_in(temp_.path()), ElementsAre("model"));
  }
}

TEST_F(Job, AdversarialWeightsPassVerification) {
  testing::ModelSpec spec;
  spec.dtype = DType::f32;
  spec.edit = [](const std::string& tensor, std::vector<float>& values) {
    if (tensor.ends_with("q_proj.weight")) std::ranges::fill(values, 0.0f);
    if (tensor.ends_with("k_proj.weight")) std::ranges::fill(values, 1e-42f);
    if (tensor.ends_with("up_proj.weight")) values[5] = 3e4f;
    if (tensor.ends_with("down_proj.weight"))
      for (float& v : values) v = std::fabs(v);
  };
  const fs::path model = testing::write_model(temp_ / "odd", spec);
  for (const char* type : {"bf16", "f16", "f32"})
    for (const char* scheme : {"W4A16-g32", "W4A16-g32-asym", "W8A16-channel"}) {
      CompressRequest r = request(model, temp_ / "out", scheme, {{"compressed-tensors", type}});
      r.overwrite = true;
      EXPECT_NO_THROW(run_compression(r, {})) << type << " " << scheme;
    }
}

TEST_F(Job, ValuesBeyondTheStoredTypeAreRefused) {
  testing::ModelSpec spec;
  spec.dtype = DType::f32;
  spec.edit = [](const std::string&, std::vector<float>& values) { values[0] = 1e30f; };
  const fs::path model = testing::write_model(temp_ / "huge", spec);
  EXPECT_THROW(run_compression(request(model, temp_ / "out", "W4A16-g32", {{"compressed-tensors", "f16"}}), {}), Error);
  EXPECT_THAT(names_in(temp_.path()), ElementsAre("huge", "model"));
}

TEST_F(Job, OverwriteReplacesOnlyWithSuccess) {
  CompressRequest r = request(model_, temp_ / "out", "W8A16-channel");
  run_compression(r, {});
  const auto before = contents(temp_ / "out");
  refusal(ErrorCode::invalid_argument, [&] { run_compression(r, {}); });
  r.overwrite = true;
  r.recipe.steps[0].scheme = "W4A16-g32";
  refusal(ErrorCode::cancelled, [&] { run_compression(r, [](const Progress&) { return false; }); });
  EXPECT_EQ(contents(temp_ / "out"), before);
  run_compression(r, {});
  EXPECT_NE(contents(temp_ / "out"), before);
  EXPECT_THAT(names_in(temp_.path()), ElementsAre("model", "out"));
}

TEST_F(Job, UnwritablePlaceIsAnIoError) {
  refusal(ErrorCode::io_error, [&] { run_compression(request(model_, "/proc/out"), {}); });
}

TEST_F(Job, AWriteThatFailsHalfwayLeavesNothing) {
  // The file size limit stands in for a full disk: the same failing write(), without a file system of its own.
  struct rlimit old {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small { 16 << 10, old.rlim_max };
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string message;
  for (const RecipeFormat& format : {RecipeFormat{"compressed-tensors", ""}, RecipeFormat{"gguf", "Q4_0"}})
    message += refusal(ErrorCode::io_error,
                       [&] { run_compression(request(testing::tiny(), temp_ / "out", "W4A16-g32", {format}), {}); });
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(message, HasSubstr("out.partial-")) << "names the file";
  EXPECT_THAT(names_in(temp_.path()), ElementsAre("model"));
}

/// Every tensor of `mixed` decodes to that of the folder that `of` names for it.
void expect_parts_of(const fs::path& mixed, const std::function<fs::path(const std::string&)>& of) {
  const auto result = open_checkpoint(mixed);
  for (const TensorInfo& tensor : result->tensors()) {
    const Tensor a = result->load(tensor.name), b = open_checkpoint(of(tensor.name))->load(tensor.name);
    EXPECT_TRUE(std::ranges::equal(a.span(), b.span())) << tensor.name;
  }
}

TEST_F(Job, EveryTensorHasTheSchemeOfItsStep) {
  run_compression(request(model_, temp_ / "four", "W4A16-g32"), {});
  run_compression(request(model_, temp_ / "eight", "W8A16-channel"), {});
  CompressRequest r = request(model_, temp_ / "mixed", "W4A16-g32");
  RecipeStep wide = r.recipe.steps[0];
  wide.scheme = "W8A16-channel";
  wide.targets = {"re:.*down_proj", "re:.*layers\\.0\\.self_attn.*"};
  r.recipe.steps.insert(r.recipe.steps.begin(), wide);
  const CompressReport report = run_compression(r, {});
  EXPECT_EQ(report.plan.outputs[0].bytes, report.outputs[0].bytes);
  expect_parts_of(temp_ / "mixed", [&](const std::string& name) {
    const bool eight = name.find("down_proj") != std::string::npos || name.find("layers.0.self") != std::string::npos;
    return temp_ / (eight ? "eight" : "four");
  });
}

TEST_F(Job, GgufTensorsHaveTheTypesOfTheRecipe) {
  for (const char* type : {"Q4_0", "Q8_0", "Q5_1"})
    run_compression(request(testing::tiny(), temp_ / type, "W8A16", {{"gguf", type}}), {});
  CompressRequest r = request(testing::tiny(), temp_ / "mixed", "W8A16", {{"gguf", "Q4_0"}});
  r.recipe.formats[0].tensor_types = {{{"re:.*down_proj"}, "Q8_0"}, {{"re:.*layers\\.1\\..*"}, "Q5_1"}};
  const CompressReport report = run_compression(r, {});
  expect_parts_of(temp_ / "mixed", [&](const std::string& name) {
    const bool matrix = name.find("proj") != std::string::npos;
    return temp_ / (name.find("down_proj") != std::string::npos             ? "Q8_0"
                    : matrix && name.find("layers.1.") != std::string::npos ? "Q5_1"
                                                                            : "Q4_0");
  });
}

TEST_F(Job, WhatEveryReaderComputesIsLeftOutOfGguf) {
  testing::ModelSpec spec;
  spec.vocab = 4096;  // of the tokenizer
  const std::string frequencies = "model.layers.1.self_attn.rotary_emb.inv_freq";
  spec.more = {{frequencies, {8}}};
  const fs::path model = testing::write_model(temp_ / "old", spec);
  fs::copy_file(testing::tiny() / "tokenizer.json", model / "tokenizer.json");
  for (const char* technique : {"none", "rtn", "gptq"}) {
    CompressRequest r = request(model, temp_ / technique, "W4A16-g32", {{"gguf", "Q8_0"}, {"safetensors", "f32"}});
    r.recipe.steps[0].technique = technique;
    if (r.recipe.steps[0].technique != "none") r.recipe.formats[1] = {"compressed-tensors", "f32"};
    if (r.recipe.steps[0].technique == "none") r.recipe.steps[0].scheme = "";
    if (r.recipe.steps[0].technique == "gptq")
      r.calibration.texts = {fs::path(ADVISOR_SOURCE_DIR) / "examples/calibration/tiny.txt"};
    r.calibration.samples = 4;
    r.calibration.sequence_length = 32;
    const CompressReport report = run_compression(r, {});
    const auto gguf = open_checkpoint(report.outputs[0].folder), other = open_checkpoint(report.outputs[1].folder);
    EXPECT_EQ(gguf->find(frequencies), nullptr);
    EXPECT_EQ(gguf->tensors().size() + 1, open_checkpoint(model)->tensors().size());
    EXPECT_EQ(report.outputs[0].tensors.size(), gguf->tensors().size());
    EXPECT_NE(other->find(frequencies), nullptr) << "where there is a place for it, it stays";
  }
}

TEST_F(Job, ConvertsWithoutQuantizing) {
  CompressRequest r = request(model_, temp_ / "out", "", {{"safetensors", "f32"}});
  r.recipe.steps[0].technique = "none";
  const CompressReport report = run_compression(r, {});
  EXPECT_EQ(report.outputs[0].worst_relative_error, 0);
  EXPECT_EQ(report.plan.quantized_tensors, 0);
}

}  // namespace
}  // namespace advisor
