// Money: what the machine costs per hour, and what a million tokens cost at a printed utilisation.
#pragma once

#include <optional>
#include <string>

#include "core/knowledge.h"
#include "estimate/throughput.h"

namespace advisor {

/// Share of the hour in which the machine really produces tokens; printed as a default with every cost.
inline constexpr double assumed_utilisation = 0.5;

/// Median of the on-demand prices per device, times the count; the interval spans the offers. nullopt: no price.
std::optional<Estimate> hourly_cost(const Knowledge& knowledge, const Hardware& hardware);

/// USD per million output tokens = USD per hour / (tokens per second · utilisation · 3600) · 1e6.
Estimate cost_per_million(const Estimate& usd_per_hour, const Rate& decode, double utilisation = assumed_utilisation);

}  // namespace advisor
