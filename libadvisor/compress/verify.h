// The check after the job: each output is opened again by the same reader that evaluates models, every tensor is
// decoded and compared with the source. Two tests: it decodes to exactly what was meant to be stored, and its distance
// from the source stays within the error budget of its scheme.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "compress/job.h"
#include "compress/plan.h"
#include "compress/tiles.h"

namespace advisor {

/// 64-bit fingerprint of the bits of a tile.
std::uint64_t fingerprint(std::span<const float> values);

/// Per output and tensor: what its codes decode to, folded over its tiles in order; unused where no technique ran.
using Fingerprints = std::vector<std::vector<std::uint64_t>>;
inline std::uint64_t fold(std::uint64_t sum, std::uint64_t tile) { return (sum ^ tile) * 0x9e3779b97f4a7c15u + 1; }

/// Opens `folder` and compares it with the source; one report per tensor. `advance` is called after each tile, from any
/// thread. Throws internal naming output, tensor and figures when a test fails.
std::vector<TensorReport> verify_output(const PreparedJob& job, std::size_t output, const std::filesystem::path& folder,
                                        std::span<const std::uint64_t> fingerprints,
                                        const std::function<void(const Tile&)>& advance);

}  // namespace advisor
