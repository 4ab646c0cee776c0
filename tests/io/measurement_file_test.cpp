// A file of measurements read from outside gives what the database gives for the same rows; every refusal says where.
#include "io/measurement_file.h"

#include "core/error.h"
#include "io/database.h"
#include "small_data.h"

namespace advisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

auto facts(const QualityMeasurement& q) {
  return std::tuple(
      std::tuple(q.source, q.model, q.params, q.technique, q.scheme, q.format, q.weight_bits, q.activation_bits,
                 q.kv_bits, q.bits_per_weight, q.group_size, q.pattern, q.sparsity, q.sparsity_of, q.retrained),
      std::tuple(q.task, q.family, q.metric, q.metric_kind, q.higher_is_better, q.baseline, q.value, q.url, q.locator,
                 q.suspect, q.calibration, q.baseline_precision));
}
auto facts(const SpeedMeasurement& s) {
  return std::tuple(std::tuple(s.source, s.model, s.params, s.active_params, s.format, s.weight_bits, s.engine,
                               s.engine_version, s.hardware, s.hardware_count, s.parallelism),
                    std::tuple(s.input_tokens, s.output_tokens, s.concurrency, s.input_length, s.output_length, s.load,
                               s.metric, s.value, s.url, s.locator, s.suspect));
}

/// The text of a CSV file without one of its columns.
std::string without(const CsvTable& table, const std::string& column) {
  const auto skipped = std::find(table.columns.begin(), table.columns.end(), column) - table.columns.begin();
  std::string text;
  const auto add = [&](const std::vector<std::string>& fields) {
    std::string line;
    for (std::ptrdiff_t i = 0; i < std::ssize(fields); ++i)
      if (i != skipped) line += (line.empty() ? "" : ",") + csv_field(fields[static_cast<std::size_t>(i)]);
    text += line + "\n";
  };
  add(table.columns);
  for (const auto& row : table.rows) add(row.fields);
  return text;
}

/// Every file of data/measurements/<kind>, each passed through `change`, against the rows of the database.
template <typename Measurement>
void expect_as_in_database(const std::string& kind, std::vector<Measurement> Knowledge::*rows,
                           std::vector<Measurement> MeasurementFile::*read, const std::string& dropped) {
  const Knowledge knowledge = load_knowledge(whole_database);
  const NameTables names = load_names(whole_database);
  std::map<std::string, std::vector<const Measurement*>> by_source;
  for (const auto& row : knowledge.*rows) by_source[row.source].push_back(&row);
  const fs::path folder = fs::temp_directory_path() / ("advisor_rows_" + std::to_string(getpid()) + kind + dropped);
  fs::create_directories(folder);
  for (const auto& [source, expected] : by_source) {
    const fs::path name = source + ".csv";
    const CsvTable table = read_csv(source_data / "measurements" / kind / name, name);
    std::ofstream(folder / name, std::ios::binary) << without(table, dropped);
    const MeasurementFile file = read_measurements(folder / name, names, knowledge);
    ASSERT_EQ((file.*read).size(), expected.size()) << source;
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_TRUE(facts((file.*read)[i]) == facts(*expected[i])) << source << " row " << i + 2;
    EXPECT_TRUE(file.unmapped.empty()) << source;
  }
  fs::remove_all(folder);
}

TEST(MeasurementFile, ShippedQualityFilesReadAsInTheDatabase) {
  expect_as_in_database("quality", &Knowledge::quality, &MeasurementFile::quality, "");
}

TEST(MeasurementFile, ScaleIsRightWhereNoColumnStatesIt) {
  expect_as_in_database("quality", &Knowledge::quality, &MeasurementFile::quality, "scale");
}

TEST(MeasurementFile, ShippedSpeedFilesReadAsInTheDatabase) {
  expect_as_in_database("speed", &Knowledge::speed, &MeasurementFile::speed, "");
}

class SmallFile : public SmallData {
 protected:
  static constexpr const char* quantized =
      "source_id,model_id,model_params_b,technique,format,weight_bits,activation_bits,kv_bits,group_size,"
      "bits_per_weight,calibration,task,task_family,metric,higher_is_better,baseline_precision,baseline_value,value,"
      "url,locator\n";
  static constexpr const char* pruned =
      "source_id,model_id,model_params_b,technique,pattern,sparsity,weight_bits,kv_bits,retrained,calibration,task,"
      "task_family,metric,higher_is_better,baseline_precision,baseline_value,value,url,locator\n";
  static constexpr const char* speed =
      "source_id,model_id,model_params_b,active_params_b,format,weight_bits,engine,engine_version,hardware_id,"
      "hardware_count,parallelism,input_len,output_len,batch_or_concurrency,metric,value,url,locator\n";

  MeasurementFile read(const std::string& text) const {
    if (!fs::exists(out())) {
      const BuildRun run = build();
      EXPECT_EQ(run.code, 0) << run.message;
    }
    std::ofstream(data() / "rows.txt", std::ios::binary) << text;
    return read_measurements(data() / "rows.txt", load_names(out()), load_knowledge(out()));
  }
  void expect_refused(const std::string& text, const std::vector<std::string>& says) const {
    try {
      read(text);
      ADD_FAILURE() << "not refused: " << text;
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::parse_error);
      for (const auto& part : says) EXPECT_THAT(e.what(), HasSubstr(part));
    }
  }
};

TEST_F(SmallFile, CompiledTablesUsePublishedNames) {
  const auto file = read(std::string(quantized) +
                         "new,A-GGUF,,rtn,W4A16,4,16,,128,,,MMLU (5-shot),x,acc,1,FP16,61.5,60,u,l\n"
                         "new,who/knows,3,other,W4A16,4,16,,-1,,,mmlu,x,acc,yes,FP16,0.615,0.6,u,l\n"
                         "new,Stranger,7,rtn,W4A16,4,16,,,,,mmlu,x,acc,1,FP16,120,60,u,l\n");
  ASSERT_EQ(file.quality.size(), 3U);
  const auto &a = file.quality[0], &b = file.quality[1];
  EXPECT_EQ(a.source, "new");
  EXPECT_EQ(a.model, "m/a");
  EXPECT_DOUBLE_EQ(a.params.value(), 8.03e9) << "of the catalog";
  EXPECT_EQ(a.task, "mmlu");
  EXPECT_EQ(a.family, "knowledge");
  EXPECT_EQ(a.scheme, "W4A16-g128");
  EXPECT_DOUBLE_EQ(a.value, 0.6);
  EXPECT_DOUBLE_EQ(b.value, 0.6) << "fractions stay";
  EXPECT_EQ(b.model, "who/knows");
  EXPECT_DOUBLE_EQ(b.params.value(), 3e9);
  EXPECT_EQ(b.technique, "other-quantization");
  EXPECT_EQ(b.scheme, "W4A16-channel");
  EXPECT_THAT(file.quality[2].suspect, HasSubstr("no fraction"));
  EXPECT_EQ(file.quality[2].model, "Stranger");
}

TEST_F(SmallFile, PrunedTables) {
  const auto file = read(std::string(pruned) +
                         "p,m/a,8,other,2:4,0.5,16,16,no,,mmlu,x,acc,yes,fp16,61,50,u,l\n"
                         "p,m/a,8,other,none,0.3,16,16,yes,,mmlu,x,acc,yes,fp16,61,50,u,l\n");
  ASSERT_EQ(file.quality.size(), 2U);
  EXPECT_EQ(file.quality[0].technique, "other-compression");
  EXPECT_EQ(file.quality[0].pattern, "2:4");
  EXPECT_EQ(file.quality[0].sparsity_of, "weights");
  EXPECT_EQ(file.quality[1].pattern, "");
  EXPECT_NE(file.quality[1].sparsity_of, "weights") << "of what is not known";
  EXPECT_TRUE(file.quality[1].retrained);
}

TEST_F(SmallFile, SpeedTables) {
  const auto file = read(std::string(speed) +
                         "s,A-GGUF,,,bf16,16,vLLM+specdec,,gpu-80gb,2,tp,512,p50 280,8,decode_tok_s,100,u,l\n"
                         "s,m/a,,,bf16,16,new engine,1.0,some cpu,,,,,10 req/s,decode_tok_s,5,u,l\n");
  ASSERT_EQ(file.speed.size(), 2U);
  EXPECT_EQ(file.speed[0].model, "m/a");
  EXPECT_EQ(file.speed[0].engine, "vllm+specdec");
  EXPECT_EQ(file.speed[0].hardware, "gpu-80gb");
  EXPECT_EQ(file.speed[0].hardware_count, 2);
  EXPECT_EQ(file.speed[0].input_tokens, 512);
  EXPECT_FALSE(file.speed[0].output_tokens);
  EXPECT_EQ(file.speed[0].output_length, "p50 280");
  EXPECT_EQ(file.speed[0].concurrency, 8);
  EXPECT_EQ(file.speed[1].engine, "new engine");
  EXPECT_EQ(file.speed[1].hardware, "") << "known to be in no catalog";
  EXPECT_EQ(file.speed[1].hardware_count, 1);
  EXPECT_FALSE(file.speed[1].concurrency);
}

TEST_F(SmallFile, RowsThatCannotBeMappedAreCounted) {
  const auto quality = read(std::string(quantized) +
                            "new,m/a,,rtn,W4A16,4,16,,,,,mmlux,x,acc,1,FP16,61,60,u,l\n"
                            "new,m/a,,rtn,W4A16,4,16,,,,,mmlux,x,acc,1,FP16,61,60,u,l\n"
                            "new,m/a,,rtn,W4A16,4,16,,,,,mmlu,x,bogus,1,FP16,61,60,u,l\n");
  EXPECT_EQ(quality.rows, 3);
  EXPECT_TRUE(quality.quality.empty());
  EXPECT_THAT(quality.unmapped, ElementsAre(Pair(HasSubstr("metric \"bogus\""), 1), Pair(HasSubstr("\"mmlux\""), 2)));
  const auto rates = read(std::string(speed) + "s,m/a,,,bf16,16,vllm,,gpu-81gb,1,,,,1,decode_tok_s,100,u,l\n");
  EXPECT_THAT(rates.unmapped, ElementsAre(Pair(HasSubstr("gpu-81gb"), 1)));
}

TEST_F(SmallFile, SourceIsTheFileNameWhereNoColumnSaysIt) {
  const auto file = read(
      "model_id,technique,weight_bits,task,metric,higher_is_better,baseline_value,value\n"
      "m/a,rtn,4,mmlu,acc,yes,61,60\n");
  ASSERT_EQ(file.quality.size(), 1U);
  EXPECT_EQ(file.quality[0].source, "rows");
}

TEST_F(SmallFile, ARowThatTheDatabaseMarksIsMarked) {
  add("measurement_flags.csv",
      {{"kind", "quality"}, {"source_id", "s1"}, {"row_line", "2"}, {"flag", "suspect"}, {"reason", "looks odd"}});
  const auto file = read(std::string(quantized) +
                         "s1,A-GGUF,8,rtn,W4A16,4,16,,128,,,MMLU (5-shot),knowledge,acc,1,FP16,61.5,60,u,l\n"
                         "s1,A-GGUF,8,rtn,W4A16,4,16,,128,,,MMLU (5-shot),knowledge,acc,1,FP16,61.5,59,u,l\n");
  EXPECT_EQ(file.quality.at(0).suspect, "looks odd");
  EXPECT_EQ(file.quality.at(1).suspect, "");
}

TEST_F(SmallFile, WrongColumns) {
  expect_refused("a,b\n1,2\n", {"rows.txt:1", "neither quality", "nor speed"});
  expect_refused("", {"rows.txt:1", "empty"});
  expect_refused("model_id,technique,weight_bits,task,metric,higher_is_better,baseline_value\n",
                 {"rows.txt:1", "column value is missing"});
  expect_refused("model_id,technique,weight_bits,task,metric,higher_is_better,baseline_value,value,sparsty\n",
                 {"rows.txt:1:9", "sparsty", "sparsity"});
  expect_refused("model_id,engine,hardware_id,metric,value\n", {"rows.txt:1", "is missing"});
}

TEST_F(SmallFile, WhatIsNoNumberIsRefusedWithItsPlace) {
  const std::string start = std::string(quantized) + "new,m/a,,rtn,W4A16,4,16,,,,,mmlu,x,acc,1,FP16,61,60,u,l\n";
  const auto row = [&](const std::string& bits, const std::string& group, const std::string& higher,
                       const std::string& value) {
    return start + "new,m/a,,rtn,W4A16," + bits + ",16,," + group + ",,,mmlu,x,acc," + higher + ",FP16,61," + value +
           ",u,l\n";
  };
  expect_refused(row("4", "", "1", "sixty"), {"rows.txt:3:18", "column value", "\"sixty\" is not a number"});
  expect_refused(row("4", "", "1", ""), {"rows.txt:3:18", "column value"});
  expect_refused(row("4", "", "1", "nan"), {"rows.txt:3:18", "is not a number"});
  expect_refused(row("4", "", "1", "inf"), {"rows.txt:3:18", "is not a number"});
  expect_refused(row("4x", "", "1", "60"), {"rows.txt:3:6", "column weight_bits"});
  expect_refused(row("4", "12.5", "1", "60"), {"rows.txt:3:9", "is not a whole number"});
  expect_refused(row("4", "", "maybe", "60"), {"rows.txt:3:15", "is not yes or no"});
  expect_refused(std::string(speed) + "s,m/a,,,bf16,16,vllm,,gpu-80gb,0,,,,1,decode_tok_s,100,u,l\n",
                 {"rows.txt:2:10", "is not positive"});
  expect_refused(
      "model_id,technique,weight_bits,task,metric,higher_is_better,baseline_value,value,scale\n"
      "m/a,rtn,4,mmlu,acc,yes,61,60,permille\n",
      {"rows.txt:2:9", "percent, fraction or raw"});
}

TEST_F(SmallFile, AFileThatIsNotThere) {
  ASSERT_EQ(build().code, 0);
  try {
    read_measurements(data() / "none.csv", load_names(out()), {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::not_found);
  }
}

}  // namespace
}  // namespace advisor
