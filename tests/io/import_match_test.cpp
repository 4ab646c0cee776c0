// What is matched to the catalog, what is refused, and what each refusal says; against the database that is shipped.
#include "io/import_match.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "core/error.h"

namespace advisor {
namespace {

using testing::Contains;
using testing::HasSubstr;
namespace fs = std::filesystem;

const fs::path samples = fs::path(ADVISOR_SOURCE_DIR) / "tests/io/imports";
const std::string llama = "meta-llama/Llama-3.1-8B-Instruct";

const NameTables& names() {
  static const NameTables tables = load_names(fs::path(ADVISOR_BINARY_DIR) / "share/advisor/advisor.db");
  return tables;
}

std::vector<ImportedFile> read(const std::vector<std::string>& files) {
  std::vector<ImportedFile> all;
  for (const std::string& file : files) all.push_back(read_results_file(samples / file));
  return all;
}

Recording match(const std::vector<std::string>& files, const RecordOptions& options = {},
                const std::vector<std::string>& baselines = {}, const std::vector<RecordedScore>& earlier = {}) {
  return match_results(read(files), read(baselines), options, names(), earlier);
}

template <typename Action>
void expect_refused(Action action, ErrorCode code, const std::vector<std::string>& says) {
  try {
    action();
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    for (const std::string& part : says) EXPECT_THAT(error.what(), HasSubstr(part));
  }
}

const RecordedQuality& row_of(const Recording& recording, const std::string& task) {
  for (const RecordedQuality& q : recording.quality) {
    if (q.row.task == task) return q;
  }
  throw std::runtime_error("no row of " + task);
}

/// The tiny model, which is in no catalog.
RecordOptions tiny() {
  RecordOptions options;
  options.model = "mine/tiny";
  options.params = 1.1e6;
  options.tasks = {{"tiny", "knowledge"}, {"tiny_prose", "language_modelling"}};
  return options;
}

TEST(MatchModel, KnowsIdsAliasesAndPublishedCheckpoints) {
  EXPECT_EQ(match_model(llama, names()).model, llama);
  const ModelMatch red = match_model("RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8", names());
  EXPECT_EQ(red.model, llama);
  EXPECT_EQ(red.weights.technique, "fp8");
  EXPECT_EQ(red.weights.scheme, "W8A8-fp8");
  EXPECT_THAT(red.why, HasSubstr("published_checkpoints.csv"));
  const ModelMatch moved = match_model("neuralmagic/Meta-Llama-3.1-8B-Instruct-quantized.w8a8", names());
  EXPECT_EQ(moved.model, llama);
  EXPECT_EQ(moved.weights.scheme, "W8A8-int8");
}

TEST(MatchModel, ReadsTheHabitsOfNames) {
  struct Case {
    const char *published, *technique, *scheme;
  };
  for (const auto& [published, technique, scheme] :
       {Case{"/models/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", "gguf-k", "Q4_K_M"},
        {"Llama-3.1-8B-Instruct.Q8_0.gguf", "gguf-legacy", "Q8_0"},
        {"m/Llama-3.1-8B-Instruct-IQ4_XS-00001-of-00002.gguf", "gguf-i", "IQ4_XS"},
        {"Llama-3.1-8B-Instruct-BF16.gguf", "none", "BF16"},
        {"somebody/Llama-3.1-8B-Instruct-AWQ", "awq", "W4A16"},
        {"somebody/Llama-3.1-8B-Instruct-GPTQ-Int4", "gptq", "W4A16"},
        {"out/Llama-3.1-8B-Instruct-W4A16-g128", "", "W4A16-g128"},
        {"out/llama_3.1_8b_instruct", "", ""},
        {"/root/.cache/huggingface/hub/models--meta-llama--Llama-3.1-8B-Instruct/snapshots/0e9e", "", ""}}) {
    SCOPED_TRACE(published);
    const ModelMatch match = match_model(published, names());
    EXPECT_EQ(match.model, llama);
    EXPECT_EQ(match.weights.technique, technique);
    EXPECT_EQ(match.weights.scheme, scheme);
    EXPECT_THAT(match.why, HasSubstr(llama));
  }
}

TEST(MatchModel, RefusesWhatItDoesNotKnow) {
  expect_refused([] { match_model("meta-llama/Llama-3.1-8B-Instrct", names()); }, ErrorCode::not_found,
                 {"unknown model", "did you mean", llama, "--model"});
  expect_refused([] { match_model("/tmp/my-model", names()); }, ErrorCode::not_found, {"--params"});
  expect_refused([] { match_model("1bitLLM/bitnet_b1_58-3B", names()); }, ErrorCode::not_found,
                 {"in no catalog", "not in the model catalog"});
  expect_refused([] { match_model("", names()); }, ErrorCode::not_found, {"unknown model"});
}

TEST(MatchModel, EveryCatalogIdIsItself) {
  for (const auto& [id, params] : names().params) EXPECT_EQ(match_model(id, names()).model, id);
}

TEST(MatchHardware, ReadsWhatDriversSay) {
  EXPECT_EQ(match_hardware("NVIDIA GeForce RTX 4090", names()).first, "nvidia-rtx-4090-24gb");
  EXPECT_EQ(match_hardware("NVIDIA A100-SXM4-80GB", names()).first, "nvidia-a100-sxm4-80gb");
  EXPECT_EQ(match_hardware("AMD EPYC 7763 64-Core Processor", names()).second.find("\"AMD EPYC"), 0u);
  EXPECT_EQ(match_hardware("nvidia-rtx-4090", names()).first, "nvidia-rtx-4090-24gb");  // an alias
}

TEST(MatchHardware, RefusesToGuess) {
  expect_refused([] { match_hardware("NVIDIA H100 80GB HBM3", names()); }, ErrorCode::invalid_argument,
                 {"may be", "nvidia-h100-pcie-80gb", "--hardware"});
  expect_refused([] { match_hardware("Abacus 3000", names()); }, ErrorCode::not_found, {"unknown hardware"});
  expect_refused([] { match_hardware("", names()); }, ErrorCode::not_found, {"unknown hardware"});
}

TEST(Match, BaselineAndQuantizedTogether) {
  const Recording r = match({"lm_eval_llama.json", "lm_eval_llama_w4a16.json"});
  EXPECT_EQ(r.quality.size(), 6u);
  EXPECT_EQ(r.scores.size(), 6u);
  const RecordedQuality& mmlu = row_of(r, "mmlu");
  EXPECT_EQ(mmlu.row.model, llama);
  EXPECT_EQ(mmlu.row.family, "knowledge");
  EXPECT_EQ(mmlu.row.metric, "acc");
  EXPECT_EQ(mmlu.row.metric_kind, "proportion");
  EXPECT_DOUBLE_EQ(mmlu.row.baseline, 0.6802);
  EXPECT_DOUBLE_EQ(mmlu.row.value, 0.67);
  EXPECT_EQ(mmlu.row.weight_bits, 4);
  EXPECT_EQ(mmlu.row.activation_bits, 16);
  EXPECT_DOUBLE_EQ(mmlu.row.standard_error.value(), 0.0037);
  EXPECT_FALSE(row_of(r, "wikitext").row.higher_is_better);
  EXPECT_THAT(r.matched, Contains(HasSubstr("neuralmagic/Meta-Llama-3.1-8B-Instruct-quantized.w4a16")));
  EXPECT_THAT(r.notes, Contains(HasSubstr("members of mmlu")));
}

TEST(Match, OrderOfFilesDoesNotMatter) {
  const Recording a = match({"lm_eval_llama.json", "lm_eval_llama_w4a16.json"});
  const Recording b = match({"lm_eval_llama_w4a16.json", "lm_eval_llama.json"});
  ASSERT_EQ(a.quality.size(), b.quality.size());
  for (std::size_t i = 0; i < a.quality.size(); ++i) {
    EXPECT_EQ(a.quality[i].row.task, b.quality[i].row.task);
    EXPECT_EQ(a.quality[i].row.baseline, b.quality[i].row.baseline);
  }
}

TEST(Match, BaselineByOptionAndFromEarlierRecordings) {
  const Recording by_option = match({"lm_eval_llama_w4a16.json"}, {}, {"lm_eval_llama.json"});
  EXPECT_EQ(by_option.quality.size(), 6u);
  const Recording earlier = match({"lm_eval_llama.json"});
  EXPECT_TRUE(earlier.quality.empty());
  EXPECT_EQ(earlier.scores.size(), 6u);
  const Recording later = match({"lm_eval_llama_w4a16.json"}, {}, {}, earlier.scores);
  EXPECT_EQ(later.quality.size(), 6u);
  EXPECT_TRUE(later.scores.empty());
}

TEST(Match, MissingBaselineIsNamed) {
  expect_refused([] { match({"lm_eval_llama_w4a16.json"}); }, ErrorCode::not_found,
                 {"no uncompressed run of " + llama, "mmlu", "lm-evaluation-harness", "--baseline", "5 more"});
}

TEST(Match, RunsWithOtherSettingsAreNotCompared) {
  std::vector<ImportedFile> base = read({"lm_eval_llama.json"}), quantized = read({"lm_eval_llama_w4a16.json"});
  for (ToolQuality& q : base[0].runs[0].quality) q.settings = "shots 0";
  expect_refused([&] { match_results(quantized, base, {}, names(), {}); }, ErrorCode::not_found,
                 {"was run otherwise: shots 0", "here: shots 5"});
}

TEST(Match, CompressedBaselineIsRefused) {
  expect_refused([] { match({"lm_eval_llama_w4a16.json"}, {}, {"lm_eval_llama_w4a16.json"}); },
                 ErrorCode::invalid_argument, {"given as baseline, but its weights are compressed"});
}

TEST(Match, OwnModelWithTheReportOfItsCompression) {
  const Recording r = match({"lm_eval_tiny.json", "lm_eval_tiny_w4a16.json", "advisor_report.json"}, tiny());
  ASSERT_EQ(r.quality.size(), 2u);
  const RecordedQuality& row = row_of(r, "tiny");
  EXPECT_EQ(row.row.model, "mine/tiny");
  EXPECT_EQ(row.row.params, 1.1e6);
  EXPECT_EQ(row.row.technique, "rtn");
  EXPECT_EQ(row.row.scheme, "W4A16-g32");
  EXPECT_EQ(row.row.group_size, 32);
  EXPECT_EQ(row.row.family, "knowledge");
  EXPECT_THAT(r.matched, Contains(HasSubstr("compression report")));
}

TEST(Match, ReportsAreFoundByFolderOrFile) {
  for (const auto& [folder, measured] :
       {std::pair{"out/w4", "/home/me/out/w4/"}, std::pair{"/home/me/out/w4", "./out/w4"},
        std::pair{"out/w4", "/home/me/out/w4/model.gguf"}}) {
    SCOPED_TRACE(measured);
    std::vector<ImportedFile> files =
        read({"advisor_evaluation.json", "advisor_evaluation_w4a16.json", "advisor_report.json"});
    files[1].runs[0].model = measured;
    files[2].made[0].folder = folder;
    const Recording r = match_results(files, {}, tiny(), names(), {});
    EXPECT_EQ(row_of(r, "knowledge").row.scheme, "W4A16-g32");
  }
}

TEST(Match, CompressedFormatAmongSeveralFilesTakesTheOptions) {
  RecordOptions options = tiny();
  options.technique = "rtn";
  options.scheme = "W4A16-g32";
  const Recording r = match({"advisor_evaluation.json", "advisor_evaluation_w4a16.json"}, options);
  EXPECT_EQ(row_of(r, "knowledge").row.technique, "rtn");
  EXPECT_EQ(r.scores.size(), 2u);  // intent is in no vocabulary
}

TEST(Match, TablesReadAsTheShippedOnes) {
  const std::string text =
      "model_id,technique,format,weight_bits,activation_bits,group_size,task,metric,scale,baseline_value,value\n" +
      llama + ",gptq,W4A16,4,16,128,mmlu,accuracy_pct,percent,68,67\n";
  const Recording r = match_results({read_results(text, "t.csv")}, {}, {}, names(), {});
  ASSERT_EQ(r.quality.size(), 1u);
  EXPECT_EQ(r.quality[0].row.scheme, "W4A16-g128");
  EXPECT_EQ(r.quality[0].row.metric, "acc");
  EXPECT_EQ(r.quality[0].row.params, names().params.at(llama));
}

TEST(Match, OwnReportsByOptions) {
  RecordOptions options = tiny();
  options.technique = "rtn";
  options.scheme = "W4A16-g32";
  options.tasks = {{"intent", "reading"}};
  const Recording r = match({"advisor_evaluation_w4a16.json"}, options, {"advisor_evaluation.json"});
  EXPECT_EQ(r.quality.size(), 3u);
  EXPECT_EQ(row_of(r, "prose").row.metric, "perplexity");
  EXPECT_EQ(row_of(r, "knowledge").row.family, "knowledge");
  EXPECT_EQ(row_of(r, "intent").row.family, "reading");
}

TEST(Match, OptionsDescribeEveryFileWhenTheBaselineIsNamed) {
  RecordOptions options;
  options.technique = "fp8";
  options.scheme = "W8A8-fp8";
  std::vector<ImportedFile> base = read({"lm_eval_llama.json"}),
                            runs = read({"lm_eval_llama.json", "lm_eval_llama.json"});
  for (ToolQuality& q : runs[1].runs[0].quality) q.value *= 0.999;
  const Recording r = match_results(runs, base, options, names(), {});
  EXPECT_EQ(r.quality.size(), 12u);
  for (const RecordedQuality& q : r.quality) EXPECT_EQ(q.row.technique, "fp8");
}

TEST(Match, FilesThatAreOnlyComparedWithAreReferences) {
  const Recording together = match({"lm_eval_llama.json", "lm_eval_llama_w4a16.json"});
  EXPECT_TRUE(together.files.at(0).reference);
  EXPECT_FALSE(together.files.at(1).reference);
  EXPECT_FALSE(match({"lm_eval_llama.json"}).files.at(0).reference);  // a score of its own
  const Recording made = match({"lm_eval_tiny.json", "lm_eval_tiny_w4a16.json", "advisor_report.json"}, tiny());
  EXPECT_TRUE(made.files.at(2).reference);
}

TEST(Match, FinetuneKeepsItsNameForQuality) {
  std::string finetune, base;
  for (const auto& [name, known] : names().models) {
    if (known.relation == "finetune") finetune = name, base = known.model;
  }
  ASSERT_FALSE(finetune.empty());
  RecordOptions options;
  options.model = finetune;
  const Recording r = match({"lm_eval_llama.json"}, options);
  EXPECT_EQ(r.scores.at(0).row.model, finetune);
  options.hardware = "nvidia-rtx-4090-24gb";
  EXPECT_EQ(match({"vllm_serve.json"}, options).speed.at(0).row.model, base);
}

TEST(Match, ModelOfYourOwnNeedsItsSize) {
  RecordOptions options = tiny();
  options.params.reset();
  expect_refused([&] { match({"lm_eval_tiny.json"}, options); }, ErrorCode::not_found, {"unknown model", "--params"});
  expect_refused([] { match({"lm_eval_tiny.json"}); }, ErrorCode::not_found,
                 {"lm_eval_tiny.json", "unknown model \"/tmp/rec/tiny\"", "--model"});
}

TEST(Match, UnknownTasksAreLeftOutOrRefused) {
  RecordOptions options = tiny();
  options.tasks = {};
  expect_refused([&] { match({"lm_eval_tiny.json"}, options); }, ErrorCode::invalid_argument,
                 {"tasks in no vocabulary", "tiny_knowledge", "--task"});
  options.tasks = {{"tiny_knowledge", "knowledge"}};
  const Recording r = match({"lm_eval_tiny.json"}, options);  // its group has no place, so it stands for itself
  ASSERT_EQ(r.scores.size(), 1u);
  EXPECT_EQ(r.scores[0].row.task, "tiny_knowledge");
  options.tasks = {{"tiny_knowledge", "knowlege"}};
  expect_refused([&] { match({"lm_eval_tiny.json"}, options); }, ErrorCode::not_found,
                 {"unknown task or family \"knowlege\"", "knowledge"});
}

TEST(Match, SpeedsNeedHardware) {
  expect_refused([] { match({"vllm_serve.json"}); }, ErrorCode::invalid_argument, {"on which hardware", "--hardware"});
  RecordOptions options;
  options.hardware = "nvidia-h100-sxm5-80gb";
  options.hardware_count = 2;
  options.engine_version = "0.11.0";
  const Recording r = match({"vllm_serve.json"}, options);
  ASSERT_EQ(r.speed.size(), 5u);
  const SpeedMeasurement& row = r.speed[0].row;
  EXPECT_EQ(row.model, llama);
  EXPECT_EQ(row.format, "W8A8-FP8");
  EXPECT_EQ(row.weight_bits, 8);
  EXPECT_EQ(row.engine, "vllm");
  EXPECT_EQ(row.engine_version, "0.11.0");
  EXPECT_EQ(row.hardware, "nvidia-h100-sxm5-80gb");
  EXPECT_EQ(row.hardware_count, 2);
  EXPECT_EQ(row.concurrency, 16);
  options.engine = "vlm";
  expect_refused([&] { match({"vllm_serve.json"}, options); }, ErrorCode::not_found,
                 {"unknown engine \"vlm\"", "vllm"});
}

TEST(Match, LlamaBenchOnHardwareOfTheCatalog) {
  RecordOptions options = tiny();
  options.hardware = "nvidia-rtx-4090-24gb";
  const Recording r = match({"llama_bench.json"}, options);
  ASSERT_GE(r.speed.size(), 4u);
  EXPECT_EQ(r.speed[0].row.format, "Q8_0");
  EXPECT_EQ(r.speed[0].row.engine, "llama.cpp");
  EXPECT_EQ(r.speed.back().row.format, "fp16");
}

TEST(Match, LlamaPerplexityNeedsTheTextItWasMeasuredOn) {
  RecordOptions options = tiny();
  options.tasks = {};
  expect_refused([&] { match({"llama_perplexity.txt"}, options, {"llama_perplexity_f16.txt"}); },
                 ErrorCode::invalid_argument, {"--task"});
  options.tasks = {{"", "wikitext2"}};
  const Recording r = match({"llama_perplexity.txt"}, options, {"llama_perplexity_f16.txt"});
  ASSERT_EQ(r.quality.size(), 1u);
  EXPECT_EQ(r.quality[0].row.scheme, "Q8_0");
  EXPECT_EQ(r.quality[0].row.task, "wikitext2");
  const Recording both = match({"llama_perplexity.txt", "llama_perplexity_f16.txt"}, options);
  ASSERT_EQ(both.quality.size(), 1u);
  EXPECT_EQ(both.quality[0].row.baseline, r.quality[0].row.baseline);
  const Recording divergence = match({"llama_perplexity_kld.txt"}, options);  // holds its own baseline
  EXPECT_EQ(divergence.quality.size(), 3u);
}

TEST(Match, ValuesOutsideTheirMetricAreRefused) {
  std::vector<ImportedFile> files = read({"lm_eval_llama.json"});
  files[0].runs[0].quality[0].value = 68.02;
  expect_refused([&] { match_results(files, {}, {}, names(), {}); }, ErrorCode::invalid_argument,
                 {"68.02", "at most 1"});
  files[0].runs[0].quality[0].value = -0.1;
  expect_refused([&] { match_results(files, {}, {}, names(), {}); }, ErrorCode::invalid_argument, {"at least 0"});
  files = read({"vllm_serve.json"});
  files[0].runs[0].speed[0].value = 0;
  RecordOptions options;
  options.hardware = "nvidia-h100-sxm5-80gb";
  expect_refused([&] { match_results(files, {}, options, names(), {}); }, ErrorCode::invalid_argument, {"no speed"});
}

TEST(Match, TechniqueAndSchemeMustBeKnown) {
  RecordOptions options;
  options.technique = "gptqq";
  options.scheme = "W4A16-g128";
  expect_refused([&] { match({"lm_eval_llama.json"}, options); }, ErrorCode::not_found, {"unknown technique", "gptq"});
  options.technique = "gptq";
  options.scheme = "4bit";
  expect_refused([&] { match({"lm_eval_llama.json"}, options); }, ErrorCode::invalid_argument, {"unknown scheme"});
  options.scheme = "";
  expect_refused([&] { match({"lm_eval_llama.json"}, options); }, ErrorCode::invalid_argument, {"--scheme"});
  options.technique = "";
  options.scheme = "W4A16-g128";
  expect_refused([&] { match({"lm_eval_llama.json"}, options); }, ErrorCode::invalid_argument, {"--technique"});
}

TEST(Match, CompressionReportAloneMeasuresNothing) {
  expect_refused([] { match({"advisor_report.json"}); }, ErrorCode::invalid_argument, {"nothing that can be recorded"});
}

}  // namespace
}  // namespace advisor
