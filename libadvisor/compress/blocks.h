// The way of a model through techniques that see whole matrices: one decoder block in memory at a time, with what
// calibration sequences show of its inputs.
#pragma once

#include <string>
#include <vector>

#include "compress/calibration.h"
#include "compress/meter.h"
#include "compress/outputs.h"
#include "compress/plan.h"

namespace advisor {

/// Compresses every decoder block of the source and writes all its tensors. Returns one flag per tensor of the source:
/// written here (the others, outside the blocks, are left to the caller). Appends what had to be done beyond the recipe
/// to `notes`.
std::vector<bool> compress_blocks(const PreparedJob& job, const std::filesystem::path& folder, Outputs& outputs,
                                  Meter& meter, std::vector<std::string>& notes);

}  // namespace advisor
