// The readers, on files as the tools write them (tests/io/imports/README.md says which are real) and on broken ones.
#include "io/import.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "core/error.h"

namespace advisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

const fs::path samples = fs::path(ADVISOR_SOURCE_DIR) / "tests/io/imports";

std::string sample(const std::string& name) {
  std::ifstream in(samples / name, std::ios::binary);
  EXPECT_TRUE(in.is_open()) << name;
  return {std::istreambuf_iterator<char>(in), {}};
}

ImportedFile read(const std::string& name) { return read_results_file(samples / name); }

void expect_refused(const std::string& text, ErrorCode code, const std::vector<std::string>& says) {
  try {
    read_results(text, "results.json");
    ADD_FAILURE() << "accepted: " << text.substr(0, 200);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    for (const std::string& part : says) EXPECT_THAT(error.what(), HasSubstr(part));
    EXPECT_THAT(error.what(), HasSubstr("results.json"));
  }
}

const ToolQuality& figure(const ToolRun& run, const std::string& task) {
  for (const ToolQuality& q : run.quality) {
    if (q.task == task) return q;
  }
  throw std::runtime_error("no figure of " + task);
}

TEST(Import, LmEvalWrittenByTheTool) {
  const ImportedFile file = read("lm_eval_tiny.json");
  EXPECT_EQ(file.kind, "lm-evaluation-harness results");
  ASSERT_EQ(file.runs.size(), 1u);
  const ToolRun& run = file.runs[0];
  EXPECT_EQ(run.model, "/tmp/rec/tiny");
  EXPECT_EQ(run.tool_version, "0.4.13");
  EXPECT_EQ(run.params, 1115008);
  EXPECT_DOUBLE_EQ(figure(run, "tiny_knowledge").value, 0.5944444444444444);  // acc_norm stands for acc
  EXPECT_EQ(figure(run, "tiny_knowledge").metric, "acc_norm");
  EXPECT_EQ(figure(run, "tiny_knowledge").part_of, "tiny");
  EXPECT_EQ(figure(run, "tiny").metric, "acc");
  EXPECT_NEAR(figure(run, "tiny").standard_error.value(), 0.0286, 1e-4);
  EXPECT_EQ(figure(run, "tiny_prose").metric, "word_perplexity");
  EXPECT_FALSE(figure(run, "tiny_prose").standard_error.has_value());  // "N/A"
}

TEST(Import, LmEvalTakesTheStrictFilterAndTextArguments) {
  const ImportedFile file = read("lm_eval_llama_w4a16.json");
  const ToolRun& run = file.runs.at(0);
  EXPECT_EQ(run.model, "neuralmagic/Meta-Llama-3.1-8B-Instruct-quantized.w4a16");
  EXPECT_THAT(figure(run, "gsm8k").locator, HasSubstr("strict-match"));
  EXPECT_EQ(figure(run, "gsm8k").shots, "5");
  EXPECT_EQ(figure(run, "mmlu_stem").part_of, "mmlu");
  EXPECT_THAT(file.notes, testing::Contains(HasSubstr("flexible-extract")));
}

TEST(Import, LmEvalSaysWhatWasQuantizedWhileLoading) {
  std::string text = sample("lm_eval_llama_w4a16.json");
  const std::string from = "tensor_parallel_size=1";
  text.replace(text.find(from), from.size(), "load_in_4bit=True");
  const ImportedFile file = read_results(text, "x");
  EXPECT_EQ(file.runs[0].weights.technique, "bnb");
  EXPECT_EQ(file.runs[0].weights.scheme, "W4A16");
}

TEST(Import, VllmServe) {
  const ToolRun run = read("vllm_serve.json").runs.at(0);
  EXPECT_EQ(run.engine, "vllm");
  ASSERT_EQ(run.speed.size(), 5u);
  EXPECT_EQ(run.speed[0].metric, "decode_tok_s");
  EXPECT_DOUBLE_EQ(run.speed[0].value, 413.9571366);
  EXPECT_EQ(run.speed[0].input_tokens, 1024);
  EXPECT_EQ(run.speed[0].output_tokens, 128);
  EXPECT_EQ(run.speed[0].concurrency, 16);
  EXPECT_EQ(run.speed[3].metric, "ttft_ms");
  EXPECT_DOUBLE_EQ(run.speed[3].value, 392.5131);
  EXPECT_NEAR(run.speed[3].standard_error.value(), 141.2291 / std::sqrt(200.0), 1e-9);
}

TEST(Import, VllmServeAppendedLinesAndArrivalRates) {
  const ImportedFile file = read("vllm_serve_rate.jsonl");
  ASSERT_EQ(file.runs.size(), 2u);
  EXPECT_EQ(file.runs[1].speed[0].load, "4.0 req/s");
  EXPECT_FALSE(file.runs[1].speed[0].concurrency.has_value());
  EXPECT_THAT(file.notes, testing::Contains(HasSubstr("3 of 200 requests failed")));
}

TEST(Import, VllmServeWithoutCapIsAllAtOnce) {
  std::string text = sample("vllm_serve.json");
  const std::string from = "\"max_concurrency\": 16";
  text.replace(text.find(from), from.size(), "\"max_concurrency\": null");
  EXPECT_EQ(read_results(text, "x").runs[0].speed[0].load, "max(infinite rate)");
}

TEST(Import, LlamaBenchInFourForms) {
  for (const char* name : {"llama_bench.json", "llama_bench.jsonl", "llama_bench.csv", "llama_bench.md"}) {
    SCOPED_TRACE(name);
    const ImportedFile file = read(name);
    ASSERT_EQ(file.runs.size(), 2u);
    const ToolRun& run = file.runs[0];
    EXPECT_EQ(run.engine, "llama.cpp");
    EXPECT_EQ(run.weights.scheme, "Q8_0");
    EXPECT_EQ(run.weights.technique, "gguf-legacy");
    EXPECT_EQ(file.runs[1].weights.technique, "none");  // F16
    ASSERT_GE(run.speed.size(), 2u);
    EXPECT_EQ(run.speed[0].metric, "prefill_tok_s");
    EXPECT_EQ(run.speed[1].metric, "decode_tok_s");
    EXPECT_EQ(run.speed[0].load, "1");
    EXPECT_GT(run.speed[0].value, 0);
    ASSERT_TRUE(run.params && run.bits_per_weight);
    EXPECT_NEAR(*run.params, 1.11e6, 0.02e6);
    EXPECT_THAT(file.notes, testing::Contains(HasSubstr("left out")));  // pp+tg
  }
}

/// What llama.cpp itself wrote of the Q8_0 file that `advisor compress` makes of examples/models/tiny.
TEST(Import, LlamaBenchAsItWritesItself) {
  for (const char* name :
       {"llama_bench_tiny.json", "llama_bench_tiny.jsonl", "llama_bench_tiny.csv", "llama_bench_tiny.md"}) {
    SCOPED_TRACE(name);
    const ImportedFile file = read(name);
    ASSERT_EQ(file.runs.size(), 1u);
    const ToolRun& run = file.runs[0];
    EXPECT_EQ(run.engine, "llama.cpp");
    EXPECT_EQ(run.weights.scheme, "Q8_0");
    ASSERT_EQ(run.speed.size(), 2u);
    EXPECT_EQ(run.speed[0].metric, "prefill_tok_s");
    EXPECT_EQ(run.speed[0].input_tokens, 64);
    EXPECT_EQ(run.speed[1].metric, "decode_tok_s");
    EXPECT_EQ(run.speed[1].output_tokens, 16);
    EXPECT_NEAR(run.params.value(), 1115008, 5e3);
    EXPECT_NEAR(std::log(run.speed[1].value), std::log(1e4), 0.5);
  }
}

TEST(Import, LlamaPerplexityAsItWritesItself) {
  const ToolRun full = read("llama_perplexity_tiny_f16.txt").runs.at(0);
  const ToolRun small = read("llama_perplexity_tiny_q8_0.txt").runs.at(0);
  const ToolRun both = read("llama_perplexity_tiny_kld.txt").runs.at(0);
  EXPECT_NEAR(full.quality.at(0).value, 46.6572, 1e-6);
  EXPECT_NEAR(full.quality.at(0).standard_error.value(), 3.37665, 1e-6);
  EXPECT_NEAR(small.quality.at(0).value, 46.6845, 1e-6);
  ASSERT_EQ(both.quality.size(), 3u);
  EXPECT_NEAR(both.quality[0].value, 46.684484, 1e-6);
  EXPECT_NEAR(both.quality[0].baseline.value(), 46.657231, 1e-6);
  EXPECT_NEAR(both.quality[2].value, 0.97520, 1e-6);
}

TEST(Import, LlamaBenchErrorOfTheMean) {
  const ToolRun run = read("llama_bench.json").runs[0];
  ASSERT_TRUE(run.speed[0].standard_error.has_value());
  EXPECT_GT(*run.speed[0].standard_error, 0);
  EXPECT_LT(*run.speed[0].standard_error, run.speed[0].value);
  EXPECT_FALSE(read("llama_bench.md").runs[0].speed[0].standard_error.has_value());  // repetitions are not said
}

TEST(Import, LlamaBenchNamesTheGpuItUsed) {
  std::string text =
      R"([{"build_commit": "5a32f10", "build_number": 6789, "cpu_info": "AMD EPYC 7763 64-Core Processor",)"
      R"( "gpu_info": "NVIDIA GeForce RTX 4090, NVIDIA GeForce RTX 4090", "backends": "CUDA",)"
      R"( "model_filename": "m/Llama-3.1-8B-Instruct-Q4_K_M.gguf", "model_type": "llama 8B Q4_K - Medium",)"
      R"( "model_size": 4912898304, "model_n_params": 8030261312, "n_threads": 8, "n_gpu_layers": 99,)"
      R"( "split_mode": "layer", "n_prompt": 0, "n_gen": 128, "n_depth": 4096, "avg_ts": 150.5, "stddev_ts": 0.5,)"
      R"( "samples_ns": [1, 2, 3, 4]}])";
  const ToolRun run = read_results(text, "x").runs.at(0);
  EXPECT_EQ(run.hardware, "NVIDIA GeForce RTX 4090");
  EXPECT_EQ(run.hardware_count, 2);
  EXPECT_EQ(run.parallelism, "layer-split");
  EXPECT_EQ(run.weights.scheme, "Q4_K_M");
  EXPECT_EQ(run.weights.technique, "gguf-k");
  EXPECT_EQ(run.speed[0].input_tokens, 4096);
  EXPECT_EQ(run.speed[0].output_tokens, 128);
  EXPECT_DOUBLE_EQ(run.speed[0].standard_error.value(), 0.25);
  text.replace(text.find("\"n_gpu_layers\": 99"), 18, "\"n_gpu_layers\":  0");
  EXPECT_EQ(read_results(text, "x").runs[0].hardware, "AMD EPYC 7763 64-Core Processor");
}

TEST(Import, LlamaBenchLeavesOutWhatHasNoPlace) {
  for (const auto& [from, to] :
       {std::pair{"\"type_v\": \"f16\"", "\"type_v\": \"q8_0\""}, std::pair{"\"n_cpu_moe\": 0", "\"n_cpu_moe\": 8"},
        std::pair{"\"tensor_buft_overrides\": \"none\"", "\"tensor_buft_overrides\": \"exps=CPU\""}}) {
    std::string text = sample("llama_bench.json");
    ASSERT_NE(text.find(from), std::string::npos) << from;
    text.replace(text.find(from), std::string(from).size(), to);
    const ImportedFile file = read_results(text, "x");
    EXPECT_EQ(file.runs[0].speed.size(), 1u) << to;  // the first of two
    EXPECT_THAT(file.notes, testing::Contains(HasSubstr("a test of llama")));
  }
}

TEST(Import, RefusesMoreJsonThanResultsHave) {
  expect_refused("{\"a\": \"" + std::string(17u << 20, 'x') + "\"}", ErrorCode::unsupported,
                 {"16 MiB", "--save-detailed"});
}

TEST(Import, LlamaPerplexity) {
  const ToolRun run = read("llama_perplexity.txt").runs.at(0);
  ASSERT_EQ(run.quality.size(), 1u);
  EXPECT_EQ(run.quality[0].metric, "perplexity");
  EXPECT_GT(run.quality[0].value, 1);
  EXPECT_TRUE(run.quality[0].standard_error.has_value());
  EXPECT_EQ(run.quality[0].task, "");  // it does not say
  EXPECT_EQ(run.weights.scheme, "Q8_0");
  EXPECT_THAT(run.model, HasSubstr("tiny-Q8_0.gguf"));
}

TEST(Import, LlamaPerplexityDivergenceHoldsItsBaseline) {
  const ToolRun run = read("llama_perplexity_kld.txt").runs.at(0);
  ASSERT_EQ(run.quality.size(), 3u);
  EXPECT_EQ(run.quality[0].metric, "perplexity");
  EXPECT_GT(run.quality[0].baseline.value(), 1);
  EXPECT_EQ(run.quality[1].metric, "kld_mean");
  EXPECT_EQ(run.quality[1].baseline, 0);
  EXPECT_EQ(run.quality[2].metric, "same_top_token");
  EXPECT_GT(run.quality[2].value, 0.5);
  EXPECT_LE(run.quality[2].value, 1);
  EXPECT_EQ(run.quality[2].baseline, 1);
}

TEST(Import, LlamaPerplexityChunksAloneStartLikeJson) {
  const ImportedFile file = read_results("[1]4.3196,[2]6.0868,\nFinal estimate: PPL = 6.7983 +/- 0.07405\n", "x");
  EXPECT_DOUBLE_EQ(file.runs.at(0).quality.at(0).value, 6.7983);
  EXPECT_DOUBLE_EQ(file.runs[0].quality[0].standard_error.value(), 0.07405);
}

TEST(Import, OwnReports) {
  const ImportedFile evaluation = read("advisor_evaluation.json");
  const ToolRun& run = evaluation.runs.at(0);
  EXPECT_EQ(evaluation.kind, "evaluation report");
  EXPECT_EQ(run.weights.technique, "none");
  EXPECT_EQ(figure(run, "prose").family, "language_modelling");
  const ToolQuality& knowledge = figure(run, "knowledge");
  EXPECT_EQ(knowledge.metric, "acc");
  EXPECT_NEAR(knowledge.standard_error.value(), std::sqrt(knowledge.value * (1 - knowledge.value) / 180), 1e-12);
  const ImportedFile compression = read("advisor_report.json");
  ASSERT_EQ(compression.made.size(), 1u);
  EXPECT_EQ(compression.made[0].weights.scheme, "W4A16-g32");
  EXPECT_EQ(compression.made[0].weights.technique, "rtn");
  EXPECT_TRUE(compression.runs.empty());
}

TEST(Import, Tables) {
  const std::string quality =
      "model_id,technique,format,group_size,task,metric,scale,baseline_value,value\n"
      "m/a,gptq,W4A16,128,mmlu,acc,percent,61.5,60\n";
  const ToolRun run = read_results(quality, "t.csv").runs.at(0);
  EXPECT_DOUBLE_EQ(run.quality[0].value, 0.6);
  EXPECT_DOUBLE_EQ(run.quality[0].baseline.value(), 0.615);
  EXPECT_EQ(run.group_size, 128);
  const std::string speed =
      "model_id,format,engine,hardware_id,batch_or_concurrency,input_len,metric,value\n"
      "m/a,bf16,vllm,gpu,10 req/s,ShareGPT,ttft_ms,120\n";
  const ToolSpeed s = read_results(speed, "t.csv").runs.at(0).speed.at(0);
  EXPECT_EQ(s.load, "10 req/s");
  EXPECT_FALSE(s.concurrency.has_value());
  EXPECT_FALSE(s.input_tokens.has_value());
}

TEST(Import, TablesSayWhichLine) {
  expect_refused(
      "model_id,technique,format,task,metric,scale,baseline_value,value\nm,rtn,W4A16,mmlu,acc,percent,61,x\n",
      ErrorCode::parse_error, {"results.json:2", "value \"x\" is no number"});
  expect_refused("model_id,technique,format,task,metric,scale,baseline_value,value\nm,rtn,W4A16,mmlu,acc,of ten,61,6\n",
                 ErrorCode::parse_error, {":2", "percent, fraction or raw"});
  expect_refused("model_id,technique,format,task,metric,scale,baseline_value,value\nm,rtn,W4A16,,acc,raw,61,6\n",
                 ErrorCode::parse_error, {":2", "task is empty"});
  expect_refused("model_id,technique,format,task,metric,scale,baseline_value,value\nm,rtn,W4A16,mmlu,acc,raw,nan,6\n",
                 ErrorCode::parse_error, {":2", "baseline_value", "no measurement"});
}

TEST(Import, RefusesAnotherKindOfFile) {
  expect_refused("{\"name\": \"x\", \"version\": 3}", ErrorCode::unsupported, {"not the result", "llama-bench"});
  expect_refused("hello world\n", ErrorCode::unsupported, {"not the result", "lm-evaluation-harness"});
  expect_refused("", ErrorCode::parse_error, {"empty"});
  expect_refused(" \n\t", ErrorCode::parse_error, {"empty"});
  expect_refused("[]", ErrorCode::parse_error, {"empty list"});
  expect_refused("[1, 2, 3]", ErrorCode::unsupported, {"not the result"});
  expect_refused(std::string("GGUF\0\3\0\0", 8), ErrorCode::unsupported, {"not the result"});
  expect_refused(R"({"schema": "advisor.recommendation/1"})", ErrorCode::unsupported, {"holds no measurements"});
}

TEST(Import, RefusesNanAndInfinity) {
  // Python writes NaN and Infinity into JSON, C++ nan and inf
  for (const char* bad : {"NaN", "Infinity", "-Infinity", "nan", "-nan", "inf"}) {
    std::string text = sample("vllm_serve.json");
    const std::string from = "413.9571366";
    text.replace(text.find(from), from.size(), bad);
    expect_refused(text, ErrorCode::parse_error, {"NaN or infinite"});
  }
  std::string text = sample("lm_eval_llama.json");
  text.replace(text.find("0.7388"), 6, "NaN");
  expect_refused(text, ErrorCode::parse_error, {"results.json:", "NaN or infinite"});
  text = sample("lm_eval_llama.json");
  text.replace(text.find("0.7388"), 6, "\"nan\"");  // as a text
  expect_refused(text, ErrorCode::parse_error, {"winogrande", "no measurement"});
  expect_refused("Final estimate: PPL = nan +/- nan\n", ErrorCode::parse_error, {":1", "no measurement"});
}

TEST(Import, RefusesTruncatedFiles) {
  for (const char* name : {"lm_eval_tiny.json", "vllm_serve.json", "llama_bench.json", "advisor_evaluation.json"}) {
    const std::string whole = sample(name);
    for (const std::size_t share : {1, 3, 5, 7, 9}) {
      EXPECT_THROW(read_results(whole.substr(0, whole.size() * share / 10), name), Error) << name;
    }
  }
  expect_refused("perplexity: calculating perplexity over 100 chunks, n_ctx=512\n[1]5.1,[2]5.2,",
                 ErrorCode::parse_error, {"cut off"});
  std::string table = sample("llama_bench.md");
  table.resize(table.rfind("t/s") == std::string::npos ? 0 : table.find("pp") + 1);
  expect_refused(table, ErrorCode::parse_error, {"cut off"});
}

TEST(Import, RefusesHugeNesting) {
  expect_refused(std::string(100000, '['), ErrorCode::parse_error, {"nested deeper"});
  std::string maps;
  for (int i = 0; i < 100000; ++i) maps += "{\"a\":";
  expect_refused(maps, ErrorCode::parse_error, {"nested deeper"});
}

TEST(Import, RefusesResultsWithoutAnyFigure) {
  expect_refused(R"({"results": {"x": {"alias": "x"}}, "configs": {}, "model_name": "m"})", ErrorCode::parse_error,
                 {"without a single measurement"});
  expect_refused(R"({"model_id": "m", "request_throughput": 0, "completed": 0})", ErrorCode::parse_error,
                 {"no request was completed"});
}

TEST(Import, MissingFilesAndFolders) {
  EXPECT_THROW(read_results_file(samples / "nothing.json"), Error);
  EXPECT_THROW(read_results_file(samples), Error);
}

TEST(Import, DigestTellsContentsApart) {
  EXPECT_EQ(content_digest("a"), content_digest("a"));
  EXPECT_NE(content_digest("a"), content_digest("b"));
  EXPECT_EQ(read("lm_eval_tiny.json").digest, content_digest(sample("lm_eval_tiny.json")));
}

}  // namespace
}  // namespace advisor
