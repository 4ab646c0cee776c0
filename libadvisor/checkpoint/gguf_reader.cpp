// GGUF as a Checkpoint: Hugging Face names, shapes and row order, whatever the file's.
#include <algorithm>
#include <cmath>

#include "checkpoint/gguf.h"
#include "checkpoint/gguf_parts.h"
#include "core/error.h"

namespace advisor {
namespace {

using namespace gguf;

constexpr std::int64_t chunk_bytes = 1 << 20;  // read at once

std::string stored_name(kernels::BlockType type) {
  switch (type) {
    case kernels::BlockType::f32: return std::string(name(DType::f32));
    case kernels::BlockType::f16: return std::string(name(DType::f16));
    case kernels::BlockType::bf16: return std::string(name(DType::bf16));
    default: return std::string(kernels::layout_of(type).name);
  }
}

class GgufCheckpoint final : public Checkpoint {
 public:
  explicit GgufCheckpoint(const std::filesystem::path& path)
      : file_(path), header_(file_.header()), config_(to_config(header_, path.string())) {
    for (std::size_t i = 0; i < header_.tensors.size(); ++i) add(i);
    config_.tie_embeddings = find("lm_head.weight") == nullptr;
    const TensorInfo* embedding = find("model.embed_tokens.weight");
    if (embedding == nullptr) fail(ErrorCode::parse_error, "there is no token_embd.weight");
    if (embedding->shape != std::vector<std::int64_t>{config_.vocab, config_.hidden}) {
      fail(ErrorCode::parse_error, "token_embd.weight does not have the shape that the metadata announces");
    }
    set_dtype();
  }

  std::string_view format() const override { return "gguf"; }
  const ModelConfig& config() const override { return config_; }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  TokenizerData tokenizer() const override { return to_tokenizer(header_, file_.path().string()); }

  void read_rows(const TensorInfo& tensor, std::int64_t begin, std::int64_t end, std::span<float> out) const override {
    const Source& source = source_of(tensor, begin, end);
    const std::int64_t cols = columns(source.part);
    if (static_cast<std::int64_t>(out.size()) != (end - begin) * cols) refuse_rows(tensor, begin, end, source);
    const std::span<float> all = out;
    for_runs(source, begin, end, [&](std::int64_t rows, std::span<const std::byte> stored) {
      const auto size = static_cast<std::size_t>(rows * cols);
      kernels::decode_blocks(source.part.type, stored, out.first(size));
      out = out.subspan(size);
    });
    if (source.place.offset != 0)
      for (float& value : all) value -= source.place.offset;
  }

  std::vector<std::byte> read_stored(const TensorInfo& tensor, std::int64_t begin, std::int64_t end) const override {
    const Source& source = source_of(tensor, begin, end);
    std::vector<std::byte> all;
    all.reserve(static_cast<std::size_t>((end - begin) * kernels::row_bytes(source.part.type, columns(source.part))));
    for_runs(source, begin, end, [&](std::int64_t, std::span<const std::byte> stored) {
      all.insert(all.end(), stored.begin(), stored.end());
    });
    return all;
  }

 private:
  [[noreturn]] void fail(ErrorCode code, const std::string& what) const {
    throw Error(code, file_.path().string() + ": " + what);
  }

  static std::int64_t columns(const TensorEntry& entry) {
    return entry.shape.size() == 1 ? 1 : element_count(std::span(entry.shape).subspan(1));
  }

  void add(std::size_t index) {
    const TensorEntry& entry = header_.tensors[index];
    if (entry.shape.size() == 1 && kernels::layout_of(entry.type).elements != 1) {
      fail(ErrorCode::unsupported, "tensor '" + entry.name + "' is a vector in blocks");
    }
    if (is_rotary_factors(entry.name)) return add_rotary_factors(entry);
    const std::vector<std::string> names = hugging_face_names(entry.name, config_);
    if (names.empty()) {
      fail(ErrorCode::unsupported, "tensor '" + entry.name + "' is not part of a model of class " +
                                       config_.architecture + " that this build can run");
    }
    TensorEntry part = entry;
    const Place first = *place_of(names.front(), config_);
    if (first.parts > 1) {
      if (entry.shape.size() != 3 || entry.shape[0] != first.parts) {
        fail(ErrorCode::parse_error, "tensor '" + entry.name + "' is not a stack of " + std::to_string(first.parts) +
                                         " matrices, one for each expert");
      }
      part.shape.erase(part.shape.begin());
      part.bytes /= first.parts;
    }
    if (first.order.head_dim != 0 && part.shape[0] % first.order.head_dim != 0) {
      fail(ErrorCode::parse_error, "tensor '" + entry.name + "' has " + std::to_string(part.shape[0]) +
                                       " rows, no multiple of the head dimension " +
                                       std::to_string(first.order.head_dim));
    }
    for (const std::string& name : names) {
      sources_.push_back({part, *place_of(name, config_)});
      tensors_.push_back({name, part.shape, stored_name(entry.type), part.bytes});
      part.offset += part.bytes;
    }
  }

  void add_rotary_factors(const TensorEntry& entry) {
    const std::int64_t count = element_count(entry.shape), half = config_.head_dim / 2;
    if (entry.type != kernels::BlockType::f32 || count < 1 || count > half) {
      fail(ErrorCode::parse_error, "tensor '" + entry.name + "' does not hold one float32 factor per frequency");
    }
    RotaryFactors factors{entry.name, std::vector<float>(static_cast<std::size_t>(count))};
    file_.read(entry.offset, std::as_writable_bytes(std::span(factors.values)));
    if (!std::all_of(factors.values.begin(), factors.values.end(), [](float f) { return std::isfinite(f) && f > 0; })) {
      fail(ErrorCode::parse_error, "tensor '" + entry.name + "' holds factors that are not positive");
    }
    set_rotary_factors(factors, config_);
  }

  /// The type that most bytes have, among the types that are no quantization.
  void set_dtype() {
    config_.torch_dtype = "float16";
    std::int64_t most = 0;
    for (const auto& [stored, dtype] : {std::pair{"f16", "float16"}, {"bf16", "bfloat16"}, {"f32", "float32"}}) {
      std::int64_t bytes = 0;
      for (const TensorInfo& tensor : tensors_) {
        if (tensor.stored_as == stored && tensor.shape.size() > 1) bytes += tensor.bytes;
      }
      if (bytes > most) config_.torch_dtype = dtype;
      most = std::max(most, bytes);
    }
  }

  struct Source {
    TensorEntry part;  ///< of the file's tensor: one of a stack, or all of it
    Place place;
  };

  [[noreturn]] static void refuse_rows(const TensorInfo& tensor, std::int64_t begin, std::int64_t end,
                                       const Source& source) {
    throw Error(ErrorCode::invalid_argument, "rows " + std::to_string(begin) + " to " + std::to_string(end) + " of '" +
                                                 tensor.name + "': it has " + std::to_string(source.part.shape[0]));
  }

  /// Of a tensor that has the rows [begin, end).
  const Source& source_of(const TensorInfo& tensor, std::int64_t begin, std::int64_t end) const {
    const auto at =
        std::find_if(tensors_.begin(), tensors_.end(), [&](const auto& t) { return t.name == tensor.name; });
    if (at == tensors_.end()) fail(ErrorCode::not_found, "there is no tensor '" + tensor.name + "'");
    const Source& source = sources_[static_cast<std::size_t>(at - tensors_.begin())];
    if (begin < 0 || end < begin || end > source.part.shape[0]) refuse_rows(tensor, begin, end, source);
    return source;
  }

  /// Calls use(rows, stored) for the rows [begin, end) in order, a run at a time: as they are stored, row after row.
  template <typename Use>
  void for_runs(const Source& source, std::int64_t begin, std::int64_t end, const Use& use) const {
    const RowOrder order = source.place.order;
    const std::int64_t bytes = kernels::row_bytes(source.part.type, columns(source.part));
    while (begin < end) {
      // Without an order any run of rows will do, with one all rows of a head are neighbours in the file.
      const std::int64_t run = order.head_dim == 0
                                   ? std::max<std::int64_t>(1, chunk_bytes / std::max<std::int64_t>(bytes, 1))
                                   : order.head_dim - begin % order.head_dim;
      const std::int64_t stop = std::min(end, begin + run);
      use(stop - begin, read_run(source, begin, stop));
      begin = stop;
    }
  }

  /// Rows [begin, end), which must lie in one head when there is an order.
  std::vector<std::byte> read_run(const Source& source, std::int64_t begin, std::int64_t end) const {
    const RowOrder order = source.place.order;
    const auto bytes = static_cast<std::size_t>(kernels::row_bytes(source.part.type, columns(source.part)));
    std::int64_t first = order.in_file(begin), last = first;
    for (std::int64_t row = begin; row < end; ++row) {
      first = std::min(first, order.in_file(row));
      last = std::max(last, order.in_file(row));
    }
    std::vector<std::byte> stored(static_cast<std::size_t>(last - first + 1) * bytes);
    file_.read(source.part.offset + first * static_cast<std::int64_t>(bytes), stored);
    if (order.head_dim == 0) return stored;
    std::vector<std::byte> rows;
    rows.reserve(static_cast<std::size_t>(end - begin) * bytes);
    for (std::int64_t row = begin; row < end; ++row) {
      const auto from = std::span(stored).subspan(static_cast<std::size_t>(order.in_file(row) - first) * bytes, bytes);
      rows.insert(rows.end(), from.begin(), from.end());
    }
    return rows;
  }

  Parts file_;
  const Header& header_;
  ModelConfig config_;
  std::vector<TensorInfo> tensors_;
  std::vector<Source> sources_;  ///< parallel to tensors_
};

}  // namespace

std::unique_ptr<Checkpoint> open_gguf(const std::filesystem::path& path) {
  return std::make_unique<GgufCheckpoint>(path);
}

}  // namespace advisor
