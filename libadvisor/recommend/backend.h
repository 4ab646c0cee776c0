// What libadvisor's own backend makes, in the words of the decision, and who makes the rest. The registries of
// compress/ and checkpoint/ are the truth; this folder may not know them, so tests/compress/decision_test.cpp asks both
// about every technique, scheme and format and fails where they disagree.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/catalog.h"
#include "core/recipe.h"
#include "core/variant.h"
#include "estimate/effort.h"

namespace advisor {

/// The recipe that makes the files of a variant from dense weights; nullopt: the backend cannot. Techniques that stand
/// for a number format (fp8, nvfp4, gguf-k ...) are rounding to it. Where a text is shown to the model anyway, scales
/// of an fp8 cache are measured and stored too.
std::optional<Recipe> recipe_for(const Variant& variant);

/// Layers in the variant's scheme or in `upper`, whichever they need, so that they take `bits_per_weight` on average.
Recipe mixed_recipe(const Variant& variant, const std::string& upper, double bits_per_weight);

/// Whether a recipe of one of these has to see a text for what was promised: techniques that learn from it, stored
/// scales of inputs or cache, budgets, and GGUF types that were only measured with an importance matrix.
bool needs_calibration(const Recipe& recipe);

/// What of the backend's work it is, for its hours and memory.
const TechniqueWork& own_work(const Recipe& recipe);

/// Whether the backend runs models of this kind: text decoders of the architectures that lm/ knows, published with 16
/// bits. `architecture`: as the catalog spells it ("qwen2") or as config.json does ("Qwen2ForCausalLM").
bool backend_runs(const Model& model);
/// "Qwen2ForCausalLM" of "qwen2"; empty: none that the backend runs.
std::string_view backend_architecture(std::string_view architecture);

/// Who else makes a variant with a technique (data/techniques.csv).
std::string other_tool(const std::string& technique, const std::string& title, const std::string& format);

}  // namespace advisor
