#include "compress/sensitivity.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <unordered_map>
#include <utility>

#include "compress/observe.h"
#include "compress/tiles.h"
#include "core/error.h"
#include "lm/block.h"
#include "tensor/parallel.h"

namespace advisor {
namespace {

// What a probe costs is a pass through half of the model, and there is one per group: much text would cost more than
// the calibration itself. Four texts of 256 tokens settle which matrices matter; noise in how much hardly moves the
// optimum, which is flat.
constexpr std::int64_t probe_sequences = 4, probe_rows = 256;
constexpr std::int64_t judged_rows = 256;  ///< predictions that are compared, of all sequences together
// Rows of a matrix that candidates are tried on, in runs of 128 that keep blocks of rows whole.
constexpr std::int64_t run_rows = 128, most_runs = 8;

std::size_t to_size(std::int64_t n) { return static_cast<std::size_t>(n); }

/// Log-probabilities in place of logits.
void log_softmax(std::span<float> logits) {
  const float top = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float x : logits) sum += std::exp(double{x - top});
  const auto shift = static_cast<float>(std::log(sum)) + top;
  for (float& x : logits) x -= shift;
}

/// Sum over rows of KL(p || q), both log-probabilities.
double divergence(const Tensor& p, const Tensor& q) {
  double sum = 0;
  for (std::int64_t r = 0; r < p.rows(); ++r) {
    const auto a = p.row(r), b = q.row(r);
    for (std::size_t i = 0; i < a.size(); ++i) sum += std::exp(double{a[i]}) * (double{a[i]} - double{b[i]});
  }
  return std::max(0.0, sum);
}

/// A stored matrix inside a block.
struct Place {
  std::size_t group;
  Linear* linear;
  const Part* part;
  const LayerStats* stats;  ///< nullptr: no token came here
};

class Measurement {
 public:
  Measurement(const PreparedJob& job, const std::vector<Candidate>& candidates,
              const std::vector<PrecisionGroup>& groups, const std::filesystem::path& folder, Meter& meter)
      : job_(job),
        config_(job.source->config()),
        architecture_(find_architecture(config_.architecture)),
        candidates_(candidates),
        groups_(groups),
        meter_(meter),
        texts_(lengths(job.calibration.sequences), config_.hidden, job.activation_budget / 2, folder),
        chosen_(choose()),
        probes_(probe_lengths(), config_.hidden, job.activation_budget / 2, folder) {
    for (std::size_t g = 0; g < groups.size(); ++g)
      for (const std::size_t tensor : groups[g].tensors) group_of_.emplace(job.source->tensors()[tensor].name, g);
    for (const PrecisionGroup& group : groups)
      results_.push_back({std::vector<double>(group.candidates.size()), std::vector<double>(group.candidates.size())});
    norms_.resize(groups.size());
  }

  std::vector<Sensitivity> run() {
    check_model(*job_.source);
    embed_sequences(*job_.source, job_.calibration.sequences, job_.threads, texts_);
    for (std::int64_t layer = 0; layer < config_.layers; ++layer) run_block(layer);
    judge();
    return std::move(results_);
  }

 private:
  static std::vector<std::int64_t> lengths(const std::vector<std::vector<std::int32_t>>& sequences) {
    std::vector<std::int64_t> rows;
    for (const auto& sequence : sequences) rows.push_back(static_cast<std::int64_t>(sequence.size()));
    return rows;
  }

  /// Sequences that probes are taken with, evenly spaced, and how many of their rows.
  std::vector<std::pair<std::int64_t, std::int64_t>> choose() const {
    std::vector<std::pair<std::int64_t, std::int64_t>> chosen;
    const std::int64_t all = texts_.size(), count = std::min(all, probe_sequences);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t at = i * all / count;
      const auto rows = static_cast<std::int64_t>(job_.calibration.sequences[to_size(at)].size());
      chosen.emplace_back(at, std::min(rows, probe_rows));
    }
    return chosen;
  }

  std::vector<std::int64_t> probe_lengths() const {
    std::vector<std::int64_t> rows;
    for (std::size_t g = 0; g < groups_.size(); ++g)
      for (const auto& [sequence, count] : chosen_) rows.push_back(count);
    return rows;
  }

  std::int64_t probe(std::size_t group, std::size_t text) const {
    return static_cast<std::int64_t>(group * chosen_.size() + text);
  }

  /// The beginning of a text as it enters the block that is being worked on.
  Tensor beginning(std::size_t text) const {
    const auto [sequence, rows] = chosen_[text];
    const Tensor whole = texts_.read(sequence);
    Tensor begin({rows, whole.cols()});
    std::ranges::copy(whole.span().first(begin.span().size()), begin.data());
    return begin;
  }

  void run_block(std::int64_t layer) {
    const std::string name = "block " + std::to_string(layer + 1) + " of " + std::to_string(config_.layers);
    BlockWeights block = load_block(*job_.source, layer, job_.threads);
    const auto tick = [&] { meter_.advance(name, 0); };
    const BlockStats stats =
        observe_block(config_, architecture_, layer, block, texts_, Needs::importance, job_.threads, tick);
    pass_on_probes(layer, block);
    std::vector<Place> places = places_of(block, stats);
    for (const Place& place : places) add_errors(place);
    for (std::size_t first = 0; first < places.size(); ++first) {
      const std::size_t group = places[first].group;
      const auto same = [&](const Place& place) { return place.group == group; };
      if (std::ranges::find_if(places, same) != places.begin() + static_cast<std::ptrdiff_t>(first)) continue;
      std::vector<Place> members;
      std::ranges::copy_if(places, std::back_inserter(members), same);
      start_probe(layer, block, members);
      started_.push_back(group);
      tick();
    }
    if (layer + 1 < config_.layers)
      advance_block(config_, architecture_, layer, block, texts_, job_.threads, tick);
    else
      last_beginnings(layer, block);
    std::int64_t bytes = 0;
    for (const Place& place : places) bytes += job_.source->find(place.part->name)->bytes;
    meter_.advance(name, bytes);
  }

  std::vector<Place> places_of(BlockWeights& block, const BlockStats& stats) const {
    std::vector<Place> places;
    for (const Layer& layer : layers_of(block)) {
      const auto found = stats.sites.find({layer.site.kind, layer.site.expert});
      const LayerStats* seen = found == stats.sites.end() || found->second.tokens == 0 ? nullptr : &found->second;
      for (const Part& part : layer.linear->parts)
        if (const auto group = group_of_.find(part.name); group != group_of_.end())
          places.push_back({group->second, layer.linear, &part, seen});
    }
    return places;
  }

  static std::span<float> rows_of(const Place& place, std::int64_t begin, std::int64_t rows) {
    const std::int64_t cols = place.linear->weight.cols();
    return place.linear->weight.span().subspan(to_size((place.part->begin + begin) * cols), to_size(rows * cols));
  }

  /// What rows [n, in] decode to once they are stored.
  void round(std::span<const float> rows, const Place& place, const Candidate& candidate, std::span<float> out) const {
    const std::int64_t in = place.linear->weight.cols();
    const auto importance =
        place.stats == nullptr ? std::span<const float>() : std::span<const float>(place.stats->mean_square);
    if (candidate.scheme) {
      // The clip search stands for those of GPTQ and AWQ.
      const TechniqueParams params = complete_params(rtn_technique, {{"clip", "mse"}});
      const Solution solved = rtn_technique.solve(rows, in, place.stats, *candidate.scheme, params,
                                                  job_.outputs.front().scale_dtype, job_.threads);
      return dequantize(solved.tensor, out);
    }
    const std::int64_t n = static_cast<std::int64_t>(rows.size()) / in, runs = (n + run_rows - 1) / run_rows;
    parallel_for(runs, job_.threads, [&](std::int64_t i) {
      const std::size_t at = to_size(i * run_rows * in), size = std::min(to_size(run_rows * in), rows.size() - at);
      const std::int64_t count = static_cast<std::int64_t>(size) / in;
      std::vector<std::byte> bytes(to_size(count * kernels::row_bytes(candidate.type, in)));
      if (!kernels::encode_blocks(candidate.type, rows.subspan(at, size), importance, bytes))
        throw Error(ErrorCode::unsupported, place.part->name + " has values that " + candidate.id + " cannot hold");
      kernels::decode_blocks(candidate.type, bytes, out.subspan(at, size));
    });
  }

  /// Adds what a matrix loses as each candidate, seen on some of its rows.
  void add_errors(const Place& place) {
    if (place.stats == nullptr) return;  // nothing comes in, so nothing is lost
    const std::int64_t all = (place.part->rows + run_rows - 1) / run_rows, runs = std::min(all, most_runs);
    std::vector<float> sample;
    for (std::int64_t i = 0; i < runs; ++i) {
      const std::int64_t begin = i * all / runs * run_rows;
      const auto rows = rows_of(place, begin, std::min(run_rows, place.part->rows - begin));
      sample.insert(sample.end(), rows.begin(), rows.end());
    }
    const std::vector<float>& importance = place.stats->mean_square;
    const auto weighted = [&](std::span<const float> a, std::span<const float> b) {
      double sum = 0;
      for (std::size_t i = 0; i < a.size(); ++i) {
        const double e = double{a[i]} - double{b[i]};
        sum += e * e * double{importance[i % importance.size()]};
      }
      return sum;
    };
    // Experts see some of the tokens only.
    const double share = static_cast<double>(place.stats->tokens) / static_cast<double>(job_.calibration.tokens) *
                         static_cast<double>(place.part->rows) * static_cast<double>(importance.size()) /
                         static_cast<double>(sample.size());
    const std::vector<float> zeros(sample.size());
    norms_[place.group] += share * weighted(sample, zeros);
    std::vector<float> rounded(sample.size());
    const PrecisionGroup& group = groups_[place.group];
    for (std::size_t c = 0; c < group.candidates.size(); ++c) {
      round(sample, place, candidates_[group.candidates[c]], rounded);
      results_[place.group].error[c] += share * weighted(sample, rounded);
    }
  }

  /// The candidate that groups are probed with: large enough an error to be seen, small enough to be of second order.
  std::size_t probed(std::size_t group) const { return (groups_[group].candidates.size() - 1) / 2; }

  /// Rounds the matrices of a group, sends the texts through the block and puts the matrices back.
  void start_probe(std::int64_t layer, const BlockWeights& block, const std::vector<Place>& members) {
    const std::size_t group = members.front().group;
    const Candidate& candidate = candidates_[groups_[group].candidates[probed(group)]];
    std::vector<std::vector<float>> kept;
    for (const Place& place : members) {
      const auto rows = rows_of(place, 0, place.part->rows);
      kept.emplace_back(rows.begin(), rows.end());
      round(kept.back(), place, candidate, rows);
    }
    parallel_for(static_cast<std::int64_t>(chosen_.size()), job_.threads, [&](std::int64_t i) {
      Tensor x = beginning(to_size(i));
      forward_block(config_, architecture_, layer, block, x);
      probes_.write(probe(group, to_size(i)), std::move(x));
    });
    for (std::size_t i = 0; i < members.size(); ++i)
      std::ranges::copy(kept[i], rows_of(members[i], 0, members[i].part->rows).begin());
  }

  void pass_on_probes(std::int64_t layer, const BlockWeights& block) {
    const auto count = static_cast<std::int64_t>(started_.size() * chosen_.size());
    parallel_for(count, job_.threads, [&](std::int64_t i) {
      const std::int64_t at = probe(started_[to_size(i) / chosen_.size()], to_size(i) % chosen_.size());
      Tensor x = probes_.read(at);
      forward_block(config_, architecture_, layer, block, x);
      probes_.write(at, std::move(x));
    });
  }

  /// Behind the last block only the texts of the probes are needed.
  void last_beginnings(std::int64_t layer, const BlockWeights& block) {
    last_.resize(chosen_.size());
    parallel_for(static_cast<std::int64_t>(chosen_.size()), job_.threads, [&](std::int64_t i) {
      Tensor x = beginning(to_size(i));
      forward_block(config_, architecture_, layer, block, x);
      last_[to_size(i)] = std::move(x);
    });
  }

  /// Compares the predictions of the last rows of each text, and converts losses into divergence.
  void judge() {
    const OuterWeights outer = load_outer(*job_.source, job_.threads);
    const std::int64_t share = std::max<std::int64_t>(1, judged_rows / static_cast<std::int64_t>(chosen_.size()));
    std::vector<double> sums(groups_.size());
    std::int64_t predictions = 0;
    for (std::size_t text = 0; text < chosen_.size(); ++text) {
      const std::int64_t rows = chosen_[text].second, begin = std::max<std::int64_t>(0, rows - share);
      predictions += rows - begin;
      const auto predict = [&](const Tensor& x) {
        Tensor logits = head_logits(config_, architecture_, outer, x, begin, rows);
        for (std::int64_t r = 0; r < logits.rows(); ++r) log_softmax(logits.row(r));
        return logits;
      };
      const Tensor original = predict(last_[text]);
      parallel_for(static_cast<std::int64_t>(started_.size()), job_.threads, [&](std::int64_t i) {
        const std::size_t group = started_[to_size(i)];
        sums[group] += divergence(original, predict(probes_.read(probe(group, text))));
      });
    }
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      Sensitivity& result = results_[g];
      const double loss = result.error[probed(g)], mean = sums[g] / static_cast<double>(predictions);
      for (std::size_t c = 0; c < result.error.size(); ++c) {
        result.divergence[c] = loss > 0 ? mean * (result.error[c] / loss) : 0;
        result.error[c] = norms_[g] > 0 ? result.error[c] / norms_[g] : 0;
      }
    }
  }

  const PreparedJob& job_;
  const ModelConfig& config_;
  const Architecture& architecture_;
  const std::vector<Candidate>& candidates_;
  const std::vector<PrecisionGroup>& groups_;
  Meter& meter_;
  Activations texts_;
  std::vector<std::pair<std::int64_t, std::int64_t>> chosen_;  ///< sequences of probes and their rows
  Activations probes_;                                         ///< [group][text]
  std::unordered_map<std::string, std::size_t> group_of_;      ///< by the name of the tensor
  std::vector<std::size_t> started_;                           ///< groups whose probes are on their way
  std::vector<Tensor> last_;
  std::vector<Sensitivity> results_;
  std::vector<double> norms_;
};

}  // namespace

std::vector<Sensitivity> measure_sensitivity(const PreparedJob& job, const std::vector<Candidate>& candidates,
                                             const std::vector<PrecisionGroup>& groups,
                                             const std::filesystem::path& folder, Meter& meter) {
  return Measurement(job, candidates, groups, folder, meter).run();
}

}  // namespace advisor
