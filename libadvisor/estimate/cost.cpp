#include "estimate/cost.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

namespace advisor {

namespace {

/// "2026-04" and "2026-Q1" (its last month) as months; 0 where no date is stated, which is older than any.
int months(std::string_view date) {
  const auto number = [](std::string_view text) {
    int value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  };
  if (date.size() < 7) return 0;
  const int year = number(date.substr(0, 4));
  const int month = date[5] == 'Q' ? 3 * number(date.substr(6)) : number(date.substr(5, 2));
  return year * 12 + month;
}

struct Offer {
  double per_device = 0;
  bool fits = false;  ///< of no more devices than asked for
  std::string url;
};

/// Cheapest offer of each provider, by price per device.
std::vector<Offer> best_offers(const Knowledge& knowledge, const Hardware& hardware, const PriceQuery& query) {
  std::map<std::pair<std::string, std::string>, const Price*> newest;  // by provider and sku
  for (const auto& price : knowledge.prices) {
    if (price.hardware != hardware.device.id || price.pricing != query.pricing || price.count <= 0 ||
        price.usd_per_hour <= 0 || (!query.provider.empty() && price.provider != query.provider))
      continue;
    const Price*& known = newest[{price.provider, price.sku}];
    const auto order = [](const Price& p) {
      return std::pair{-months(p.as_of), p.usd_per_hour / static_cast<double>(p.count)};
    };
    if (known == nullptr || order(price) < order(*known)) known = &price;
  }
  std::map<std::string, Offer> best;
  for (const auto& [key, price] : newest) {
    const Offer offer{price->usd_per_hour / static_cast<double>(price->count), price->count <= hardware.count,
                      price->url};
    const auto [place, added] = best.try_emplace(key.first, offer);
    Offer& known = place->second;
    if (!added && std::pair{!offer.fits, offer.per_device} < std::pair{!known.fits, known.per_device}) known = offer;
  }
  std::vector<Offer> offers;
  for (auto& [provider, offer] : best) offers.push_back(std::move(offer));
  std::sort(offers.begin(), offers.end(), [](const Offer& a, const Offer& b) { return a.per_device < b.per_device; });
  return offers;
}

Estimate per_million(const Estimate& usd_per_hour, const Rate& decode, double utilisation, double tokens_per_output) {
  const double factor = usd_per_hour.mean / (utilisation * 3600 * tokens_per_output) * 1e6;
  auto sources = usd_per_hour.sources;
  sources.insert(sources.end(), decode.sources.begin(), decode.sources.end());
  const double price_sd = usd_per_hour.mean > 0 ? usd_per_hour.sd / usd_per_hour.mean : 0;
  const Distribution log{std::log(factor) - decode.log.mean, std::hypot(decode.log.sd, price_sd), decode.log.df};
  return to_log_estimate(log, decode.basis, decode.rows, std::move(sources));
}

}  // namespace

std::optional<Estimate> hourly_cost(const Knowledge& knowledge, const Hardware& hardware, const PriceQuery& query) {
  if (query.user_usd_per_hour)
    return to_estimate({*query.user_usd_per_hour, 0, 30}, Basis::measured, 1, {"your price"});
  if (hardware.device.id.empty()) return std::nullopt;
  const auto offers = best_offers(knowledge, hardware, query);
  if (offers.empty()) return std::nullopt;
  const auto count = static_cast<double>(hardware.count);
  const double median = offers[(offers.size() - 1) / 2].per_device;
  const double low = offers.front().per_device, high = offers.back().per_device;
  // One offer alone still varies by region and date: a fifth either way.
  const double sd = offers.size() > 1 ? (high - low) / 4 : 0.1 * median;
  std::vector<std::string> sources;
  for (const auto& offer : offers) sources.push_back(offer.url);
  auto estimate = to_estimate({count * median, count * sd, 30}, Basis::measured,
                              static_cast<std::int64_t>(offers.size()), std::move(sources));
  if (offers.size() > 1) estimate.low = count * low, estimate.high = count * high;
  return estimate;
}

Estimate cost_per_million(const Estimate& usd_per_hour, const Rate& decode, double utilisation) {
  return per_million(usd_per_hour, decode, utilisation, 1);
}

Estimate cost_per_million_total(const Estimate& usd_per_hour, const Rate& decode, double input_tokens,
                                double output_tokens, double utilisation) {
  return per_million(usd_per_hour, decode, utilisation, (input_tokens + output_tokens) / std::max(1.0, output_tokens));
}

}  // namespace advisor
