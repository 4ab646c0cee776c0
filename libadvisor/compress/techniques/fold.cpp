#include "compress/techniques/fold.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "tensor/kernels/kernels.h"

namespace advisor {
namespace {

std::size_t to_size(std::int64_t n) { return static_cast<std::size_t>(n); }

bool is_quantized(const BlockTask& task, const Linear& linear) {
  return std::ranges::any_of(linear.parts, [&](const Part& part) { return task.scheme_of(part.name).has_value(); });
}

/// The value that a norm multiplies by, of its stored weight, and back.
float gain(const BlockTask& task, float weight) { return task.architecture.norm_plus_one ? 1 + weight : weight; }
float stored(const BlockTask& task, float gain) { return task.architecture.norm_plus_one ? gain - 1 : gain; }

/// Divides and rounds; returns what the norm's output was divided by.
std::vector<float> divide_norm(const BlockTask& task, Norm& norm, std::span<const float> scales) {
  std::vector<float> weights(scales.size()), done(scales.size(), 1.0f);
  for (std::size_t i = 0; i < scales.size(); ++i)
    weights[i] = stored(task, gain(task, norm.weight.data()[i]) / scales[i]);
  kernels::round_to(task.dense_dtype, weights);
  for (std::size_t i = 0; i < scales.size(); ++i) {
    const float before = gain(task, norm.weight.data()[i]), after = gain(task, weights[i]);
    const float ratio = before / after;
    // A column that is 0, or would become so, keeps its weight.
    if (!(ratio > 0) || !std::isfinite(ratio)) continue;
    done[i] = ratio;
    norm.weight.data()[i] = weights[i];
  }
  return done;
}

void divide_rows(Linear& linear, std::int64_t first, std::span<const float> scales) {
  for (std::size_t i = 0; i < scales.size(); ++i) {
    for (float& w : linear.weight.row(first + static_cast<std::int64_t>(i))) w /= scales[i];
    if (linear.bias.size() != 0) linear.bias.data()[to_size(first) + i] /= scales[i];
  }
}

std::vector<float> divide_source(const BlockTask& task, const FoldPlace& place, std::span<const float> scales) {
  BlockWeights& weights = task.weights;
  switch (place.fold.source) {
    case FoldSource::attention_norm: return divide_norm(task, weights.attention_norm, scales);
    case FoldSource::mlp_norm: return divide_norm(task, weights.mlp_norm, scales);
    case FoldSource::value_rows: {
      std::vector<float> of_rows;  // the first run of columns of each tied set speaks for all
      for (std::int64_t at = 0; at < place.inputs(); at += place.ties * place.tied_run)
        of_rows.insert(of_rows.end(), scales.begin() + at, scales.begin() + at + place.tied_run);
      divide_rows(weights.qkv, (task.config.heads + task.config.kv_heads) * task.config.head_dim, of_rows);
      break;
    }
    case FoldSource::up_rows: {
      Linear& gate_up = place.expert < 0 ? weights.gate_up : weights.experts[to_size(place.expert)].gate_up;
      divide_rows(gate_up, gate_up.weight.rows() / 2, scales);
      break;
    }
  }
  return {scales.begin(), scales.end()};
}

void multiply_columns(Tensor& weight, std::span<const float> scales) {
  for (std::int64_t r = 0; r < weight.rows(); ++r) {
    const auto row = weight.row(r);
    for (std::size_t c = 0; c < row.size(); ++c) row[c] *= scales[c];
  }
}

}  // namespace

std::vector<FoldPlace> fold_places(const BlockTask& task) {
  BlockWeights& weights = task.weights;
  std::vector<FoldPlace> places;
  const auto add = [&](FoldPlace place) {
    if (std::ranges::any_of(place.readers, [&](const Reader& r) { return is_quantized(task, *r.linear); }))
      places.push_back(std::move(place));
  };
  for (const Fold& fold : folds(task.architecture)) {
    FoldPlace place{.fold = fold, .readers = {}};
    if (fold.source == FoldSource::value_rows) {
      place.ties = task.config.heads / task.config.kv_heads;
      place.tied_run = task.config.head_dim;
    }
    const auto read = [&](Linear& linear, Site site) {
      if (linear.weight.size() != 0) place.readers.push_back({&linear, &task.stats.at(site)});
    };
    const auto experts = static_cast<int>(weights.experts.size());
    switch (fold.site) {
      case SiteKind::attention_in: read(weights.qkv, {fold.site}); break;
      case SiteKind::attention_out: read(weights.attention_out, {fold.site}); break;
      case SiteKind::mlp_in:
        read(weights.gate_up, {fold.site});
        read(weights.router, {fold.site});
        for (int e = 0; e < experts; ++e) read(weights.experts[to_size(e)].gate_up, {SiteKind::expert_in, e});
        break;
      case SiteKind::down_in: read(weights.down, {fold.site}); break;
      case SiteKind::expert_down_in:
        for (int e = 0; e < experts; ++e) {
          place.expert = e;
          place.readers.clear();
          read(weights.experts[to_size(e)].down, {fold.site, e});
          add(place);
        }
        continue;
      case SiteKind::cached_keys:
      case SiteKind::cached_values: continue;  // no linear layer reads them
      case SiteKind::expert_in: continue;      // part of mlp_in
    }
    if (!place.readers.empty()) add(std::move(place));
  }
  return places;
}

void tie_scales(const FoldPlace& place, std::span<float> scales) {
  if (place.ties == 1) return;
  const auto run = to_size(place.tied_run), set = run * to_size(place.ties);
  for (std::size_t begin = 0; begin < scales.size(); begin += set)
    for (std::size_t i = begin; i < begin + run; ++i) {
      double logarithm = 0;
      for (std::size_t at = i; at < begin + set; at += run) logarithm += std::log(double{scales[at]});
      const auto mean = static_cast<float>(std::exp(logarithm / static_cast<double>(place.ties)));
      for (std::size_t at = i; at < begin + set; at += run) scales[at] = mean;
    }
}

void apply_fold(const BlockTask& task, const FoldPlace& place, std::span<const float> scales) {
  for (std::size_t i = 0; i < scales.size(); ++i)
    if (!(scales[i] > 0) || !std::isfinite(scales[i]))
      throw Error(ErrorCode::invalid_argument, "the scale " + std::to_string(scales[i]) + " of input " +
                                                   std::to_string(i) + " of " +
                                                   place.readers.front().linear->parts.front().name +
                                                   " is not positive and finite; the statistics are damaged");
  const std::vector<float> done = divide_source(task, place, scales);
  std::vector<const LayerStats*> divided;  // the router and a dense MLP may share one
  for (const Reader& reader : place.readers) {
    multiply_columns(reader.linear->weight, done);
    if (std::ranges::find(divided, reader.stats) != divided.end()) continue;
    divide_inputs(*reader.stats, done);
    divided.push_back(reader.stats);
  }
}

}  // namespace advisor
