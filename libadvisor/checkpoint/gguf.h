// GGUF v3, the model file of ggml and llama.cpp: metadata, names and tensor blocks in one file. Here are the parts that
// the reader (gguf_reader.cpp) and the writer (formats/gguf.cpp) share: the checked header parser, the two-way maps of
// names, row order and metadata. Must not know techniques.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "tensor/kernels/blocks.h"

namespace advisor {

/// Opens one .gguf file of the Llama family. Throws not_found, parse_error or unsupported.
std::unique_ptr<Checkpoint> open_gguf(const std::filesystem::path& path);

namespace gguf {

/// Type ids of metadata values as stored.
enum class ValueType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

/// One metadata value. Integers and booleans of any width are held as int64 (u64 above 2^63 wraps), both float widths
/// as double; `type` is the stored type, for arrays that of the elements.
struct Value {
  ValueType type = ValueType::u32;
  std::variant<std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>,
               std::vector<std::string>>
      data;
  bool operator==(const Value&) const = default;
};

using Metadata = std::vector<std::pair<std::string, Value>>;  ///< in file order, keys unique

struct TensorEntry {
  std::string name;                 ///< as in the file, "blk.0.attn_q.weight"
  std::vector<std::int64_t> shape;  ///< [out, in]: the file's order reversed
  kernels::BlockType type = kernels::BlockType::f32;
  std::int64_t offset = 0;  ///< from the start of the file
  std::int64_t bytes = 0;
};

struct Header {
  Metadata metadata;
  std::vector<TensorEntry> tensors;  ///< by offset
  std::int64_t data_begin = 0;       ///< end of the padded header

  const Value* find(std::string_view key) const;
};

/// Fills `out` with the bytes at `offset`; only called inside the size given beside it.
using ReadAt = std::function<void(std::int64_t offset, std::span<std::byte> out)>;

/// Parses and checks a header: nothing is allocated on the word of a length that the file could not hold. `where` names
/// the file in messages. Throws parse_error or unsupported.
Header parse_header(const ReadAt& read, std::int64_t file_size, const std::string& where);

/// Header bytes, padded to `alignment`; offsets in `tensors` are relative to the data section.
std::vector<std::byte> write_header(const Metadata& metadata, std::span<const TensorEntry> tensors);

inline constexpr std::int64_t alignment = 32;  ///< GGUF's default, and what is written

// --- Llama family ------------------------------------------------------------------------------------------------

/// "model.layers.3.mlp.up_proj.weight" <-> "blk.3.ffn_up.weight"; nullopt for a name outside the family.
std::optional<std::string> to_gguf_name(std::string_view hugging_face);
std::optional<std::string> to_hugging_face_name(std::string_view gguf);

/// llama.cpp rotates pairs of neighbours (RoPE "norm") for the llama architecture where Hugging Face rotates halves, so
/// rows of q and k are stored interleaved within each head: row j of the first half at 2j, of the second at 2j + 1.
struct RowOrder {
  std::int64_t head_dim = 0;  ///< 0: rows are stored as they are
  std::int64_t in_file(std::int64_t row) const;
};
/// The order of a tensor's rows (Hugging Face name) in a model of this geometry.
RowOrder row_order(std::string_view hugging_face, const ModelConfig& config);

/// Metadata of a model, complete for llama.cpp. `type` is the name that the file is known by ("Q4_0").
Metadata to_metadata(const ModelConfig& config, const TokenizerData& tokenizer, std::string_view type);
/// Why llama.cpp could not run this model from GGUF metadata, or nullopt.
std::optional<std::string> metadata_refuses(const ModelConfig& config, const TokenizerData& tokenizer);
ModelConfig to_config(const Header& header, const std::string& where);
TokenizerData to_tokenizer(const Header& header, const std::string& where);

}  // namespace gguf
}  // namespace advisor
