// Output formats: each is one file in formats/ and one line in registry.cpp.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "tensor/kernels/blocks.h"
#include "tensor/quantized.h"

namespace advisor {

/// One logical tensor of the output, known before any data: all offsets can be laid out first.
struct PlannedTensor {
  TensorInfo source;                  ///< name and shape
  std::optional<QuantScheme> scheme;  ///< quantized by a technique; nullopt = stored dense or in the format's own type
  std::string type{};                 ///< GGUF: "Q6_K" = not the type that the mix gives this tensor
};

struct OutputPlan {
  std::filesystem::path source;  ///< folder the model comes from: tokenizer and other small files are taken from it
  ModelConfig config;
  TokenizerData tokenizer;
  std::vector<PlannedTensor> tensors;
  std::string type;       ///< GGUF: F16, Q8_0, Q4_K_M ...; compressed-tensors / safetensors: dtype of dense tensors and
                          ///< scales, "bf16"
  std::string scheme_id;  ///< "W4A16-g128"; for names and metadata
  bool kv_scales = false;   ///< write_kv_scales() will be called for every layer
  bool importance = false;  ///< GGUF: matrices come with the importance of their columns; a few mixes depend on it
  std::int64_t split_max_size = 0;  ///< GGUF: bytes of tensors in one file, unless a single one is larger; 0: one file
  bool resume = false;  ///< the folder holds what an interrupted run of this plan wrote: the writer goes on with it
};

/// Writes one model into a folder that the job created and will rename. Calls for distinct row ranges may come from
/// several threads and in any order: every byte has its place from the start, so the file does not depend on it.
class FormatWriter {
 public:
  virtual ~FormatWriter() = default;
  /// Rows [begin, ...) of a tensor without a scheme. The format encodes them (bf16, f16, Q4_0 ...). `importance`: what
  /// an error in each input column counts (mean square of the activation, finite and not negative), or empty when all
  /// count alike; only block types make use of it. `stored`, unless empty, has the size of `rows` and becomes what a
  /// reader will decode from the blocks, so that this can be verified without encoding again. Returns what
  /// Checkpoint::read_stored() of these rows will; nothing of a tensor that is left out, whose `stored` stays as it is.
  virtual std::vector<std::byte> write_rows(std::size_t tensor, std::int64_t begin, std::span<const float> rows,
                                            std::span<const float> importance = {}, std::span<float> stored = {}) = 0;
  /// Rows [begin, begin + q.rows) of a tensor with a scheme; begin is a multiple of 32.
  virtual void write_quantized(std::size_t tensor, std::int64_t begin, const QuantizedTensor& q) = 0;
  /// The file holds all rows of a tensor already: an interrupted run wrote them.
  virtual void skip(std::size_t /*tensor*/) {}
  /// Waits until what was written so far is on the device.
  virtual void flush() = 0;
  /// Scales of the layer's keys and values in an FP8 (E4M3) cache: x is about code * scale. Where the plan has them.
  virtual void write_kv_scales(std::int64_t layer, KvScales scales);
  /// Writes index, config.json with quantization_config, tokenizer. What was written is on its way to the device, not
  /// yet there: whoever renames the folder flushes it first.
  virtual void finish() = 0;
};

struct FormatImpl {
  std::string_view id;  ///< "compressed-tensors", "gguf", "gptq" ...: see registry.cpp
  /// Why this format cannot hold the plan, or nullopt. Called before anything is written.
  std::optional<std::string> (*refuses)(const OutputPlan& plan);
  /// True when weights reach the format as QuantizedTensor, false when it encodes float rows itself (gguf).
  bool takes_codes;
  /// The dense or block type in which a tensor without a scheme is stored. Only for plans that are not refused.
  kernels::BlockType (*stored_type)(const OutputPlan& plan, const PlannedTensor& tensor);
  /// Exact size in bytes of everything create() will write.
  std::int64_t (*bytes)(const OutputPlan& plan);
  std::unique_ptr<FormatWriter> (*create)(const OutputPlan& plan, const std::filesystem::path& folder);
  /// Dtype to which scales are rounded before they are used ("bf16"), so that what is verified is what is stored.
  DType (*scale_dtype)(const OutputPlan& plan);
  /// Bytes of data of one tensor of the plan. nullptr where one file holds one scheme.
  std::int64_t (*tensor_bytes)(const OutputPlan& plan, std::size_t tensor) = nullptr;
  bool holds_kv_scales = false;
  /// Whether the file has no place for a tensor, because its readers compute it. nullptr: everything is written.
  bool (*leaves_out)(const TensorInfo& tensor) = nullptr;
};

std::span<const FormatImpl* const> formats();        ///< the explicit list, in registry.cpp
const FormatImpl& find_format(std::string_view id);  ///< throws not_found with the list

}  // namespace advisor
