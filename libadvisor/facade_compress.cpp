// The facade over the compression side: everything that opens a checkpoint. A program without it links
// facade_light.cpp instead of this file.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/gguf_mix.h"
#include "estimate/layout.h"
#include "facade_resolve.h"
#include "recommend/backend.h"
#include "recommend/catalog.h"
#include "tensor/kernels/kernels.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;

using Engines = std::set<std::pair<std::string, std::string>>;  ///< engine, generation of hardware

/// The type of blocks that most of a GGUF file of this name has; nullopt: no type of ggml.
std::optional<GgufType> block_of(std::string_view type) {
  const auto mix = gguf_mix_named(type);
  return mix ? std::optional(gguf_base_type(*mix)) : std::nullopt;
}

/// Those with a row that says they read this scheme in this format. Rows of GGUF name some mixes of a type of blocks
/// and mean the type: who reads Q2_K reads Q2_K_S, and a matrix of Q5_K.
Engines engines_that_read(const std::string& format, const std::string& scheme,
                          const std::vector<EngineSupport>& matrix) {
  const std::optional<GgufType> block = format == "gguf" ? block_of(scheme) : std::nullopt;
  Engines engines;
  for (const EngineSupport& row : matrix) {
    if (row.supported != "yes") continue;
    const bool same_block =
        block && row.format.starts_with("gguf:") && block_of(std::string_view(row.format).substr(5)) == block;
    if (same_block || speaks_for(row, format, scheme)) engines.emplace(row.engine, row.generation);
  }
  return engines;
}

/// Engines that read every scheme of the output, with the hardware on which they do.
void add_engines(const std::vector<EngineSupport>& matrix, CompressPlan::Output& output) {
  std::optional<Engines> all;
  for (const std::string& scheme : output.schemes.empty() ? std::vector<std::string>{""} : output.schemes) {
    const Engines some = engines_that_read(output.format, scheme, matrix);
    if (!all) all = some;
    std::erase_if(*all, [&](const auto& entry) { return !some.contains(entry); });
  }
  for (const auto& [engine, generation] : *all) output.hardware[engine].push_back(generation);
  for (const auto& [engine, generations] : output.hardware) output.engines.push_back(engine);
}

}  // namespace

void set_kernel_target(const std::string& target) { kernels::set_target(target); }

Model model_of(const std::string& path) {
  const auto checkpoint = open_checkpoint(path);
  const ModelConfig& config = checkpoint->config();
  Model model;
  model.id = path;
  model.family = model.architecture = config.architecture;
  double parameters = 0;
  std::vector<NamedShape> shapes;
  for (const TensorInfo& tensor : checkpoint->tensors()) {
    parameters += static_cast<double>(element_count(tensor.shape));
    shapes.push_back({tensor.name, tensor.shape});
  }
  model.tensors = group_tensors(shapes);
  model.params = parameters;
  model.layers = config.layers;
  model.hidden = config.hidden;
  model.intermediate = config.intermediate;
  model.heads = config.heads;
  model.kv_heads = config.kv_heads;
  model.head_dim = config.head_dim;
  model.vocab = config.vocab;
  model.max_context = config.max_context;
  model.tie_embeddings = config.tie_embeddings;
  model.native_dtype = config.torch_dtype;
  model.modalities_in = model.modalities_out = {"text"};
  model.qat = "no";
  model.url = path;
  model.locator = "config.json and tensor headers";
  return model;
}

CompressRequest Advisor::spend_budget(const CompressRequest& request, const ProgressFn& progress) const {
  return advisor::spend_budget(request, progress);
}

CompressPlan Advisor::plan(const CompressRequest& request) const {
  CompressPlan plan = plan_compression(request);
  for (CompressPlan::Output& output : plan.outputs) add_engines(knowledge().engine_support, output);
  return plan;
}

CompressReport Advisor::compress(const CompressRequest& request, const ProgressFn& progress) const {
  return run_compression(request, progress);
}

EvaluationReport Advisor::evaluate(const EvaluateRequest& request, const EvaluateProgressFn& progress) const {
  return advisor::evaluate(request, progress);
}

EvaluateRequest evaluation_of(const fs::path& model, const fs::path& suite, int threads, std::int64_t limit) {
  EvaluateRequest request;
  request.model = model;
  request.threads = threads;
  request.limit = limit;
  std::error_code ec;
  if (fs::is_directory(suite, ec)) {
    request.suite = suite;
  } else if (!fs::exists(suite, ec)) {
    throw Error(ErrorCode::not_found, suite.string() + ": no such suite folder or file");
  } else if (suite.extension() == ".jsonl") {
    request.choices.push_back(suite);
  } else {
    request.text = suite;
  }
  return request;
}

CompressRequest application_of(const Recommendation& recommendation, int rank, CompressRequest job) {
  const Option option = only_option(recommendation, rank).options.front();
  if (!option.recipe) {
    const std::string what = "option " + std::to_string(rank) + ": ";
    if (option.published_checkpoint)
      throw Error(ErrorCode::unsupported,
                  what + "nothing has to be made: load the published checkpoint " + *option.published_checkpoint);
    if (option.variant.technique == "none")
      throw Error(ErrorCode::unsupported,
                  what + "nothing has to be made: " + option.variant.model + " is used as it is");
    std::string others;
    for (const auto& other : recommendation.options)
      if (other.recipe) others += (others.empty() ? "; --option " : ", ") + std::to_string(other.rank);
    throw Error(ErrorCode::unsupported, what + "libadvisor is not advised to make " + option.variant.technique + " " +
                                            option.variant.scheme + " of " + option.variant.model +
                                            "; its steps name the tool that does" + others +
                                            (others.empty() ? "" : " can be made here"));
  }
  if (needs_calibration(*option.recipe) && job.calibration.texts.empty() && job.imatrix.empty())
    throw Error(ErrorCode::invalid_argument,
                "option " + std::to_string(rank) + ": " + option.variant.technique + " " + option.variant.scheme +
                    " has to see what the model works on: name texts with --calibration FILE or FOLDER, a few hundred "
                    "thousand tokens of what it will be used for, or ask for a recommendation that needs none with "
                    "--set allow.calibration_data=false");
  job.recipe = *option.recipe;
  return job;
}

}  // namespace advisor
