// Everything of a Hugging Face folder that is not weights: config.json, tokenizer, licence. Private to checkpoint/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/format.h"

namespace advisor {

struct SideFile {
  std::string name;
  std::filesystem::path from;  ///< copied when not empty
  std::string content;         ///< otherwise
  std::int64_t bytes() const;
};

/// config.json of the output (`quantization_config`: JSON text, or empty for a dense model) and, from the source
/// folder, tokenizer and licence files. A source without them (GGUF) gets them from plan.config and plan.tokenizer.
std::vector<SideFile> side_files(const OutputPlan& plan, const std::string& quantization_config);

/// `resume`: over those that an interrupted run left.
void write_side_files(const std::vector<SideFile>& side, const std::filesystem::path& folder, bool resume = false);

/// "bf16" -> DType; throws invalid_argument for anything but bf16, f16 and f32.
DType dense_type(const OutputPlan& plan);
/// FormatImpl::stored_type of formats that store all their dense tensors in that.
kernels::BlockType dense_stored_type(const OutputPlan& plan, const PlannedTensor& tensor);

}  // namespace advisor
