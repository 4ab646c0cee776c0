// Money: what the machine costs per hour, and what a million tokens cost at a printed utilisation.
#pragma once

#include <optional>
#include <string>

#include "core/knowledge.h"
#include "estimate/throughput.h"

namespace advisor {

/// Share of the hour in which the machine really produces tokens; printed as a default with every cost.
inline constexpr double assumed_utilisation = 0.5;

struct PriceQuery {
  std::string pricing = "on-demand";          ///< on-demand, spot or reserved, as in data/prices.csv
  std::string provider{};                     ///< empty: all of them
  std::optional<double> user_usd_per_hour{};  ///< what the whole machine costs the user: wins over every list price
};

/// Price of the machine per hour: of each provider the cheapest way to the device (newest price of each offer; offers
/// of no more devices than asked for first, else a share of a larger machine), and of the providers the median, which
/// is always one of their prices. The interval spans them. nullopt: no price.
std::optional<Estimate> hourly_cost(const Knowledge& knowledge, const Hardware& hardware, const PriceQuery& query = {});

/// USD per million output tokens = USD per hour / (tokens per second · utilisation · 3600) · 1e6. The spread is that of
/// price and speed together.
Estimate cost_per_million(const Estimate& usd_per_hour, const Rate& decode, double utilisation = assumed_utilisation);

/// The same per million tokens of prompt and answer together, when each answer of `output_tokens` follows a prompt of
/// `input_tokens` and `decode` counts the answers' tokens end to end.
Estimate cost_per_million_total(const Estimate& usd_per_hour, const Rate& decode, double input_tokens,
                                double output_tokens, double utilisation = assumed_utilisation);

}  // namespace advisor
