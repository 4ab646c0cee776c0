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
#include "checkpoint/format.h"
#include "core/gguf_mix.h"
#include "tensor/kernels/blocks.h"

namespace advisor {

/// Opens one .gguf file of the Llama family, or the first of several that hold one model. Throws not_found, parse_error
/// or unsupported.
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

// --- Families of models ------------------------------------------------------------------------------------------

struct Family {
  std::string_view architecture;  ///< Hugging Face class
  std::string_view gguf;          ///< general.architecture
  bool interleaved = false;       ///< llama.cpp rotates pairs of neighbours: see RowOrder
  float norm_offset = 0;          ///< added to weights of norms in the file: Hugging Face's norm is (offset + weight)
  std::string_view expert_prefix{};  ///< "mlp.experts.": the tensors of experts are stacked in the file
};
/// nullptr for a class that has no row.
const Family* find_family(std::string_view architecture);
/// The one that a file with this general.architecture stands for, with or without experts.
const Family* find_family_in_file(std::string_view gguf, bool experts);

/// llama.cpp rotates pairs of neighbours (RoPE "norm") for the llama architecture where Hugging Face rotates halves, so
/// rows of q and k are stored interleaved within each head: row j of the first half at 2j, of the second at 2j + 1.
struct RowOrder {
  std::int64_t head_dim = 0;  ///< 0: rows are stored as they are
  std::int64_t in_file(std::int64_t row) const;
};

/// Where and how a tensor of the model lies in the file.
struct Place {
  std::string tensor;                ///< "blk.3.ffn_up.weight"
  std::int64_t part = 0, parts = 1;  ///< of a stack [parts, rows, columns]: experts
  RowOrder order;
  float offset = 0;  ///< stored value = value + offset
};
/// "model.layers.3.mlp.up_proj.weight" -> its place; nullopt for a name outside the family of config.architecture.
std::optional<Place> place_of(std::string_view hugging_face, const ModelConfig& config);
/// Tensors that one of the file holds, in the order of parts; none when it is not part of the family.
std::vector<std::string> hugging_face_names(std::string_view tensor, const ModelConfig& config);

/// Tensors of the file that say how frequencies are scaled, [rotary_dim / 2] each, in place of metadata.
struct RotaryFactors {
  std::string name;  ///< "rope_freqs.weight"
  std::vector<float> values;
};
std::vector<RotaryFactors> rotary_factors(const ModelConfig& config);
bool is_rotary_factors(std::string_view tensor);
/// Takes over what a file says. Factors that hold at any length become "longrope" without a longer range.
void set_rotary_factors(const RotaryFactors& factors, ModelConfig& config);
/// Why llama.cpp could not rotate as this configuration says, or nullopt.
std::optional<std::string> rotary_refuses(const ModelConfig& config);
void add_rotary_metadata(const ModelConfig& config, const std::string& prefix, Metadata& out);

/// Type that a tensor of the plan gets in the mix plan.type.
GgufType tensor_type(const OutputPlan& plan, const TensorInfo& tensor);

/// Metadata of a model, complete for llama.cpp.
Metadata to_metadata(const ModelConfig& config, const TokenizerData& tokenizer, GgufMix mix);
/// Why llama.cpp could not run this model from GGUF metadata, or nullopt.
std::optional<std::string> metadata_refuses(const ModelConfig& config, const TokenizerData& tokenizer);
std::optional<std::string> tokenizer_refuses(const TokenizerData& tokenizer);  ///< the part of metadata_refuses
/// Adds "tokenizer.ggml.*" for a tokenizer that is not refused.
void add_tokenizer(const ModelConfig& config, const TokenizerData& tokenizer, Metadata& out);
ModelConfig to_config(const Header& header, const std::string& where);
TokenizerData to_tokenizer(const Header& header, const std::string& where);

}  // namespace gguf
}  // namespace advisor
