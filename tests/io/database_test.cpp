// The database of data/ itself: nothing dropped, everything joined or listed.
#include "io/database.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "io/csv.h"
#include "io/sqlite.h"
#include "small_data.h"

namespace advisor {
namespace {

const Knowledge& whole() {
  static const Knowledge knowledge = load_knowledge(whole_database);
  return knowledge;
}

TEST(Database, EveryRowOfEveryFileIsThere) {
  const Sqlite database = Sqlite::open_read_only(whole_database);
  std::map<std::string, std::int64_t> rows;
  for (const auto& entry : fs::recursive_directory_iterator(source_data)) {
    if (entry.path().extension() != ".csv" || entry.path().filename() == "unjoined.csv") continue;
    const bool measurement = entry.path().parent_path().parent_path().filename() == "measurements";
    const fs::path table = measurement ? entry.path().parent_path().filename() : entry.path().stem();
    rows[table.string()] += static_cast<std::int64_t>(read_csv(entry.path(), entry.path().string()).rows.size());
  }
  EXPECT_GT(rows.size(), 25U);
  for (const auto& [table, expected] : rows) {
    Statement count = database.prepare("SELECT count(*) FROM " + table);
    ASSERT_TRUE(count.step());
    EXPECT_EQ(count.integer(0), expected) << table;
  }
}

TEST(Database, ReportOfWhatDoesNotJoinIsUpToDate) {
  const fs::path folder = fs::temp_directory_path() / ("advisor_unjoined_" + std::to_string(getpid()));
  fs::create_directories(folder);
  const BuildRun run = build_db(source_data, folder / "a.db", folder / "unjoined.csv");
  ASSERT_EQ(run.code, 0) << run.message;
  EXPECT_EQ(read_text(folder / "unjoined.csv"), read_text(source_data / "unjoined.csv"))
      << "run build_db data advisor.db data/unjoined.csv and read what changed";
  EXPECT_EQ(load_knowledge(folder / "a.db").digest, whole().digest);
  fs::remove_all(folder);
}

TEST(Database, LoadingTwiceGivesTheSame) {
  const Knowledge again = load_knowledge(whole_database);
  EXPECT_EQ(again.digest, whole().digest);
  EXPECT_EQ(again.quality.size(), whole().quality.size());
  EXPECT_EQ(again.quality.back().locator, whole().quality.back().locator);
}

TEST(Database, WhatIsNotInTheCatalogsIsInTheReport) {
  std::set<std::string> listed, models, devices;
  for (const CsvRow& row : read_csv(source_data / "unjoined.csv", "unjoined.csv").rows) listed.insert(row.fields[2]);
  for (const Model& model : whole().models) models.insert(model.id);
  for (const Device& device : whole().devices) devices.insert(device.id);
  for (const auto& row : whole().quality)
    EXPECT_TRUE(models.contains(row.model) || listed.contains(row.model)) << row.model;
  for (const auto& row : whole().speed) {
    EXPECT_TRUE(models.contains(row.model) || listed.contains(row.model)) << row.model;
    EXPECT_TRUE(row.hardware.empty() || devices.contains(row.hardware)) << row.hardware;
  }
  for (const auto& row : whole().scores) {
    EXPECT_TRUE(row.closed || models.contains(row.model) || listed.contains(row.model)) << row.model;
  }
  for (const auto& row : whole().published) EXPECT_TRUE(models.contains(row.model)) << row.model;
}

TEST(Database, ProportionsAreFractionsAndFamiliesKnown) {
  std::set<std::string> families, tasks, techniques;
  for (const Family& family : whole().families) families.insert(family.id);
  for (const Task& task : whole().tasks) tasks.insert(task.id);
  for (const Technique& technique : whole().techniques) techniques.insert(technique.id);
  for (const auto& row : whole().quality) {
    EXPECT_TRUE(families.contains(row.family) && tasks.contains(row.task) && techniques.contains(row.technique));
    if (row.metric_kind == "proportion" && row.suspect.empty()) {
      EXPECT_TRUE(row.baseline >= 0 && row.baseline <= 1 && row.value >= 0 && row.value <= 1) << row.locator;
    }
    EXPECT_TRUE(row.sparsity >= 0 && row.sparsity < 1);
  }
  for (const auto& row : whole().scores) {
    EXPECT_TRUE(tasks.contains(row.task));
    if (row.metric_kind == "proportion") {
      EXPECT_TRUE(row.value >= 0 && row.value <= 1) << row.locator;
    }
  }
  for (const Task& task : whole().tasks) EXPECT_TRUE(families.contains(task.family)) << task.id;
}

TEST(Database, TaskTypesThatProfilesMayName) {
  for (const char* type : {"chat", "customer_service", "summarization", "classification", "extraction", "translation",
                           "rag", "closed_book_qa", "medical_qa", "legal", "code", "math", "reasoning", "tool_use",
                           "long_document", "multilingual", "vision_qa", "document_vision", "speech"}) {
    const auto found = std::find_if(whole().tasks.begin(), whole().tasks.end(),
                                    [&](const Task& task) { return task.id == type && task.kind == "type"; });
    ASSERT_NE(found, whole().tasks.end()) << type;
    EXPECT_NE(found->benchmark, "");
  }
}

TEST(Database, KnownFacts) {
  const auto model = std::find_if(whole().models.begin(), whole().models.end(),
                                  [](const Model& m) { return m.id == "meta-llama/Llama-3.1-8B-Instruct"; });
  ASSERT_NE(model, whole().models.end());
  EXPECT_EQ(model->layers, 32);
  EXPECT_EQ(model->kv_heads, 8);
  EXPECT_NEAR(*model->params, 8.03e9, 0.05e9);
  EXPECT_EQ(model->licence, "llama3.1");
  const auto device = std::find_if(whole().devices.begin(), whole().devices.end(),
                                   [](const Device& d) { return d.id == "nvidia-a100-sxm4-80gb"; });
  ASSERT_NE(device, whole().devices.end());
  EXPECT_DOUBLE_EQ(device->memory, 85899345920.0);
  EXPECT_DOUBLE_EQ(*device->fp16, 312e12);
  EXPECT_EQ(device->generation, "Ampere");
  const auto ada = std::find_if(whole().devices.begin(), whole().devices.end(),
                                [](const Device& d) { return d.id == "nvidia-rtx-4090-24gb"; });
  EXPECT_EQ(ada->generation, "Ada");
  // Sizes that a source computed wrongly are left out; the model stays for its scores.
  const auto doubtful = std::find_if(whole().models.begin(), whole().models.end(),
                                     [](const Model& m) { return m.id == "MiniMaxAI/MiniMax-M1-40k"; });
  ASSERT_NE(doubtful, whole().models.end());
  EXPECT_FALSE(doubtful->params);
}

TEST(SchemeOf, ReadsWhatTablesSay) {
  const auto scheme = [](const char* technique, const char* format, std::optional<double> weight,
                         std::optional<double> activation, std::optional<std::int64_t> group) {
    QualityMeasurement row;
    row.technique = technique;
    row.format = format;
    row.weight_bits = weight;
    row.activation_bits = activation;
    row.group_size = group;
    return scheme_of(row);
  };
  EXPECT_EQ(scheme("gptq", "W4A16", 4, 16, 128), "W4A16-g128");
  EXPECT_EQ(scheme("rtn", "W4A16", 4, 16, -1), "W4A16-channel");
  EXPECT_EQ(scheme("fp8", "W8A8-FP8", 8, 8, std::nullopt), "W8A8-fp8");
  EXPECT_EQ(scheme("nvfp4", "NVFP4", 4, 4, 16), "W4A4-nvfp4");
  EXPECT_EQ(scheme("gguf-k", "Q4_K_M (Ollama)", 4, 16, std::nullopt), "Q4_K_M");
  EXPECT_EQ(scheme("wanda", "", 16, std::nullopt, std::nullopt), "W16A16");
  EXPECT_EQ(scheme("other-quantization", "WhisperKit compressed", std::nullopt, std::nullopt, std::nullopt),
            "WhisperKit compressed");
}

}  // namespace
}  // namespace advisor
