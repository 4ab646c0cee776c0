#include "checkpoint/safetensors.h"

#include "folder_fixture.h"

namespace advisor {
namespace {

using namespace testing_support;

SafetensorsHeader parse(const std::string& file, std::int64_t size = -1) {
  return parse_safetensors(std::as_bytes(std::span(file)), size < 0 ? static_cast<std::int64_t>(file.size()) : size,
                           "m.safetensors");
}

TEST(Safetensors, ReadsEveryDtypeScalarsAndEmptyTensors) {
  const std::string header =
      R"({"__metadata__": {"format": "pt"},
          "b": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [8, 20]},
          "a": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},
          "e": {"dtype": "F8_E4M3", "shape": [0, 7], "data_offsets": [20, 20]},
          "c": {"dtype": "BOOL", "shape": [4], "data_offsets": [20, 24]}}  )";
  const SafetensorsHeader h = parse(safetensors(header, std::string(24, 'x')));
  ASSERT_EQ(h.entries.size(), 4U);
  EXPECT_EQ(h.metadata.at("format"), "pt");
  EXPECT_EQ(h.data_begin, static_cast<std::int64_t>(8 + header.size()));
  EXPECT_EQ(h.entries[0].name, "a");
  EXPECT_EQ(h.entries[0].begin, h.data_begin);
  EXPECT_EQ(h.entries[1].name, "b");
  EXPECT_EQ(h.entries[1].dtype, DType::bf16);
  EXPECT_THAT(h.entries[1].shape, testing::ElementsAre(2, 3));
  EXPECT_EQ(h.entries[2].name, "e");
  EXPECT_EQ(h.entries[3].end, h.data_begin + 24);
}

TEST(Safetensors, SpellingsAreReadBack) {
  for (const DType dtype :
       {DType::f64, DType::f32, DType::f16, DType::bf16, DType::f8_e4m3, DType::f8_e5m2, DType::i64, DType::i32,
        DType::i16, DType::i8, DType::u64, DType::u32, DType::u16, DType::u8, DType::boolean}) {
    const auto size = size_of(dtype);
    const std::string header = R"({"t": {"dtype": ")" + safetensors_name(dtype) +
                               R"(", "shape": [1], "data_offsets": [0, )" + std::to_string(size) + "]}}";
    EXPECT_EQ(parse(safetensors(header, std::string(static_cast<std::size_t>(size), 'x'))).entries[0].dtype, dtype);
  }
}

struct BadHeader {
  const char* what;
  std::string file;
  ErrorCode code;
  std::vector<std::string> words;
};

std::string one(const std::string& description, std::size_t data = 8) {
  return safetensors(R"({"t": )" + description + "}", std::string(data, 'x'));
}

std::string two(const std::string& first, const std::string& second, std::size_t data = 8) {
  return safetensors(R"({"t": {"dtype": "F32", "shape": [1], "data_offsets": )" + first +
                         R"(}, "u": {"dtype": "F32", "shape": [1], "data_offsets": )" + second + "}}",
                     std::string(data, 'x'));
}

TEST(Safetensors, EveryDamagedHeaderIsRefusedByName) {
  const auto parse_error = ErrorCode::parse_error;
  const std::vector<BadHeader> cases{
      {"empty", "", parse_error, {"too short"}},
      {"seven bytes", std::string(7, '\0'), parse_error, {"too short"}},
      {"absurd length",
       safetensors("{}", "", std::uint64_t{1} << 62),
       parse_error,
       {"header of", "not a safetensors file"}},
      {"length above the limit", safetensors("{}", "", 100'000'001), parse_error, {"100000000"}},
      {"length beyond the file", safetensors("{}", "", 99), parse_error, {"truncated"}},
      {"no header", safetensors("", "", 0), parse_error, {"'{'"}},
      {"space first", safetensors(" {}", ""), parse_error, {"'{'"}},
      {"bad JSON", safetensors("{\"t\": ", ""), parse_error, {"not valid JSON"}},
      {"bad UTF-8", safetensors("{\"\xff\": 1}", ""), parse_error, {"not valid JSON"}},
      {"duplicate tensor",
       two("[0, 4]", "[4, 8]").replace(two("[0, 4]", "[4, 8]").find("\"u\""), 3, "\"t\""),
       parse_error,
       {"\"t\" appears twice"}},
      {"tensor is a list", one("[]"), parse_error, {"tensor \"t\"", "object"}},
      {"no dtype", one(R"({"shape": [2], "data_offsets": [0, 8]})"), parse_error, {"tensor \"t\"", "dtype"}},
      {"dtype is a number", one(R"({"dtype": 3, "shape": [2], "data_offsets": [0, 8]})"), parse_error, {"dtype"}},
      {"unknown dtype",
       one(R"({"dtype": "F4", "shape": [2], "data_offsets": [0, 8]})"),
       ErrorCode::unsupported,
       {"tensor \"t\"", "\"F4\""}},
      {"no shape", one(R"({"dtype": "F32", "data_offsets": [0, 8]})"), parse_error, {"tensor \"t\"", "shape"}},
      {"negative shape", one(R"({"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]})"), parse_error, {"-2"}},
      {"fractional shape", one(R"({"dtype": "F32", "shape": [2.5], "data_offsets": [0, 8]})"), parse_error, {"2.5"}},
      {"huge shape",
       one(R"({"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 8]})"),
       parse_error,
       {"tensor \"t\"", "2^62"}},
      {"dimension above 2^63",
       one(R"({"dtype": "F32", "shape": [18446744073709551615], "data_offsets": [0, 8]})"),
       parse_error,
       {"not a size"}},
      {"shape does not fit offsets",
       one(R"({"dtype": "F32", "shape": [3], "data_offsets": [0, 8]})"),
       parse_error,
       {"tensor \"t\"", "3 elements", "8 bytes"}},
      {"range is no multiple",
       one(R"({"dtype": "F32", "shape": [2], "data_offsets": [0, 9]})", 9),
       parse_error,
       {"9 bytes"}},
      {"one offset", one(R"({"dtype": "F32", "shape": [2], "data_offsets": [0]})"), parse_error, {"[begin, end]"}},
      {"offsets reversed",
       one(R"({"dtype": "F32", "shape": [2], "data_offsets": [8, 0]})"),
       parse_error,
       {"[begin, end]"}},
      {"negative offset", one(R"({"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]})"), parse_error, {"-8"}},
      {"overlap", two("[0, 4]", "[2, 6]", 6), parse_error, {"tensor \"u\"", "overlaps"}},
      {"same place", two("[0, 4]", "[0, 4]", 4), parse_error, {"overlaps"}},
      {"hole", two("[0, 4]", "[8, 12]", 12), parse_error, {"tensor \"u\"", "holes"}},
      {"hole at the start", one(R"({"dtype": "F32", "shape": [1], "data_offsets": [4, 8]})"), parse_error, {"holes"}},
      {"truncated data",
       one(R"({"dtype": "F32", "shape": [4], "data_offsets": [0, 16]})"),
       parse_error,
       {"tensor \"t\"", "truncated"}},
      {"bytes left over",
       one(R"({"dtype": "F32", "shape": [1], "data_offsets": [0, 4]})"),
       parse_error,
       {"4 bytes follow"}},
      {"metadata is a list", safetensors(R"({"__metadata__": []})", ""), parse_error, {"__metadata__"}},
      {"metadata holds a number", safetensors(R"({"__metadata__": {"k": 1}})", ""), parse_error, {"\"k\""}},
  };
  for (const BadHeader& c : cases) {
    SCOPED_TRACE(c.what);
    auto words = c.words;
    words.push_back("m.safetensors");
    expect_error([&] { parse(c.file); }, c.code, words);
  }
}

TEST(Safetensors, AHeaderThatIsCutOffIsNotRead) {
  const std::string file = safetensors(R"({"t": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})", "12345678");
  for (std::size_t keep = 0; keep < file.size() - 8; ++keep) {
    expect_error([&] { parse(file.substr(0, keep), static_cast<std::int64_t>(file.size())); }, ErrorCode::parse_error,
                 {});
  }
}

TEST(SafetensorsFile, NamesTheFileThatItCannotOpen) {
  const TempFolder folder;
  expect_error([&] { SafetensorsFile(folder / "gone.safetensors"); }, ErrorCode::not_found, {"gone.safetensors"});
  expect_error([&] { SafetensorsFile(folder.path()); }, ErrorCode::io_error, {"not a regular file"});
  write_file(folder / "short.safetensors", "abc");
  expect_error([&] { SafetensorsFile(folder / "short.safetensors"); }, ErrorCode::parse_error,
               {"short.safetensors", "too short"});
}

TEST(InputFile, AFileThatShrankIsAnErrorNotACrash) {
  const TempFolder folder;
  write_file(folder / "f", std::string(100, 'x'));
  const files::InputFile file(folder / "f");
  std::filesystem::resize_file(folder / "f", 50);
  std::vector<std::byte> out(60);
  expect_error([&] { file.read(0, out); }, ErrorCode::io_error, {"ends at byte 50"});
}

}  // namespace
}  // namespace advisor
