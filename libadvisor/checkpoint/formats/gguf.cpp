// Writes <name>-<type>.gguf for llama.cpp. The type is a mix of llama-quantize ("Q4_K_M"), and each tensor gets the
// type that llama-quantize gives it by default (core/gguf_mix): norms and biases F32, the output head (lm_head, or the
// embedding when tied) mostly Q6_K, the matrices that suffer most a wider type, rows that fit no block another one.
#include "checkpoint/gguf.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <map>
#include <system_error>

#include "checkpoint/format.h"
#include "checkpoint/formats/gguf_layout.h"
#include "core/error.h"

namespace advisor {

extern const FormatImpl gguf_format;

namespace {

using gguf::columns;
using gguf::is_dropped;
using gguf::type_of;
using kernels::BlockType;

constexpr std::int64_t max_elements = std::int64_t{1} << 46;

/// Mixes whose tensors can all be written.
std::string known_types() {
  std::string list;
  for (const std::string_view name : gguf_mix_names()) {
    if (kernels::block_type_named(gguf_block(gguf_base_type(*gguf_mix_named(name))).name))
      list += (list.empty() ? "" : ", ") + std::string(name);
  }
  return list;
}

/// A stack of experts is one tensor of the file: all its parts must be there and alike.
std::optional<std::string> refuses_stacks(const OutputPlan& plan) {
  struct Stack {
    std::int64_t found = 0, parts = 0;
    std::vector<std::int64_t> shape;
    std::string type;
  };
  std::map<std::string, Stack> stacks;
  for (const PlannedTensor& planned : plan.tensors) {
    if (is_dropped(planned.source.name)) continue;
    const gguf::Place place = *gguf::place_of(planned.source.name, plan.config);
    Stack& stack = stacks[place.tensor];
    if (stack.found++ == 0) {
      stack.shape = planned.source.shape;
      stack.type = planned.type;
    }
    if (stack.type != planned.type) {
      return "tensor '" + planned.source.name +
             "' is stored in one piece with other experts, which have another type; " +
             "give all experts of a layer the same";
    }
    stack.parts = place.parts;
    if (stack.shape != planned.source.shape) return "tensor '" + planned.source.name + "' is not shaped as its fellows";
  }
  for (const auto& [name, stack] : stacks) {
    if (stack.found != stack.parts) {
      return "'" + name + "' would have " + std::to_string(stack.found) + " of " + std::to_string(stack.parts) +
             " experts";
    }
  }
  return std::nullopt;
}

std::optional<std::string> refuses_tensor(const OutputPlan& plan, const PlannedTensor& planned) {
  const TensorInfo& tensor = planned.source;
  const auto place = gguf::place_of(tensor.name, plan.config);
  if (!place) return "GGUF has no name for tensor '" + tensor.name + "'";
  if (tensor.shape.empty() || tensor.shape.size() > 2) return "tensor '" + tensor.name + "' is no vector or matrix";
  if (element_count(tensor.shape) > max_elements) return "tensor '" + tensor.name + "' is too large for any file";
  const std::int64_t head_dim = place->order.head_dim;
  if (head_dim != 0 && tensor.shape[0] % head_dim != 0) {
    return "tensor '" + tensor.name + "' has rows that are no multiple of the head dimension";
  }
  const auto type = type_of(plan, planned);
  if (!planned.type.empty()) {
    if (!type) return "'" + planned.type + "' for tensor '" + tensor.name + "' is no type that can be written";
    if (const std::int64_t block = kernels::layout_of(*type).elements; columns(tensor) % block != 0) {
      return "rows of tensor '" + tensor.name + "' have " + std::to_string(columns(tensor)) + " elements, but " +
             planned.type + " has blocks of " + std::to_string(block);
    }
  }
  if (!type) {
    return "GGUF type '" + plan.type + "' stores '" + tensor.name + "' as " +
           std::string(gguf_block(gguf::tensor_type(plan, tensor)).name) + ", which cannot be written; choose one of " +
           known_types();
  }
  return std::nullopt;
}

std::optional<std::string> refuses(const OutputPlan& plan) {
  if (!gguf_mix_named(plan.type)) {
    return "GGUF type '" + plan.type + "' cannot be written; choose one of " + known_types();
  }
  if (auto reason = gguf::metadata_refuses(plan.config, plan.tokenizer)) return reason;
  for (const PlannedTensor& planned : plan.tensors) {
    if (is_dropped(planned.source.name)) continue;
    if (auto reason = refuses_tensor(plan, planned)) return reason;
  }
  if (auto reason = refuses_stacks(plan)) return reason;
  if (plan.split_max_size == 0) return std::nullopt;
  const std::size_t files = gguf::lay_out(plan).files.size();
  if (files <= gguf::max_parts) return std::nullopt;
  return "files of " + std::to_string(plan.split_max_size) + " bytes would be " + std::to_string(files) +
         ", more than the " + std::to_string(gguf::max_parts) + " that names and metadata can count";
}

class GgufWriter final : public FormatWriter {
 public:
  GgufWriter(const OutputPlan& plan, const std::filesystem::path& folder)
      : plan_(plan), layout_(gguf::lay_out(plan)), file_(plan, layout_, folder), rows_written_(plan.tensors.size()) {}

  std::vector<std::byte> write_rows(std::size_t tensor, std::int64_t begin, std::span<const float> rows,
                                    std::span<const float> importance, std::span<float> stored) override {
    const gguf::TensorEntry& entry = layout_.entries.at(tensor);
    const TensorInfo& source = plan_.tensors[tensor].source;
    if (entry.name.empty()) return {};
    const std::int64_t cols = columns(source);
    const std::int64_t count = cols == 0 ? 0 : static_cast<std::int64_t>(rows.size()) / cols;
    if (begin < 0 || count * cols != static_cast<std::int64_t>(rows.size()) || begin + count > source.shape[0]) {
      throw Error(ErrorCode::internal, "rows outside of tensor '" + source.name + "'");
    }
    if (!importance.empty()) check_importance(source, cols, importance);
    const gguf::Place& place = layout_.places[tensor];
    std::vector<float> shifted;
    if (place.offset != 0) {
      shifted.assign(rows.begin(), rows.end());
      for (float& value : shifted) value += place.offset;
      rows = shifted;
    }
    const auto bytes = static_cast<std::size_t>(kernels::row_bytes(entry.type, cols));
    std::vector<std::byte> encoded(static_cast<std::size_t>(count) * bytes);
    if (!kernels::encode_blocks(entry.type, rows, importance, encoded)) {
      refuse_rows(source, entry.type, begin, cols, rows, importance);
    }
    if (!stored.empty()) {
      kernels::decode_blocks(entry.type, encoded, stored);
      if (place.offset != 0)
        for (float& value : stored) value -= place.offset;
    }
    store(entry, place.order, begin, count, encoded);
    rows_written_[tensor] += count;
    return encoded;
  }

  void write_quantized(std::size_t tensor, std::int64_t, const QuantizedTensor&) override {
    throw Error(ErrorCode::internal, "GGUF encodes weights itself: rows of '" + plan_.tensors.at(tensor).source.name +
                                         "' must arrive as floats");
  }

  void skip(std::size_t tensor) override { rows_written_.at(tensor) = plan_.tensors[tensor].source.shape[0]; }

  void flush() override { file_.flush(); }

  void finish() override {
    for (std::size_t i = 0; i < plan_.tensors.size(); ++i) {
      const TensorInfo& source = plan_.tensors[i].source;
      if (!layout_.entries[i].name.empty() && rows_written_[i] != source.shape[0]) {
        throw Error(ErrorCode::internal, "tensor '" + source.name + "' was not written completely");
      }
    }
    file_.close();
  }

 private:
  static void check_importance(const TensorInfo& tensor, std::int64_t cols, std::span<const float> importance) {
    const auto usable = [](float w) { return std::isfinite(w) && w >= 0; };
    if (static_cast<std::int64_t>(importance.size()) == cols && std::ranges::all_of(importance, usable)) return;
    throw Error(ErrorCode::invalid_argument, "the importance of the inputs of '" + tensor.name + "' must be " +
                                                 std::to_string(cols) + " finite numbers that are not negative");
  }

  /// Names the first row that cannot be encoded.
  [[noreturn]] static void refuse_rows(const TensorInfo& tensor, BlockType type, std::int64_t begin, std::int64_t cols,
                                       std::span<const float> rows, std::span<const float> importance) {
    const auto width = static_cast<std::size_t>(cols);
    std::vector<std::byte> encoded(static_cast<std::size_t>(kernels::row_bytes(type, cols)));
    std::size_t row = 0;
    while ((row + 1) * width < rows.size() &&
           kernels::encode_blocks(type, rows.subspan(row * width, width), importance, encoded)) {
      ++row;
    }
    throw Error(ErrorCode::unsupported,
                "tensor '" + tensor.name + "', row " + std::to_string(begin + static_cast<std::int64_t>(row)) +
                    ": a value is NaN, infinite or too large for " + std::string(kernels::layout_of(type).name) +
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
  gguf::Layout layout_;
  gguf::PartFiles file_;
  std::vector<std::atomic<std::int64_t>> rows_written_;
};

std::int64_t bytes(const OutputPlan& plan) { return gguf::lay_out(plan).size; }

std::int64_t tensor_bytes(const OutputPlan& plan, std::size_t tensor) {
  const PlannedTensor& planned = plan.tensors.at(tensor);
  if (is_dropped(planned.source.name)) return 0;
  return planned.source.shape[0] * kernels::row_bytes(*type_of(plan, planned), columns(planned.source));
}

std::unique_ptr<FormatWriter> create(const OutputPlan& plan, const std::filesystem::path& folder) {
  if (const auto reason = refuses(plan)) throw Error(ErrorCode::unsupported, *reason);
  return std::make_unique<GgufWriter>(plan, folder);
}

BlockType stored_type(const OutputPlan& plan, const PlannedTensor& tensor) { return *type_of(plan, tensor); }

DType scale_dtype(const OutputPlan&) { return DType::f16; }

}  // namespace

const FormatImpl gguf_format{
    .id = "gguf",
    .refuses = refuses,
    .takes_codes = false,
    .stored_type = stored_type,
    .bytes = bytes,
    .create = create,
    .scale_dtype = scale_dtype,
    .tensor_bytes = tensor_bytes,
    .leaves_out = [](const TensorInfo& tensor) { return is_dropped(tensor.name); },
};

}  // namespace advisor
