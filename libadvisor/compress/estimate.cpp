// How long a job will take, measured on its own first tile.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <set>

#include "compress/budget.h"
#include "compress/output.h"
#include "compress/plan.h"
#include "compress/tiles.h"
#include "lm/architecture.h"
#include "tensor/linalg.h"

namespace advisor {
namespace {

template <typename F>
double seconds_of(const F& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The largest matrix is where the time goes.
const TensorInfo* largest(const Checkpoint& source) {
  const auto& tensors = source.tensors();
  const auto it = std::ranges::max_element(tensors, {}, [](const TensorInfo& t) { return t.bytes; });
  return it == tensors.end() ? nullptr : &*it;
}

/// Matrices with the same input, that are solved one after the other: query, key, value; gate, up; an expert's.
struct Stack {
  std::int64_t rows = 0, in = 0;
  bool expert = false;
};

/// Sizes of a decoder block.
struct BlockSize {
  std::int64_t weights = 0;  ///< elements of all its matrices
  std::int64_t gram = 0;     ///< elements of the Gram matrices of its inputs
  double solving = 0;        ///< operations of one pass of GPTQ: o i^2 per matrix, i^3 / 3 per Gram matrix
  std::map<std::string, Stack> stacks;
};

BlockSize block_size(const PreparedJob& job) {
  const Architecture& architecture = find_architecture(job.source->config().architecture);
  const std::string prefix = std::string(architecture.layer_prefix) + "0.";
  BlockSize size;
  for (const TensorInfo& tensor : job.source->tensors()) {
    if (!tensor.name.starts_with(prefix) || tensor.shape.size() != 2) continue;
    std::string key = fused_group(architecture, tensor.name);
    const std::size_t experts =
        architecture.expert_prefix.empty() ? std::string::npos : tensor.name.find(architecture.expert_prefix);
    if (experts != std::string::npos) {  // they share a fused group but each has inputs of its own
      const std::size_t index = experts + architecture.expert_prefix.size();
      key += " " + tensor.name.substr(index, tensor.name.find('.', index) - index);
    }
    Stack& stack = size.stacks[key];
    stack = {stack.rows + tensor.shape[0], tensor.shape[1], experts != std::string::npos};
    size.weights += tensor.shape[0] * tensor.shape[1];
    size.solving += static_cast<double>(tensor.shape[0] * tensor.shape[1]) * static_cast<double>(tensor.shape[1]);
  }
  for (const auto& [name, stack] : size.stacks) {
    size.gram += stack.in * stack.in;
    size.solving += std::pow(static_cast<double>(stack.in), 3) / 3;
  }
  return size;
}

std::int64_t longest_sequence(const PreparedJob& job) {
  std::size_t longest = 0;
  for (const auto& sequence : job.calibration.sequences) longest = std::max(longest, sequence.size());
  return static_cast<std::int64_t>(longest);
}

/// Operations per second of a float32 matrix product on one core of this machine.
double product_rate() {
  constexpr std::int64_t n = 384;
  const std::vector<float> a(static_cast<std::size_t>(n * n), 1.0F), b(a);
  std::vector<float> c(a);
  const auto product = [&] { linalg::gemm(n, n, n, 1, a.data(), n, b.data(), n, 0, c.data(), n); };
  product();  // wakes the library
  return 2.0 * n * n * n / std::max(std::min(seconds_of(product), seconds_of(product)), 1e-6);
}

/// Floats of one token while a sequence goes through the block: residual stream, its norm, the widest output, and the
/// inputs of all layers that are kept for the statistics. A token goes to a few experts only.
std::int64_t passing_floats(const PreparedJob& job, const BlockSize& size) {
  const ModelConfig& config = job.source->config();
  std::int64_t inputs = 0, expert_inputs = 0, widest = 0;
  for (const auto& [name, stack] : size.stacks) {
    (stack.expert ? expert_inputs : inputs) += stack.in;
    widest = std::max(widest, stack.rows);
  }
  if (config.experts > 0) inputs += expert_inputs * config.experts_per_token / config.experts;
  return 2 * config.hidden + widest + inputs;
}

/// Of the stack for which it is most: codes with their scales, for each dtype of scales, and what the technique needs.
std::int64_t solving_bytes(const PreparedJob& job, const BlockSize& size) {
  std::set<DType> dtypes;
  for (const OutputJob& output : job.outputs)
    if (output.format->takes_codes) dtypes.insert(output.scale_dtype);
  std::int64_t most = 0;
  for (const auto& [name, stack] : size.stacks) {
    const std::int64_t weights = stack.rows * stack.in;
    // A byte for the code; in the smallest groups, of 16, 5 bytes for scale and zero point.
    const std::int64_t codes = (weights + weights * 5 / 16) * static_cast<std::int64_t>(dtypes.size());
    for (const PreparedStep& step : job.steps.steps) {
      const auto memory = step.technique->memory;
      most = std::max(most, codes + (memory == nullptr ? 0 : memory(stack.rows, stack.in, step.params, job.threads)));
    }
  }
  return most;
}

}  // namespace

// Weights and statistics stay while the block is observed, solved and passed on, one after the other; the embeddings of
// the text come before.
std::int64_t block_memory(const PreparedJob& job) {
  const BlockSize size = block_size(job);
  const std::int64_t held = 4 * size.weights + (job.needs == Needs::gram ? 4 * size.gram : 0);
  const std::int64_t passing = 4 * job.threads * longest_sequence(job) * passing_floats(job, size);
  const std::int64_t embedding =
      4 * std::min<std::int64_t>(job.calibration.tokens, job.source->config().vocab) * job.source->config().hidden;
  const std::int64_t most = std::max(held + std::max(passing, solving_bytes(job, size)), embedding);
  return most + most / 16;  // buffers that were freed and that the allocator keeps: 4 % on blocks of Llama-3-8B's size
}

double block_work(const PreparedJob& job) {
  const BlockSize size = block_size(job);
  const auto tokens = static_cast<double>(job.calibration.tokens);
  double work = 2 * 2 * static_cast<double>(size.weights) * tokens;  // observing and passing on
  if (job.needs == Needs::gram) work += static_cast<double>(size.gram) * tokens + 2 * size.solving;
  return work * static_cast<double>(job.source->config().layers);
}

namespace {

template <typename F>
double least_seconds_of(const F& work) {
  const double first = seconds_of(work);  // warms caches and the dispatch of kernels
  return std::min(first, seconds_of(work));
}

/// Seconds to encode a tile of the largest matrix for one output and to see what was stored.
double storing_seconds(const PreparedJob& job, const OutputJob& output, std::span<const float> tile,
                       std::int64_t cols) {
  if (!output.format->takes_codes) {
    // Files mix types: the one that most weights get.
    std::map<kernels::BlockType, std::int64_t> weights;
    for (const PlannedTensor& tensor : output.plan.tensors)
      weights[output.format->stored_type(output.plan, tensor)] += element_count(tensor.source.shape);
    const auto type = std::ranges::max_element(weights, {}, [](const auto& entry) { return entry.second; })->first;
    if (cols % kernels::layout_of(type).elements != 0) return 0;
    std::vector<std::byte> bytes(static_cast<std::size_t>(kernels::row_bytes(type, cols)) * tile.size() /
                                 static_cast<std::size_t>(cols));
    std::vector<float> stored(tile.size());
    return least_seconds_of([&] {
      if (kernels::encode_blocks(type, tile, {}, bytes)) kernels::decode_blocks(type, bytes, stored);
      storage_error_bound(tile, type, false);
    });
  }
  const PreparedStep* step = job.steps.steps.empty() || job.by_blocks ? nullptr : &job.steps.steps.front();
  const TechniqueImpl& technique = step != nullptr ? *step->technique : rtn_technique;
  QuantScheme scheme = step != nullptr ? step->scheme : QuantScheme{4, true, 0, 16};
  if (scheme.group != 0 && cols % scheme.group != 0) scheme.group = 0;
  const TechniqueParams params = complete_params(technique, step != nullptr ? step->params : TechniqueParams{});
  return least_seconds_of([&] {
    technique.quantize(tile, cols, scheme, params, DType::f32);
    technique.error_bound(tile, cols, scheme, params, DType::f32);
  });
}

}  // namespace

double estimate_seconds(const PreparedJob& job) {
  const TensorInfo* tensor = largest(*job.source);
  if (tensor == nullptr || tensor->bytes == 0) return 0;
  const Matrix matrix = as_matrix(*tensor);
  const std::int64_t rows = std::min(matrix.rows, tile_rows(matrix));
  std::vector<float> tile(static_cast<std::size_t>(rows * matrix.cols));
  const double read = least_seconds_of([&] { job.source->read_rows(*tensor, 0, rows, tile); });
  // A damaged tile is the job's to report, with the tensor's name; here it only has to be timed.
  std::ranges::replace_if(
      tile, [](float x) { return !std::isfinite(x); }, 0.0f);
  // Read once, then store per output and read that back to verify it.
  double per_tile = read;
  for (const OutputJob& output : job.outputs) per_tile += storing_seconds(job, output, tile, matrix.cols) + 2 * read;
  const double tiles =
      static_cast<double>(job.plan.source_bytes) /
      (static_cast<double>(tensor->bytes) * static_cast<double>(rows) / static_cast<double>(matrix.rows));
  const double blocks = job.by_blocks ? block_work(job) / product_rate() : 0;
  const double working = (tiles * per_tile + blocks) / job.threads;
  const double rate = disk_rate(job.out.parent_path());
  // Activations are written once per block where they are kept.
  const auto blocks_kept = static_cast<double>(job.keep_activations ? job.source->config().layers : 0);
  const double written =
      static_cast<double>(job.plan.output_bytes) + blocks_kept * static_cast<double>(job.plan.scratch_bytes) / 2;
  // The device takes what is written while the work goes on.
  return rate > 0 ? std::max(working, written / rate) : working;
}

}  // namespace advisor
