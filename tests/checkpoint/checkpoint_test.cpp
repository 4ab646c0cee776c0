#include "checkpoint/checkpoint.h"

#include "folder_fixture.h"
#include "tensor/parallel.h"

namespace advisor {
namespace {

using namespace testing_support;

/// A folder with config.json and one tensor "w" of [3, 2] with values 0..5 in the given dtype.
void write_model(const TempFolder& folder, const std::string& dtype, const std::string& data) {
  write_file(folder / "config.json", config_text);
  write_file(folder / "model.safetensors",
             safetensors(R"({"w": {"dtype": ")" + dtype + R"(", "shape": [3, 2], "data_offsets": [0, )" +
                             std::to_string(data.size()) + "]}}",
                         data));
}

TEST(OpenCheckpoint, ReadsEveryFloatType) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"F64", raw(std::vector<double>{0, 1, 2, 3, 4, 5})},
      {"F32", raw(std::vector<float>{0, 1, 2, 3, 4, 5})},
      {"F16", raw(std::vector<std::uint16_t>{0, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500})},
      {"BF16", raw(std::vector<std::uint16_t>{0, 0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0})}};
  for (const auto& [dtype, data] : cases) {
    const TempFolder folder;
    write_model(folder, dtype, data);
    const auto model = open_checkpoint(folder.path());
    EXPECT_EQ(model->format(), "safetensors");
    EXPECT_EQ(model->config().name, folder.path().filename());
    ASSERT_EQ(model->tensors().size(), 1U);
    EXPECT_EQ(model->tensors()[0].bytes, static_cast<std::int64_t>(data.size()));
    const Tensor w = model->load("w");
    EXPECT_THAT(w.shape(), testing::ElementsAre(3, 2));
    EXPECT_THAT(w.span(), testing::ElementsAre(0, 1, 2, 3, 4, 5)) << dtype;
    std::vector<float> row(2);
    model->read_rows(model->tensors()[0], 1, 2, row);
    EXPECT_THAT(row, testing::ElementsAre(2, 3));
  }
}

TEST(OpenCheckpoint, RefusesWhatItCannotReadOrFind) {
  const TempFolder folder;
  write_model(folder, "F32", raw(std::vector<float>{0, 1, 2, 3, 4, 5}));
  const auto model = open_checkpoint(folder.path());
  expect_error([&] { model->load("v"); }, ErrorCode::not_found, {"\"v\"", folder.path().filename().string()});
  expect_error([&] { model->tokenizer(); }, ErrorCode::not_found, {"tokenizer.json"});
  const TensorInfo& w = model->tensors()[0];
  std::vector<float> out(4);
  const auto refused = [&](std::int64_t begin, std::int64_t end) {
    expect_error([&] { model->read_rows(w, begin, end, out); }, ErrorCode::invalid_argument, {"\"w\""});
  };
  refused(-1, 1);
  refused(2, 4);
  refused(2, 1);
  refused(0, 3);  // the buffer is too small
  refused(0, 1);  // and too large
  TensorInfo other = w;
  other.name = "x";
  expect_error([&] { model->read_rows(other, 0, 2, out); }, ErrorCode::not_found, {"\"x\""});

  const TempFolder integers;
  write_model(integers, "I32", raw(std::vector<std::int32_t>{0, 1, 2, 3, 4, 5}));
  expect_error([&] { open_checkpoint(integers.path())->load("w"); }, ErrorCode::unsupported, {"\"w\"", "i32"});
}

TEST(OpenCheckpoint, RefusesWhatIsNoModel) {
  const TempFolder folder;
  expect_error([&] { open_checkpoint(folder / "gone"); }, ErrorCode::not_found, {"gone"});
  expect_error([&] { open_checkpoint(folder.path()); }, ErrorCode::not_found, {"config.json", ".gguf"});
  write_file(folder / "a.bin", "x");
  expect_error([&] { open_checkpoint(folder / "a.bin"); }, ErrorCode::unsupported, {"a.bin", "folder"});
  write_file(folder / "a.gguf", "x");
  write_file(folder / "b.gguf", "x");
  expect_error([&] { open_checkpoint(folder.path()); }, ErrorCode::not_found, {"2 .gguf files"});
  write_file(folder / "config.json", config_text);
  expect_error([&] { open_checkpoint(folder.path()); }, ErrorCode::not_found, {"no .safetensors"});
  write_file(folder / "model.safetensors", "garbage");
  expect_error([&] { open_checkpoint(folder.path()); }, ErrorCode::parse_error, {"model.safetensors"});
  write_file(folder / "config.json", R"({"quantization_config": 3})");
  expect_error([&] { open_checkpoint(folder.path()); }, ErrorCode::parse_error, {"config.json"});
}

TEST(OpenCheckpoint, ScalarsEmptyTensorsAndVectors) {
  const TempFolder folder;
  write_file(folder / "config.json", config_text);
  write_file(folder / "model.safetensors", safetensors(R"({"s": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
                             "e": {"dtype": "F32", "shape": [0, 5], "data_offsets": [4, 4]},
                             "v": {"dtype": "F32", "shape": [3], "data_offsets": [4, 16]}})",
                                                       raw(std::vector<float>{7, 1, 2, 3})));
  const auto model = open_checkpoint(folder.path());
  EXPECT_THAT(model->load("s").span(), testing::ElementsAre(7));
  EXPECT_EQ(model->load("e").size(), 0);
  EXPECT_THAT(model->load("v").span(), testing::ElementsAre(1, 2, 3));
  std::vector<float> last(1);
  model->read_rows(*model->find("v"), 2, 3, last);  // one row per element
  EXPECT_EQ(last[0], 3);
}

// Two shards and their index.
class Sharded : public testing::Test {
 protected:
  void SetUp() override {
    write_file(folder_ / "config.json", config_text);
    write_shard("model-00001-of-00002.safetensors", "a", 1);
    write_shard("model-00002-of-00002.safetensors", "b", 2);
    write_index(R"("a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors")");
  }
  void write_shard(const std::string& file, const std::string& tensor, float value) {
    write_file(folder_ / file,
               safetensors(R"({")" + tensor + R"(": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})",
                           raw(std::vector<float>{value})));
  }
  void write_index(const std::string& map) {
    write_file(folder_ / "model.safetensors.index.json",
               R"({"metadata": {"total_size": 8}, "weight_map": {)" + map + "}}");
  }
  void expect_refused(ErrorCode code, const std::vector<std::string>& words) {
    expect_error([&] { open_checkpoint(folder_.path()); }, code, words);
  }
  TempFolder folder_;
};

TEST_F(Sharded, AreOneModel) {
  const auto model = open_checkpoint(folder_.path());
  ASSERT_EQ(model->tensors().size(), 2U);
  EXPECT_EQ(model->load("a").data()[0], 1);
  EXPECT_EQ(model->load("b").data()[0], 2);
}

TEST_F(Sharded, AMissingShardIsNamed) {
  std::filesystem::remove(folder_ / "model-00002-of-00002.safetensors");
  expect_refused(ErrorCode::not_found, {"model-00002-of-00002.safetensors", "missing"});
}

TEST_F(Sharded, ATruncatedShardIsNamed) {
  std::filesystem::resize_file(folder_ / "model-00002-of-00002.safetensors", 60);
  expect_refused(ErrorCode::parse_error, {"model-00002-of-00002.safetensors"});
}

TEST_F(Sharded, TheIndexMustAgreeWithTheShards) {
  write_index(R"("a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors",
                 "c": "model-00002-of-00002.safetensors")");
  expect_refused(ErrorCode::parse_error, {"\"c\"", "does not hold it"});
  write_index(R"("a": "model-00002-of-00002.safetensors", "b": "model-00001-of-00002.safetensors")");
  expect_refused(ErrorCode::parse_error, {"\"a\"", "model-00002-of-00002.safetensors"});
  write_shard("model-00002-of-00002.safetensors", "a", 3);
  expect_refused(ErrorCode::parse_error, {"\"a\" is also in"});
}

TEST_F(Sharded, ATensorOutsideTheIndexIsNamed) {
  write_file(folder_ / "model-00002-of-00002.safetensors",
             safetensors(R"({"b": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
                             "x": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}})",
                         std::string(8, '\0')));
  expect_refused(ErrorCode::parse_error, {"\"x\"", "not listed"});
}

TEST_F(Sharded, TheIndexMustBeSound) {
  const auto index = folder_ / "model.safetensors.index.json";
  write_file(index, "{");
  expect_refused(ErrorCode::parse_error, {"index.json", "not valid JSON"});
  write_file(index, "{}");
  expect_refused(ErrorCode::parse_error, {"weight_map"});
  write_index("");
  expect_refused(ErrorCode::parse_error, {"weight_map"});
  write_index(R"("a": 3)");
  expect_refused(ErrorCode::parse_error, {"\"a\"", "not a file name"});
  write_index(R"("a": "../secret.safetensors")");
  expect_refused(ErrorCode::parse_error, {"\"a\"", "not a file name"});
  write_index(R"("a": "..")");
  expect_refused(ErrorCode::parse_error, {"\"a\"", "not a file name"});
}

TEST_F(Sharded, WithoutAnIndexTheChoiceIsNotGuessed) {
  std::filesystem::remove(folder_ / "model.safetensors.index.json");
  expect_refused(ErrorCode::not_found, {"2 .safetensors files", "index.json"});
}

TEST(TinyModel, IsReadWhole) {
  const auto model = open_checkpoint(std::string(ADVISOR_SOURCE_DIR) + "/examples/models/tiny");
  EXPECT_EQ(model->config().layers, 3);
  EXPECT_EQ(model->tensors().size(), 29U);
  const TokenizerData tokenizer = model->tokenizer();
  EXPECT_EQ(tokenizer.tokens.size(), 4096U);
  EXPECT_EQ(tokenizer.pre, "gpt2");
  EXPECT_EQ(tokenizer.bos, 0);
  EXPECT_TRUE(tokenizer.add_bos);
  // Sum of squares of all weights, computed from the file's bf16 values with the Python standard library.
  double sum = 0;
  for (const TensorInfo& info : model->tensors()) {
    const Tensor tensor = model->load(info.name);
    for (const float v : tensor.span()) sum += static_cast<double>(v) * static_cast<double>(v);
  }
  EXPECT_NEAR(sum, 36135.94699415539, 1e-6);
}

TEST(TinyModel, PiecesReadFromManyThreadsAreTheWhole) {
  const auto model = open_checkpoint(std::string(ADVISOR_SOURCE_DIR) + "/examples/models/tiny");
  const TensorInfo& info = *model->find("model.embed_tokens.weight");
  const Tensor whole = model->load(info.name);
  Tensor pieces(info.shape);
  constexpr std::int64_t step = 37;
  parallel_for((whole.rows() + step - 1) / step, 4, [&](std::int64_t i) {
    const std::int64_t begin = i * step, end = std::min(begin + step, whole.rows());
    model->read_rows(info, begin, end,
                     pieces.span().subspan(static_cast<std::size_t>(begin * whole.cols()),
                                           static_cast<std::size_t>((end - begin) * whole.cols())));
  });
  EXPECT_EQ(std::memcmp(whole.data(), pieces.data(), static_cast<std::size_t>(whole.size()) * 4), 0);
}

}  // namespace
}  // namespace advisor
