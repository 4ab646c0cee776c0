#include "core/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace advisor {
namespace {

Document scalar(const std::string& text, SourceLocation where = {}) {
  Document document;
  document.kind = Document::Kind::scalar;
  document.text = text;
  document.where = where;
  return document;
}

Document map(const std::string& key, Document value) {
  Document document;
  document.kind = Document::Kind::map;
  document.members.push_back({key, {"p.yaml", 7, 3}, std::move(value)});
  return document;
}

TEST(Document, PrefixNamesAsMuchAsIsKnown) {
  EXPECT_EQ(prefix({"f", 3, 4}), "f:3:4: ");
  EXPECT_EQ(prefix({"f", 3, 0}), "f:3: ");
  EXPECT_EQ(prefix({"f", 0, 0}), "f: ");
  EXPECT_EQ(prefix({"", 3, 4}), "line 3:4: ");
  EXPECT_EQ(prefix({}), "");
}

TEST(Document, ErrorsCarryThePlaceOfKeyOrValue) {
  const auto message = [](const Document& document) -> std::string {
    try {
      profile_from_document(document);
    } catch (const Error& error) {
      return error.what();
    }
    return "(no error)";
  };
  EXPECT_THAT(message(map("modle", scalar("x"))),
              testing::StartsWith("p.yaml:7:3: unknown field \"modle\"; did you mean \"model\""));
  EXPECT_THAT(message(map("confidence", scalar("2", {"p.yaml", 9, 1}))), testing::StartsWith("p.yaml:9:1: confidence"));
  EXPECT_THAT(message(map("zzzzzz", scalar("x"))), testing::HasSubstr("known here: accuracy, allow"));
}

TEST(Document, EmptySectionSetsNothing) { EXPECT_TRUE(profile_from_document(map("slo", {})).given.empty()); }

}  // namespace
}  // namespace advisor
