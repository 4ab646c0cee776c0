#include "checkpoint/safetensors_writer.h"

#include "checkpoint/folder.h"
#include "checkpoint/safetensors.h"
#include "folder_fixture.h"

namespace advisor {
namespace {

using namespace testing_support;

const std::vector<StoredTensor> sample{{"c", DType::i8, {5}},
                                       {"a", DType::bf16, {3}},
                                       {"b", DType::i64, {2}},
                                       {"d", DType::f32, {}},
                                       {"e", DType::f32, {0, 4}}};

TEST(SafetensorsLayout, AlignsEveryTensorAndFillsTheFile) {
  const SafetensorsLayout layout = lay_out_safetensors(sample);
  ASSERT_EQ(layout.shards.size(), 1U);
  EXPECT_EQ(layout.shards[0].file, "model.safetensors");
  EXPECT_TRUE(layout.index.empty());
  EXPECT_EQ(layout.shards[0].head.size() % 8, 0U);
  for (std::size_t i = 0; i < sample.size(); ++i) {
    EXPECT_EQ(layout.places[i].offset % size_of(sample[i].dtype), 0) << sample[i].name;
  }
  EXPECT_EQ(layout.bytes, static_cast<std::int64_t>(layout.shards[0].head.size()) + 16 + 4 + 6 + 5);
  // and the checked parser agrees
  const auto header = parse_safetensors(std::as_bytes(std::span(layout.shards[0].head)), layout.shards[0].bytes, "x");
  EXPECT_EQ(header.entries.size(), sample.size());
  EXPECT_EQ(header.metadata.at("format"), "pt");
}

TEST(SafetensorsWriter, ShardsAreReadAsOneModel) {
  const TempFolder folder;
  constexpr std::int64_t limit = 20;
  SafetensorsWriter writer(sample, folder.path(), limit);
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const std::vector<std::byte> bytes(static_cast<std::size_t>(sample[i].bytes()), static_cast<std::byte>(i + 1));
    // in two halves, the second first
    const std::size_t half = bytes.size() / 2;
    writer.write(i, static_cast<std::int64_t>(half), std::span(bytes).subspan(half));
    writer.write(i, 0, std::span(bytes).first(half));
  }
  writer.finish();
  EXPECT_TRUE(std::filesystem::exists(folder / "model-00001-of-00002.safetensors"));
  EXPECT_TRUE(std::filesystem::exists(folder / "model-00002-of-00002.safetensors"));
  std::int64_t bytes = 0;
  for (const auto& item : std::filesystem::directory_iterator(folder.path())) {
    bytes += static_cast<std::int64_t>(item.file_size());
  }
  EXPECT_EQ(bytes, lay_out_safetensors(sample, limit).bytes);

  const ShardSet shards(folder.path());
  ASSERT_EQ(shards.tensors().size(), sample.size());
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const ShardSet::Tensor* tensor = shards.find(sample[i].name);
    ASSERT_NE(tensor, nullptr);
    EXPECT_EQ(tensor->entry.dtype, sample[i].dtype);
    EXPECT_EQ(tensor->entry.shape, sample[i].shape);
    std::vector<std::byte> read(static_cast<std::size_t>(sample[i].bytes()));
    shards.read(*tensor, 0, read);
    EXPECT_THAT(read, testing::Each(static_cast<std::byte>(i + 1)));
  }
}

TEST(SafetensorsWriter, ATensorLargerThanAShardGetsOneOfItsOwn) {
  const SafetensorsLayout layout = lay_out_safetensors(sample, 1);
  EXPECT_EQ(layout.shards.size(), sample.size());
}

TEST(SafetensorsWriter, RefusesWhatDoesNotFit) {
  const TempFolder folder;
  const SafetensorsWriter writer(sample, folder.path());
  const std::vector<std::byte> bytes(6);
  expect_error([&] { writer.write(0, 0, bytes); }, ErrorCode::internal, {"\"c\""});
  expect_error([&] { writer.write(1, 2, bytes); }, ErrorCode::internal, {"\"a\""});
  expect_error([&] { writer.write(1, -2, bytes); }, ErrorCode::internal, {"\"a\""});
}

TEST(SafetensorsWriter, AFullDiskIsFoundBeforeTheWork) {
  const TempFolder folder;
  // 4 EiB: no file system has it. The name and the reason are in the message, and nothing stays behind.
  const std::vector<StoredTensor> absurd{{"big", DType::i8, {std::int64_t{1} << 61}}};
  expect_error([&] { SafetensorsWriter(absurd, folder.path()); }, ErrorCode::io_error,
               {"model.safetensors", "reserve", "bytes"});
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(SafetensorsWriter, NeverReplacesAFile) {
  const TempFolder folder;
  write_file(folder / "model.safetensors", "precious");
  expect_error([&] { SafetensorsWriter(sample, folder.path()); }, ErrorCode::io_error, {"model.safetensors", "exists"});
  EXPECT_EQ(read_file(folder / "model.safetensors"), "precious");
}

}  // namespace
}  // namespace advisor
