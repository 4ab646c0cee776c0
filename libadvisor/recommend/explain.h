// A recommendation in words: one screen for the CLI and notebooks. Adds nothing that is not in the recommendation.
#pragma once

#include <string>

#include "core/recommendation.h"

namespace advisor {

/// UTF-8, lines of at most about 110 characters, no final newline.
std::string explain(const Recommendation& recommendation);

}  // namespace advisor
