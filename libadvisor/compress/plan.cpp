#include "compress/plan.h"

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "compress/convert.h"
#include "compress/journal.h"
#include "compress/output.h"
#include "compress/targets.h"
#include "compress/tiles.h"
#include "core/document.h"
#include "core/error.h"
#include "core/suggest.h"
#include "core/units.h"
#include "lm/architecture.h"
#include "tensor/kernels/blocks.h"

namespace advisor {
namespace {

std::string bytes_text(std::int64_t bytes) { return format_quantity(static_cast<double>(bytes), Dimension::bytes); }

/// "bf16", "f16" or "f32": what most of the dense part of the source is stored in.
std::string main_dtype(const Checkpoint& source) {
  std::map<std::string, std::int64_t> bytes;
  for (const TensorInfo& tensor : source.tensors())
    if (!tensor.stored_as.starts_with('W')) bytes[tensor.stored_as] += tensor.bytes;
  const auto most = std::ranges::max_element(bytes, {}, [](const auto& entry) { return entry.second; });
  return most != bytes.end() && (most->first == "f16" || most->first == "f32") ? most->first
         : most != bytes.end() && most->first == "f64"                         ? "f32"
                                                                               : "bf16";
}

bool any_takes_codes(const Recipe& recipe) {
  return std::ranges::any_of(recipe.formats, [](const RecipeFormat& f) { return find_format(f.id).takes_codes; });
}

/// Distinct texts of the steps, in their order.
template <typename F>
std::string distinct(const std::vector<PreparedStep>& steps, const char* separator, const F& text_of) {
  std::vector<std::string> texts;
  for (const PreparedStep& step : steps)
    if (std::ranges::find(texts, text_of(step)) == texts.end()) texts.push_back(text_of(step));
  return join(texts, separator);
}

/// Everything that was asked for is checked, also where no output makes use of it.
void prepare_recipe(const Recipe& recipe, PreparedJob& job) {
  job.steps = prepare_steps(*job.source, recipe, any_takes_codes(recipe));
  const std::vector<PreparedStep>& steps = job.steps.steps;
  job.plan.technique =
      steps.empty() ? "none" : distinct(steps, "+", [](const auto& s) { return std::string(s.technique->id); });
  job.plan.scheme = distinct(steps, ", ", [](const auto& s) { return s.scheme.id(); });
  if (steps.size() == 1) job.plan.params = steps.front().params;
  for (const PreparedStep& step : steps)
    job.plan.steps.push_back(
        {std::string(step.technique->id), step.scheme.id(), step.params, step.targets, step.tensors});
  job.plan.notes.insert(job.plan.notes.end(), job.steps.notes.begin(), job.steps.notes.end());
  for (const auto& step : job.steps.of) job.plan.quantized_tensors += step ? 1 : 0;
}

void check_dense_type(const RecipeFormat& format) {
  if (format.type != "bf16" && format.type != "f16" && format.type != "f32")
    throw Error(ErrorCode::invalid_argument, "format " + format.id + " has no type '" + format.type +
                                                 "'; it stores dense tensors and scales as bf16, f16 or f32");
}

/// What a reader has to know of the file: schemes of codes, or the type of blocks.
std::vector<std::string> stored_schemes(const OutputJob& output) {
  std::vector<std::string> schemes;
  const auto add = [&](const std::string& scheme) {
    if (std::ranges::find(schemes, scheme) == schemes.end()) schemes.push_back(scheme);
  };
  if (!output.format->takes_codes && output.format->id == "gguf") add(output.plan.type);
  for (const PlannedTensor& tensor : output.plan.tensors) {
    if (tensor.scheme) add(tensor.scheme->id());
    if (!tensor.type.empty()) add(tensor.type);
  }
  return schemes;
}

/// The codes of the source in another format.
void prepare_conversion(const RecipeFormat& format, PreparedJob& job, OutputJob& output) {
  if (!format.type.empty() && output.format->takes_codes) check_dense_type(format);
  output.plan.type = format.type;
  output.plan.scheme_id = job.plan.scheme;
  const std::vector<std::string> notes =
      plan_conversion(job, *output.format, scale_needs(job), main_dtype(*job.source), output.plan);
  job.plan.notes.insert(job.plan.notes.end(), notes.begin(), notes.end());
  output.scale_dtype = output.format->scale_dtype(output.plan);
}

OutputJob prepare_output(RecipeFormat format, const CompressRequest& request, PreparedJob& job) {
  OutputJob output;
  output.format = &find_format(format.id);
  const bool own_blocks = format.id == "gguf";
  output.plan.source = request.model;
  output.plan.config = job.source->config();
  if (!own_blocks && format.split_max_size != 0)
    throw Error(ErrorCode::invalid_argument,
                "format " + format.id + " is not split by request: safetensors come in files of 5 GB by themselves");
  if (!job.stored.empty()) {
    prepare_conversion(format, job, output);
    return output;
  }
  if (!own_blocks && format.type.empty()) format.type = main_dtype(*job.source);
  if (!own_blocks) check_dense_type(format);
  if (!own_blocks && !format.tensor_types.empty())
    throw Error(ErrorCode::invalid_argument, prefix(format.tensor_types.front().places.where) + "format " + format.id +
                                                 " has no tensor_types; give each scheme a step with its targets");
  output.plan.split_max_size = format.split_max_size;
  if (!output.format->takes_codes && !own_blocks &&
      std::ranges::any_of(request.recipe.steps, [](const RecipeStep& step) { return step.technique != "none"; }))
    throw Error(ErrorCode::invalid_argument, "format " + format.id +
                                                 " stores dense weights and would lose the scheme; "
                                                 "use compressed-tensors, or technique none to convert");
  if (!job.steps.steps.empty() && own_blocks)
    job.plan.notes.push_back("gguf " + format.type + " quantizes in its own blocks, as llama.cpp does: scheme " +
                             job.plan.scheme + ", targets and parameters do not apply to it");

  if (job.kv_cache && !output.format->holds_kv_scales)
    throw Error(ErrorCode::unsupported, "format " + format.id +
                                            " has no place for scales of the KV cache; compressed-tensors and modelopt "
                                            "have, and llama.cpp quantizes its cache without any (-ctk q8_0)");
  output.plan.kv_scales = job.kv_cache;
  output.plan.importance = own_blocks && (!job.calibration.sequences.empty() || !job.importance.empty());
  if (own_blocks) output.plan.tokenizer = job.source->tokenizer();  // the others copy tokenizer files as they are
  output.plan.type = format.type;
  output.plan.scheme_id = output.format->takes_codes ? job.plan.scheme : "";
  const auto& tensors = job.source->tensors();
  std::vector<std::string> types = assign_types(*job.source, format.tensor_types);
  for (std::string& name : types)
    if (const auto type = kernels::block_type_named(name)) name = kernels::layout_of(*type).name;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const PreparedStep* step = output.format->takes_codes ? job.steps.find(i) : nullptr;
    output.plan.tensors.push_back({tensors[i], step != nullptr ? std::optional(step->scheme) : std::nullopt, types[i]});
  }
  if (const auto reason = output.format->refuses(output.plan))
    throw Error(ErrorCode::unsupported, "format " + format.id + " cannot hold this: " + *reason);
  output.scale_dtype = output.format->scale_dtype(output.plan);
  return output;
}

void prepare_outputs(const CompressRequest& request, PreparedJob& job) {
  const auto& formats = request.recipe.formats;
  if (formats.empty()) throw Error(ErrorCode::invalid_argument, "the recipe names no output format");
  std::set<std::string> names;
  for (const RecipeFormat& format : formats) {
    OutputJob output = prepare_output(format, request, job);
    const std::string name = format.type.empty() ? format.id : format.id + "-" + format.type;
    if (!names.insert(name).second)
      throw Error(ErrorCode::invalid_argument, "the output format " + name + " is named twice");
    if (formats.size() > 1) output.subfolder = name;
    CompressPlan::Output row;
    row.format = format.id;
    row.type = output.plan.type;
    row.folder = output.subfolder.empty() ? job.out : job.out / output.subfolder;
    row.bytes = output.format->bytes(output.plan);
    row.schemes = stored_schemes(output);
    job.plan.output_bytes += row.bytes;
    job.plan.outputs.push_back(std::move(row));
    job.outputs.push_back(std::move(output));
  }
}

/// Buffers of one tile, generously: source, expected and decoded as float32, codes, encoded bytes, scales.
constexpr std::int64_t kBytesPerWeight = 20;
constexpr std::int64_t kFixedMemory = std::int64_t{48} << 20;  // stacks, file buffers, allocator slack

std::int64_t peak_memory_bound(const PreparedJob& job) {
  std::int64_t tile = 0;
  for (const TensorInfo& tensor : job.source->tensors()) {
    const Matrix matrix = as_matrix(tensor);
    const auto index = static_cast<std::size_t>(&tensor - job.source->tensors().data());
    const bool whole = !job.stored.empty() && job.stored[index] && job.stored[index]->block_rows != 1;
    tile = std::max(tile, (whole ? matrix.rows : std::min(matrix.rows, tile_rows(matrix))) * matrix.cols);
  }
  return resident_memory() + kFixedMemory + job.threads * (tile * kBytesPerWeight + (std::int64_t{1} << 20));
}

/// Whether the job needs whole matrices, and what it has to see of their inputs.
void prepare_blocks(const CompressRequest& request, PreparedJob& job) {
  const bool data = !request.calibration.texts.empty();
  bool whole = false;
  for (const PreparedStep& step : job.steps.steps) {
    whole = whole || step.whole();
    if (step.needs_data() && !data)
      throw Error(ErrorCode::invalid_argument,
                  std::string(step.technique->id) + " " + step.scheme.id() +
                      " has to see what the model works on: name a text with --calibration, a few hundred thousand "
                      "tokens of what it will be used for; examples/calibration/tiny.txt shows the form");
  }
  job.kv_cache = !request.recipe.kv_cache.empty();
  if (job.kv_cache && request.recipe.kv_cache != "fp8")
    throw Error(ErrorCode::invalid_argument,
                "kv_cache '" + request.recipe.kv_cache + "': only fp8 has scales that are calibrated");
  if (job.kv_cache && !data)
    throw Error(ErrorCode::invalid_argument, "scales of an fp8 cache are measured: name a text with --calibration");
  job.by_blocks = data || whole;
  if (!job.by_blocks) return;
  find_architecture(job.source->config().architecture);  // one that this build cannot run is refused here
  if (data) {
    job.needs = Needs::importance;
    for (const PreparedStep& step : job.steps.steps) job.needs = std::max(job.needs, step.technique->needs);
    job.calibration = read_calibration(*job.source, request.calibration);
    job.plan.calibration = job.calibration.summary;
  }
}

/// Importance of inputs from a file, and to one.
void prepare_imatrix(const CompressRequest& request, PreparedJob& job) {
  const bool data = !request.calibration.texts.empty();
  if (request.save_imatrix) {
    if (!data)
      throw Error(ErrorCode::invalid_argument, "the importance of inputs is measured: name a text with --calibration");
    if (imatrix_tensors(*job.source).empty())
      throw Error(ErrorCode::unsupported, "GGUF has no names for the matrices of " + job.plan.architecture);
    ImatrixWriter::Source source;
    for (const auto& text : request.calibration.texts) source.texts.push_back(text.filename().string());
    source.sequences = static_cast<std::int64_t>(job.calibration.sequences.size());
    for (const auto& sequence : job.calibration.sequences)
      source.sequence_length = std::max(source.sequence_length, static_cast<std::int64_t>(sequence.size()));
    job.imatrix = std::move(source);
    job.plan.output_bytes += ImatrixWriter::bytes(*job.source, *job.imatrix);
  }
  if (request.imatrix.empty()) return;
  if (data)
    throw Error(ErrorCode::invalid_argument,
                "the importance of inputs comes from a text or from an imatrix; leave out one of them");
  job.importance = read_imatrix(request.imatrix, *job.source);
  const std::size_t all = imatrix_tensors(*job.source).size();
  job.plan.calibration = "importance of the inputs of " + std::to_string(job.importance.size()) + " of " +
                         std::to_string(all) + " matrices from " + request.imatrix.filename().string();
  for (const PreparedStep& step : job.steps.steps)
    if (const auto clip = step.params.find("clip"); clip != step.params.end() && clip->second == "none")
      job.plan.notes.push_back(std::string(step.technique->id) +
                               " with clip=none chooses by the range alone: importance counts with clip=mse");
}

/// Splits the memory that may be used: what a block takes, and the rest for activations.
void prepare_memory(const CompressRequest& request, PreparedJob& job) {
  if (!job.by_blocks) {
    job.plan.peak_memory = peak_memory_bound(job);
    return;
  }
  constexpr double share = 0.8;  // of what is free: other processes live too
  // What the process holds besides is not the job's: the same plan whoever asks.
  constexpr std::int64_t program = std::int64_t{24} << 20;  // code, tokenizer and libraries once they are warm
  const std::int64_t block = program + kFixedMemory + block_memory(job);
  const std::int64_t free = static_cast<std::int64_t>(share * static_cast<double>(available_memory()));
  const std::int64_t limit = request.memory > 0 ? request.memory : std::max(free, block);
  if (block > limit)
    throw Error(ErrorCode::invalid_argument, "one block of this model takes " + bytes_text(block) + ", more than " +
                                                 bytes_text(limit) +
                                                 "; raise --memory, use fewer --threads or shorter sequences");
  const std::int64_t width = job.source->config().hidden * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t activations = job.calibration.tokens * width;
  job.activation_budget = limit - block;
  job.plan.peak_memory = block + (activations <= job.activation_budget ? activations : 0);
  if (activations > job.activation_budget)
    job.plan.notes.push_back("activations of " + bytes_text(activations) + " go to a file beside the output");
}

/// Room for the output and, if it is there, for the activations from which a run that was killed goes on.
void check_disk(PreparedJob& job) {
  job.plan.disk_free = free_disk(job.out.parent_path());
  constexpr std::int64_t report_bytes = std::int64_t{1} << 20;
  const std::int64_t width = job.source->config().hidden * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t activations = job.by_blocks ? job.calibration.tokens * width : 0;
  const std::int64_t free = job.plan.disk_free + (job.interrupted.empty() ? 0 : folder_bytes(job.interrupted));
  // Those of one block stay until those of the next are on the device.
  job.keep_activations = activations > 0 && job.plan.output_bytes + report_bytes + 2 * activations <= free;
  job.plan.scratch_bytes = job.keep_activations                  ? 2 * activations
                           : activations > job.activation_budget ? activations
                                                                 : 0;
  if (activations > 0 && !job.keep_activations)
    job.plan.notes.push_back("the disk has no room for activations of " + bytes_text(2 * activations) +
                             ": if it is killed, the job can only be resumed once all blocks are finished");
  const std::int64_t needed = job.plan.output_bytes + report_bytes + job.plan.scratch_bytes;
  if (needed > free)
    throw Error(ErrorCode::io_error, "the output needs " + bytes_text(needed) + " but " +
                                         job.out.parent_path().string() + " has " + bytes_text(job.plan.disk_free) +
                                         " free; make room or choose another disk");
}

void prepare_resume(PreparedJob& job) {
  job.interrupted = find_interrupted(job.out, job.identity);
  for (OutputJob& output : job.outputs) output.plan.resume = true;
}

/// The place of the output. One that is complete is nothing to go on with.
std::filesystem::path checked_place(const CompressRequest& request) {
  std::error_code error;
  if (request.resume && !request.overwrite && std::filesystem::exists(request.out / report_file_name, error))
    throw Error(ErrorCode::invalid_argument,
                "output " + request.out.string() + " is complete; there is no run to resume");
  return check_output(request.out, request.model, request.overwrite);
}

}  // namespace

PreparedJob prepare(const CompressRequest& request) {
  PreparedJob job;
  if (request.threads < 0)
    throw Error(ErrorCode::invalid_argument, std::to_string(request.threads) + " threads; use 0 for all cores");
  job.threads =
      request.threads > 0 ? request.threads : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  job.overwrite = request.overwrite;
  job.source = open_checkpoint(request.model);
  job.out = checked_place(request);

  job.keep_cancelled = request.keep_cancelled || request.resume;  // what was kept before stays
  job.save_interval = request.save_interval;

  job.plan.model = request.model.string();
  job.plan.architecture = job.source->config().architecture;
  job.plan.source_format = job.source->format();
  job.plan.precision = request.precision;
  job.stored = stored_schemes(*job.source, request.recipe);
  if (!job.stored.empty() && (!request.calibration.texts.empty() || !request.imatrix.empty()))
    throw Error(ErrorCode::invalid_argument,
                "a conversion takes codes over as they are and learns nothing; leave out calibration and imatrix");
  prepare_recipe(request.recipe, job);
  if (!job.stored.empty()) {
    job.plan.scheme = schemes_text(job.stored);
    for (const auto& scheme : job.stored) job.plan.quantized_tensors += scheme ? 1 : 0;
  }
  job.plan.tensors = static_cast<std::int64_t>(job.source->tensors().size());
  for (const TensorInfo& tensor : job.source->tensors()) job.plan.source_bytes += tensor.bytes;
  prepare_blocks(request, job);
  prepare_imatrix(request, job);
  prepare_outputs(request, job);
  prepare_memory(request, job);
  job.identity = identity_of(request, job);
  if (request.resume) prepare_resume(job);
  check_disk(job);
  return job;
}

CompressPlan plan_compression(const CompressRequest& request) {
  PreparedJob job = prepare(spend_budget(request, {}));
  job.plan.seconds = estimate_seconds(job);
  if (request.resume) {
    job.plan.notes.push_back("goes on with " + job.interrupted.string());
  } else {
    for (const std::filesystem::path& folder : interrupted_runs(job.out))
      job.plan.notes.push_back(folder.string() +
                               " is of a run that was interrupted: --resume goes on with it, this job does not");
  }
  return std::move(job.plan);
}

}  // namespace advisor
