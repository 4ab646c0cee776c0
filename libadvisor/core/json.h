// Values <-> JSON. The output is deterministic: fixed key order, shortest numbers that read back exactly.
#pragma once

#include <string>
#include <string_view>

#include "core/catalog.h"
#include "core/document.h"
#include "core/hardware.h"
#include "core/point.h"
#include "core/profile.h"
#include "core/recommendation.h"

namespace advisor {

/// schema "advisor.recommendation/1", see interfaces in docs/. `indent` < 0 = one line.
std::string to_json(const Recommendation& recommendation, int indent = 2);

/// What reads a recipe's YAML: io's parse_recipe(text, where).
using RecipeParser = Recipe (*)(std::string_view text, const std::string& where);
/// Reads what to_json() writes; to_json() of it gives the same bytes. Absent keys keep their defaults, unknown ones are
/// left alone. Without a parser recipes stay empty. Throws parse_error that says which member is wrong.
Recommendation recommendation_from_json(std::string_view text, RecipeParser parse_recipe = nullptr,
                                        const std::string& file = "");
/// JSON Schema (draft 2020-12) of advisor.recommendation/1, as in data/schema/.
std::string recommendation_schema();

/// schema "advisor.estimate/1": one entry per quantity, with mean null and what is missing where nothing is known.
std::string to_json(const PointEstimate& estimate, int indent = 2);
std::string to_json(const Hardware& hardware, int indent = 2);  ///< unknown rates are null
std::string to_json(const Probe& probe, int indent = 2);        ///< schema "advisor.probe/1"
std::string to_json(const Model& model, int indent = 2);        ///< unknown facts are null

/// Only what was set, nested as in YAML; profile_from_json() reads it back.
std::string profile_to_json(const Profile& profile, int indent = 2);
/// Throws parse_error with line and column, or what the field table refuses.
Profile profile_from_json(std::string_view text);

/// Any JSON text as a Document. Refuses duplicate keys and nesting over 32 levels.
Document parse_json(std::string_view text, const std::string& file = "");

}  // namespace advisor
