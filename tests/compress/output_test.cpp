#include "compress/output.h"

#include "compress/fixture.h"
#include "gmock/gmock.h"

namespace advisor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::names_in;
using testing::refusal;
namespace fs = std::filesystem;

class Output : public ::testing::Test {
 protected:
  Output() { fs::create_directory(temp_ / "model"); }
  fs::path check(const fs::path& out, bool overwrite = false) { return check_output(out, temp_ / "model", overwrite); }
  testing::TempFolder temp_;
};

TEST_F(Output, ANewNameInAnExistingFolder) {
  EXPECT_EQ(check(temp_ / "out"), temp_ / "out");
  EXPECT_EQ(check(temp_ / "out/"), temp_ / "out");
  EXPECT_EQ(check(temp_ / "model2"), temp_ / "model2") << "only a whole path component is inside";
}

TEST_F(Output, RefusesPlacesThatCannotBe) {
  refusal(ErrorCode::invalid_argument, [&] { check(""); });
  EXPECT_THAT(refusal(ErrorCode::not_found, [&] { check(temp_ / "no/out"); }), HasSubstr("not an existing folder"));
  std::ofstream(temp_ / "file") << "x";
  refusal(ErrorCode::invalid_argument, [&] { check(temp_ / "file/out"); });
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { check(temp_ / "model/out"); }), HasSubstr("inside"));
  refusal(ErrorCode::invalid_argument, [&] { check(temp_ / "model", true); });
  refusal(ErrorCode::invalid_argument, [&] { check(temp_.path(), true); });
  fs::create_directory_symlink(temp_ / "model", temp_ / "link");
  refusal(ErrorCode::invalid_argument, [&] { check(temp_ / "link/out"); });
}

TEST_F(Output, ReplacesOnlyOnRequestAndOnlyOurOwn) {
  fs::create_directory(temp_ / "out");
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { check(temp_ / "out"); }), HasSubstr("exists"));
  EXPECT_NO_THROW(check(temp_ / "out", true)) << "empty";
  std::ofstream(temp_ / "out/thesis.tex") << "x";
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { check(temp_ / "out", true); }),
              HasSubstr("not a folder that a compression wrote"));
  std::ofstream(temp_ / "out/advisor_report.json") << "{}";
  EXPECT_NO_THROW(check(temp_ / "out", true));
  std::ofstream(temp_ / "file") << "x";
  refusal(ErrorCode::invalid_argument, [&] { check(temp_ / "file", true); });
  fs::create_directory_symlink(temp_ / "out", temp_ / "link");
  refusal(ErrorCode::invalid_argument, [&] { check(temp_ / "link", true); });
}

TEST_F(Output, PartialFolderDisappearsUnlessCommitted) {
  {
    const PartialFolder partial(temp_ / "out");
    write_file(partial.path() / "a", "half");
    EXPECT_THAT(partial.path().string(), HasSubstr("out.partial-"));
    EXPECT_THAT(names_in(temp_.path()), ::testing::SizeIs(2));
  }
  EXPECT_THAT(names_in(temp_.path()), ElementsAre("model"));
  {
    PartialFolder partial(temp_ / "out");
    fs::create_directory(partial.path() / "sub");
    write_file(partial.path() / "sub/a", "whole");
    partial.commit(false);
  }
  EXPECT_THAT(names_in(temp_.path()), ElementsAre("model", "out"));
  EXPECT_EQ(testing::read_file(temp_ / "out/sub/a"), "whole");
}

TEST_F(Output, CommitReplacesInOneStepOrNotAtAll) {
  fs::create_directory(temp_ / "out");
  std::ofstream(temp_ / "out/old") << "old";
  {
    PartialFolder partial(temp_ / "out");
    write_file(partial.path() / "new", "new");
    refusal(ErrorCode::io_error, [&] { partial.commit(false); });  // appeared while the job ran
  }
  EXPECT_THAT(names_in(temp_ / "out"), ElementsAre("old"));
  {
    PartialFolder partial(temp_ / "out");
    write_file(partial.path() / "new", "new");
    partial.commit(true);
  }
  EXPECT_THAT(names_in(temp_ / "out"), ElementsAre("new"));
  EXPECT_THAT(names_in(temp_.path()), ElementsAre("model", "out"));
}

TEST_F(Output, AnEarlierLeftoverDoesNotBlock) {
  fs::create_directory((temp_ / "out").string() + ".partial-" + std::to_string(::getpid()));
  EXPECT_NO_THROW(PartialFolder(temp_ / "out"));
}

TEST_F(Output, FolderThatCannotBeMadeIsAnIoError) {
  refusal(ErrorCode::io_error, [] { PartialFolder("/proc/advisor-out"); });  // refuses even root
  refusal(ErrorCode::io_error, [&] { write_file(temp_ / "no/file", "x"); });
  refusal(ErrorCode::io_error, [] { free_disk("/nowhere/at/all"); });
  EXPECT_GT(free_disk(temp_.path()), 0);
}

TEST_F(Output, Sha256OfWeightFilesInNameOrder) {
  write_file(temp_ / "b.gguf", "c");
  write_file(temp_ / "a.safetensors", "ab");
  write_file(temp_ / "config.json", "not counted");
  // FIPS 180: SHA-256("abc")
  std::vector<std::string> read;
  EXPECT_EQ(weights_sha256(temp_.path(),
                           [&](const std::string& file, std::int64_t) {
                             read.push_back(file);
                             return true;
                           }),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_THAT(read, ElementsAre("a.safetensors", "b.gguf"));
  EXPECT_EQ(weight_bytes(temp_.path()), 3);
  EXPECT_EQ(folder_bytes(temp_.path()), 14);
}

}  // namespace
}  // namespace advisor
