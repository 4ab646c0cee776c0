// Conversion between quantized formats: codes, scales and zero points are taken over as they are, nothing is solved or
// rounded again. What a format cannot hold exactly is refused before anything is written.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "compress/outputs.h"
#include "compress/plan.h"
#include "compress/tiles.h"

namespace advisor {

/// The schemes of the tensors of a source; nullopt where one is dense, empty for a dense model. Throws unsupported when
/// the codes of a tensor cannot be taken over, or the recipe asks for more than that.
std::vector<std::optional<QuantScheme>> stored_schemes(const Checkpoint& source, const Recipe& recipe);

/// "W4A16-g128": distinct schemes of a source, in order of name.
std::string schemes_text(const std::vector<std::optional<QuantScheme>>& schemes);

/// What the scales of a source need of the file that they go to.
struct ScaleNeeds {
  // The first tensor, if any, with
  std::string beyond_f16, beyond_bf16;  ///< a scale that the type does not hold exactly
  std::string beyond_reciprocal;        ///< a scale of the whole tensor that does not come back from its reciprocal
};
/// Reads all scales.
ScaleNeeds scale_needs(const PreparedJob& job);

/// Sets the schemes of a plan and, when no type was asked for, the first of `main_type`, f16, bf16 and f32 with which
/// scales are exact. Throws unsupported when the format cannot hold the source exactly: which tensor, what to do.
/// Returns what is worth a note.
std::vector<std::string> plan_conversion(const PreparedJob& job, const FormatImpl& format, const ScaleNeeds& needs,
                                         const std::string& main_type, OutputPlan& plan);

/// Writes the codes of one tile to all outputs; of tensors whose rows share scales, with the first tile all of them.
void copy_codes(const PreparedJob& job, std::size_t tensor, const Tile& tile, Outputs& outputs);

}  // namespace advisor
