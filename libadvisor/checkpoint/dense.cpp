// Reader of a folder of dense safetensors.
#include <utility>

#include "checkpoint/folder.h"
#include "core/error.h"
#include "tensor/kernels/kernels.h"

namespace advisor {
namespace {

/// That has the rows [begin, end), `size` elements.
const ShardSet::Tensor& tensor_with(const ShardSet& shards, const TensorInfo& info, std::int64_t begin,
                                    std::int64_t end, std::size_t size) {
  const ShardSet::Tensor* tensor = shards.find(info.name);
  if (tensor == nullptr) throw Error(ErrorCode::not_found, "no tensor \"" + info.name + "\" in this checkpoint");
  check_rows({info.name, tensor->entry.shape, {}, 0}, begin, end, size);
  return *tensor;
}

class DenseCheckpoint final : public Checkpoint {
 public:
  DenseCheckpoint(const std::filesystem::path& folder, ModelConfig config)
      : folder_(folder), config_(std::move(config)), shards_(folder) {
    for (const ShardSet::Tensor& tensor : shards_.tensors()) {
      const SafetensorsEntry& entry = tensor.entry;
      infos_.push_back({entry.name, entry.shape, std::string(name(entry.dtype)), entry.end - entry.begin});
    }
  }

  std::string_view format() const override { return "safetensors"; }
  const ModelConfig& config() const override { return config_; }
  const std::vector<TensorInfo>& tensors() const override { return infos_; }
  TokenizerData tokenizer() const override { return read_tokenizer(folder_, config_); }

  void read_rows(const TensorInfo& info, std::int64_t begin, std::int64_t end, std::span<float> out) const override {
    read_dense_rows(shards_, info, begin, end, out);
  }

  std::vector<std::byte> read_stored(const TensorInfo& info, std::int64_t begin, std::int64_t end) const override {
    const std::int64_t columns = row_shape(info.shape).columns;
    const auto& tensor = tensor_with(shards_, info, begin, end, static_cast<std::size_t>((end - begin) * columns));
    const std::int64_t row = columns * size_of(tensor.entry.dtype);
    std::vector<std::byte> all;
    all.reserve(static_cast<std::size_t>((end - begin) * row));
    stream(shards_, tensor, begin * row, (end - begin) * row, 1,
           [&](std::span<const std::byte> bytes) { all.insert(all.end(), bytes.begin(), bytes.end()); });
    return all;
  }

 private:
  std::filesystem::path folder_;
  ModelConfig config_;
  ShardSet shards_;
  std::vector<TensorInfo> infos_;
};

}  // namespace

void read_dense_rows(const ShardSet& shards, const TensorInfo& info, std::int64_t begin, std::int64_t end,
                     std::span<float> out) {
  const ShardSet::Tensor& tensor = tensor_with(shards, info, begin, end, out.size());
  const DType dtype = tensor.entry.dtype;
  if (dtype != DType::bf16 && dtype != DType::f16 && dtype != DType::f32 && dtype != DType::f64) {
    throw Error(ErrorCode::unsupported, shards.path_of(tensor) + ": tensor \"" + info.name + "\" has dtype " +
                                            std::string(name(dtype)) +
                                            "; only bf16, f16, f32 and f64 weights can be read");
  }
  const std::int64_t element = size_of(dtype), row = row_shape(tensor.entry.shape).columns * element;
  stream(shards, tensor, begin * row, (end - begin) * row, element, [&](std::span<const std::byte> bytes) {
    const std::size_t count = bytes.size() / static_cast<std::size_t>(element);
    kernels::to_f32(dtype, bytes, out.first(count));
    out = out.subspan(count);
  });
}

std::unique_ptr<Checkpoint> open_dense(const std::filesystem::path& folder, ModelConfig config) {
  return std::make_unique<DenseCheckpoint>(folder, std::move(config));
}

}  // namespace advisor
