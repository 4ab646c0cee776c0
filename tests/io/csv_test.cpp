#include "io/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "core/error.h"

namespace advisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string message_of(std::string_view text) {
  try {
    parse_csv(text, "t.csv");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::parse_error);
    return error.what();
  }
  return "accepted";
}

TEST(Csv, WhatIsWrittenIsReadBack) {
  std::mt19937 random(7);
  const std::string alphabet = "ab,\"\n\r é";
  for (int round = 0; round < 500; ++round) {
    std::vector<std::vector<std::string>> rows(1 + random() % 4);
    std::string text = "x,y,z\n";
    for (auto& row : rows) {
      for (int i = 0; i < 3; ++i) {
        std::string field;
        for (auto n = random() % 6; n > 0; --n) {
          const auto c = random() % 8;
          field += c == 7 ? "é" : std::string(1, alphabet[c]);
        }
        row.push_back(field);
        text += (i == 0 ? "" : ",") + csv_field(field);
      }
      text += round % 2 == 0 ? "\n" : "\r\n";
    }
    const CsvTable table = parse_csv(text, "t.csv");
    ASSERT_EQ(table.rows.size(), rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) ASSERT_EQ(table.rows[i].fields, rows[i]) << text;
  }
}

TEST(Csv, LineEndingsByteOrderMarkAndLastLine) {
  for (const std::string text : {"a,b\n1,2\n", "a,b\r\n1,2\r\n",
                                 "\xEF\xBB\xBF"
                                 "a,b\n1,2",
                                 "a,b\n\n1,2\n\n"}) {
    const CsvTable table = parse_csv(text, "t.csv");
    EXPECT_THAT(table.columns, ElementsAre("a", "b"));
    ASSERT_EQ(table.rows.size(), 1U);
    EXPECT_THAT(table.rows[0].fields, ElementsAre("1", "2"));
  }
}

TEST(Csv, LinesCountBreaksInsideQuotes) {
  const CsvTable table = parse_csv("a,b\n\"one\ntwo\",x\n3,\"say \"\"so\"\"\"\n", "t.csv");
  ASSERT_EQ(table.rows.size(), 2U);
  EXPECT_EQ(table.rows[0].fields[0], "one\ntwo");
  EXPECT_EQ(table.rows[1].fields[1], "say \"so\"");
  EXPECT_EQ(table.where(table.rows[0]), "t.csv:2");
  EXPECT_EQ(table.where(table.rows[1]), "t.csv:4");
}

TEST(Csv, RefusalsSayWhere) {
  EXPECT_THAT(message_of(""), HasSubstr("t.csv:1: empty"));
  EXPECT_THAT(message_of("a,,c\n"), HasSubstr("t.csv:1: a column has no name"));
  EXPECT_THAT(message_of("a,b,a\n"), HasSubstr("t.csv:1: column a appears twice"));
  EXPECT_THAT(message_of("a,b\n1,2\n1,2,3\n"), HasSubstr("t.csv:3: 3 fields, the header has 2"));
  EXPECT_THAT(message_of("a,b\n1\n"), HasSubstr("t.csv:2: 1 fields, the header has 2"));
  EXPECT_THAT(message_of("a,b\n1,2\n\"x,2\n"), HasSubstr("t.csv:3: a quote opens here and is never closed"));
  EXPECT_THAT(message_of("a,b\n1,2\"\n"), HasSubstr("t.csv:2: a quote inside a field"));
  EXPECT_THAT(message_of("a,b\n\"1\"x,2\n"), HasSubstr("t.csv:2: text after a closing quote"));
  EXPECT_THAT(message_of("a,b\n1\r2,3\n"), HasSubstr("t.csv:2: a carriage return inside a line"));
}

TEST(Csv, BytesThatAreNotUtf8AreRefused) {
  for (const std::string bad : {"\xFF", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80"}) {
    EXPECT_THAT(message_of("a\nfine\n" + bad + "\n"), HasSubstr("t.csv:3: not UTF-8"));
  }
  for (const std::string good : {"\xC2\x80", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xED\x9F\xBF"}) {
    EXPECT_EQ(message_of("a\n" + good + "\n"), "accepted");
  }
}

TEST(Csv, FilesAreNamedAsAsked) {
  try {
    read_csv("/nonexistent/x.csv", "data/x.csv");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::not_found);
    EXPECT_THAT(error.what(), HasSubstr("data/x.csv"));
  }
  const auto path = std::filesystem::temp_directory_path() / "advisor_csv_test_empty.csv";
  std::ofstream(path).close();
  EXPECT_THROW(read_csv(path, "x.csv"), Error);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace advisor
