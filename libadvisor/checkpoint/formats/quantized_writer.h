// What the writers of quantized safetensors folders share: parts are laid out before the first byte, rows of codes are
// packed as their WeightLayout says. A format adds its layouts and its config. Private to checkpoint/formats/.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/format.h"
#include "checkpoint/side_files.h"
#include "checkpoint/weight_layout.h"

namespace advisor {

/// The layout of a planned tensor that has a scheme.
using LayoutOf = std::function<WeightLayout(const PlannedTensor&)>;

/// `kv`: where scales of the cache go, in formats that hold them.
std::int64_t quantized_folder_bytes(const OutputPlan& plan, const LayoutOf& layout_of,
                                    const std::vector<SideFile>& side, const KvScaleNames* kv = nullptr);
std::unique_ptr<FormatWriter> make_quantized_writer(const OutputPlan& plan, const LayoutOf& layout_of,
                                                    const std::vector<SideFile>& side,
                                                    const std::filesystem::path& folder,
                                                    const KvScaleNames* kv = nullptr);
/// Data of one tensor, all its parts together.
std::int64_t quantized_tensor_bytes(const OutputPlan& plan, const LayoutOf& layout_of, std::size_t tensor);

/// The checks all these formats make: a known dtype for dense tensors, something to quantize, weights of linear
/// modules only, groups that divide their inputs; then `own` for each quantized tensor.
std::optional<std::string> refuses_quantized(
    const OutputPlan& plan, const std::function<std::optional<std::string>(const PlannedTensor&)>& own);

/// Distinct schemes of a plan, by first use.
std::vector<QuantScheme> schemes_of(const OutputPlan& plan);
/// Why a format of one scheme cannot hold several, or nullopt.
std::optional<std::string> refuses_mixture(const OutputPlan& plan);
/// Linear modules that stay dense: "lm_head" even when it has no tensor of its own (tied to the embedding).
std::set<std::string> dense_modules(const OutputPlan& plan);

}  // namespace advisor
