// The way of a model through techniques that see whole matrices: one decoder block in memory at a time, with what
// calibration sequences show of its inputs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "compress/journal.h"
#include "compress/meter.h"
#include "compress/outputs.h"
#include "compress/plan.h"

namespace advisor {

/// Compresses every decoder block of the source that `done` does not count as finished and writes all its tensors;
/// those outside the blocks are left to the caller. What comes out is saved after each block. Appends what had to be
/// done beyond the recipe to `notes`, for finished blocks too.
void compress_blocks(const PreparedJob& job, const std::filesystem::path& folder, const Finished& done,
                     Outputs& outputs, Meter& meter, std::vector<std::string>& notes);

}  // namespace advisor
