#include "recommend/routing.h"

#include <algorithm>
#include <cmath>

#include "recommend/accuracy.h"

namespace advisor {

namespace {

constexpr double least_share = 0.01;  ///< less is not worth a router

const Cell* find_cell(const Decision& decision, const Cell& wanted) {
  for (const auto& cell : decision.cells)
    if (cell.model == wanted.model && cell.treatment == wanted.treatment) return &cell;
  return nullptr;
}

/// Both estimates err together: their interval's ends mix like their means.
Estimate mixed(const Estimate& small, const Estimate& large, double share) {
  Estimate both = large;
  const auto mix = [share](double a, double b) { return share * a + (1 - share) * b; };
  both.mean = mix(small.mean, large.mean), both.sd = mix(small.sd, large.sd);
  both.low = mix(small.low, large.low), both.high = mix(small.high, large.high);
  both.n = small.n + large.n;
  both.basis = std::max(small.basis, large.basis);
  both.sources.insert(both.sources.end(), small.sources.begin(), small.sources.end());
  std::sort(both.sources.begin(), both.sources.end());
  both.sources.erase(std::unique(both.sources.begin(), both.sources.end()), both.sources.end());
  return both;
}

/// The distributions that the task's limit speaks of.
struct Limited {
  Distribution small;
  Distribution large;
  double limit = 0;
};

std::optional<Limited> limited(const Question& q, const Cell& small, const Cell& large) {
  const auto& limit = q.profile.accuracy;
  if (limit.min && small.has_value && large.has_value) return Limited{small.value, large.value, *limit.min};
  if (limit.retain && small.has_relative && large.has_relative)
    return Limited{small.relative, large.relative, *limit.retain};
  return std::nullopt;
}

std::optional<RoutingThreshold> threshold(const PortfolioTask& task, const Cell& small, const Cell& large) {
  if (small.fate != Fate::limit || small.failed != Limit::accuracy) return std::nullopt;
  const auto limits = limited(task.question, small, large);
  if (!limits) return std::nullopt;
  const double confidence = task.question.profile.confidence;
  const double exact = share_to_small(limits->small, limits->large, limits->limit, confidence);
  RoutingThreshold result;
  result.task = task.name;
  result.share_small = std::floor(exact * 100 + 1e-9) / 100;
  if (result.share_small < least_share) return std::nullopt;
  const double x = result.share_small;
  const auto at = [&](double p) { return x * limits->small.quantile(p) + (1 - x) * limits->large.quantile(p); };
  const auto& accuracy = task.question.profile.accuracy;
  const std::string of = accuracy.min ? "" : " of the score of " + task.question.model->id;
  result.because = "the mixture keeps " + percent(x * limits->small.mean + (1 - x) * limits->large.mean) + " (" +
                   percent(at(0.05)) + " to " + percent(at(0.95)) + ")" + of + ", " + percent(limits->limit) +
                   " wanted at " + percent(confidence) +
                   "; requests are picked without knowing how hard they are, and both estimates err together: a "
                   "router that picks the simple ones does better";
  if (small.has_value && large.has_value) {
    const auto value = [&](double p) { return x * small.value.quantile(p) + (1 - x) * large.value.quantile(p); };
    Estimate quality;
    quality.mean = x * small.value.mean + (1 - x) * large.value.mean;
    quality.sd = x * small.value.sd + (1 - x) * large.value.sd;
    quality.low = std::max(0.0, value(0.05)), quality.high = std::min(1.0, value(0.95));
    quality.basis = Basis::modelled;
    result.quality = quality;
  }
  return result;
}

}  // namespace

double share_to_small(const Distribution& small, const Distribution& large, double limit, double confidence) {
  const double low = small.quantile(1 - confidence), high = large.quantile(1 - confidence);
  if (low >= limit) return 1;
  if (high < limit) return 0;
  return (high - limit) / (high - low);
}

std::vector<RoutingThreshold> routing_thresholds(const Portfolio& portfolio, const std::vector<Option>& options) {
  std::vector<RoutingThreshold> all;
  for (std::size_t task = 0; task < portfolio.tasks.size(); ++task) {
    const auto& one = portfolio.tasks[task];
    const auto& large = portfolio.cell_of(task);
    std::size_t served = 0;
    while (find_cell(one.decision, portfolio.deployed[served].cell) != &large) ++served;
    const auto first = static_cast<std::ptrdiff_t>(all.size());
    for (std::size_t i = 0; i < portfolio.deployed.size(); ++i) {
      const auto* small = find_cell(one.decision, portfolio.deployed[i].cell);
      if (i == served || small == nullptr) continue;
      auto result = threshold(one, *small, large);
      if (!result) continue;
      const auto& cheap = options[i].usd_per_million_tokens;
      const auto& dear = options[served].usd_per_million_tokens;
      if (cheap && dear) {
        if (cheap->mean >= dear->mean) continue;  // nothing is won
        result->usd_per_million_tokens = mixed(*cheap, *dear, result->share_small);
      }
      result->small = options[i].rank, result->large = options[served].rank;
      all.push_back(std::move(*result));
    }
    std::stable_sort(all.begin() + first, all.end(), [](const RoutingThreshold& a, const RoutingThreshold& b) {
      return a.share_small > b.share_small;
    });
  }
  return all;
}

}  // namespace advisor
