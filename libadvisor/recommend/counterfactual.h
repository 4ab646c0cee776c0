// The smallest change of one field that makes an infeasible question feasible. Each change is tried by deciding again.
#pragma once

#include <vector>

#include "recommend/decide.h"

namespace advisor {

/// For questions that memory killed: fewer sequences, less context, more devices, more memory per device.
std::vector<Counterfactual> counterfactuals(const Toolbox& tools, const Question& question);

}  // namespace advisor
