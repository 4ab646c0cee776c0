#include "report/blocks.h"

#include <gmock/gmock.h>

namespace advisor {
namespace {

using Kind = Block::Kind;

Page page() {
  return {{Kind::paragraph, "Title", {}}, {Kind::pairs, "", {{"label", "text"}, {"label", "again"}}},
          {Kind::heading, "Part", {}},    {Kind::table, "", {{"a", "b"}, {"x|y", "äö"}, {"z", "w"}}},
          {Kind::list, "", {{"item"}}},   {Kind::code, "one\ntwo\n", {}}};
}

TEST(Blocks, AsText) {
  EXPECT_EQ(as_text(page()),
            "Title\n"
            "  label      text\n"
            "             again\n"
            "\n"
            "Part\n"
            "  a    b\n"
            "  x|y  äö\n"
            "  z    w\n"
            "  item\n"
            "  one\n"
            "  two");
  EXPECT_EQ(as_text({}), "");
}

TEST(Blocks, AsMarkdown) {
  EXPECT_EQ(as_markdown(page()),
            "# Title\n\n"
            "|  |  |\n| --- | --- |\n| label | text |\n| label | again |\n\n"
            "## Part\n\n"
            "| a | b |\n| --- | --- |\n| x\\|y | äö |\n| z | w |\n\n"
            "- item\n\n"
            "```\none\ntwo\n```");
}

TEST(Blocks, LongTextsAreBrokenAtSpaces) {
  std::string words;
  for (int i = 0; i < 60; ++i) words += "word ";
  const auto text = as_text({{Kind::pairs, "", {{"label", words}}}});
  std::istringstream lines(text);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(line.size(), 108U);
  EXPECT_EQ(count, 4);
  EXPECT_EQ(as_text({{Kind::list, "", {{std::string(300, 'x')}}}}).size(), 302U);  // nothing to break at
}

}  // namespace
}  // namespace advisor
