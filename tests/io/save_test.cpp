#include "io/save.h"

#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "core/error.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Save : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("save-" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  static std::string read(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

std::string refusal(ErrorCode code, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code);
    return error.what();
  }
  return "(no error)";
}

TEST_F(Save, FileIsReplacedWhole) {
  save_file(folder_ / "a", "one");
  save_file(folder_ / "a", "two");
  EXPECT_EQ(read(folder_ / "a"), "two");
  EXPECT_EQ(entries(), 1U);
}

TEST_F(Save, FileThatCannotBeWrittenLeavesNothing) {
  EXPECT_THAT(refusal(ErrorCode::io_error, [&] { save_file(folder_ / "none" / "a", "x"); }), HasSubstr("No such file"));
  fs::create_directories(folder_ / "b" / "c");
  EXPECT_THAT(refusal(ErrorCode::io_error, [&] { save_file(folder_ / "b", "x"); }), HasSubstr("cannot be written"));
  EXPECT_EQ(entries(), 1U);
}

TEST_F(Save, FolderAppearsOnceAndIsOverwrittenOnlyWhenAsked) {
  const auto place = folder_ / "out";
  save_folder(place, {{"a", "1"}, {"b", "2"}});
  EXPECT_EQ(read(place / "b"), "2");
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { save_folder(place, {}); }), HasSubstr("exists already"));
  save_folder(place.string() + "/", {{"c", "3"}}, true);
  EXPECT_FALSE(fs::exists(place / "a"));
  EXPECT_EQ(read(place / "c"), "3");
  EXPECT_EQ(entries(), 1U);
}

TEST_F(Save, FolderThatFailsLeavesNothing) {
  EXPECT_THAT(refusal(ErrorCode::io_error,
                      [&] {
                        save_folder(folder_ / "out", {{"no/such", "x"}});
                      }),
              HasSubstr("cannot be written"));
  EXPECT_EQ(entries(), 0U);
}

}  // namespace
}  // namespace advisor
