#include "evaluate/evaluate.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "evaluate/fixture.h"

namespace advisor {
namespace {

using nlohmann::json;
using testing::expect_refusal;
using testing::TempFolder;

EvaluateRequest request() {
  EvaluateRequest request;
  request.model = testing::examples / "models/tiny";
  return request;
}

EvaluationReport bundled(int threads, std::int64_t limit = 0) {
  EvaluateRequest all = request();
  all.suite = testing::examples / "suites/tiny";
  all.threads = threads;
  all.limit = limit;
  return evaluate(all);
}

// Figures of tests/long/oracle.py, an independent path in numpy (float64).
TEST(Evaluate, AgreesWithAnIndependentPath) {
  EvaluationReport report = bundled(0);
  ASSERT_EQ(report.perplexity.size(), 1U);
  const PerplexityResult& prose = report.perplexity[0];
  EXPECT_EQ(prose.name, "prose");
  EXPECT_EQ(prose.tokens, 2063);
  EXPECT_EQ(prose.windows, 9);
  EXPECT_EQ(prose.window, 256);
  EXPECT_NEAR(prose.nll, 8232.8042, 0.05);
  EXPECT_NEAR(prose.value, 54.092481, 5e-4);
  auto bytes = static_cast<double>(std::filesystem::file_size(testing::examples / "suites/tiny/prose.txt"));
  EXPECT_NEAR(prose.bits_per_byte, prose.nll / std::log(2.0) / bytes, 1e-9);
  EXPECT_LT(prose.low, prose.value);
  EXPECT_GT(prose.high, prose.value);

  ASSERT_EQ(report.choices.size(), 2U);
  EXPECT_EQ(report.choices[0].name, "intent");
  EXPECT_EQ(report.choices[0].n, 80);
  EXPECT_EQ(report.choices[0].correct, 62);
  EXPECT_DOUBLE_EQ(report.choices[0].chance, 0.125);
  EXPECT_EQ(report.choices[1].family, "knowledge");
  EXPECT_EQ(report.choices[1].n, 180);
  EXPECT_EQ(report.choices[1].correct, 117);
  EXPECT_DOUBLE_EQ(report.choices[1].chance, 0.25);
  EXPECT_GT(report.choices[1].low, report.choices[1].chance) << "the suite tells the model from guessing";
  EXPECT_EQ(report.choices[1].hits.size(), 180U);

  std::int64_t n = 0, correct = 0;
  for (const FamilyScore& family : report.choices[1].families) {
    n += family.n;
    correct += family.correct;
  }
  EXPECT_EQ(report.choices[1].families.size(), 6U);
  EXPECT_EQ(n, 180);
  EXPECT_EQ(correct, 117);
  EXPECT_EQ(report.format, "safetensors");
  EXPECT_EQ(report.weight_bytes, 2230016);
  EXPECT_FALSE(report.version.empty());
}

TEST(Evaluate, FiguresDoNotDependOnThreads) {
  EvaluationReport one = bundled(1, 12), three = bundled(3, 12);
  one.seconds = three.seconds = 0;
  EXPECT_EQ(to_json(one), to_json(three));
}

TEST(Evaluate, ALimitTakesTheFirstWindowsAndItems) {
  EvaluationReport whole = bundled(0), part = bundled(0, 3);
  EXPECT_EQ(part.perplexity[0].windows, 3);
  EXPECT_EQ(part.perplexity[0].tokens, 3 * 255);
  EXPECT_GT(part.perplexity[0].bits_per_byte, 0.5);
  EXPECT_LT(part.perplexity[0].bits_per_byte, 3);
  ASSERT_EQ(part.choices[0].n, 3);
  EXPECT_TRUE(std::equal(part.choices[0].hits.begin(), part.choices[0].hits.end(), whole.choices[0].hits.begin()));
}

TEST(Evaluate, FirstAmongEqualOptions) {
  TempFolder folder;
  EvaluateRequest same = request();
  same.choices = {
      folder.write("same.jsonl", R"({"context": "The", "options": [" x", " x"], "answer": 0, "family": "a/b"}
{"context": "The", "options": [" x", " x"], "answer": 1, "family": "c"})")};
  ChoiceResult result = evaluate(same).choices.at(0);
  EXPECT_EQ(result.hits, (std::vector<std::uint8_t>{1, 0}));
  EXPECT_EQ(result.family, "mixed");
  EXPECT_EQ(result.families.at(0).family, "a/b");
}

TEST(Evaluate, JsonHasTheKeysThatScriptsReadAndNullForTheUnknown) {
  TempFolder folder;
  EvaluateRequest text = request();
  text.text = folder.write("t\xff.txt", "It was a cold morning.");
  json one = json::parse(to_json(evaluate(text)));
  EXPECT_EQ(one["schema"], "advisor.evaluation/1");
  EXPECT_EQ(one["perplexity"]["windows"], 1);
  EXPECT_TRUE(one["perplexity"]["low"].is_null()) << "a single window has no interval";
  EXPECT_TRUE(one["choices"].empty());
  EXPECT_TRUE(one["divergence"].is_null());

  EvaluateRequest choices = request();
  choices.choices = {testing::examples / "suites/tiny/intent.jsonl"};
  choices.limit = 2;
  json two = json::parse(to_json(evaluate(choices)));
  EXPECT_TRUE(two["perplexity"].is_null());
  for (const char* key : {"name", "family", "n", "accuracy", "low", "high", "chance"}) {
    EXPECT_TRUE(two["choices"][0].contains(key)) << key;
  }
}

TEST(Evaluate, ReportsProgressFromTheCallingThreadAndCanBeCancelled) {
  EvaluateRequest all = request();
  all.suite = testing::examples / "suites/tiny";
  all.limit = 20;
  auto caller = std::this_thread::get_id();
  std::string stage;
  std::int64_t done = 0, total = 0;
  int stages = 0;
  evaluate(all, [&](const EvaluateProgress& progress) {
    EXPECT_EQ(std::this_thread::get_id(), caller);
    if (progress.stage != stage) {
      EXPECT_EQ(done, total) << "the stage before was finished";
      EXPECT_EQ(progress.done, 0);
      ++stages;
    } else {
      EXPECT_GT(progress.done, done);
    }
    stage = progress.stage;
    done = progress.done;
    total = progress.total;
    return true;
  });
  EXPECT_EQ(stages, 3);
  EXPECT_EQ(done, total);
  expect_refusal([&] { evaluate(all, [](const EvaluateProgress& p) { return p.done == 0; }); }, ErrorCode::cancelled,
                 {"cancelled during"});
}

/// The bundled model, to be changed.
std::filesystem::path copy_of_model(const TempFolder& folder) {
  std::filesystem::path copy = folder.path() / "model";
  std::filesystem::copy(testing::examples / "models/tiny", copy);
  for (const auto& entry : std::filesystem::directory_iterator(copy)) {
    std::filesystem::permissions(entry.path(), std::filesystem::perms::owner_all);
  }
  return copy;
}

/// Overwrites a matrix of a checkpoint in one safetensors file with zeros.
void clear_tensor(const std::filesystem::path& model, const std::string& name) {
  std::fstream file(model / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
  std::uint64_t size = 0;
  file.read(reinterpret_cast<char*>(&size), sizeof size);
  std::string header(size, ' ');
  file.read(header.data(), static_cast<std::streamsize>(size));
  const json offsets = json::parse(header).at(name).at("data_offsets");
  const auto begin = offsets[0].get<std::uint64_t>(), end = offsets[1].get<std::uint64_t>();
  file.seekp(static_cast<std::streamoff>(sizeof size + size + begin));
  file << std::string(end - begin, '\0');
}

// Figures of tests/long/oracle.py --without model.layers.2.self_attn.o_proj.weight, in float64.
TEST(Evaluate, DivergenceFromABaselineAgreesWithAnIndependentPath) {
  TempFolder folder;
  EvaluateRequest all = request();
  all.baseline = all.model;
  all.model = copy_of_model(folder);
  clear_tensor(all.model, "model.layers.2.self_attn.o_proj.weight");
  all.text = testing::examples / "suites/tiny/prose.txt";
  all.threads = 1;
  EvaluationReport report = evaluate(all);
  ASSERT_TRUE(report.perplexity.at(0).divergence.has_value());
  const Divergence& divergence = *report.perplexity[0].divergence;
  EXPECT_NEAR(divergence.mean, 0.11488110, 2e-6);
  EXPECT_NEAR(divergence.median, 0.07166105, 2e-6);
  EXPECT_NEAR(divergence.maximum, 2.536549, 1e-4);
  EXPECT_NEAR(divergence.same_top * 2063, 1524, 1.01) << "one token may be a draw";
  EXPECT_NEAR(divergence.baseline_nll, 8232.8042, 0.05);
  EXPECT_NEAR(divergence.baseline_perplexity, 54.092481, 5e-4);
  EXPECT_LT(divergence.low, divergence.mean);
  EXPECT_GT(divergence.high, divergence.mean);
  EXPECT_GT(divergence.p99, divergence.median);
  EXPECT_GT(divergence.maximum, divergence.p99);

  json written = json::parse(to_json(report));
  EXPECT_EQ(written["divergence"]["mean"], divergence.mean);
  EXPECT_EQ(written["texts"][0]["divergence"], written["divergence"]);
  EXPECT_EQ(written["divergence"]["same_top"], divergence.same_top);

  all.threads = 3;
  EvaluationReport three = evaluate(all);
  report.seconds = three.seconds = 0;
  EXPECT_EQ(to_json(report), to_json(three));

  all.baseline.reset();
  PerplexityResult alone = evaluate(all).perplexity.at(0);
  EXPECT_NEAR(alone.nll, report.perplexity[0].nll, 1e-3)
      << "the baseline changes nothing in what is measured beside it";
  EXPECT_FALSE(alone.divergence.has_value());
}

TEST(Evaluate, AModelDoesNotDivergeFromItself) {
  EvaluateRequest all = request();
  all.baseline = all.model;
  all.suite = testing::examples / "suites/tiny";
  all.limit = 2;
  EvaluationReport report = evaluate(all);
  const Divergence& divergence = report.perplexity.at(0).divergence.value();
  EXPECT_EQ(divergence.maximum, 0);
  EXPECT_EQ(divergence.same_top, 1);
  EXPECT_EQ(divergence.rms_change, 0);
  EXPECT_NEAR(divergence.baseline_nll, report.perplexity[0].nll, 1e-8);
}

TEST(Evaluate, RefusesABaselineThatCannotBeCompared) {
  TempFolder folder;
  EvaluateRequest all = request();
  all.baseline = all.model;
  all.choices = {testing::examples / "suites/tiny/intent.jsonl"};
  expect_refusal([&] { evaluate(all); }, ErrorCode::invalid_argument, {"baseline", "text"});
  all.text = testing::examples / "suites/tiny/prose.txt";
  all.baseline = folder.path() / "none";
  expect_refusal([&] { evaluate(all); }, ErrorCode::not_found, {"none"});

  const std::filesystem::path other = copy_of_model(folder);
  all.baseline = other;
  json config = json::parse(std::ifstream(other / "config.json"));
  json shorter = config;
  shorter["max_position_embeddings"] = 128;
  folder.write("model/config.json", shorter.dump());
  expect_refusal([&] { evaluate(all); }, ErrorCode::invalid_argument, {"baseline", "128", "256"});
  folder.write("model/config.json", config.dump());
  folder.write("model/tokenizer_config.json", R"({"add_bos_token": false, "bos_token": "<s>"})");
  expect_refusal([&] { evaluate(all); }, ErrorCode::invalid_argument, {"baseline", "prose.txt", "tokens"});
}

TEST(Evaluate, WithoutBosTheFirstTokenOfAWindowIsNotScored) {
  TempFolder folder;
  EvaluateRequest all = request();
  all.model = copy_of_model(folder);
  folder.write("model/tokenizer_config.json", R"({"add_bos_token": false, "bos_token": "<s>"})");
  all.suite = testing::examples / "suites/tiny";
  all.limit = 10;
  EvaluationReport report = evaluate(all);
  EXPECT_EQ(report.perplexity[0].windows, 9);
  EXPECT_EQ(report.perplexity[0].tokens, 2063 - 9);
  EXPECT_NEAR(report.perplexity[0].value, 54, 8);

  all.suite.reset();
  all.choices = {folder.write("empty.jsonl", R"({"context": "", "options": [" a", " b"], "answer": 0})")};
  expect_refusal([&] { evaluate(all); }, ErrorCode::invalid_argument, {"empty.jsonl:1", "BOS"});
}

TEST(Evaluate, RefusesWeightsThatAreNotNumbers) {
  TempFolder folder;
  EvaluateRequest all = request();
  all.model = copy_of_model(folder);
  {
    std::fstream weights(all.model / "model.safetensors", std::ios::in | std::ios::out | std::ios::binary);
    std::uint64_t header = 0;
    weights.read(reinterpret_cast<char*>(&header), sizeof header);
    weights.seekp(static_cast<std::streamoff>(8 + header));
    for (int i = 0; i < 4096; ++i) {
      weights.write("\xC0\x7F", 2);  // NaN as bfloat16
    }
  }
  all.text = testing::examples / "suites/tiny/prose.txt";
  expect_refusal([&] { evaluate(all); }, ErrorCode::parse_error, {"finite", "prose.txt"});
  all.text.reset();
  all.choices = {testing::examples / "suites/tiny/intent.jsonl"};
  expect_refusal([&] { evaluate(all); }, ErrorCode::parse_error, {"finite", "intent.jsonl"});
}

TEST(Evaluate, RefusesRequestsThatCannotBeMeasured) {
  TempFolder folder;
  expect_refusal([] { evaluate(request()); }, ErrorCode::invalid_argument, {"suite"});
  EvaluateRequest bad = request();
  bad.suite = testing::examples / "suites/tiny";
  bad.limit = -1;
  expect_refusal([&] { evaluate(bad); }, ErrorCode::invalid_argument, {"limit"});
  bad.limit = 0;
  bad.model = folder.path() / "none";
  expect_refusal([&] { evaluate(bad); }, ErrorCode::not_found, {"none"});

  EvaluateRequest choices = request();
  std::string words;
  for (int i = 0; i < 300; ++i) {
    words += " word";
  }
  choices.choices = {
      folder.write("long.jsonl", "\n" + json{{"context", words}, {"options", {" a", " b"}}, {"answer", 0}}.dump())};
  expect_refusal([&] { evaluate(choices); }, ErrorCode::invalid_argument, {"long.jsonl:2", "256"});
}

}  // namespace
}  // namespace advisor
