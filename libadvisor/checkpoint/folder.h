// A Hugging Face folder taken apart: config.json, tokenizer files and the set of safetensors shards. Private to
// checkpoint/*.cpp and formats/*.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/config.h"
#include "checkpoint/safetensors.h"

namespace advisor {

/// config.json, in the spelling of transformers 4 or 5. Throws parse_error naming file and field, unsupported for a
/// type of layer that is not known.
ModelConfig parse_model_config(std::string_view text, const std::string& where);
/// config.json for a model that came without one: parse_model_config gives the same configuration again (but the name,
/// and the dtype, which is that of the written weights).
std::string write_model_config(const ModelConfig& config);

/// tokenizer.json and, when not empty, tokenizer_config.json; `config` supplies ids that neither names.
TokenizerData parse_tokenizer(std::string_view tokenizer_json, std::string_view tokenizer_config_json,
                              const ModelConfig& config, const std::string& where);
/// The same from a folder; throws not_found when it has no tokenizer.json.
TokenizerData read_tokenizer(const std::filesystem::path& folder, const ModelConfig& config);

/// All tensors of model.safetensors, or of the shards that model.safetensors.index.json names.
class ShardSet {
 public:
  struct Tensor {
    std::size_t shard = 0;
    SafetensorsEntry entry;
  };
  explicit ShardSet(const std::filesystem::path& folder);
  const std::vector<Tensor>& tensors() const { return tensors_; }  ///< by shard name, then offset
  const Tensor* find(std::string_view name) const;
  /// Reads bytes [offset, offset + out.size()) of a tensor's data.
  void read(const Tensor& tensor, std::int64_t offset, std::span<std::byte> out) const;
  std::string path_of(const Tensor& tensor) const { return shards_[tensor.shard].file().path().string(); }

 private:
  void add(const std::filesystem::path& path);
  std::vector<SafetensorsFile> shards_;
  std::vector<Tensor> tensors_;
  std::unordered_map<std::string, std::size_t> by_name_;
};

/// Rows of dimension 0 (a scalar counts as one row) and elements per row.
struct RowShape {
  std::int64_t rows = 1, columns = 1;
};
RowShape row_shape(std::span<const std::int64_t> shape);
/// Throws invalid_argument unless 0 <= begin <= end <= rows and out has exactly their elements.
void check_rows(const TensorInfo& tensor, std::int64_t begin, std::int64_t end, std::size_t out);

/// Streams bytes [offset, offset + size) of a tensor through a small buffer in pieces of a multiple of `unit` bytes.
void stream(const ShardSet& shards, const ShardSet::Tensor& tensor, std::int64_t offset, std::int64_t size,
            std::int64_t unit, const std::function<void(std::span<const std::byte>)>& piece);

/// Rows of a tensor that is stored as floats, for Checkpoint::read_rows.
void read_dense_rows(const ShardSet& shards, const TensorInfo& info, std::int64_t begin, std::int64_t end,
                     std::span<float> out);

std::unique_ptr<Checkpoint> open_dense(const std::filesystem::path& folder, ModelConfig config);

}  // namespace advisor
