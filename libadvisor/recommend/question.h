// A profile with every name resolved and every default applied; refuses what cannot be asked.
#pragma once

#include "core/hardware.h"
#include "core/profile.h"
#include "recommend/toolbox.h"

namespace advisor {

/// Throws not_found with suggestions for unknown models, tasks and benchmarks, invalid_argument for hardware without
/// memory.
Question ask(const Toolbox& tools, const Profile& profile, const Hardware& hardware, const Model* checkpoint_model);

}  // namespace advisor
