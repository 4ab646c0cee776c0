// A model on disk, read as an engine would read it: logical tensors under their Hugging Face names, whatever the
// format.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/config.h"
#include "checkpoint/tokenizer_data.h"
#include "tensor/quantized.h"
#include "tensor/tensor.h"

namespace advisor {

/// One logical tensor. For compressed-tensors, "x.weight" stands for weight_packed + weight_scale + ...
struct TensorInfo {
  std::string name;                 ///< "model.layers.0.self_attn.q_proj.weight"
  std::vector<std::int64_t> shape;  ///< [out, in]
  std::string stored_as;            ///< "bf16", "W4A16-g128", "Q4_0" ...
  std::int64_t bytes = 0;           ///< stored, scales and zero points included
  bool operator==(const TensorInfo&) const = default;
};

/// Of the codes of an 8-bit cache.
struct KvScales {
  float key = 1, value = 1;
  bool operator==(const KvScales&) const = default;
};

class Checkpoint {
 public:
  virtual ~Checkpoint() = default;
  virtual std::string_view format() const = 0;  ///< "safetensors", "gguf", "gptq" ... as formats()
  virtual const ModelConfig& config() const = 0;
  virtual const std::vector<TensorInfo>& tensors() const = 0;  ///< in file order (shard, then offset)
  /// Reads and dequantizes rows [begin, end) of dimension 0 to float32 (1-D tensors: one row per element).
  /// `out` has (end - begin) * (size / shape[0]) elements. Thread-safe. Does not keep file pages resident.
  virtual void read_rows(const TensorInfo& tensor, std::int64_t begin, std::int64_t end,
                         std::span<float> out) const = 0;
  /// Rows [begin, end) of a weight as it is stored, without rounding anything: codes, scales, zero points. nullopt for
  /// tensors that are not quantized or that the neutral form cannot hold (GGUF blocks, groups of reordered columns).
  /// begin and end must be multiples of 32 and of the scheme's blocks of rows, or the last row. Thread-safe.
  virtual std::optional<QuantizedTensor> read_codes(const TensorInfo& /*tensor*/, std::int64_t /*begin*/,
                                                    std::int64_t /*end*/) const {
    return std::nullopt;
  }
  /// Rows [begin, end) undecoded, as the file has them, in the order of read_rows(): equal bytes of a tensor of one
  /// type decode to equal values. Empty where a row is not one run of bytes. Thread-safe.
  virtual std::vector<std::byte> read_stored(const TensorInfo& /*tensor*/, std::int64_t /*begin*/,
                                             std::int64_t /*end*/) const {
    return {};
  }
  /// Per layer, where the files carry scales for an FP8 cache; else empty.
  virtual std::vector<KvScales> kv_scales() const { return {}; }
  /// The tokenizer the files carry; throws not_found when they carry none.
  virtual TokenizerData tokenizer() const = 0;

  const TensorInfo* find(std::string_view name) const;
  Tensor load(std::string_view name) const;  ///< whole tensor; throws not_found naming it and the checkpoint
};

/// Opens a folder (config.json + *.safetensors, dense or quantized; or exactly one .gguf file) or a .gguf
/// file. Checks every header before it returns. Throws not_found, parse_error or unsupported.
std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& path);

}  // namespace advisor
