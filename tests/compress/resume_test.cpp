// Runs that are killed and continued.
#include <sys/wait.h>

#include <fstream>

#include "compress/fixture.h"
#include "compress/journal.h"
#include "compress/output.h"
#include "gmock/gmock.h"
#include "nlohmann/json.hpp"

namespace advisor {
namespace {

using testing::contents;
using ::testing::HasSubstr;
using testing::names_in;
using testing::refusal;
namespace fs = std::filesystem;

CompressRequest request(const fs::path& out, const std::string& technique, std::vector<RecipeFormat> formats) {
  CompressRequest r = testing::request(testing::tiny(), out, "W4A16-g32-asym", std::move(formats));
  r.recipe.steps.front().technique = technique;
  r.calibration.samples = 8;
  r.calibration.sequence_length = 64;
  if (technique != "rtn") r.calibration.texts = {fs::path(ADVISOR_SOURCE_DIR) / "examples/calibration/tiny.txt"};
  r.save_interval = std::chrono::milliseconds(0);
  return r;
}

/// Runs the request in a process that dies, without a chance to clean up, when progress comes for the n-th time.
/// Returns whether it died before it had finished.
bool killed_at(const CompressRequest& r, int n) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      run_compression(r, [&](const Progress&) {
        if (n-- == 0) ::_exit(9);
        return true;
      });
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 1) << "the child failed by itself";
  return WEXITSTATUS(status) == 9;
}

/// The report without what may differ between two runs of the same job.
nlohmann::json report_of(const fs::path& out) {
  nlohmann::json report = nlohmann::json::parse(testing::read_file(out / report_file_name));
  for (const char* key : {"seconds", "stages", "peak_memory"}) report.erase(key);
  for (const char* key : {"seconds", "disk_free", "outputs"}) report["plan"].erase(key);
  for (auto& output : report["outputs"]) output.erase("folder");
  return report;
}

class Resume : public ::testing::Test {
 protected:
  /// Kills the job at six moments from its first to its last, resumes it and compares with a run that nobody disturbed.
  void check_everywhere(const CompressRequest& undisturbed) {
    int ticks = 0;
    run_compression(undisturbed, [&](const Progress&) { return ++ticks > 0; });
    const auto expected = contents(undisturbed.out);
    CompressRequest r = undisturbed;
    r.out = temp_ / "out";
    int resumed = 0;
    for (int i = 0; i < 6; ++i) {
      const int n = i * (ticks - 1) / 5;
      ASSERT_TRUE(killed_at(r, n)) << n;
      ASSERT_EQ(interrupted_runs(r.out).size(), 1u);
      CompressRequest again = r;
      again.resume = true;
      again.threads = i % 2 == 0 ? 2 : 1;
      if (i % 2 == 0) again.memory = 0;  // more threads need more of it
      double first = -1;                 // part of the model that was there already
      run_compression(again, [&](const Progress& p) {
        if (first < 0) first = static_cast<double>(p.done) / static_cast<double>(p.total);
        return true;
      });
      resumed += first > 0.5 ? 1 : 0;
      EXPECT_TRUE(contents(r.out) == expected) << "killed at " << n << " of " << ticks;
      nlohmann::json before = report_of(undisturbed.out), after = report_of(r.out);
      after["threads"] = before["threads"];
      after["plan"]["peak_memory"] = before["plan"]["peak_memory"];
      if (again.memory != undisturbed.memory)
        after["plan"]["notes"] = before["plan"]["notes"];  // where activations are
      EXPECT_EQ(after, before) << "killed at " << n;
      fs::remove_all(r.out);
      ASSERT_EQ(names_in(temp_.path()).size(), 1u) << "nothing else is left";
    }
    EXPECT_GT(resumed, 0) << "late kills did not cost everything";
  }

  testing::TempFolder temp_;
};

TEST_F(Resume, TileByTileIntoSeveralFormats) {
  check_everywhere(request(temp_ / "whole", "rtn", {{"compressed-tensors", ""}, {"gguf", "Q4_K_M"}, {"gptq", ""}}));
}

TEST_F(Resume, BlockByBlockWithActivationsInMemory) {
  check_everywhere(request(temp_ / "whole", "gptq", {{"compressed-tensors", ""}}));
}

TEST_F(Resume, BlockByBlockWithFoldedScalesAndActivationsInFiles) {
  CompressRequest r = request(temp_ / "whole", "awq", {{"compressed-tensors", "f16"}, {"gguf", "Q8_0"}});
  r.memory = plan_compression(r).peak_memory - 1;
  check_everywhere(r);
}

TEST_F(Resume, ScalesOfTheCacheAreThereToo) {
  CompressRequest r = request(temp_ / "whole", "rtn", {{"compressed-tensors", ""}});
  r.calibration.texts = {fs::path(ADVISOR_SOURCE_DIR) / "examples/calibration/tiny.txt"};
  r.recipe.kv_cache = "fp8";
  r.memory = plan_compression(r).peak_memory - 1;
  check_everywhere(r);
}

TEST_F(Resume, GgufWithImportance) {
  CompressRequest r = request(temp_ / "whole", "none", {{"gguf", "Q4_0"}});
  r.recipe.steps.front().scheme = "";
  check_everywhere(r);
}

TEST_F(Resume, GgufInSeveralFiles) {
  CompressRequest r = request(temp_ / "whole", "rtn", {{"gguf", "Q4_0", {}, 100'000}});
  check_everywhere(r);
  int parts = 0;
  for (const std::string& name : names_in(r.out)) parts += name.ends_with(".gguf") ? 1 : 0;
  EXPECT_GT(parts, 2);
}

TEST_F(Resume, CancellingKeepsWhatIsFinishedOnRequest) {
  CompressRequest r = request(temp_ / "out", "gptq", {{"compressed-tensors", ""}});
  run_compression(request(temp_ / "whole", "gptq", {{"compressed-tensors", ""}}), {});
  r.keep_cancelled = true;
  const auto early = refusal(ErrorCode::cancelled, [&] { run_compression(r, [](const Progress&) { return false; }); });
  EXPECT_THAT(early, HasSubstr("nothing was kept"));
  EXPECT_EQ(names_in(temp_.path()).size(), 1u);
  const ProgressFn until_second = [](const Progress& p) { return !p.item.starts_with("block 2"); };
  const auto late = refusal(ErrorCode::cancelled, [&] { run_compression(r, until_second); });
  EXPECT_THAT(late, HasSubstr("--resume"));
  r.resume = true;
  refusal(ErrorCode::cancelled, [&] { run_compression(r, [](const Progress&) { return false; }); });
  EXPECT_EQ(interrupted_runs(r.out).size(), 1u) << "stopped again, still there";
  run_compression(r, {});
  EXPECT_TRUE(contents(r.out) == contents(temp_ / "whole"));
  EXPECT_EQ(names_in(temp_.path()).size(), 2u);
}

TEST_F(Resume, NeedsARunOfExactlyThisRequest) {
  const fs::path model = testing::write_model(temp_ / "model");
  CompressRequest r = testing::request(model, temp_ / "out", "W4A16-g32");
  r.save_interval = std::chrono::milliseconds(0);
  r.resume = true;
  EXPECT_THAT(refusal(ErrorCode::not_found, [&] { run_compression(r, {}); }), HasSubstr("no run to resume"));
  r.resume = false;
  ASSERT_TRUE(killed_at(r, 3));
  EXPECT_THAT(plan_compression(r).notes, ::testing::Contains(HasSubstr("--resume goes on with it")));
  const auto refused = [&](CompressRequest changed, const std::string& what) {
    changed.resume = true;
    EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { run_compression(changed, {}); }), HasSubstr(what));
    EXPECT_EQ(interrupted_runs(r.out).size(), 1u) << "what cannot be resumed stays";
  };
  CompressRequest other = r;
  other.recipe.steps.front().scheme = "W8A16-g32";
  refused(other, "the recipe");
  other = r;
  other.recipe.steps.front().params["clip"] = "mse";
  refused(other, "the recipe");
  other = r;
  other.recipe.formats = {{"compressed-tensors", "f16"}};
  refused(other, "the layout of the output");
  other = r;
  other.model = testing::tiny();
  refused(other, "the files of the model");
  const auto changed = fs::last_write_time(model / "config.json");
  fs::last_write_time(model / "config.json", changed + std::chrono::seconds(1));
  refused(r, "the files of the model");
  fs::last_write_time(model / "config.json", changed);

  r.resume = true;
  EXPECT_THAT(plan_compression(r).notes, ::testing::Contains(HasSubstr("goes on with")));
  {
    const Journal alive = Journal::resume(interrupted_runs(r.out).front());
    EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { run_compression(r, {}); }), HasSubstr("another process"));
  }
  r.resume = false;
  ASSERT_TRUE(killed_at(r, 3));
  r.resume = true;
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { run_compression(r, {}); }), HasSubstr("several"));
  fs::remove_all(interrupted_runs(r.out).front());
  run_compression(r, {});
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { run_compression(r, {}); }), HasSubstr("is complete"));
  EXPECT_EQ(names_in(temp_.path()).size(), 2u);
}

TEST_F(Resume, ARunKilledBehindItsRenameHasFinished) {
  CompressRequest r = testing::request(testing::write_model(temp_ / "model"), temp_ / "out", "W4A16-g32");
  run_compression(r, {});
  const auto whole = contents(r.out);
  std::ofstream(r.out / journal_file_name) << "{}\n";
  r.resume = true;
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { run_compression(r, {}); }), HasSubstr("is complete"));
  EXPECT_TRUE(contents(r.out) == whole) << "its journal is gone";
}

TEST_F(Resume, LostActivationsAreSaidSo) {
  CompressRequest r = request(temp_ / "out", "gptq", {{"compressed-tensors", ""}});
  int ticks = 0;
  run_compression(r, [&](const Progress& p) { return p.item != "block 2 of 3" || ++ticks > 0; });
  fs::remove_all(r.out);
  r.keep_cancelled = true;
  refusal(ErrorCode::cancelled,
          [&] { run_compression(r, [](const Progress& p) { return !p.item.starts_with("block 2"); }); });
  const fs::path folder = interrupted_runs(r.out).front();
  std::fstream(folder / "activations-1", std::ios::in | std::ios::out | std::ios::binary).seekp(100) << "spoiled";
  r.resume = true;
  EXPECT_THAT(refusal(ErrorCode::io_error, [&] { run_compression(r, {}); }), HasSubstr("start anew"));
}

}  // namespace
}  // namespace advisor
