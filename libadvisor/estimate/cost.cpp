#include "estimate/cost.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace advisor {

std::optional<Estimate> hourly_cost(const Knowledge& knowledge, const Hardware& hardware) {
  if (hardware.device.id.empty()) return std::nullopt;
  std::vector<std::pair<double, std::string>> offers;
  for (const auto& price : knowledge.prices)
    if (price.hardware == hardware.device.id && price.pricing == "on-demand" && price.count > 0 &&
        price.usd_per_hour > 0)
      offers.emplace_back(price.usd_per_hour / static_cast<double>(price.count), price.url);
  if (offers.empty()) return std::nullopt;
  std::sort(offers.begin(), offers.end());
  const auto count = static_cast<double>(hardware.count);
  const double median = offers[(offers.size() - 1) / 2].first;
  const double low = offers.front().first, high = offers.back().first;
  // One offer alone still varies by region and date: a fifth either way.
  const double sd = offers.size() > 1 ? (high - low) / 4 : 0.1 * median;
  std::vector<std::string> sources;
  for (const auto& offer : offers) sources.push_back(offer.second);
  auto estimate = to_estimate({count * median, count * sd, 30}, Basis::measured,
                              static_cast<std::int64_t>(offers.size()), std::move(sources));
  estimate.low = count * std::min(low, median);
  estimate.high = count * std::max(high, median);
  return estimate;
}

Estimate cost_per_million(const Estimate& usd_per_hour, const Rate& decode, double utilisation) {
  const double factor = usd_per_hour.mean / (utilisation * 3600) * 1e6;
  auto sources = usd_per_hour.sources;
  sources.insert(sources.end(), decode.sources.begin(), decode.sources.end());
  const Distribution log{std::log(factor) - decode.log.mean, decode.log.sd, decode.log.df};
  return to_log_estimate(log, decode.basis, decode.rows, std::move(sources));
}

}  // namespace advisor
