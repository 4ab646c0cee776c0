#include "checkpoint/gguf_parts.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "checkpoint/formats/gguf_layout.h"
#include "core/error.h"
#include "gguf_fixture.h"
#include "gmock/gmock.h"

namespace advisor {
namespace {

using namespace gguf_fixture;
namespace fs = std::filesystem;
using gguf::Header;
using ::testing::HasSubstr;

Header header_of(const std::vector<char>& file) {
  return gguf::parse_header(
      [&](std::int64_t offset, std::span<std::byte> out) {
        std::copy_n(reinterpret_cast<const std::byte*>(file.data()) + offset, out.size(), out.begin());
      },
      static_cast<std::int64_t>(file.size()), "whole");
}

gguf::Value u16(std::int64_t value) { return {gguf::ValueType::u16, value}; }

/// A model in one file and the same in three, the second of which has half of the tensors.
class GgufParts : public testing::Test {
 protected:
  GgufParts() : whole_(write(plan("F16"), folder_.path())), bytes_(read_file(whole_)), header_(header_of(bytes_)) {
    fs::create_directory(folder_.path() / "parts");
    const std::size_t n = header_.tensors.size();
    for (std::size_t part = 0; part < 3; ++part) {
      const std::array<std::size_t, 4> cuts{0, n / 4, 3 * n / 4, n};
      write_part(part, 3, cuts[part], cuts[part + 1]);
    }
  }

  fs::path path(std::size_t part, std::size_t count = 3) const {
    return folder_.path() / "parts" /
           ("tiny-0000" + std::to_string(part + 1) + "-of-0000" + std::to_string(count) + ".gguf");
  }

  /// The tensors [begin, end) of the file as part `part` of `count`.
  void write_part(std::size_t part, std::int64_t count, std::size_t begin, std::size_t end) const {
    gguf::Metadata metadata;
    if (part == 0) metadata = header_.metadata;
    metadata.emplace_back("split.no", u16(static_cast<std::int64_t>(part)));
    metadata.emplace_back("split.count", u16(count));
    metadata.emplace_back("split.tensors.count",
                          gguf::Value{gguf::ValueType::i32, static_cast<std::int64_t>(header_.tensors.size())});
    std::vector<gguf::TensorEntry> entries(header_.tensors.begin() + static_cast<std::ptrdiff_t>(begin),
                                           header_.tensors.begin() + static_cast<std::ptrdiff_t>(end));
    std::vector<std::byte> data;
    for (gguf::TensorEntry& entry : entries) {
      const auto* from = reinterpret_cast<const std::byte*>(bytes_.data()) + entry.offset;
      entry.offset = static_cast<std::int64_t>(data.size());
      data.insert(data.end(), from, from + entry.bytes);
      data.resize((data.size() + 31) / 32 * 32);
    }
    std::vector<std::byte> file = gguf::write_header(metadata, entries);
    file.insert(file.end(), data.begin(), data.end());
    gguf_fixture::write_file(path(part), file);
  }

  void expect_refused(ErrorCode code, const std::string& words, const fs::path& what) const {
    try {
      open_checkpoint(what);
      ADD_FAILURE() << "nothing was thrown; expected " << words;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  }

  Folder folder_;
  fs::path whole_;
  std::vector<char> bytes_;
  Header header_;
};

TEST_F(GgufParts, AreOneModel) {
  const auto whole = open_gguf(whole_);
  for (const fs::path& opened : {path(0), folder_.path() / "parts"}) {
    const auto parts = open_checkpoint(opened);
    EXPECT_EQ(parts->tensors(), whole->tensors());
    EXPECT_EQ(parts->config(), whole->config());
    for (const TensorInfo& tensor : whole->tensors()) {
      const Tensor a = whole->load(tensor.name), b = parts->load(tensor.name);
      EXPECT_TRUE(std::equal(a.span().begin(), a.span().end(), b.span().begin(), b.span().end())) << tensor.name;
    }
    EXPECT_EQ(parts->tokenizer().tokens, whole->tokenizer().tokens);
  }
}

TEST_F(GgufParts, ALaterPartNamesTheFirst) { expect_refused(ErrorCode::invalid_argument, path(0).string(), path(1)); }

TEST_F(GgufParts, AMissingPartIsNamed) {
  fs::remove(path(0));
  expect_refused(ErrorCode::not_found, path(0).string(), folder_.path() / "parts");
  write_part(0, 3, 0, header_.tensors.size() / 4);
  fs::remove(path(2));
  expect_refused(ErrorCode::not_found, path(2).string(), path(0));
}

TEST_F(GgufParts, PartsThatDoNotBelongTogetherAreRefused) {
  fs::copy_file(path(2), path(1), fs::copy_options::overwrite_existing);
  expect_refused(ErrorCode::parse_error, "part 2 of 3", path(0));
  write_part(1, 4, 0, 1);
  expect_refused(ErrorCode::parse_error, "part 2 of 3", path(0));
  write_part(1, 3, 0, 1);
  expect_refused(ErrorCode::parse_error, "tensors, but its 3 parts hold", path(0));
  const std::size_t n = header_.tensors.size();
  write_part(1, 3, n / 4 - 1, 3 * n / 4 - 1);
  expect_refused(ErrorCode::parse_error, "more than one part", path(0));
}

TEST_F(GgufParts, TheNameHasToSayWhichPartItIs) {
  const fs::path renamed = folder_.path() / "model.gguf";
  fs::copy_file(path(0), renamed);
  expect_refused(ErrorCode::parse_error, "00001-of-00003.gguf", renamed);
  fs::copy_file(path(0), path(0, 4));
  expect_refused(ErrorCode::parse_error, "part 1 of 3", path(0, 4));
  expect_refused(ErrorCode::not_found, "4 .gguf files", folder_.path() / "parts");
}

TEST(GgufPartName, IsReadAsItIsWritten) {
  const auto name = gguf::part_name("a/b-00002-of-00010.gguf");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->prefix, "a/b");
  EXPECT_EQ(name->number, 2);
  EXPECT_EQ(name->count, 10);
  EXPECT_EQ(name->path_of(7), "a/b-00007-of-00010.gguf");
  for (const char* other : {"b.gguf", "b-00000-of-00002.gguf", "b-00003-of-00002.gguf", "b-0001-of-00002.gguf",
                            "b-00001-of-00002.bin", "b_00001-of-00002.gguf"}) {
    EXPECT_FALSE(gguf::part_name(other)) << other;
  }
}

/// Written by formats/gguf.cpp: files of a model with at most `limit` bytes of tensors in each, in a new folder.
std::vector<fs::path> split_files(const fs::path& folder, std::int64_t limit) {
  OutputPlan split = plan("F16");
  split.split_max_size = limit;
  EXPECT_EQ(gguf_format.refuses(split), std::nullopt);
  fs::create_directory(folder);
  write(split, folder);
  std::vector<fs::path> files;
  std::int64_t bytes = 0;
  for (const auto& file : fs::directory_iterator(folder)) {
    files.push_back(file.path());
    bytes += static_cast<std::int64_t>(file.file_size());
  }
  EXPECT_EQ(bytes, gguf_format.bytes(split));
  std::ranges::sort(files);
  return files;
}

TEST_F(GgufParts, WhatIsWrittenInPartsHoldsTheSameTensors) {
  const auto whole = open_gguf(whole_);
  std::int64_t largest = 0, all = 0;
  for (const gguf::TensorEntry& tensor : header_.tensors) {
    largest = std::max(largest, tensor.bytes);
    all += (tensor.bytes + 31) / 32 * 32;
  }
  std::size_t number = 0;
  for (const std::int64_t limit : {std::int64_t{1}, largest, 2 * largest, all - 1}) {
    const std::vector<fs::path> files = split_files(folder_.path() / std::to_string(number++), limit);
    ASSERT_GT(files.size(), 1U) << limit;
    EXPECT_EQ(gguf::first_part(files), files.front());
    for (const fs::path& file : files) {
      const Header header = header_of(read_file(file));
      std::int64_t size = 0;
      for (const gguf::TensorEntry& tensor : header.tensors) size += (tensor.bytes + 31) / 32 * 32;
      EXPECT_TRUE(size <= limit || header.tensors.size() == 1) << file;
      EXPECT_FALSE(header.tensors.empty()) << file;
      EXPECT_EQ(header.find("split.no")->type, gguf::ValueType::u16);
      EXPECT_EQ(header.find("general.architecture") != nullptr, file == files.front());
    }
    const auto parts = open_gguf(files.front());
    EXPECT_EQ(parts->tensors(), whole->tensors());
    EXPECT_EQ(parts->config(), whole->config());
    for (const TensorInfo& tensor : whole->tensors()) {
      const Tensor a = whole->load(tensor.name), b = parts->load(tensor.name);
      EXPECT_TRUE(std::equal(a.data(), a.data() + a.size(), b.data())) << tensor.name;
    }
  }
}

TEST(GgufSplit, RefusesMoreFilesThanCanBeCounted) {
  OutputPlan many =
      plan("F16", {.hidden = 2, .intermediate = 2, .layers = 8000, .heads = 1, .head_dim = 2, .vocab = 8});
  many.config.kv_heads = 1;
  ASSERT_GT(many.tensors.size(), gguf::max_parts);
  many.split_max_size = 1;
  EXPECT_THAT(gguf_format.refuses(many).value_or(""), HasSubstr("more than the 65535"));
  many.split_max_size = std::int64_t{1} << 20;
  EXPECT_EQ(gguf_format.refuses(many), std::nullopt);
}

TEST_F(GgufParts, OneFileHasNoPartInItsName) {
  const std::vector<fs::path> files = split_files(folder_.path() / "one", std::int64_t{1} << 40);
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(files.front().filename(), whole_.filename());
  EXPECT_EQ(read_file(files.front()), bytes_);
}

}  // namespace
}  // namespace advisor
