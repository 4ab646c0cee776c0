#include "estimate/quality_levels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "core/units.h"

namespace advisor {

namespace {

/// Where the cost of a bit changes. Between two knots the log damage is linear.
constexpr std::array knots{8.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0};

/// Means: one bit less doubles the step of a uniform quantizer and so quadruples its noise (Bennett 1948; Gray and
/// Neuhoff, IEEE Trans. Inf. Theory 44, 1998, eq. 4): ln 4 per bit. Damage in proportion to what is removed: slope 1 of
/// pruning. All others 0. Standard deviations: those with which sources left out were predicted best, each tried at
/// about half and twice its value; the result is flat in most of them. See docs/estimation.md.
const std::map<std::string, LevelPrior>& priors() {
  static const double per_bit = std::log(4.0);
  static const std::map<std::string, LevelPrior> table{
      {"activation", {0, 0.7}},
      {"bits", {per_bit, 0.5}},
      {"family", {0, 0.6}},
      {"group", {0, 0.5}},
      {"guess_family", {0, 0.2}},
      {"guess_task", {0, 0.2}},
      {"headroom", {0, 0.5}},
      {"intercept", {-4, 3}},
      {"lineage", {0, 0.25}},
      {"model", {0, 0.3}},
      {"model_low", {0, 0.3}},
      {"pattern", {0, 0.7}},
      {"per_channel", {0, 1}},
      {"perplexity", {0, 1}},
      {"pruning_technique", {0, 0.7}},
      {"recipe", {0, 0.3}},
      {"size", {0, 0.3}},
      {"source", {0, 0.15}},
      {"source_technique", {0, 0.2}},
      {"sparsity", {1, 0.3}},
      {"task", {0, 0.25}},
      {"task_pruned", {0, 0.2}},
      {"technique", {0, 0.5}},
      {"technique_low", {0, 0.7}},
      {"technique_perplexity", {0, 0.3}},
      {"ungrouped", {0, 0.5}},
  };
  return table;
}

bool is_gguf(const Treatment& t) { return !t.scheme.starts_with("W"); }

std::string kind(bool pruned) { return pruned ? "pruned" : "quantized"; }

/// One scale for how many weights: only integer grids without a block format of their own have the choice.
void add_grouping(const Treatment& t, double bits, Levels& levels) {
  if (bits >= 8 || t.activation_bits < 16 || !t.grid.empty() || is_gguf(t)) return;
  if (t.group < 0) {
    levels.push_back({"per_channel", ""});
  } else if (t.group > 0) {
    levels.push_back({"group", "", std::log(t.group / 128)});
  } else {
    levels.push_back({"ungrouped", ""});
  }
}

std::string format_of(const Treatment& t) {
  return "W" + format_number(std::round(t.weight_bits)) + "A" + format_number(std::round(t.activation_bits)) +
         (t.grid.empty() ? "" : "-" + t.grid);
}

Levels quantization_levels(const Treatment& t) {
  Levels levels{{"intercept", kind(false)}, {"technique", t.technique}};
  const double bits = value_bits(t);
  for (std::size_t i = 1; i < knots.size(); ++i) {
    const double share = std::clamp((knots[i - 1] - bits) / (knots[i - 1] - knots[i]), 0.0, 1.0);
    if (share > 0) levels.push_back({"bits", format_number(knots[i - 1]) + " to " + format_number(knots[i]), share});
  }
  if (const double low = bits_below_four(t); low > 0) levels.push_back({"technique_low", t.technique, low});
  if (t.activation_bits < 16)
    levels.push_back(
        {"activation", "A" + format_number(std::round(t.activation_bits)) + (t.grid.empty() ? "" : "-" + t.grid)});
  add_grouping(t, bits, levels);
  levels.push_back({"recipe", recipe_name(t)});
  return levels;
}

/// Patterns of blocks of four leave half: their sparsity speaks as unstructured does.
std::string sparsity_kind(const std::string& pattern) {
  return pattern.starts_with("structured") ? pattern : "unstructured";
}

Levels pruning_levels(const Treatment& t) {
  const double sparsity = std::clamp(t.sparsity, 0.001, 0.95);
  return {{"intercept", kind(true)},
          {"pruning_technique", t.technique},
          {"pattern", t.pattern},
          {"sparsity", sparsity_kind(t.pattern), std::log(-std::log1p(-sparsity) / 0.3)}};
}

}  // namespace

LevelPrior level_prior(const std::string& term) { return priors().at(term); }

std::vector<std::string> level_terms() {
  std::vector<std::string> terms;
  for (const auto& [term, prior] : priors()) terms.push_back(term);
  return terms;
}

double value_bits(const Treatment& t) {
  // A K-quant block spends half a bit per weight on scales and minima (Q4_K: 144 bytes for 256 weights of 4 bits).
  constexpr double scales = 0.5;
  const bool mix = t.technique == "gguf-k" || t.technique == "gguf-i";
  return mix && t.bits_per_weight > t.weight_bits ? t.bits_per_weight - scales : t.weight_bits;
}

double bits_below_four(const Treatment& t) { return t.pruned() ? 0 : std::max(0.0, 4 - value_bits(t)); }

std::string recipe_name(const Treatment& t) {
  if (t.pruned()) return t.technique + " " + t.pattern;
  return format_of(t) + " " + t.technique + (t.group < 0 ? " per channel" : "");
}

std::string step_name(const Treatment& t) {
  return t.pruned() ? t.pattern : format_number(std::clamp(std::round(value_bits(t)), 1.0, 8.0)) + " bits";
}

Levels treatment_levels(const Treatment& t) { return t.pruned() ? pruning_levels(t) : quantization_levels(t); }

/// Smaller models are taken as this large: hardly a row is of less, and the trend is not to be carried to models a
/// hundred times smaller.
constexpr double least_params = 1e8;

Levels model_levels(const Model& model, bool pruned) {
  Levels levels{{"model", model.id}, {"lineage", model.family.empty() ? "not in the catalog" : model.family}};
  if (model.params.value_or(0) > 0)
    levels.push_back({"size", kind(pruned), std::log(std::max(*model.params, least_params) / 7e9)});
  return levels;
}

Levels task_levels(const Yardstick& y, bool pruned, double headroom) {
  Levels levels{{"family", y.family}, {"headroom", "", headroom}};
  if (!y.task.empty()) {
    levels.push_back({"task", y.task});
    if (pruned) levels.push_back({"task_pruned", y.task});
  }
  return levels;
}

Levels perplexity_levels(const std::string& task, const Treatment& t) {
  return {{"perplexity", kind(t.pruned())}, {"task", "perplexity of " + task}, {"technique_perplexity", t.technique}};
}

Levels source_levels(const std::string& source, const Treatment& t) {
  return {{"source", source}, {"source_technique", source + " " + t.technique}};
}

std::string treatment_key(const Treatment& t) {
  const std::string what = t.pruned() ? t.pattern + " " + format_number(std::round(t.sparsity * 20) / 20)
                                      : format_of(t) + " " + format_number(std::round(value_bits(t) * 4) / 4);
  return t.technique + " " + what + (t.group < 0 ? " per channel" : "");
}

bool guess_is_fitted(const Yardstick& y) {
  return y.chance == 0 && (y.family == "truthfulness" || y.family == "mixed");
}

double headroom(double baseline, double chance) { return std::log(std::clamp(baseline - chance, 0.05, 1.0) / 0.5); }

}  // namespace advisor
