#include "compress/calibration.h"

#include <gmock/gmock.h>

#include <fstream>

#include "compress/fixture.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;
using testing::refusal;
namespace fs = std::filesystem;

class CalibrationTest : public ::testing::Test {
 protected:
  fs::path write(const std::string& name, const std::string& text) {
    std::ofstream(temp_ / name) << text;
    return temp_ / name;
  }
  CalibrationRequest of(const fs::path& path, std::int64_t samples = 128, std::int64_t length = 16) {
    CalibrationRequest request;
    request.texts = {path};
    request.samples = samples;
    request.sequence_length = length;
    return request;
  }
  static std::string prose(int words) {
    std::string text;
    for (int i = 0; i < words; ++i) text += "word" + std::to_string(i % 50) + " ";
    return text;
  }

  testing::TempFolder temp_;
  const std::unique_ptr<Checkpoint> model_ = open_checkpoint(testing::tiny());
};

TEST_F(CalibrationTest, CutsOneStringIntoWindowsBehindBos) {
  const Calibration all = read_calibration(*model_, of(write("a.txt", prose(400))));
  ASSERT_GT(all.sequences.size(), 5u);
  for (const auto& sequence : all.sequences) {
    EXPECT_EQ(sequence.size(), 16u);
    EXPECT_EQ(sequence.front(), 0);
  }
  const Calibration first = read_calibration(*model_, of(temp_ / "a.txt", 3));
  ASSERT_EQ(first.sequences.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(first.sequences[i], all.sequences[i]);
  EXPECT_EQ(first.tokens, 48);
  EXPECT_THAT(first.summary, HasSubstr("a.txt"));
}

TEST_F(CalibrationTest, ASeedChoosesAndChoosesAgainTheSame) {
  auto request = of(write("a.txt", prose(2000)), 10);
  const Calibration plain = read_calibration(*model_, request);
  request.seed = 7;
  const Calibration seeded = read_calibration(*model_, request);
  EXPECT_NE(seeded.sequences, plain.sequences);
  EXPECT_EQ(seeded.sequences, read_calibration(*model_, request).sequences);
}

TEST_F(CalibrationTest, ReadsLinesAndFoldersByName) {
  write("b.jsonl", "{\"text\": \"" + prose(100) + "\"}\n\n{\"text\": \"" + prose(100) + "\"}\n");
  const auto lines = read_calibration(*model_, of(temp_ / "b.jsonl"));
  write("a.txt", prose(100));
  const auto folder = read_calibration(*model_, of(temp_.path()));
  EXPECT_GT(folder.tokens, lines.tokens);
  EXPECT_THAT(folder.summary, HasSubstr("a.txt, b.jsonl"));
}

TEST_F(CalibrationTest, AShortTextIsOneSequence) {
  const auto calibration = read_calibration(*model_, of(write("a.txt", "One sentence only.")));
  ASSERT_EQ(calibration.sequences.size(), 1u);
  EXPECT_LT(calibration.tokens, 16);
}

TEST_F(CalibrationTest, WhatMakesNoSenseIsRefused) {
  const auto read = [&](const CalibrationRequest& request) {
    return [&, request] { read_calibration(*model_, request); };
  };
  EXPECT_THAT(refusal(ErrorCode::not_found, read(of(temp_ / "none.txt"))), HasSubstr("none.txt"));
  EXPECT_THAT(refusal(ErrorCode::not_found, read(of(temp_.path()))), HasSubstr("no *.txt or *.jsonl"));
  const auto text = write("a.txt", prose(50));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, read(of(text, 0))), HasSubstr("0 calibration samples"));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, read(of(text, 1, 1000))), HasSubstr("2 to 256"));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, read(of(text, 1, 1))), HasSubstr("2 to 256"));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, read(of(write("empty.txt", "")))), HasSubstr("no text"));
  EXPECT_THAT(refusal(ErrorCode::parse_error, read(of(write("b.jsonl", "{\"text\": \"x\"}\n{\"words\": 1}\n")))),
              HasSubstr("b.jsonl:2"));
  EXPECT_THAT(refusal(ErrorCode::parse_error, read(of(write("c.jsonl", "nonsense\n")))), HasSubstr("c.jsonl:1"));
}

}  // namespace
}  // namespace advisor
