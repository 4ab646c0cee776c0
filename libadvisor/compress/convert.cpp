#include "compress/convert.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "tensor/kernels/kernels.h"
#include "tensor/parallel.h"

namespace advisor {
namespace {

[[noreturn]] void refuse(const std::string& why) { throw Error(ErrorCode::unsupported, why); }

bool holds(DType type, const std::vector<float>& values) {
  std::vector<float> rounded = values;
  kernels::round_to(type, rounded);
  return rounded == values;
}

/// A format that stores the reciprocal gives the scale back.
bool survives_reciprocal(float scale) { return scale == 0 || 1 / (1 / scale) == scale; }

struct TensorNeeds {
  bool f16 = true, bf16 = true, reciprocal = true;
};

TensorNeeds needs_of(const Checkpoint& source, const TensorInfo& tensor, const QuantScheme& scheme) {
  TensorNeeds needs;
  const std::int64_t rows = tensor.shape[0];
  const std::int64_t step = scheme.block_rows == 1 ? tile_rows(as_matrix(tensor)) : rows;
  for (std::int64_t begin = 0; begin < rows; begin += step) {
    const QuantizedTensor q = *source.read_codes(tensor, begin, std::min(begin + step, rows));
    if (scheme.scale == ScaleType::dense) {
      needs.f16 = needs.f16 && holds(DType::f16, q.scales);
      needs.bf16 = needs.bf16 && holds(DType::bf16, q.scales);
    }
    needs.reciprocal = needs.reciprocal && survives_reciprocal(q.tensor_scale) && survives_reciprocal(q.input_scale);
  }
  return needs;
}

/// The tensor whose scales would be rounded; empty when all are exact.
std::string rounded(const FormatImpl& format, const OutputPlan& plan, const ScaleNeeds& needs) {
  const DType type = format.scale_dtype(plan);
  return type == DType::f16 ? needs.beyond_f16 : type == DType::bf16 ? needs.beyond_bf16 : "";
}

/// What is stored dense has the name of a dtype, what is quantized that of a scheme.
bool is_quantized(const TensorInfo& tensor) { return tensor.stored_as.starts_with('W'); }

}  // namespace

std::vector<std::optional<QuantScheme>> stored_schemes(const Checkpoint& source, const Recipe& recipe) {
  std::vector<std::optional<QuantScheme>> schemes;
  const std::string format(source.format());
  if (format == "safetensors") return schemes;
  if (format == "gguf")
    refuse("the blocks of a GGUF file have no exact place in another format; start from the dense safetensors");
  const bool only_converts =
      recipe.kv_cache.empty() && !recipe.budget &&
      std::ranges::all_of(recipe.steps, [](const RecipeStep& step) { return step.technique == "none"; });
  if (!only_converts)
    refuse("the model is quantized already (" + format +
           "), and quantizing it once more would lose twice: start from the dense safetensors it was made from, or use "
           "technique none to write the same codes in another format");
  for (const TensorInfo& tensor : source.tensors()) {
    schemes.emplace_back();
    if (!is_quantized(tensor)) continue;
    const auto codes = source.read_codes(tensor, 0, 0);
    if (!codes)
      refuse(tensor.name + " (" + tensor.stored_as + " in " + format +
             ") has its columns in another order (desc_act), which other formats do not hold; quantize the dense model "
             "again");
    schemes.back() = codes->scheme;
  }
  return schemes;
}

std::string schemes_text(const std::vector<std::optional<QuantScheme>>& schemes) {
  std::set<std::string> distinct;
  for (const auto& scheme : schemes)
    if (scheme) distinct.insert(scheme->id());
  std::string text;
  for (const std::string& scheme : distinct) text += (text.empty() ? "" : ", ") + scheme;
  return text;
}

ScaleNeeds scale_needs(const PreparedJob& job) {
  const auto& tensors = job.source->tensors();
  std::vector<TensorNeeds> each(tensors.size());
  parallel_for(static_cast<std::int64_t>(tensors.size()), job.threads, [&](std::int64_t i) {
    const auto n = static_cast<std::size_t>(i);
    if (job.stored[n]) each[n] = needs_of(*job.source, tensors[n], *job.stored[n]);
  });
  ScaleNeeds needs;
  const auto note = [](bool fits, const std::string& tensor, std::string& first) {
    if (!fits && first.empty()) first = tensor;
  };
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    note(each[i].f16, tensors[i].name, needs.beyond_f16);
    note(each[i].bf16, tensors[i].name, needs.beyond_bf16);
    note(each[i].reciprocal, tensors[i].name, needs.beyond_reciprocal);
  }
  return needs;
}

std::vector<std::string> plan_conversion(const PreparedJob& job, const FormatImpl& format, const ScaleNeeds& needs,
                                         const std::string& main_type, OutputPlan& plan) {
  const std::string id(format.id);
  if (!format.takes_codes)
    refuse("the model is quantized (" + std::string(job.source->format()) + "), and " + id +
           " would store other values; convert to compressed-tensors, gptq, autoawq or modelopt, or start from the "
           "dense safetensors");
  const auto& tensors = job.source->tensors();
  for (std::size_t i = 0; i < tensors.size(); ++i) plan.tensors.push_back({tensors[i], job.stored[i]});
  const bool chosen = !plan.type.empty();
  for (const std::string& type : {main_type, std::string("f16"), std::string("bf16"), std::string("f32")}) {
    if (chosen) break;
    plan.type = type;
    if (rounded(format, plan, needs).empty()) break;
  }
  if (const auto reason = format.refuses(plan)) refuse("format " + id + " cannot hold this: " + *reason);
  if (const std::string tensor = rounded(format, plan, needs); !tensor.empty())
    refuse("format " + id + " stores scales as " + std::string(name(format.scale_dtype(plan))) +
           ", which does not hold those of " + tensor + " exactly; " + (chosen ? "leave out the type, or " : "") +
           "quantize the dense model in this format");
  if (id == "compressed-tensors" && !needs.beyond_reciprocal.empty())
    refuse("compressed-tensors stores the reciprocals of tensor scales, and that of " + needs.beyond_reciprocal +
           " does not give back the scale; quantize the dense model in this format");
  std::vector<std::string> notes;
  if (plan.type != main_type)
    notes.push_back(id + ": tensors that are not quantized go from " + main_type + " to " + plan.type +
                    (chosen ? "" : ", the type that holds all scales exactly"));
  plan.kv_scales = !job.source->kv_scales().empty() && format.holds_kv_scales;
  if (!job.source->kv_scales().empty() && !format.holds_kv_scales)
    notes.push_back(id + " has no place for the scales of the KV cache; they are left out");
  return notes;
}

void copy_codes(const PreparedJob& job, std::size_t tensor, const Tile& tile, Outputs& outputs) {
  const TensorInfo& info = job.source->tensors()[tensor];
  const bool whole = job.stored[tensor]->block_rows != 1;
  if (whole && tile.begin != 0) return;
  const std::int64_t end = whole ? info.shape[0] : tile.end;
  const QuantizedTensor codes = *job.source->read_codes(info, tile.begin, end);
  // What a reader makes of the source, to be compared with what it makes of the output.
  const TileBuffer rows(codes.codes.size());
  job.source->read_rows(info, tile.begin, end, rows.span());
  for (std::size_t i = 0; i < job.outputs.size(); ++i) outputs.write_codes(i, tensor, tile.begin, codes, rows.span());
}

}  // namespace advisor
