// The one pure function of the product: profile + hardware + knowledge -> recommendation.
#pragma once

#include "core/hardware.h"
#include "core/knowledge.h"
#include "core/profile.h"
#include "core/recommendation.h"

namespace advisor {

struct Toolbox;

/// Reads nothing but its arguments; the same arguments give the same bytes. Safe to call from many threads.
/// `checkpoint_model` describes the model when profile.model is a folder (facts read from its files); else null.
/// Throws not_found (with suggestions) for an unknown model id.
Recommendation recommend(const Profile& profile, const Hardware& hardware, const Toolbox& tools,
                         const Model* checkpoint_model = nullptr);

/// For one question only: makes the tools and throws them away.
Recommendation recommend(const Profile& profile, const Hardware& hardware, const Knowledge& knowledge,
                         const Model* checkpoint_model = nullptr);

}  // namespace advisor
