// The check after the job: each output is opened again by the same reader that evaluates models, every tensor is
// found by that reader and compared. Two tests: it holds exactly what was meant to be stored, and its distance from the
// source stays within the error budget of its scheme. Where the distance was taken when the tensor was written, the
// first test says that the file holds what was measured: rows that lie in the file as one run of bytes are compared as
// bytes of the expected type, which decode to equal values, others decoded; and the source is not read again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "compress/job.h"
#include "compress/outputs.h"
#include "compress/plan.h"
#include "compress/tiles.h"

namespace advisor {

/// Opens `folder` and compares it with the source; one report per tensor. `advance` is called after each tile, from any
/// thread. Throws internal naming output, tensor and figures when a test fails.
std::vector<TensorReport> verify_output(const PreparedJob& job, std::size_t output, const std::filesystem::path& folder,
                                        std::span<const Expected> expected,
                                        const std::function<void(const Tile&)>& advance);

}  // namespace advisor
