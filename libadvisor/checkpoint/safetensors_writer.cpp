#include "checkpoint/safetensors_writer.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <utility>

#include "checkpoint/json.h"
#include "checkpoint/safetensors.h"
#include "core/error.h"

namespace advisor {
namespace {

constexpr const char* index_name = "model.safetensors.index.json";

std::string shard_name(std::size_t shard, std::size_t count) {
  if (count == 1) return "model.safetensors";
  std::array<char, 64> name{};
  std::snprintf(name.data(), name.size(), "model-%05zu-of-%05zu.safetensors", shard + 1, count);
  return name.data();
}

/// u64 length, then the header padded with spaces to a multiple of 8.
std::string make_head(const json::OrderedJson& header) {
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string head(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) head[i] = static_cast<char>(text.size() >> (8 * i) & 0xffU);
  return head + text;
}

/// Which tensors go into which shard, in order.
std::vector<std::vector<std::size_t>> deal(const std::vector<StoredTensor>& tensors, std::int64_t limit) {
  std::vector<std::vector<std::size_t>> shards(1);
  std::int64_t filled = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::int64_t bytes = tensors[i].bytes();
    if (filled + bytes > limit && !shards.back().empty()) {
      shards.emplace_back();
      filled = 0;
    }
    shards.back().push_back(i);
    filled += bytes;
  }
  return shards;
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace

SafetensorsLayout lay_out_safetensors(const std::vector<StoredTensor>& tensors, std::int64_t limit) {
  SafetensorsLayout layout;
  layout.places.resize(tensors.size());
  std::int64_t total = 0;
  std::map<std::string, std::string> weight_map;
  auto dealt = deal(tensors, limit);
  for (std::size_t s = 0; s < dealt.size(); ++s) {
    std::stable_sort(dealt[s].begin(), dealt[s].end(), [&](std::size_t a, std::size_t b) {
      return size_of(tensors[a].dtype) > size_of(tensors[b].dtype);
    });
    SafetensorsLayout::Shard shard;
    shard.file = shard_name(s, dealt.size());
    json::OrderedJson header;
    header["__metadata__"]["format"] = "pt";  // loaders of the transformers family ask for it
    std::int64_t end = 0;
    for (const std::size_t i : dealt[s]) {
      const std::int64_t begin = std::exchange(end, end + tensors[i].bytes());
      layout.places[i] = {s, begin};
      header[tensors[i].name] = {
          {"dtype", safetensors_name(tensors[i].dtype)}, {"shape", tensors[i].shape}, {"data_offsets", {begin, end}}};
      weight_map.emplace(tensors[i].name, shard.file);
    }
    shard.head = make_head(header);
    if (static_cast<std::int64_t>(shard.head.size()) > safetensors_header_limit) {
      throw Error(ErrorCode::unsupported, shard.file + ": too many tensors for one safetensors header");
    }
    for (const std::size_t i : dealt[s]) layout.places[i].offset += static_cast<std::int64_t>(shard.head.size());
    shard.bytes = static_cast<std::int64_t>(shard.head.size()) + end;
    layout.bytes += shard.bytes;
    total += end;
    layout.shards.push_back(std::move(shard));
  }
  if (layout.shards.size() > 1) {
    json::OrderedJson index;
    index["metadata"]["total_size"] = total;
    index["weight_map"] = weight_map;
    layout.index = index.dump(2) + "\n";
    layout.bytes += static_cast<std::int64_t>(layout.index.size());
  }
  return layout;
}

SafetensorsWriter::SafetensorsWriter(std::vector<StoredTensor> tensors, const std::filesystem::path& folder,
                                     std::int64_t limit, bool resume)
    : tensors_(std::move(tensors)), layout_(lay_out_safetensors(tensors_, limit)) {
  for (const auto& shard : layout_.shards) {
    files_.emplace_back(folder / shard.file, shard.bytes, resume);
    files_.back().write(0, bytes_of(shard.head));
  }
  if (!layout_.index.empty()) {
    files_.emplace_back(folder / index_name, static_cast<std::int64_t>(layout_.index.size()), resume);
    files_.back().write(0, bytes_of(layout_.index));
  }
}

void SafetensorsWriter::write(std::size_t tensor, std::int64_t offset, std::span<const std::byte> bytes) const {
  const StoredTensor& stored = tensors_.at(tensor);
  if (offset < 0 || offset + static_cast<std::int64_t>(bytes.size()) > stored.bytes()) {
    throw Error(ErrorCode::internal, "bytes outside of tensor \"" + stored.name + "\"");
  }
  const auto& place = layout_.places[tensor];
  files_[place.shard].write(place.offset + offset, bytes);
}

void SafetensorsWriter::flush() const {
  for (const files::OutputFile& file : files_) file.flush();
}

void SafetensorsWriter::finish() {
  for (files::OutputFile& file : files_) file.close();
}

}  // namespace advisor
