#include "compress/blocks.h"

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>

#include "compress/observe.h"
#include "compress/scheme.h"
#include "core/error.h"
#include "lm/block.h"
#include "tensor/kernels/kernels.h"
#include "tensor/parallel.h"

namespace advisor {
namespace {

/// Rows [begin, begin + rows) of codes whose scales belong to single rows.
QuantizedTensor slice(const QuantizedTensor& all, std::int64_t begin, std::int64_t rows) {
  QuantizedTensor part;
  part.rows = rows;
  part.cols = all.cols;
  part.scheme = all.scheme;
  part.tensor_scale = all.tensor_scale;
  part.input_scale = all.input_scale;
  const auto cut = [&](const auto& from, auto& to, std::int64_t width) {
    if (from.empty()) return;
    const auto first = from.begin() + static_cast<std::ptrdiff_t>(begin * width);
    to.assign(first, first + static_cast<std::ptrdiff_t>(rows * width));
  };
  const std::int64_t groups = all.scheme.groups(all.cols);
  cut(all.codes, part.codes, all.cols);
  cut(all.scales, part.scales, groups);
  cut(all.zeros, part.zeros, groups);
  return part;
}

class BlockCompressor {
 public:
  BlockCompressor(const PreparedJob& job, Outputs& outputs, Meter& meter, std::vector<std::string>& notes)
      : job_(job),
        architecture_(find_architecture(job.source->config().architecture)),
        outputs_(outputs),
        meter_(meter),
        notes_(notes) {
    const auto& tensors = job.source->tensors();
    for (std::size_t i = 0; i < tensors.size(); ++i) index_.emplace(tensors[i].name, i);
  }

  void run(const std::filesystem::path& folder, const Finished& done) {
    notes_.insert(notes_.end(), done.notes.begin(), done.notes.end());
    saved_notes_ = notes_.size();
    if (done.blocks < job_.source->config().layers) run_from(done.blocks, done.activations, folder);
    Activations::remove_files(folder, -1);
  }

 private:
  void run_from(std::int64_t first, std::uint64_t print, const std::filesystem::path& folder) {
    check_model(*job_.source);
    std::vector<std::int64_t> lengths;
    for (const auto& sequence : job_.calibration.sequences)
      lengths.push_back(static_cast<std::int64_t>(sequence.size()));
    Activations activations(lengths, job_.source->config().hidden, job_.activation_budget, folder,
                            job_.keep_activations);
    if (first == 0 || lengths.empty()) {
      activations.begin(0);
      embed_sequences(*job_.source, job_.calibration.sequences, job_.threads, activations);
      activations.end();
    } else {
      activations.load(first, print, job_.threads);
    }
    for (std::int64_t layer = first; layer < job_.source->config().layers; ++layer) {
      run_block(layer, activations);
      Activations::remove_files(folder, layer + 1);
    }
  }

  void run_block(std::int64_t layer, Activations& activations) {
    const ModelConfig& config = job_.source->config();
    const std::string name = "block " + std::to_string(layer + 1) + " of " + std::to_string(config.layers);
    const bool data = activations.size() > 0;
    BlockWeights block = load_block(*job_.source, layer, job_.threads);
    BlockStats stats;
    if (data) {
      const auto tick = [&] { meter_.advance(name + ", observing", 0); };
      stats = observe_block(config, architecture_, layer, block, activations, job_.needs, job_.threads, tick);
    }
    for (const Layer& each : layers_of(block))
      if (const LayerStats* seen = stats_at(stats, each.site))
        for (const Part& part : each.linear->parts) outputs_.write_importance(part.name, *seen);
    transform(block, stats);
    for (const Layer& each : layers_of(block)) {
      const std::optional<LayerStats> given = given_stats(*each.linear);
      solve(*each.linear, given ? &*given : stats_at(stats, each.site));
      meter_.advance(name + ", solving", 0);
    }
    write_norms(block);
    const bool passes_on = data && layer + 1 < config.layers;
    std::uint64_t print = 0;
    if (passes_on || (data && job_.kv_cache)) {
      const auto tick = [&] { meter_.advance(name + ", passing on", 0); };
      activations.begin(layer + 1);  // behind the last block too: its inputs must stay as long as it is not saved
      const CacheRange range = advance_block(config, architecture_, layer, block, activations, job_.threads, tick);
      print = activations.end();
      if (job_.kv_cache) outputs_.write_kv_scales(layer, {scale_of(range.key), scale_of(range.value)});
    }
    if (print != 0 || !passes_on) {  // without its inputs nobody could go on with the next block
      outputs_.save(layer + 1, print, std::span(notes_).subspan(saved_notes_));
      saved_notes_ = notes_.size();
    }
    meter_.advance(name, std::exchange(bytes_, 0));
  }

  /// Puts the largest value on the largest code of E4M3. Keys or values that were always 0 need no particular scale.
  static float scale_of(float largest) {
    return largest > 0 ? largest / kernels::largest(kernels::FloatCode::e4m3) : 1.0F;
  }

  /// nullptr where nothing was observed: no data, or an expert to which no token was routed.
  const LayerStats* stats_at(const BlockStats& stats, Site site) const {
    const auto found = stats.sites.find({site.kind, site.expert});
    return found == stats.sites.end() || found->second.tokens == 0 ? nullptr : &found->second;
  }

  /// From a file. Parts of a layer have the same input.
  std::optional<LayerStats> given_stats(const Linear& linear) const {
    const auto importance = job_.importance_of(linear.parts.front().name);
    return importance.empty() ? std::nullopt : std::optional(importance_only(importance));
  }

  /// nullptr: stays dense, or is no tensor of the source.
  const PreparedStep* step_of(const std::string& tensor) const {
    const auto found = index_.find(tensor);
    return found == index_.end() ? nullptr : job_.steps.find(found->second);
  }

  void transform(BlockWeights& block, BlockStats& stats) {
    for (const PreparedStep& step : job_.steps.steps) {
      if (step.technique->transform == nullptr || !occurs(block, step)) continue;
      const auto scheme_of = [&](const std::string& tensor) {
        return step_of(tensor) == &step ? std::optional(step.scheme) : std::nullopt;
      };
      const DType dtype = job_.outputs.front().scale_dtype;
      const BlockTask task{job_.source->config(), architecture_, block, stats, scheme_of, dtype, dtype, job_.threads};
      for (std::string& note : step.technique->transform(task, step.params)) notes_.push_back(std::move(note));
      changed_ = true;
    }
  }

  bool occurs(BlockWeights& block, const PreparedStep& step) const {
    return std::ranges::any_of(layers_of(block), [&](const Layer& layer) {
      return std::ranges::any_of(layer.linear->parts, [&](const Part& part) { return step_of(part.name) == &step; });
    });
  }

  /// Solves the parts of a layer that have a scheme, together where one solution serves them all, writes all parts and
  /// leaves in the layer what an engine will multiply with.
  void solve(Linear& linear, const LayerStats* stats) {
    std::vector<const PreparedStep*> steps;
    for (const Part& part : linear.parts) steps.push_back(step_of(part.name));
    const bool together = std::ranges::all_of(steps, [&](const PreparedStep* step) {
      return step != nullptr && step == steps.front() && step->scheme.block_rows == 1;
    });
    if (together) {
      solve_parts(linear, linear.parts, *steps.front(), stats);
    } else {
      for (std::size_t i = 0; i < steps.size(); ++i) {
        if (steps[i] != nullptr) {
          solve_parts(linear, {linear.parts[i]}, *steps[i], stats);
        } else {
          write_dense(linear, linear.parts[i], stats);
        }
      }
    }
    write_bias(linear);
  }

  std::span<float> rows_of(Linear& linear, std::int64_t begin, std::int64_t rows) const {
    const auto cols = static_cast<std::size_t>(linear.weight.cols());
    return linear.weight.span().subspan(static_cast<std::size_t>(begin) * cols, static_cast<std::size_t>(rows) * cols);
  }

  QuantizedTensor solution(std::span<const float> weights, std::int64_t in, const std::string& name,
                           const PreparedStep& step, const LayerStats* stats, DType scale_dtype) {
    const bool blind = stats == nullptr && step.technique->needs != Needs::nothing;
    const QuantScheme& scheme = step.scheme;
    const TechniqueImpl& technique = blind ? rtn_technique : *step.technique;
    if (blind) notes_.push_back(name + " saw no token of the calibration text: rounded to nearest");
    const TechniqueParams params = blind ? complete_params(rtn_technique, {}) : step.params;
    try {
      Solution solved = technique.solve(weights, in, stats, scheme, params, scale_dtype, job_.threads);
      for (const std::string& note : solved.notes) notes_.push_back(name + ": " + note);
      if (step.stores_input_scale() && stats != nullptr) {
        // NVFP4: as of its weights, the largest group then has the largest scale that e4m3 can hold.
        const float groups = scheme.scale == ScaleType::e4m3 ? kernels::largest(kernels::FloatCode::e4m3) : 1;
        solved.tensor.input_scale =
            std::max(*std::ranges::max_element(stats->abs_max), 1e-12F) / (kernels::largest(*scheme.code) * groups);
      }
      return std::move(solved.tensor);
    } catch (const Error& error) {
      throw Error(error.code(), name + ": " + error.what());
    }
  }

  void solve_parts(Linear& linear, const std::vector<Part>& parts, const PreparedStep& step, const LayerStats* stats) {
    const std::int64_t begin = parts.front().begin, in = linear.weight.cols();
    std::int64_t rows = 0;
    for (const Part& part : parts) rows += part.rows;
    const auto weights = rows_of(linear, begin, rows);
    // Outputs that round scales to the same dtype share a solution.
    std::map<DType, QuantizedTensor> solved;
    for (std::size_t i = 0; i < job_.outputs.size(); ++i) {
      const OutputJob& output = job_.outputs[i];
      if (!output.format->takes_codes) {
        for (const Part& part : parts) write_floats(i, linear, part, stats);
        continue;
      }
      auto found = solved.find(output.scale_dtype);
      if (found == solved.end())
        found =
            solved
                .emplace(output.scale_dtype, solution(weights, in, parts.front().name, step, stats, output.scale_dtype))
                .first;
      for (const Part& part : parts) write_solution(i, part, found->second, part.begin - begin);
    }
    if (!solved.empty()) dequantize(solved.begin()->second, weights);
    for (const Part& part : parts) finish(part.name);
  }

  void write_solution(std::size_t output, const Part& part, const QuantizedTensor& all, std::int64_t begin) {
    const std::size_t tensor = index_.at(part.name);
    // Rows that share scales go together, and a scale of the whole tensor with the whole tensor.
    if (all.scheme.block_rows != 1) return outputs_.write_codes(output, tensor, 0, all, {});
    const std::int64_t height = tile_rows(as_matrix(job_.source->tensors()[tensor]));
    parallel_for((part.rows + height - 1) / height, job_.threads, [&](std::int64_t i) {
      const std::int64_t at = i * height, rows = std::min(height, part.rows - at);
      outputs_.write_codes(output, tensor, at, slice(all, begin + at, rows), {});
    });
  }

  void write_floats(std::size_t output, Linear& linear, const Part& part, const LayerStats* stats) {
    const std::size_t tensor = index_.at(part.name);
    const auto importance = stats == nullptr ? std::span<const float>() : std::span<const float>(stats->mean_square);
    const std::int64_t height = tile_rows(as_matrix(job_.source->tensors()[tensor]));
    parallel_for((part.rows + height - 1) / height, job_.threads, [&](std::int64_t i) {
      const std::int64_t at = i * height, rows = std::min(height, part.rows - at);
      outputs_.write_rows(output, tensor, at, rows_of(linear, part.begin + at, rows), importance, changed_);
    });
  }

  /// A part that stays dense holds what is stored, so that the next block sees what an engine will see.
  void write_dense(Linear& linear, const Part& part, const LayerStats* stats) {
    for (std::size_t i = 0; i < job_.outputs.size(); ++i) write_floats(i, linear, part, stats);
    if (changed_) kernels::round_to(job_.outputs.front().scale_dtype, rows_of(linear, part.begin, part.rows));
    finish(part.name);
  }

  void write_vector(const std::string& name, std::span<const float> values) {
    const std::size_t tensor = index_.at(name);
    const auto height = static_cast<std::size_t>(tile_rows(as_matrix(job_.source->tensors()[tensor])));
    for (std::size_t i = 0; i < job_.outputs.size(); ++i)
      for (std::size_t at = 0; at < values.size(); at += height)
        outputs_.write_rows(i, tensor, static_cast<std::int64_t>(at),
                            values.subspan(at, std::min(height, values.size() - at)), {}, changed_);
    finish(name);
  }

  void write_bias(Linear& linear) {
    if (linear.bias.size() == 0) return;
    for (const Part& part : linear.parts) {
      const std::string name = part.name.substr(0, part.name.rfind('.')) + ".bias";
      if (!index_.contains(name)) continue;  // a stack may join layers with a bias and layers without
      write_vector(
          name, linear.bias.span().subspan(static_cast<std::size_t>(part.begin), static_cast<std::size_t>(part.rows)));
    }
  }

  void write_norms(const BlockWeights& block) {
    for (const Norm* norm : {&block.attention_norm, &block.query_norm, &block.key_norm, &block.post_attention_norm,
                             &block.mlp_norm, &block.post_mlp_norm})
      if (norm->weight.size() != 0) write_vector(norm->name, norm->weight.span());
  }

  void finish(const std::string& name) {
    const std::size_t tensor = index_.at(name);
    outputs_.finish_tensor(tensor);
    bytes_ += job_.source->tensors()[tensor].bytes;
  }

  const PreparedJob& job_;
  const Architecture& architecture_;
  Outputs& outputs_;
  Meter& meter_;
  std::vector<std::string>& notes_;
  std::unordered_map<std::string, std::size_t> index_;
  std::size_t saved_notes_ = 0;  ///< notes that the journal has
  std::int64_t bytes_ = 0;       ///< of the source, finished but not yet reported
  bool changed_ = false;         ///< weights are no longer those of the source
};

}  // namespace

void compress_blocks(const PreparedJob& job, const std::filesystem::path& folder, const Finished& done,
                     Outputs& outputs, Meter& meter, std::vector<std::string>& notes) {
  BlockCompressor(job, outputs, meter, notes).run(folder, done);
}

}  // namespace advisor
