// Writes <name>-<type>.gguf for llama.cpp.
//
// Which type a tensor gets (general.file_type names the base type T, general.quantization_version is 2):
//   vectors and norms                                     F32
//   output head: lm_head, or the embedding when tied      T; for 4 and 5 bits Q8_0, where llama-quantize takes Q6_K,
//                                                         which is not written yet
//   other matrices, an untied embedding included          T
//   a matrix whose columns are no multiple of 32          F16 instead of a Q type
// That is llama-quantize's default for these types but for the head; its --pure would quantize the head to T as well.
#include "checkpoint/gguf.h"

#include <atomic>
#include <filesystem>
#include <system_error>

#include "checkpoint/files.h"
#include "checkpoint/format.h"
#include "checkpoint/json.h"
#include "core/error.h"

namespace advisor {

extern const FormatImpl gguf_format;

namespace {

using kernels::BlockType;

constexpr std::int64_t max_elements = std::int64_t{1} << 46;
constexpr std::int64_t max_template = 16 << 20;  // bytes of tokenizer_config.json

/// Buffers of old checkpoints that every reader computes itself.
bool is_dropped(std::string_view name) { return name.ends_with(".rotary_emb.inv_freq"); }

std::int64_t columns(const TensorInfo& tensor) {
  return tensor.shape.size() < 2 ? 1 : element_count(std::span(tensor.shape).subspan(1));
}

BlockType type_of(const OutputPlan& plan, const TensorInfo& tensor) {
  if (tensor.shape.size() < 2 || tensor.name.ends_with("norm.weight")) return BlockType::f32;
  BlockType type = *kernels::block_type_named(plan.type);
  const bool head =
      tensor.name == "lm_head.weight" || (plan.config.tie_embeddings && tensor.name == "model.embed_tokens.weight");
  const bool narrow =
      type == BlockType::q4_0 || type == BlockType::q4_1 || type == BlockType::q5_0 || type == BlockType::q5_1;
  if (head && narrow) type = BlockType::q8_0;
  return tensor.shape.back() % kernels::layout_of(type).elements == 0 ? type : BlockType::f16;
}

std::string known_types() {
  std::string list;
  for (const auto& layout : kernels::block_layouts()) {
    if (layout.encodes) list += (list.empty() ? "" : ", ") + std::string(layout.name);
  }
  return list;
}

std::optional<std::string> refuses(const OutputPlan& plan) {
  const auto type = kernels::block_type_named(plan.type);
  if (!type || !kernels::layout_of(*type).encodes) {
    return "GGUF type '" + plan.type + "' cannot be written; choose one of " + known_types();
  }
  if (auto reason = gguf::metadata_refuses(plan.config, plan.tokenizer)) return reason;
  for (const PlannedTensor& planned : plan.tensors) {
    const TensorInfo& tensor = planned.source;
    if (is_dropped(tensor.name)) continue;
    if (!gguf::to_gguf_name(tensor.name)) return "GGUF has no name for tensor '" + tensor.name + "'";
    if (tensor.shape.empty() || tensor.shape.size() > 2) return "tensor '" + tensor.name + "' is no vector or matrix";
    if (element_count(tensor.shape) > max_elements) return "tensor '" + tensor.name + "' is too large for any file";
    const std::int64_t head_dim = gguf::row_order(tensor.name, plan.config).head_dim;
    if (head_dim != 0 && tensor.shape[0] % head_dim != 0) {
      return "tensor '" + tensor.name + "' has rows that are no multiple of the head dimension";
    }
  }
  return std::nullopt;
}

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

struct Layout {
  std::vector<std::byte> header;
  std::vector<gguf::TensorEntry> entries;  ///< parallel to the plan; offsets in the file; no name: not written
  std::int64_t size = 0;
};

Layout lay_out(const OutputPlan& plan) {
  Layout layout;
  std::vector<gguf::TensorEntry> written;
  std::int64_t end = 0;
  for (const PlannedTensor& planned : plan.tensors) {
    gguf::TensorEntry& entry = layout.entries.emplace_back();
    if (is_dropped(planned.source.name)) continue;
    entry.name = *gguf::to_gguf_name(planned.source.name);
    entry.shape = planned.source.shape;
    entry.type = type_of(plan, planned.source);
    entry.bytes = entry.shape[0] * kernels::row_bytes(entry.type, columns(planned.source));
    entry.offset = end;
    end += (entry.bytes + gguf::alignment - 1) / gguf::alignment * gguf::alignment;
    written.push_back(entry);
  }
  const std::string_view type = kernels::layout_of(*kernels::block_type_named(plan.type)).name;
  gguf::Metadata metadata = gguf::to_metadata(plan.config, plan.tokenizer, type);
  if (auto text = chat_template(plan.source)) {
    metadata.emplace_back("tokenizer.chat_template", gguf::Value{gguf::ValueType::string, std::move(*text)});
  }
  layout.header = gguf::write_header(metadata, written);
  layout.size = static_cast<std::int64_t>(layout.header.size()) + end;
  for (auto& entry : layout.entries) entry.offset += static_cast<std::int64_t>(layout.header.size());
  return layout;
}

std::string file_name(const OutputPlan& plan) {
  std::string name = plan.config.name;
  if (name.empty()) name = plan.source.filename().string();
  if (name.empty()) name = "model";
  for (char& c : name) {
    if (c == '/' || c == '\0') c = '-';
  }
  return name + "-" + std::string(kernels::layout_of(*kernels::block_type_named(plan.type)).name) + ".gguf";
}

class GgufWriter final : public FormatWriter {
 public:
  GgufWriter(const OutputPlan& plan, const std::filesystem::path& folder)
      : plan_(plan),
        folder_(folder),
        layout_(lay_out(plan)),
        file_(folder / file_name(plan), layout_.size),
        rows_written_(plan.tensors.size()) {
    file_.write(0, layout_.header);
  }

  void write_rows(std::size_t tensor, std::int64_t begin, std::span<const float> rows) override {
    const gguf::TensorEntry& entry = layout_.entries.at(tensor);
    const TensorInfo& source = plan_.tensors[tensor].source;
    if (entry.name.empty()) return;
    const std::int64_t cols = columns(source);
    const std::int64_t count = cols == 0 ? 0 : static_cast<std::int64_t>(rows.size()) / cols;
    if (begin < 0 || count * cols != static_cast<std::int64_t>(rows.size()) || begin + count > source.shape[0]) {
      throw Error(ErrorCode::internal, "rows outside of tensor '" + source.name + "'");
    }
    const auto bytes = static_cast<std::size_t>(kernels::row_bytes(entry.type, cols));
    std::vector<std::byte> encoded(static_cast<std::size_t>(count) * bytes);
    for (std::int64_t r = 0; r < count; ++r) {
      const auto row = rows.subspan(static_cast<std::size_t>(r * cols), static_cast<std::size_t>(cols));
      if (!kernels::encode_blocks(entry.type, row,
                                  std::span(encoded).subspan(static_cast<std::size_t>(r) * bytes, bytes))) {
        refuse_row(source, entry.type, begin + r);
      }
    }
    store(entry, gguf::row_order(source.name, plan_.config), begin, count, encoded);
    rows_written_[tensor] += count;
  }

  void write_quantized(std::size_t tensor, std::int64_t, const QuantizedTensor&) override {
    throw Error(ErrorCode::internal, "GGUF encodes weights itself: rows of '" + plan_.tensors.at(tensor).source.name +
                                         "' must arrive as floats");
  }

  void finish() override {
    for (std::size_t i = 0; i < plan_.tensors.size(); ++i) {
      const TensorInfo& source = plan_.tensors[i].source;
      if (!layout_.entries[i].name.empty() && rows_written_[i] != source.shape[0]) {
        throw Error(ErrorCode::internal, "tensor '" + source.name + "' was not written completely");
      }
    }
    file_.close();
    files::sync_folder(folder_);
  }

 private:
  [[noreturn]] static void refuse_row(const TensorInfo& tensor, BlockType type, std::int64_t row) {
    throw Error(ErrorCode::unsupported, "tensor '" + tensor.name + "', row " + std::to_string(row) +
                                            ": a value is NaN, infinite or too large for " +
                                            std::string(kernels::layout_of(type).name) +
                                            "; if the model is sound, write GGUF type BF16 or F32");
  }

  void store(const gguf::TensorEntry& entry, gguf::RowOrder order, std::int64_t begin, std::int64_t count,
             std::span<const std::byte> rows) const {
    if (count == 0) return;
    if (order.head_dim == 0) {
      const std::int64_t bytes = static_cast<std::int64_t>(rows.size()) / count;
      return file_.write(entry.offset + begin * bytes, rows);
    }
    const std::size_t bytes = rows.size() / static_cast<std::size_t>(count);
    for (std::int64_t r = 0; r < count; ++r) {
      file_.write(entry.offset + order.in_file(begin + r) * static_cast<std::int64_t>(bytes),
                  rows.subspan(static_cast<std::size_t>(r) * bytes, bytes));
    }
  }

  OutputPlan plan_;
  std::filesystem::path folder_;
  Layout layout_;
  files::OutputFile file_;
  std::vector<std::atomic<std::int64_t>> rows_written_;
};

std::int64_t bytes(const OutputPlan& plan) { return lay_out(plan).size; }

std::unique_ptr<FormatWriter> create(const OutputPlan& plan, const std::filesystem::path& folder) {
  if (const auto reason = refuses(plan)) throw Error(ErrorCode::unsupported, *reason);
  return std::make_unique<GgufWriter>(plan, folder);
}

DType scale_dtype(const OutputPlan&) { return DType::f16; }

}  // namespace

const FormatImpl gguf_format{
    .id = "gguf",
    .refuses = refuses,
    .takes_codes = false,
    .bytes = bytes,
    .create = create,
    .scale_dtype = scale_dtype,
};

}  // namespace advisor
