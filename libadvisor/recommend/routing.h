// Inside a portfolio: how many requests of a demanding task may go to a cheaper variant that is deployed for another,
// so that the quality expected of the mixture still meets the task's limit at the confidence asked for.
#pragma once

#include <vector>

#include "recommend/portfolio.h"

namespace advisor {

/// Largest x in [0, 1] with x · small + (1 - x) · large >= limit at the confidence. The two estimates err together
/// (comonotone), the most cautious assumption: quantiles of the mixture are then mixtures of quantiles.
double share_to_small(const Distribution& small, const Distribution& large, double limit, double confidence);

/// By task, then by the share that may be routed; nothing below a hundredth. `options` are those of portfolio.deployed,
/// in its order.
std::vector<RoutingThreshold> routing_thresholds(const Portfolio& portfolio, const std::vector<Option>& options);

}  // namespace advisor
