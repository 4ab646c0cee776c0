// Safetensors shards with every byte's place known before the first one is written, so that rows may arrive from any
// thread in any order and the files do not depend on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/files.h"
#include "tensor/tensor.h"

namespace advisor {

/// A tensor as it will be stored.
struct StoredTensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::int64_t bytes() const { return element_count(shape) * size_of(dtype); }
};

/// Where everything goes. Shards are filled in the given order; inside a shard wider elements come first, which
/// aligns all of them.
struct SafetensorsLayout {
  struct Shard {
    std::string file;        ///< "model.safetensors" or "model-00001-of-00003.safetensors"
    std::string head;        ///< length and header
    std::int64_t bytes = 0;  ///< whole file
  };
  struct Place {
    std::size_t shard = 0;
    std::int64_t offset = 0;  ///< from the start of the file
  };
  std::vector<Shard> shards;
  std::vector<Place> places;  ///< parallel to the tensors
  std::string index;          ///< model.safetensors.index.json; empty with one shard
  std::int64_t bytes = 0;     ///< shards and index
};

/// Bytes of data after which a new shard begins, as Hugging Face writes them.
inline constexpr std::int64_t shard_limit = 5'000'000'000;

SafetensorsLayout lay_out_safetensors(const std::vector<StoredTensor>& tensors, std::int64_t limit = shard_limit);

class SafetensorsWriter {
 public:
  /// Creates the files, takes their space and writes headers and index. `resume`: goes on with those that an
  /// interrupted run of the same layout left.
  SafetensorsWriter(std::vector<StoredTensor> tensors, const std::filesystem::path& folder,
                    std::int64_t limit = shard_limit, bool resume = false);
  /// Bytes [offset, offset + bytes.size()) of a tensor's data. Thread-safe.
  void write(std::size_t tensor, std::int64_t offset, std::span<const std::byte> bytes) const;
  void flush() const;  ///< waits until what was written is on the device
  void finish();

 private:
  std::vector<StoredTensor> tensors_;
  SafetensorsLayout layout_;
  std::vector<files::OutputFile> files_;
};

}  // namespace advisor
