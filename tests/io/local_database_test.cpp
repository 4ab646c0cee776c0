// The user's own database: stored whole or not at all, by several writers at once, without duplicates, and taken back.
#include "io/local_database.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <thread>

#include "core/error.h"
#include "io/import_report.h"
#include "io/sqlite.h"

namespace advisor {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class LocalDatabaseTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    root_ = fs::temp_directory_path() / ("advisor_local_" + std::to_string(getpid()) + "_" + test->name());
    fs::remove_all(root_);
  }
  void TearDown() override { fs::remove_all(root_); }
  fs::path path() const { return root_ / "deep/er/local.db"; }

  static Recording recording(double value, const std::string& digest = "d0") {
    Recording r;
    r.date = "2026-11-23";
    r.note = "a note";
    r.files = {{"results.json", "lm-evaluation-harness results", digest}};
    RecordedQuality& q = r.quality.emplace_back();
    q.row.model = "m/a";
    q.row.params = 8e9;
    q.row.technique = "gptq";
    q.row.scheme = q.row.format = "W4A16-g128";
    q.row.weight_bits = 4;
    q.row.group_size = 128;
    q.row.task = "mmlu";
    q.row.family = "knowledge";
    q.row.metric = "acc";
    q.row.metric_kind = "proportion";
    q.row.baseline = 0.7;
    q.row.value = value;
    q.row.standard_error = 0.004;
    q.tool = "lm-evaluation-harness 0.4.9";
    q.settings = "shots 5";
    RecordedScore& s = r.scores.emplace_back();
    s.row.model = "m/a";
    s.row.task = "mmlu";
    s.row.metric = "acc";
    s.row.harness = "lm-evaluation-harness";
    s.row.value = 0.7;
    s.settings = "shots 5";
    return r;
  }
  static Recording speeds(const std::string& model, double value, const std::string& digest) {
    Recording r;
    r.date = "2026-11-24";
    r.files = {{"bench.json", "llama-bench JSON", digest}};
    RecordedSpeed& s = r.speed.emplace_back();
    s.row.model = model;
    s.row.format = "Q4_K_M";
    s.row.engine = "llama.cpp";
    s.row.hardware = "gpu";
    s.row.metric = "decode_tok_s";
    s.row.load = "1";
    s.row.concurrency = 1;
    s.row.value = value;
    s.tool = "llama-bench b6789";
    return r;
  }
  void expect_refused(LocalDatabase& database, Recording r, const std::string& says) const {
    try {
      database.store(std::move(r));
      ADD_FAILURE() << "stored";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
      EXPECT_THAT(error.what(), HasSubstr(says));
    }
  }

 private:
  fs::path root_;
};

TEST_F(LocalDatabaseTest, WhatIsStoredComesBackWhole) {
  LocalDatabase database(path());
  const Recording stored = database.store(recording(0.68));
  EXPECT_EQ(stored.id, 1);
  const std::vector<Recording> all = LocalDatabase(path()).recordings();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(to_json("listed", all, ""), to_json("listed", {stored}, ""));
  EXPECT_EQ(all[0].quality[0].row.group_size, 128);
  EXPECT_FALSE(all[0].quality[0].row.kv_bits.has_value());
  EXPECT_EQ(all[0].quality[0].row.value, 0.68);
}

TEST_F(LocalDatabaseTest, RowsJoinTheKnowledge) {
  LocalDatabase database(path());
  database.store(recording(0.68));
  database.store(speeds("m/b", 150, "d1"));
  Knowledge knowledge;
  knowledge.digest = "shipped";
  knowledge.quality.resize(3);
  append_local(knowledge, path());
  ASSERT_EQ(knowledge.quality.size(), 4u);
  const QualityMeasurement& row = knowledge.quality.back();
  EXPECT_EQ(row.recorded, "2026-11-23");
  EXPECT_EQ(row.source, "local:1");
  EXPECT_EQ(row.scheme, "W4A16-g128");
  EXPECT_EQ(row.standard_error, 0.004);
  ASSERT_EQ(knowledge.speed.size(), 1u);
  EXPECT_EQ(knowledge.speed[0].source, "local:2");
  EXPECT_EQ(knowledge.speed[0].recorded, "2026-11-24");
  ASSERT_EQ(knowledge.scores.size(), 1u);
  ASSERT_EQ(knowledge.sources.size(), 2u);
  EXPECT_EQ(knowledge.sources[1].id, "local:2");
  EXPECT_THAT(knowledge.digest, testing::StartsWith("shipped+local:"));

  Knowledge one;
  append_local(one, path(), "m/b");
  EXPECT_TRUE(one.quality.empty());
  EXPECT_EQ(one.speed.size(), 1u);
}

TEST_F(LocalDatabaseTest, DigestFollowsTheContent) {
  const auto digest = [&] {
    Knowledge knowledge;
    append_local(knowledge, path());
    return knowledge.digest;
  };
  LocalDatabase database(path());
  EXPECT_EQ(digest(), "");
  database.store(recording(0.68));
  const std::string first = digest();
  EXPECT_EQ(digest(), first);
  database.store(speeds("m/b", 150, "d1"));
  EXPECT_NE(digest(), first);
  database.undo(0);
  EXPECT_EQ(digest(), first);
  database.undo(0);
  EXPECT_EQ(digest(), "");
}

TEST_F(LocalDatabaseTest, MissingFileIsNoRows) {
  Knowledge knowledge;
  append_local(knowledge, path());
  EXPECT_TRUE(knowledge.quality.empty());
  EXPECT_TRUE(LocalDatabase(path()).recordings().empty());
  EXPECT_TRUE(LocalDatabase(path()).scores().empty());
  EXPECT_FALSE(fs::exists(path()));
}

TEST_F(LocalDatabaseTest, CheckCreatesNothing) {
  const Recording checked = LocalDatabase(path()).check(recording(0.68));
  EXPECT_EQ(checked.id, 0);
  EXPECT_EQ(checked.quality.size(), 1u);
  EXPECT_FALSE(fs::exists(path()));
}

TEST_F(LocalDatabaseTest, DuplicatesAreRefusedAndNothingIsStored) {
  LocalDatabase database(path());
  database.store(recording(0.68));
  expect_refused(database, recording(0.68, "another file"), "already recorded: m/a gptq W4A16-g128 on mmlu");
  Recording partly = recording(0.68, "d2");
  partly.quality.push_back(partly.quality[0]);
  partly.quality[0].row.value = 0.5;  // one new row, one known
  expect_refused(database, partly, "recording 1 of 2026-11-23 (results.json)");
  database.store(speeds("m/b", 150, "d3"));
  expect_refused(database, speeds("m/c", 150, "d3"), "bench.json: already recorded");  // the same file
  expect_refused(database, recording(0.5), "results.json: already recorded");          // with other options
  Recording twice = recording(0.6, "d4");
  twice.quality.push_back(twice.quality[0]);
  expect_refused(database, twice, "the same measurement twice");
  EXPECT_EQ(database.recordings().size(), 2u);
}

TEST_F(LocalDatabaseTest, KnownBaselineIsNotStoredAgain) {
  LocalDatabase database(path());
  database.store(recording(0.68));
  Recording other = recording(0.66, "d2");
  other.files.push_back({"base.json", "lm-evaluation-harness results", "d0", true});  // known, and only compared with
  const Recording second = database.store(other);
  EXPECT_EQ(second.quality.size(), 1u);
  EXPECT_TRUE(second.scores.empty());
  EXPECT_THAT(second.notes, testing::Contains(HasSubstr("recorded already")));
  EXPECT_EQ(database.scores().size(), 1u);
  Recording alone = recording(0.66, "d1");
  alone.quality.clear();
  expect_refused(database, alone, "already recorded");
}

TEST_F(LocalDatabaseTest, UndoTakesBackTheLastOrTheNamed) {
  LocalDatabase database(path());
  EXPECT_THROW(database.undo(0), Error);
  EXPECT_FALSE(fs::exists(path()));
  for (int i = 1; i <= 3; ++i) database.store(speeds("m/" + std::to_string(i), 100 + i, "d" + std::to_string(i)));
  EXPECT_EQ(database.undo(0).id, 3);
  EXPECT_EQ(database.undo(1).speed.at(0).row.model, "m/1");
  EXPECT_THROW(database.undo(1), Error);
  EXPECT_THROW(database.undo(99), Error);
  ASSERT_EQ(database.recordings().size(), 1u);
  EXPECT_EQ(database.recordings()[0].id, 2);
  const Recording again = database.store(speeds("m/1", 101, "d1"));  // what was taken back may come again
  EXPECT_EQ(again.id, 4);                                            // and never under an id that was given out
}

TEST_F(LocalDatabaseTest, OtherFilesAreRefused) {
  fs::create_directories(path().parent_path());
  std::ofstream(path()) << "this is not a database, but long enough to look like some file of somebody";
  LocalDatabase database(path());
  const auto expect_code = [&](ErrorCode code) {
    Knowledge knowledge;
    for (const auto& action : {std::function<void()>([&] { append_local(knowledge, path()); }),
                               std::function<void()>([&] { database.store(recording(0.68)); }),
                               std::function<void()>([&] { database.undo(0); })}) {
      try {
        action();
        ADD_FAILURE() << "accepted";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), code) << error.what();
        EXPECT_THAT(error.what(), HasSubstr("local.db"));
      }
    }
  };
  expect_code(ErrorCode::parse_error);
  fs::remove(path());
  Sqlite::create(path()).execute("CREATE TABLE metadata (key TEXT PRIMARY KEY, value TEXT);");
  expect_code(ErrorCode::parse_error);
  Sqlite::open(path()).execute("INSERT INTO metadata VALUES ('local_layout', '99');");
  expect_code(ErrorCode::unsupported);
}

TEST_F(LocalDatabaseTest, EmptyFileIsFilled) {
  fs::create_directories(path().parent_path());
  std::ofstream(path()).flush();
  Knowledge knowledge;
  append_local(knowledge, path());
  EXPECT_EQ(LocalDatabase(path()).store(recording(0.68)).id, 1);
}

TEST_F(LocalDatabaseTest, WritersInThreadsWaitForEachOther) {
  constexpr int writers = 4, each = 5;
  std::vector<std::thread> threads;
  for (int w = 0; w < writers; ++w) {
    threads.emplace_back([&, w] {
      LocalDatabase database(path());
      for (int i = 0; i < each; ++i) {
        const std::string name = std::to_string(w) + "-" + std::to_string(i);
        database.store(speeds("m/" + name, 100 + i, name));
        Knowledge knowledge;
        append_local(knowledge, path());  // readers are never in the way, nor see half a recording
        EXPECT_EQ(knowledge.speed.size(), knowledge.sources.size());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::int64_t> ids;
  for (const Recording& r : LocalDatabase(path()).recordings()) {
    ids.insert(r.id);
    EXPECT_EQ(r.speed.size(), 1u);
  }
  EXPECT_EQ(ids.size(), static_cast<std::size_t>(writers * each));
}

TEST_F(LocalDatabaseTest, WritersInProcessesStoreOneOfTheSame) {
  std::vector<pid_t> children;
  for (int w = 0; w < 2; ++w) {
    const pid_t child = fork();
    if (child == 0) {
      int stored = 0;
      for (int i = 0; i < 10; ++i) {
        try {
          LocalDatabase(path()).store(speeds("m/" + std::to_string(i), 100, "d" + std::to_string(i)));
          ++stored;
        } catch (const Error& error) {
          if (error.code() != ErrorCode::invalid_argument) _exit(100);  // only a duplicate may refuse
        }
      }
      _exit(stored);
    }
    children.push_back(child);
  }
  int stored = 0;
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    stored += WEXITSTATUS(status);
  }
  EXPECT_EQ(stored, 10);
  EXPECT_EQ(LocalDatabase(path()).recordings().size(), 10u);
}

}  // namespace
}  // namespace advisor
