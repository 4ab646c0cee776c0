#include "compress/journal.h"

#include <fstream>

#include "compress/fixture.h"
#include "compress/output.h"
#include "gmock/gmock.h"

namespace advisor {
namespace {

using ::testing::ElementsAre;
using testing::read_file;
using testing::refusal;
namespace fs = std::filesystem;

const Identity identity{{"the recipe", "a"}, {"the calibration", "b"}};

Finished piece(const std::string& tensor, std::int64_t blocks) {
  return {{{tensor, {{0x8000000000000001u, true, {1.0 / 3, 0.1, 1e-300}}, {7, false, {}}}}},
          blocks,
          0xfedcba9876543210u,
          {"a note, \"quoted\""}};
}

class JournalFile : public ::testing::Test {
 protected:
  fs::path folder(const std::string& end) {
    const fs::path path = temp_ / ("out.partial-" + end);
    fs::create_directory(path);
    return path;
  }
  testing::TempFolder temp_;
};

TEST_F(JournalFile, TellsWhatWasFinished) {
  const fs::path place = folder("1");
  {
    Journal journal = Journal::create(place, identity);
    EXPECT_TRUE(journal.finished().tensors.empty());
    journal.add(piece("a.weight", 1));
    journal.add(piece("b.weight", 2));
  }
  const Journal journal = Journal::resume(place);
  const Finished& finished = journal.finished();
  ASSERT_EQ(finished.tensors.size(), 2u);
  EXPECT_EQ(finished.tensors[1].tensor, "b.weight");
  EXPECT_EQ(finished.tensors[0].expected, piece("", 0).tensors[0].expected);
  EXPECT_EQ(finished.blocks, 2);
  EXPECT_EQ(finished.activations, 0xfedcba9876543210u);
  EXPECT_THAT(finished.notes, ElementsAre("a note, \"quoted\"", "a note, \"quoted\""));
}

TEST_F(JournalFile, ALineThatWasCutOffIsForgottenWhereverItWasCut) {
  const fs::path place = folder("1"), path = place / journal_file_name;
  {
    Journal journal = Journal::create(place, identity);
    journal.add(piece("a.weight", 1));
  }
  const std::string head = read_file(path);
  Journal::resume(place).add(piece("b.weight", 2));
  const std::string whole = read_file(path);
  for (std::size_t length = head.size(); length < whole.size(); length += 7) {
    std::ofstream(path, std::ios::binary) << whole.substr(0, length);
    Journal journal = Journal::resume(place);
    ASSERT_EQ(journal.finished().tensors.size(), 1u) << length;
    journal.add(piece("b.weight", 2));
    ASSERT_EQ(read_file(path), whole) << length;
  }
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, head.find('\n')}) {
    std::ofstream(path, std::ios::binary) << whole.substr(0, length);
    EXPECT_TRUE(interrupted_runs(temp_ / "out").empty()) << "without its first line it is no journal";
    refusal(ErrorCode::io_error, [&] { Journal::resume(place); });
  }
}

TEST_F(JournalFile, BelongsToOneProcess) {
  const Journal journal = Journal::create(folder("1"), identity);
  refusal(ErrorCode::invalid_argument, [&] { Journal::resume(temp_ / "out.partial-1"); });
  EXPECT_TRUE(interrupted_runs(temp_ / "out").empty());
  refusal(ErrorCode::io_error, [&] { Journal::create(temp_ / "out.partial-1", identity); });
  refusal(ErrorCode::io_error, [&] { Journal::create(temp_ / "nowhere", identity); });
}

TEST_F(JournalFile, IsFoundByTheNameOfTheOutput) {
  for (const char* end : {"2", "1"}) Journal::create(folder(end), identity);
  fs::create_directory(temp_ / "out.partial-3");
  fs::create_directory(temp_ / "outer.partial-4");
  Journal::create(temp_ / "outer.partial-4", identity);
  EXPECT_THAT(interrupted_runs(temp_ / "out"), ElementsAre(temp_ / "out.partial-1", temp_ / "out.partial-2"));
  fs::remove_all(temp_ / "out.partial-1");
  EXPECT_EQ(find_interrupted(temp_ / "out", identity), temp_ / "out.partial-2");
}

}  // namespace
}  // namespace advisor
