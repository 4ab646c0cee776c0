#include "expr/expr.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "core/error.h"

namespace advisor {
namespace {

using testing::HasSubstr;

const Vocabulary& names() {
  static const Vocabulary vocabulary({{"a", {TypeKind::boolean, {}}, ""},
                                      {"b", {TypeKind::boolean, {}}, ""},
                                      {"u", {TypeKind::boolean, {}}, "never known"},
                                      {"x", {TypeKind::number, {}}, ""},
                                      {"unknown_number", {TypeKind::number, {}}, "never known"},
                                      {"hw.memory", {TypeKind::number, Dimension::bytes}, ""},
                                      {"hw.time", {TypeKind::number, Dimension::seconds}, ""},
                                      {"hw.rate", {TypeKind::number, Dimension::bytes_per_second}, ""},
                                      {"hw.name", {TypeKind::text, {}}, ""},
                                      {"mod.in", {TypeKind::set, {}}, ""}});
  return vocabulary;
}

class Map : public Values {
 public:
  std::map<std::string, Value, std::less<>> values{
      {"a", true},      {"b", false},     {"x", 3.0},          {"hw.memory", 16.0 * 1024 * 1024 * 1024},
      {"hw.time", 2.0}, {"hw.rate", 1e9}, {"hw.name", "card"}, {"mod.in", std::vector<std::string>{"text", "image"}}};
  const Value* at(int slot) const override {
    const auto found = values.find(names().at(slot).path);
    return found == values.end() ? nullptr : &found->second;
  }
};

/// "true", "false", "unknown" or the number.
std::string run(const std::string& text) {
  const std::optional<Value> value = Expression::compile(text, names()).evaluate(Map());
  if (!value) return "unknown";
  if (const auto* number = std::get_if<double>(&*value)) return format_number(*number);
  if (const auto* condition = std::get_if<bool>(&*value)) return *condition ? "true" : "false";
  return "other";
}

std::string refusal(const std::string& text, const SourceLocation& where = {"f.yaml", 10, 5}) {
  try {
    Expression::compile(text, names(), where);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::parse_error);
    return error.what();
  }
  return "(no error)";
}

TEST(Expr, Precedence) {
  EXPECT_EQ(run("1 + 2 * 3"), "7");
  EXPECT_EQ(run("(1 + 2) * 3"), "9");
  EXPECT_EQ(run("10 - 2 - 3"), "5");
  EXPECT_EQ(run("12 / 2 / 3"), "2");
  EXPECT_EQ(run("-x + 1"), "-2");
  EXPECT_EQ(run("2 * -x"), "-6");
  EXPECT_EQ(run("not a or a"), "true");
  EXPECT_EQ(run("not (a or a)"), "false");
  EXPECT_EQ(run("a or a and b"), "true");
  EXPECT_EQ(run("(a or a) and b"), "false");
  EXPECT_EQ(run("not x == 4"), "true");
  EXPECT_EQ(run("not x in [3]"), "false");
  EXPECT_EQ(run("1 + 2 < 4 and x >= 3"), "true");
}

TEST(Expr, ThreeValuedLogicIsKleenes) {
  EXPECT_EQ(run("u and b"), "false");
  EXPECT_EQ(run("b and u"), "false");
  EXPECT_EQ(run("u and a"), "unknown");
  EXPECT_EQ(run("u or a"), "true");
  EXPECT_EQ(run("a or u"), "true");
  EXPECT_EQ(run("u or b"), "unknown");
  EXPECT_EQ(run("not u"), "unknown");
  EXPECT_EQ(run("unknown_number > 3"), "unknown");
  EXPECT_EQ(run("unknown_number + 1"), "unknown");
  EXPECT_EQ(run("u == u"), "unknown");
  EXPECT_EQ(run("known(u)"), "false");
  EXPECT_EQ(run("known(x)"), "true");
  EXPECT_EQ(run("not known(u) or u"), "true");
}

TEST(Expr, DeMorganHoldsWithUnknowns) {
  for (const std::string left : {"a", "b", "u"}) {
    for (const std::string right : {"a", "b", "u"}) {
      EXPECT_EQ(run("not (" + left + " and " + right + ")"), run("not " + left + " or not " + right));
      EXPECT_EQ(run(left + " or " + right), run(right + " or " + left));
    }
  }
}

TEST(Expr, UnitsAndDimensions) {
  EXPECT_EQ(run("hw.memory == 16 GiB"), "true");
  EXPECT_EQ(run("hw.memory > 16 GB"), "true");
  EXPECT_EQ(run("hw.time == 2000 ms"), "true");
  EXPECT_EQ(run("hw.memory / hw.time < 10 GB/s"), "true");
  EXPECT_EQ(run("hw.rate * hw.time == 2 GB"), "true");
  EXPECT_EQ(run("hw.memory / hw.memory"), "1");
  EXPECT_EQ(run("hw.memory == 0"), "false");
  EXPECT_EQ(run("0 < hw.time"), "true");
  EXPECT_EQ(run("x == 300 %"), "true");
  EXPECT_EQ(run("2 GiB/hw.memory"), "0.125");
  EXPECT_EQ(run("max(1 GiB, hw.memory) == hw.memory"), "true");
}

TEST(Expr, Functions) {
  EXPECT_EQ(run("min(3, x, 1)"), "1");
  EXPECT_EQ(run("max(3, 7)"), "7");
  EXPECT_EQ(run("abs(-x)"), "3");
  EXPECT_EQ(run("min(1, unknown_number)"), "unknown");
}

TEST(Expr, Sets) {
  EXPECT_EQ(run("hw.name in [\"card\", 'other']"), "true");
  EXPECT_EQ(run("hw.name in []"), "false");
  EXPECT_EQ(run("x in [1, 2, 3]"), "true");
  EXPECT_EQ(run("x in [-1]"), "false");
  EXPECT_EQ(run("x in [-3, 3]"), "true");
  EXPECT_EQ(run("hw.memory in [16 GiB, 24 GiB]"), "true");
  EXPECT_EQ(run("\"image\" in mod.in"), "true");
  EXPECT_EQ(run("[\"image\"] in mod.in"), "true");
  EXPECT_EQ(run("mod.in in [\"image\"]"), "false");
  EXPECT_EQ(run("mod.in == [\"image\", \"text\"]"), "true");
  EXPECT_EQ(run("mod.in != []"), "true");
}

TEST(Expr, DivisionByZeroAndOverflowAreUnknown) {
  EXPECT_EQ(run("1 / 0"), "unknown");
  EXPECT_EQ(run("0 / 0 == 0"), "unknown");
  EXPECT_EQ(run("1e308 * 1e308"), "unknown");
}

TEST(Expr, SaysWhatItReadsAndWhatIsMissing) {
  const Expression expression = Expression::compile("known(u) or hw.memory > 1 B and x < 1", names());
  EXPECT_THAT(expression.reads(), testing::ElementsAre("hw.memory", "u", "x"));
  EXPECT_THAT(expression.missing(Map()), testing::IsEmpty()) << "decided: x < 1 is false, known(u) too";
}

TEST(Expr, NamesIn) {
  std::vector<std::string> found;
  for (const NameInText& name : names_in("a and min(x, derived.y) in [1]\n or known(b)", {"f", 3, 7})) {
    found.push_back(name.name + "@" + std::to_string(name.where.line) + ":" + std::to_string(name.where.column));
  }
  EXPECT_THAT(found, testing::IsSupersetOf({"a@3:7", "x@3:17", "derived.y@3:20", "b@4:11"}));
}

TEST(ExprRefuses, WithLineAndColumn) {
  EXPECT_THAT(refusal("a and hw.memry > 1 B"),
              HasSubstr("f.yaml:10:11: unknown fact \"hw.memry\"; did you mean \"hw.memory\"?"));
  EXPECT_THAT(refusal("a and\n  zz"), HasSubstr("f.yaml:11:3: "));
  EXPECT_THAT(refusal("hw.memory < 1 s"), HasSubstr("f.yaml:10:15: \"<\" mixes bytes and seconds"));
  EXPECT_THAT(refusal("a +"), HasSubstr("f.yaml:10:8: the expression ends too early"));
}

TEST(ExprRefuses, Types) {
  EXPECT_THAT(refusal("a < b"), HasSubstr("needs a number"));
  EXPECT_THAT(refusal("x and a"), HasSubstr("needs a condition"));
  EXPECT_THAT(refusal("not x"), HasSubstr("needs a condition"));
  EXPECT_THAT(refusal("-a"), HasSubstr("needs a number"));
  EXPECT_THAT(refusal("hw.name == 3"), HasSubstr("cannot compare a text with a number"));
  EXPECT_THAT(refusal("hw.name < \"b\""), HasSubstr("needs a number"));
  EXPECT_THAT(refusal("hw.memory + 1"), HasSubstr("mixes bytes and a plain number"));
  EXPECT_THAT(refusal("min(hw.memory, hw.time)"), HasSubstr("mixes"));
  EXPECT_THAT(refusal("abs(a)"), HasSubstr("needs a number"));
  EXPECT_THAT(refusal("x in mod.in"), HasSubstr("cannot look for"));
  EXPECT_THAT(refusal("a in [\"b\"]"), HasSubstr("cannot look for"));
  EXPECT_THAT(refusal("x in [1 B]"), HasSubstr("mixes"));
  EXPECT_THAT(refusal("hw.name in [1]"), HasSubstr("needs a number"));
  EXPECT_THAT(refusal("[1, 2]"), HasSubstr("behind `in`"));
  EXPECT_THAT(refusal("[1, 2] == [1, 2]"), HasSubstr("behind `in`"));
  EXPECT_THAT(refusal("[1] in [1]"), HasSubstr("behind `in`"));
  EXPECT_THAT(refusal("x in [1, \"a\"]"), HasSubstr("one type"));
  EXPECT_THAT(refusal("x in [x]"), HasSubstr("literal"));
  EXPECT_THAT(refusal("a in [true]"), HasSubstr("literal"));
}

TEST(ExprRefuses, Syntax) {
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
  EXPECT_THAT(refusal("(a"), HasSubstr("expected \")\" before the end"));
  EXPECT_THAT(refusal("a b"), HasSubstr("unexpected \"b\""));
  EXPECT_THAT(refusal("a = b"), HasSubstr("=="));
  EXPECT_THAT(refusal("a && b"), HasSubstr("`and`"));
  EXPECT_THAT(refusal("!a"), HasSubstr("`not`"));
  EXPECT_THAT(refusal("1 < x < 3"), HasSubstr("do not chain"));
  EXPECT_THAT(refusal("\"open"), HasSubstr("not closed"));
  EXPECT_THAT(refusal("\"open\\"), HasSubstr("not closed"));
  EXPECT_THAT(refusal("hw.Memory"), HasSubstr("lower case"));
  EXPECT_THAT(refusal("3 GiBs"), HasSubstr("did you mean \"GiB\""));
  EXPECT_THAT(refusal("sqrt(x)"), HasSubstr("unknown function"));
  EXPECT_THAT(refusal("min(x)"), HasSubstr("at least two"));
  EXPECT_THAT(refusal("abs(x, x)"), HasSubstr("one value"));
  EXPECT_THAT(refusal("known(1)"), HasSubstr("name of a fact"));
  EXPECT_THAT(refusal("known(zz)"), HasSubstr("unknown fact"));
  EXPECT_THAT(refusal("and a"), HasSubstr("unexpected \"and\""));
  EXPECT_THAT(refusal("x in [1,"), HasSubstr("ends too early"));
  EXPECT_THAT(refusal("1e999"), HasSubstr("too large"));
  EXPECT_THAT(refusal("a ; b"), HasSubstr("unexpected character"));
}

TEST(ExprRefuses, Extremes) {
  EXPECT_THAT(refusal(std::string(1000, '(')), HasSubstr("nested deeper"));
  std::string negations;
  for (int i = 0; i < 500; ++i) negations += "not ";
  EXPECT_THAT(refusal(negations + "a"), HasSubstr("nested deeper"));
  std::string sum = "1";
  for (int i = 0; i < 900; ++i) sum += "+1";
  EXPECT_THAT(refusal(sum), HasSubstr("too long"));
  EXPECT_THAT(refusal(std::string(5000, ' ')), HasSubstr("4096"));
}

TEST(Expr, RandomTextsAreRefusedOrCompiled) {
  const std::vector<std::string> words{"a",  "x",   "hw.memory", "mod.in", "hw.name", "1",    "2 GiB", "\"t\"", "and",
                                       "or", "not", "in",        "(",      ")",       "[",    "]",     ",",     "+",
                                       "-",  "*",   "/",         "<",      "==",      "min(", "known("};
  std::mt19937 random(11);
  int compiled = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    const int length = static_cast<int>(random() % 9) + 1;
    for (int j = 0; j < length; ++j) text += words[random() % words.size()] + " ";
    try {
      Expression::compile(text, names()).evaluate(Map());
      ++compiled;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::parse_error);
    }
  }
  EXPECT_GT(compiled, 100);
}

TEST(Vocabulary, RefusesTwoSymbolsOfOneName) {
  Vocabulary vocabulary({{"a", {}, ""}});
  EXPECT_THROW(vocabulary.add({"a", {}, ""}), Error);
}

TEST(Vocabulary, FormatsValues) {
  EXPECT_EQ(format_value(Value(2.0 * 1024 * 1024 * 1024), {TypeKind::number, Dimension::bytes}), "2 GiB");
  EXPECT_EQ(format_value(Value(std::vector<std::string>{"a", "b"}), {TypeKind::set, {}}), "a, b");
  EXPECT_EQ(format_value(Value(std::vector<std::string>{}), {TypeKind::set, {}}), "none");
  EXPECT_EQ(format_value(Value(true), {TypeKind::boolean, {}}), "true");
}

}  // namespace
}  // namespace advisor
