#include "evaluate/suite.h"

#include "evaluate/fixture.h"

namespace advisor {
namespace {

using testing::expect_refusal;
using testing::TempFolder;

const std::string good = R"({"id": "1", "context": "c", "options": [" a", " b"], "answer": 1, "family": "f/g"})";

TEST(Choices, ReadsItemsAndCountsLines) {
  std::vector<ChoiceItem> items =
      parse_choices("\n" + good + "\r\n  \n" + R"({"context": "", "options": ["x", "y", "z"], "answer": 2})", "f");
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[0].id, "1");
  EXPECT_EQ(items[0].context, "c");
  EXPECT_EQ(items[0].options, (std::vector<std::string>{" a", " b"}));
  EXPECT_EQ(items[0].answer, 1);
  EXPECT_EQ(items[0].family, "f/g");
  EXPECT_EQ(items[0].line, 2);
  EXPECT_EQ(items[1].line, 4);
  EXPECT_EQ(items[1].family, "");
}

TEST(Choices, RefusesLinesThatMakeNoSense) {
  auto refused = [](const std::string& line, std::initializer_list<const char*> parts) {
    expect_refusal([&] { parse_choices(good + "\n" + line, "set.jsonl"); }, ErrorCode::parse_error, {"set.jsonl:2"});
    expect_refusal([&] { parse_choices(good + "\n" + line, "set.jsonl"); }, ErrorCode::parse_error, parts);
  };
  refused("{", {"JSON"});
  refused("\xff", {"JSON"});
  refused("[1]", {"object"});
  refused(R"({"options": ["a", "b"], "answer": 0})", {"context", "missing"});
  refused(R"({"context": 7, "options": ["a", "b"], "answer": 0})", {"context", "string"});
  refused(R"({"context": "c", "options": ["a", "b"], "answer": 0, "family": []})", {"family", "string"});
  refused(R"({"context": "c", "answer": 0})", {"options"});
  refused(R"({"context": "c", "options": "ab", "answer": 0})", {"options"});
  refused(R"({"context": "c", "options": ["a"], "answer": 0})", {"options", "two"});
  refused(R"({"context": "c", "options": ["a", ""], "answer": 0})", {"option 1", "empty"});
  refused(R"({"context": "c", "options": ["a", 2], "answer": 0})", {"option 1", "string"});
  for (const char* answer : {"2", "-1", "\"0\"", "0.5", "null", "18446744073709551615", "1e99"}) {
    refused(R"({"context": "c", "options": ["a", "b"], "answer": )" + std::string(answer) + "}", {"answer", "0 to 1"});
  }
  refused(R"({"context": "c", "options": ["a", "b"]})", {"answer"});
}

TEST(Choices, RefusesAFileWithoutItems) {
  expect_refusal([] { parse_choices("\n \n", "set.jsonl"); }, ErrorCode::parse_error, {"set.jsonl", "no items"});
}

TEST(Suite, TakesTextsAndChoicesByName) {
  TempFolder folder;
  folder.write("b.txt", "two");
  folder.write("a.txt", "one");
  folder.write("z.jsonl", good);
  folder.write("README.md", "not part of it");
  Suite suite = read_suite(folder.path());
  ASSERT_EQ(suite.texts.size(), 2U);
  EXPECT_EQ(suite.texts[0].name, "a");
  EXPECT_EQ(suite.texts[1].text, "two");
  ASSERT_EQ(suite.choices.size(), 1U);
  EXPECT_EQ(suite.choices[0].name, "z");
}

TEST(Suite, RefusesWhatHoldsNothingToMeasure) {
  TempFolder folder;
  expect_refusal([&] { read_suite(folder.path()); }, ErrorCode::not_found, {folder.path().c_str(), "*.txt"});
  expect_refusal([&] { read_suite(folder.path() / "none"); }, ErrorCode::not_found, {"none"});
  expect_refusal([&] { read_text(folder.path() / "none.txt"); }, ErrorCode::not_found, {"none.txt"});
  expect_refusal([&] { read_choices(folder.path()); }, ErrorCode::not_found, {folder.path().c_str()});
  folder.write("empty.txt", "");
  expect_refusal([&] { read_suite(folder.path()); }, ErrorCode::parse_error, {"empty.txt", "empty"});
}

}  // namespace
}  // namespace advisor
