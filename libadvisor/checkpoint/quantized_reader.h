// A folder of safetensors in which some weights are quantized: what all readers of such formats share. A reader finds
// out from config.json and the tensors' names how each weight is laid out; everything else happens here. Private to
// checkpoint/.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/folder.h"
#include "checkpoint/weight_layout.h"

namespace advisor {

/// The tensors of a folder and the weights made of them.
struct QuantizedFolder {
  std::string_view format;
  std::filesystem::path folder;
  ModelConfig config;
  ShardSet shards;
  std::vector<WeightLayout> weights{};  ///< in the order in which they are to be listed, after their first part
};

/// Checks that every part is there with its type and shape (scales may have another float type than the layout says,
/// and leave out or add dimensions of 1), and reads the groups of columns. Tensors that are no part stay what they are.
std::unique_ptr<Checkpoint> make_quantized_checkpoint(QuantizedFolder folder);

/// parse_error and unsupported, in the words of these readers.
[[noreturn]] void bad_file(const std::string& where, const std::string& why);
[[noreturn]] void cannot_read(const std::string& where, const std::string& why);

/// Each opens what its quant_method names; `quantization` is the JSON text of quantization_config.
std::unique_ptr<Checkpoint> open_compressed_tensors(const std::filesystem::path& folder, ModelConfig config,
                                                    const std::string& quantization);
std::unique_ptr<Checkpoint> open_gptq(const std::filesystem::path& folder, ModelConfig config,
                                      const std::string& quantization);
std::unique_ptr<Checkpoint> open_autoawq(const std::filesystem::path& folder, ModelConfig config,
                                         const std::string& quantization);
std::unique_ptr<Checkpoint> open_modelopt(const std::filesystem::path& folder, ModelConfig config,
                                          const std::string& quantization);

}  // namespace advisor
