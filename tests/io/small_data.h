// A data folder small enough to break one thing at a time, and the build_db of this build.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "io/csv.h"

namespace advisor {

namespace fs = std::filesystem;

inline const fs::path source_data = fs::path(ADVISOR_SOURCE_DIR) / "data";
inline const fs::path whole_database = fs::path(ADVISOR_BINARY_DIR) / "share/advisor/advisor.db";

inline std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct BuildRun {
  int code = 0;
  std::string message;
};

inline BuildRun build_db(const fs::path& data, const fs::path& out, const fs::path& report = {}) {
  const std::string command = std::string(ADVISOR_BINARY_DIR) + "/bin/build_db " + data.string() + " " + out.string() +
                              " " + report.string() + " 2>&1";
  BuildRun run;
  FILE* pipe = popen(command.c_str(), "r");
  char buffer[512];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) run.message += buffer;
  run.code = WEXITSTATUS(pclose(pipe));
  return run;
}

using Fields = std::map<std::string, std::string>;

/// A data folder with the schema of the real one and a handful of rows; tests break one thing in it.
class SmallData : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::temp_directory_path() / ("advisor_db_" + std::to_string(getpid()) + "_" + test->name());
    fs::remove_all(root_);
    fs::create_directories(data() / "measurements/quality");
    fs::create_directories(data() / "measurements/speed");
    fs::create_directories(data() / "measurements/offload");
    for (const char* sql : {"schema.sql", "derive.sql", "checks.sql"}) fs::copy(source_data / sql, data() / sql);
    for (const auto& entry : fs::directory_iterator(source_data)) {
      if (entry.path().extension() == ".csv" && entry.path().stem() != "unjoined") {
        write(entry.path().filename(), header(entry.path()) + "\n");
      }
    }
    write_vocabularies();
    write_catalogs();
    write_measurements();
  }
  void TearDown() override { fs::remove_all(root_); }

  fs::path data() const { return root_ / "data"; }
  fs::path out() const { return root_ / "out.db"; }
  BuildRun build() const { return build_db(data(), out()); }

  static std::string header(const fs::path& csv) {
    std::ifstream file(csv);
    std::string line;
    std::getline(file, line);
    return line;
  }

  void write(const fs::path& name, const std::string& text) const {
    std::ofstream(data() / name, std::ios::binary) << text;
  }

  /// Appends a row by column name; columns that are not named stay empty.
  void add(const fs::path& name, const Fields& fields) const {
    std::string text = read_text(data() / name);
    const CsvTable table = parse_csv(text, name.string());
    for (const auto& [column, value] : fields) EXPECT_THAT(table.columns, testing::Contains(column)) << name;
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      const auto field = fields.find(table.columns[i]);
      text += (i == 0 ? "" : ",") + (field == fields.end() ? "" : csv_field(field->second));
    }
    write(name, text + "\n");
  }

  void replace(const fs::path& name, const std::string& from, const std::string& to) const {
    std::string text = read_text(data() / name);
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from << " in " << text;
    write(name, text.replace(at, from.size(), to));
  }

  void expect_refused(const std::string& message) const {
    const BuildRun run = build();
    EXPECT_EQ(run.code, 1) << run.message;
    EXPECT_THAT(run.message, testing::HasSubstr(message));
    EXPECT_FALSE(fs::exists(out()));
    EXPECT_FALSE(fs::exists(out().string() + ".partial"));
  }

 private:
  void write_vocabularies() const {
    add("units.csv", {{"unit", "fraction"}, {"dimension", "score"}, {"si_factor", "1"}});
    add("units.csv", {{"unit", "tok/s"}, {"dimension", "throughput"}, {"si_factor", "1"}});
    add("units.csv", {{"unit", "TFLOPS"}, {"dimension", "rate"}, {"si_factor", "1e12"}});
    add("families.csv", {{"family", "knowledge"}, {"title", "facts"}});
    add("tasks.csv", {{"task", "mmlu"},
                      {"kind", "benchmark"},
                      {"family", "knowledge"},
                      {"chance", "0.25"},
                      {"knowledge_intensive", "yes"}});
    add("tasks.csv", {{"task", "closed_book_qa"},
                      {"kind", "type"},
                      {"family", "knowledge"},
                      {"knowledge_intensive", "yes"},
                      {"benchmark", "mmlu"}});
    add("task_aliases.csv", {{"published", "MMLU (5-shot)"}, {"task", "mmlu"}});
    add("metrics.csv", {{"metric", "acc"},
                        {"kind", "proportion"},
                        {"unit", "fraction"},
                        {"higher_is_better", "yes"},
                        {"low", "0"},
                        {"high", "1"},
                        {"title", "accuracy"}});
    add("metrics.csv", {{"metric", "decode_tok_s"},
                        {"kind", "rate"},
                        {"unit", "tok/s"},
                        {"higher_is_better", "yes"},
                        {"title", "tokens per second"}});
    add("techniques.csv", {{"technique", "rtn"},
                           {"title", "round to nearest"},
                           {"kind", "quantization"},
                           {"needs_calibration", "no"},
                           {"implemented", "yes"}});
    add("engines.csv", {{"engine", "vllm"}, {"title", "vLLM"}});
    add("engine_aliases.csv", {{"published", "vLLM+specdec"}, {"engine", "vllm"}, {"speculative", "yes"}});
    add("generations.csv", {{"generation", "Ampere"}, {"title", "NVIDIA 8.x"}});
    add("support_aliases.csv", {{"published", "INT4"}, {"format", "compressed-tensors"}, {"scheme", "W4A16"}});
  }

  void write_catalogs() const {
    add("models.csv", {{"model_id", "m/a"},
                       {"family", "A"},
                       {"developer", "M"},
                       {"params_b", "8.03"},
                       {"n_heads", "32"},
                       {"n_kv_heads", "8"},
                       {"modalities_in", "text;image"},
                       {"modalities_out", "text"},
                       {"license", "mit"},
                       {"source", "u"},
                       {"locator", "l"}});
    add("model_licences.csv", {{"model_id", "m/a"}, {"licence", "mit"}, {"commercial_use", "yes"}, {"url", "u"}});
    add("model_aliases.csv",
        {{"published", "A-GGUF"}, {"model_id", "m/a"}, {"relation", "checkpoint"}, {"reason", "r"}});
    add("model_aliases.csv", {{"published", "Stranger"}, {"relation", "none"}, {"reason", "nobody knows it"}});
    add("hardware.csv", {{"hardware_id", "gpu-80gb"},
                         {"vendor", "V"},
                         {"name", "GPU"},
                         {"kind", "datacenter-gpu"},
                         {"generation", "Ampere"},
                         {"memory_gb", "80"},
                         {"memory_bandwidth_gbs", "2000"},
                         {"fp16_tflops", "312"},
                         {"unified_memory", "no"},
                         {"source", "u"},
                         {"locator", "l"}});
    add("hardware_aliases.csv", {{"published", "some cpu"}, {"reason", "not in the catalog"}});
    add("prices.csv", {{"provider", "p"},
                       {"sku", "s"},
                       {"hardware_id", "gpu-80gb"},
                       {"count", "8"},
                       {"usd_per_hour", "16"},
                       {"pricing", "on-demand"},
                       {"url", "u"},
                       {"locator", "l"}});
    add("engine_support.csv", {{"engine", "vllm"},
                               {"format", "INT4"},
                               {"hardware_generation", "Ampere"},
                               {"supported", "yes"},
                               {"source", "u"},
                               {"locator", "l"}});
    add("sources.csv", {{"source_id", "s1"}, {"title", "t"}, {"publisher", "p"}, {"year", "2026"}, {"url", "u"}});
  }

  void write_measurements() const {
    const fs::path quality = "measurements/quality/s1.csv", speed = "measurements/speed/s1.csv";
    write(quality, header(source_data / "measurements/quality/autoround-paper-acc.csv") + "\n");
    write(speed, header(source_data / "measurements/speed/localmaxxing.csv") + "\n");
    add(quality, quality_row());
    add(quality, [&] {
      auto row = quality_row();
      row["model_id"] = "Stranger";
      return row;
    }());
    add(speed, speed_row("100"));
    add(speed, speed_row("150"));
  }

 protected:
  static Fields quality_row() {
    return {{"model_id", "A-GGUF"},
            {"model_params_b", "8"},
            {"technique", "rtn"},
            {"format", "W4A16"},
            {"weight_bits", "4"},
            {"activation_bits", "16"},
            {"group_size", "128"},
            {"retrained", "no"},
            {"task", "MMLU (5-shot)"},
            {"task_family", "knowledge"},
            {"metric", "acc"},
            {"higher_is_better", "yes"},
            {"scale", "percent"},
            {"baseline_precision", "FP16"},
            {"baseline_value", "61.5"},
            {"value", "60"},
            {"url", "u"},
            {"locator", "l"}};
  }
  static Fields speed_row(const std::string& value) {
    return {{"model_id", "m/a"},
            {"format", "bf16"},
            {"weight_bits", "16"},
            {"engine", "vllm"},
            {"hardware_id", "gpu-80gb"},
            {"hardware_count", "1"},
            {"batch_or_concurrency", "1"},
            {"metric", "decode_tok_s"},
            {"value", value},
            {"url", "u"},
            {"locator", "l"}};
  }

 private:
  fs::path root_;
};

}  // namespace advisor
