#include "checkpoint/formats/gguf_layout.h"

#include <algorithm>
#include <map>
#include <system_error>

#include "checkpoint/gguf_parts.h"
#include "checkpoint/gguf_values.h"
#include "checkpoint/json.h"

namespace advisor::gguf {
namespace {

using kernels::BlockType;

constexpr std::int64_t max_template = 16 << 20;  // bytes of tokenizer_config.json

GgufMix mix_of(const OutputPlan& plan) { return *gguf_mix_named(plan.type); }

/// The chat template that the folder carries; engines need it for instruction-tuned models.
std::optional<std::string> chat_template(const std::filesystem::path& folder) {
  std::error_code none;
  if (const auto path = folder / "chat_template.jinja"; std::filesystem::is_regular_file(path, none)) {
    return files::read_text(path, max_template);
  }
  const auto path = folder / "tokenizer_config.json";
  if (!std::filesystem::is_regular_file(path, none)) return std::nullopt;
  const json::Json config = json::parse(files::read_text(path, max_template), path.string());
  const json::Json* value = json::find(config, "chat_template");
  return value != nullptr && value->is_string() ? std::optional(value->get<std::string>()) : std::nullopt;
}

std::int64_t padded(std::int64_t size) { return (size + alignment - 1) / alignment * alignment; }

/// Gives every tensor its place behind the others; offsets count from the data section.
std::vector<TensorEntry> place_tensors(const OutputPlan& plan, Layout& layout) {
  std::vector<TensorEntry> written;
  std::map<std::string, std::int64_t> begin;  // of each tensor of the file
  std::int64_t end = 0;
  for (const PlannedTensor& planned : plan.tensors) {
    TensorEntry& entry = layout.entries.emplace_back();
    Place& place = layout.places.emplace_back();
    if (is_dropped(planned.source.name)) continue;
    place = *place_of(planned.source.name, plan.config);
    entry = {place.tensor, planned.source.shape, *type_of(plan, planned), 0, 0};
    entry.bytes = entry.shape[0] * kernels::row_bytes(entry.type, columns(planned.source));
    if (const auto [at, first] = begin.emplace(place.tensor, end); first) {
      TensorEntry& whole = written.emplace_back(entry);
      if (place.parts > 1) whole.shape.insert(whole.shape.begin(), place.parts);
      whole.bytes *= place.parts;
      whole.offset = end;
      end += padded(whole.bytes);
    }
    entry.offset = begin[place.tensor] + place.part * entry.bytes;
  }
  for (const RotaryFactors& factors : rotary_factors(plan.config)) {
    const auto data = std::as_bytes(std::span(factors.values));
    const auto count = static_cast<std::int64_t>(factors.values.size());
    TensorEntry& entry = written.emplace_back(
        TensorEntry{factors.name, {count}, BlockType::f32, end, static_cast<std::int64_t>(data.size())});
    layout.extra.emplace_back(entry, std::vector(data.begin(), data.end()));
    end += padded(entry.bytes);
  }
  layout.size = end;
  return written;
}

/// Index of the first tensor of each file.
std::vector<std::size_t> cut(const std::vector<TensorEntry>& written, std::int64_t limit) {
  std::vector<std::size_t> firsts{0};
  for (std::size_t i = 1; limit > 0 && i < written.size(); ++i)
    if (written[i].offset + padded(written[i].bytes) - written[firsts.back()].offset > limit) firsts.push_back(i);
  return firsts;
}

Metadata metadata_of(const OutputPlan& plan) {
  Metadata metadata = to_metadata(plan.config, plan.tokenizer, mix_of(plan));
  if (auto text = chat_template(plan.source)) {
    metadata.emplace_back("tokenizer.chat_template", Value{ValueType::string, std::move(*text)});
  }
  return metadata;
}

void add_split(std::size_t part, std::size_t parts, std::size_t tensors, Metadata& metadata) {
  metadata.emplace_back("split.no", Value{ValueType::u16, static_cast<std::int64_t>(part)});
  metadata.emplace_back("split.count", Value{ValueType::u16, static_cast<std::int64_t>(parts)});
  metadata.emplace_back("split.tensors.count", Value{ValueType::i32, static_cast<std::int64_t>(tensors)});
}

/// Without what numbers the parts, and ".gguf".
std::string file_name(const OutputPlan& plan) {
  std::string name = plan.config.name;
  if (name.empty()) name = plan.source.filename().string();
  if (name.empty()) name = "model";
  for (char& c : name) {
    if (c == '/' || c == '\0') c = '-';
  }
  return name + "-" + std::string(gguf_mix_name(mix_of(plan)));
}

}  // namespace

bool is_dropped(std::string_view name) { return name.ends_with(".rotary_emb.inv_freq"); }

std::int64_t columns(const TensorInfo& tensor) {
  return tensor.shape.size() < 2 ? 1 : element_count(std::span(tensor.shape).subspan(1));
}

std::optional<BlockType> type_of(const OutputPlan& plan, const PlannedTensor& planned) {
  if (!planned.type.empty()) return kernels::block_type_named(planned.type);
  return kernels::block_type_named(gguf_block(tensor_type(plan, planned.source)).name);
}

Layout lay_out(const OutputPlan& plan) {
  Layout layout;
  const std::vector<TensorEntry> written = place_tensors(plan, layout);
  const std::int64_t data_end = layout.size;
  const std::vector<std::size_t> firsts = cut(written, plan.split_max_size);
  std::vector<std::int64_t> data_begins;  // of each file, among all tensors
  layout.size = 0;
  for (std::size_t part = 0; part < firsts.size(); ++part) {
    const std::size_t end = part + 1 < firsts.size() ? firsts[part + 1] : written.size();
    std::vector<TensorEntry> entries(written.begin() + static_cast<std::ptrdiff_t>(firsts[part]),
                                     written.begin() + static_cast<std::ptrdiff_t>(end));
    const std::int64_t begin = entries.empty() ? 0 : entries.front().offset;
    for (TensorEntry& entry : entries) entry.offset -= begin;
    Metadata metadata = part == 0 ? metadata_of(plan) : Metadata();
    if (firsts.size() > 1) add_split(part, firsts.size(), written.size(), metadata);
    Layout::File& file = layout.files.emplace_back();
    file.header = write_header(metadata, entries);
    file.begin = layout.size;
    file.size =
        static_cast<std::int64_t>(file.header.size()) + (end < written.size() ? written[end].offset : data_end) - begin;
    layout.size += file.size;
    data_begins.push_back(begin);
  }
  const auto place = [&](std::int64_t offset) {
    const auto after = std::upper_bound(data_begins.begin(), data_begins.end(), offset);
    const auto part = static_cast<std::size_t>(std::max<std::ptrdiff_t>(after - data_begins.begin(), 1)) - 1;
    const Layout::File& file = layout.files[part];
    return file.begin + static_cast<std::int64_t>(file.header.size()) + offset - data_begins[part];
  };
  for (auto& entry : layout.entries) entry.offset = place(entry.offset);
  for (auto& [entry, data] : layout.extra) entry.offset = place(entry.offset);
  return layout;
}

PartFiles::PartFiles(const OutputPlan& plan, const Layout& layout, const std::filesystem::path& folder) {
  const std::filesystem::path prefix = folder / file_name(plan);
  const PartName name{prefix.string(), 1, static_cast<std::int64_t>(layout.files.size())};
  for (const Layout::File& file : layout.files) {
    const auto number = static_cast<std::int64_t>(files_.size()) + 1;
    files_.emplace_back(name.count == 1 ? std::filesystem::path(prefix.string() + ".gguf") : name.path_of(number),
                        file.size, plan.resume);
    begins_.push_back(file.begin);
    files_.back().write(0, file.header);
  }
  for (const auto& [entry, data] : layout.extra) write(entry.offset, data);
}

void PartFiles::write(std::int64_t offset, std::span<const std::byte> bytes) const {
  const auto part =
      static_cast<std::size_t>(std::upper_bound(begins_.begin(), begins_.end(), offset) - begins_.begin()) - 1;
  files_[part].write(offset - begins_[part], bytes);
}

void PartFiles::flush() const {
  for (const files::OutputFile& file : files_) file.flush();
}

void PartFiles::close() {
  for (files::OutputFile& file : files_) file.close();
}

}  // namespace advisor::gguf
