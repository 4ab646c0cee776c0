// tools/build_db as a program: what it makes of good data, and what it says to bad data.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "io/database.h"
#include "io/sqlite.h"
#include "small_data.h"

namespace advisor {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(SmallData, LoadsInPlainUnits) {
  const BuildRun run = build();
  ASSERT_EQ(run.code, 0) << run.message;
  const Knowledge knowledge = load_knowledge(out());
  ASSERT_EQ(knowledge.models.size(), 1U);
  const Model& model = knowledge.models[0];
  EXPECT_DOUBLE_EQ(*model.params, 8.03e9);
  EXPECT_EQ(model.modalities_in, (std::vector<std::string>{"text", "image"}));
  EXPECT_EQ(model.licence, "mit");
  EXPECT_FALSE(model.hidden);
  ASSERT_EQ(knowledge.devices.size(), 1U);
  EXPECT_DOUBLE_EQ(knowledge.devices[0].memory, 80.0 * (1 << 30));
  EXPECT_DOUBLE_EQ(*knowledge.devices[0].bandwidth, 2e12);
  EXPECT_DOUBLE_EQ(*knowledge.devices[0].fp16, 312e12);
  EXPECT_FALSE(knowledge.devices[0].fp8);
  ASSERT_EQ(knowledge.engine_support.size(), 1U);
  EXPECT_EQ(knowledge.engine_support[0].format, "compressed-tensors:W4A16");
}

TEST_F(SmallData, MeasurementsJoinAndScale) {
  ASSERT_EQ(build().code, 0);
  const Knowledge knowledge = load_knowledge(out());
  ASSERT_EQ(knowledge.quality.size(), 2U);
  const QualityMeasurement& row = knowledge.quality[0];
  EXPECT_EQ(row.model, "m/a");
  EXPECT_EQ(row.task, "mmlu");
  EXPECT_EQ(row.family, "knowledge");
  EXPECT_EQ(row.scheme, "W4A16-g128");
  EXPECT_DOUBLE_EQ(*row.params, 8e9);
  EXPECT_DOUBLE_EQ(row.baseline, 0.615);
  EXPECT_DOUBLE_EQ(row.value, 0.6);
  EXPECT_EQ(knowledge.quality[1].model, "Stranger");
  // 2 TB/s over 16 GB of weights are 125 tokens a second.
  ASSERT_EQ(knowledge.speed.size(), 2U);
  EXPECT_DOUBLE_EQ(*knowledge.speed[0].params, 8.03e9);
  EXPECT_THAT(knowledge.speed[0].suspect, IsEmpty());
  EXPECT_THAT(knowledge.speed[1].suspect, HasSubstr("120 % of what memory bandwidth allows"));
}

TEST_F(SmallData, SpeculativeDecodingIsNamedAndMayBeFaster) {
  auto row = speed_row("500");
  row["engine"] = "vLLM+specdec";
  row["batch_or_concurrency"] = "10 req/s";
  row["hardware_id"] = "some cpu";
  add("measurements/speed/s1.csv", row);
  ASSERT_EQ(build().code, 0);
  const SpeedMeasurement last = load_knowledge(out()).speed.back();
  EXPECT_EQ(last.engine, "vllm+specdec");
  EXPECT_EQ(last.suspect, "");
  EXPECT_EQ(last.hardware, "");
  EXPECT_EQ(last.load, "10 req/s");
  EXPECT_FALSE(last.concurrency);
}

TEST_F(SmallData, FlagsMarkOrSupersedeARow) {
  add("measurement_flags.csv",
      {{"kind", "quality"}, {"source_id", "s1"}, {"row_line", "2"}, {"flag", "suspect"}, {"reason", "mistyped"}});
  add("measurement_flags.csv", {{"kind", "quality"},
                                {"source_id", "s1"},
                                {"row_line", "3"},
                                {"flag", "superseded"},
                                {"reason", "measured again"}});
  ASSERT_EQ(build().code, 0);
  const Knowledge knowledge = load_knowledge(out());
  ASSERT_EQ(knowledge.quality.size(), 1U);
  EXPECT_EQ(knowledge.quality[0].suspect, "mistyped");
}

TEST_F(SmallData, DigestIsOfTheContent) {
  ASSERT_EQ(build().code, 0);
  const std::string digest = load_knowledge(out()).digest;
  EXPECT_EQ(digest.size(), 16U);
  ASSERT_EQ(build().code, 0);
  EXPECT_EQ(load_knowledge(out()).digest, digest);
  replace("measurements/quality/s1.csv", "61.5", "61.6");
  ASSERT_EQ(build().code, 0);
  EXPECT_NE(load_knowledge(out()).digest, digest);
}

TEST_F(SmallData, AFailedBuildLeavesTheOldDatabase) {
  ASSERT_EQ(build().code, 0);
  const std::string before = read_text(out());
  replace("models.csv", "8.03", "abc");
  EXPECT_EQ(build().code, 1);
  EXPECT_EQ(read_text(out()), before);
  EXPECT_FALSE(fs::exists(out().string() + ".partial"));
}

TEST_F(SmallData, RefusesABrokenNumber) {
  replace("models.csv", "8.03", "abc");
  expect_refused("models.csv:2: column params_b: \"abc\" is not a number");
}
TEST_F(SmallData, RefusesANumberWithATail) {
  replace("models.csv", "8.03", "8.03 B");
  expect_refused("models.csv:2: column params_b: \"8.03 B\" is not a number");
}
TEST_F(SmallData, RefusesNotANumber) {
  replace("models.csv", "8.03", "nan");
  expect_refused("models.csv:2: column params_b: \"nan\" is not a number");
}
TEST_F(SmallData, RefusesAFractionForACount) {
  replace("models.csv", ",32,8,", ",32.5,8,");
  expect_refused("models.csv:2: column n_heads: \"32.5\" is not a whole number");
}
TEST_F(SmallData, RefusesANegativeSize) {
  replace("hardware.csv", ",80,2000,", ",-80,2000,");
  expect_refused("hardware.csv:2: does not hold: memory_gb is positive");
}
TEST_F(SmallData, RefusesAnUnknownModel) {
  replace("measurements/quality/s1.csv", "A-GGUF", "B-GGUF");
  expect_refused(
      "measurements/quality/s1.csv:2: column model_id: \"B-GGUF\" is not in models.csv or model_aliases.csv");
}
TEST_F(SmallData, RefusesAnUnknownHardware) {
  replace("prices.csv", "gpu-80gb", "gpu-81gb");
  expect_refused("prices.csv:2: column hardware_id: \"gpu-81gb\" is not in hardware.csv or hardware_aliases.csv");
}
TEST_F(SmallData, RefusesAnUnknownTask) {
  replace("measurements/quality/s1.csv", "MMLU (5-shot)", "MMLU (6-shot)");
  expect_refused("column task: \"MMLU (6-shot)\" is not in tasks.csv or task_aliases.csv");
}
TEST_F(SmallData, RefusesAnUnknownMetric) {
  replace("measurements/quality/s1.csv", ",acc,", ",luck,");
  expect_refused("quality/s1.csv:2: column metric: \"luck\" is not in metrics.csv or metric_aliases.csv");
}
TEST_F(SmallData, RefusesAnUnknownTechnique) {
  replace("measurements/quality/s1.csv", ",rtn,", ",magic,");
  expect_refused("column technique: \"magic\" is not in techniques.csv or technique_aliases.csv");
}
TEST_F(SmallData, RefusesAnUnknownUnit) {
  replace("metrics.csv", ",fraction,", ",furlong,");
  expect_refused("metrics.csv:2: column unit: \"furlong\" is not in units.csv");
}
TEST_F(SmallData, RefusesAnUnknownSource) {
  fs::rename(data() / "measurements/speed/s1.csv", data() / "measurements/speed/s2.csv");
  expect_refused("measurements/speed/s2.csv:2: column source_file: \"s2\" is not in sources.csv");
}
TEST_F(SmallData, RefusesAnUnknownGeneration) {
  replace("engine_support.csv", "Ampere", "Ampersand");
  expect_refused("engine_support.csv:2: column hardware_generation: \"Ampersand\" is not in generations.csv");
}
TEST_F(SmallData, RefusesADuplicateKey) {
  add("engines.csv", {{"engine", "vllm"}, {"title", "again"}});
  expect_refused("engines.csv:3: is there twice: engines.engine");
}
TEST_F(SmallData, RefusesAnAliasThatIsAnId) {
  add("model_aliases.csv", {{"published", "m/a"}, {"relation", "none"}, {"reason", "r"}});
  expect_refused("model_aliases.csv:4: is there twice: model_names.name");
}
TEST_F(SmallData, RefusesAnEmptyField) {
  replace("models.csv", ",A,M,", ",,M,");
  expect_refused("models.csv:2: is empty: column family");
}
TEST_F(SmallData, RefusesAMissingColumn) {
  replace("engines.csv", "engine,title", "engine,name");
  expect_refused("engines.csv:1: column title is missing");
}
TEST_F(SmallData, RefusesAnExtraColumn) {
  write("engines.csv", "engine,title,mood\nvllm,vLLM,good\n");
  expect_refused("engines.csv:1: column mood is not in schema.sql");
}
TEST_F(SmallData, RefusesARaggedRow) {
  replace("engines.csv", "vllm,vLLM", "vllm");
  expect_refused("engines.csv:2: 1 fields, the header has 2");
}
TEST_F(SmallData, RefusesAnUnterminatedQuote) {
  replace("engines.csv", "vllm,vLLM", "vllm,\"vLLM");
  expect_refused("engines.csv:2: a quote opens here and is never closed");
}
TEST_F(SmallData, RefusesSpacesAroundAnId) {
  replace("engines.csv", "vllm,vLLM", "vllm,vLLM ");
  expect_refused("engines.csv:2: column title: \"vLLM \" is not without spaces at its ends");
}
TEST_F(SmallData, RefusesAFileThatIsMissing) {
  fs::remove(data() / "prices.csv");
  expect_refused("prices.csv: cannot be opened");
}
TEST_F(SmallData, RefusesAFileThatNoTableReads) {
  write("wishes.csv", "wish\n");
  expect_refused("wishes.csv: no table of schema.sql reads this file");
}
TEST_F(SmallData, RefusesHeadsThatDoNotDivide) {
  replace("models.csv", ",32,8,", ",32,7,");
  expect_refused("models.csv:2: m/a: n_kv_heads does not divide n_heads");
}
TEST_F(SmallData, RefusesTheWrongScale) {
  replace("measurements/quality/s1.csv", ",percent,", ",raw,");
  expect_refused("quality/s1.csv:2: scale raw does not fit metric acc");
}
TEST_F(SmallData, RefusesAMissingBaseline) {
  replace("measurements/quality/s1.csv", ",61.5,", ",,");
  expect_refused("quality/s1.csv:2: is empty: column baseline_value");
}
TEST_F(SmallData, RefusesSparsityOfAHundredPercent) {
  auto row = quality_row();
  row["sparsity"] = "50";
  row["sparsity_of"] = "weights";
  add("measurements/quality/s1.csv", row);
  expect_refused("quality/s1.csv:4: does not hold: sparsity is a fraction of 1");
}
TEST_F(SmallData, RefusesAFlagOfNoRow) {
  add("measurement_flags.csv",
      {{"kind", "speed"}, {"source_id", "s1"}, {"row_line", "99"}, {"flag", "suspect"}, {"reason", "r"}});
  expect_refused("measurement_flags.csv:2: there is no row 99");
}
TEST_F(SmallData, RefusesAFolderThatDoesNotExist) {
  const BuildRun run = build_db("/nonexistent", out());
  EXPECT_EQ(run.code, 1);
  EXPECT_THAT(run.message, HasSubstr("/nonexistent/schema.sql: cannot be read"));
}
TEST_F(SmallData, RefusesAnotherLayout) {
  ASSERT_EQ(build().code, 0);
  Sqlite::open(out()).execute("UPDATE metadata SET value = CASE key WHEN 'layout_major' THEN '2' ELSE '0' END"
                              " WHERE key LIKE 'layout_%'");
  try {
    load_knowledge(out());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unsupported);
    EXPECT_THAT(error.what(), HasSubstr("layout 2.0, this build reads 1.x"));
  }
}
TEST_F(SmallData, RefusesWhatIsNoDatabase) {
  std::ofstream(out()) << "this is a text, not a database, and long enough to be sure of it";
  try {
    load_knowledge(out());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::parse_error);
    EXPECT_THAT(error.what(), HasSubstr("not a database of libadvisor"));
  }
  fs::remove(out());
  try {
    load_knowledge(out());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_found);
  }
}

}  // namespace
}  // namespace advisor
