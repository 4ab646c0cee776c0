// What matrices lose in each of the types in which they could be stored, and what that does to the model: one pass of
// the calibration text through the unquantized blocks.
//
// The loss of a matrix W in type c is the output error of rounding to nearest, sum_j m_j |W_j - W'_j|^2 with m_j the
// mean square of input j: the trace of E G E^T without the terms off the diagonal of G, which cancel for errors that
// are as good as independent. Losses of different matrices cannot be compared by themselves: the same error in a value
// projection and in a query projection does not do the same harm. So each group of matrices is rounded once to one
// type, alone, and some sequences go on through the rest of the model: the Kullback-Leibler divergence of what it then
// predicts, divided by the loss, converts losses of this group into divergence. Divergence is of second order in small
// errors, and contributions of groups add up when their errors are independent.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "compress/meter.h"
#include "compress/plan.h"
#include "tensor/kernels/blocks.h"

namespace advisor {

/// A way to store matrices: a scheme, or a block type of GGUF.
struct Candidate {
  std::string id;
  std::optional<QuantScheme> scheme;
  kernels::BlockType type = kernels::BlockType::f32;  ///< where there is no scheme
};

/// Matrices that get the same candidate, by their index in the source, and those that they can have.
struct PrecisionGroup {
  std::vector<std::size_t> tensors, candidates;
};

struct Sensitivity {
  std::vector<double> error;       ///< per candidate of the group: lost part of the output, squared
  std::vector<double> divergence;  ///< per candidate of the group: predicted mean KL divergence in nats
};

/// One per group. `job` has read its calibration text. Activations beyond the job's budget go to unnamed files in
/// `folder`. The same result for any number of threads.
std::vector<Sensitivity> measure_sensitivity(const PreparedJob& job, const std::vector<Candidate>& candidates,
                                             const std::vector<PrecisionGroup>& groups,
                                             const std::filesystem::path& folder, Meter& meter);

}  // namespace advisor
