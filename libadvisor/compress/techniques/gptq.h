// What GPTQ leaves of a rounding error, for those who prepare weights for it.
#pragma once

#include <vector>

#include "compress/technique.h"

namespace advisor {

/// R_jj^2 per input column [in]: what the squared rounding error of the column costs once the columns behind it have
/// compensated it. `params` are those of gptq. Costs one factorization, i^3 / 3. Errors as gptq's solve.
std::vector<float> gptq_pivots(const LayerStats& stats, const QuantScheme& scheme, const TechniqueParams& params,
                               int threads);

}  // namespace advisor
