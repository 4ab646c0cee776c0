// The smallest change of one field of the profile that flips the outcome. Nothing is looked up in a table of advice:
// each change is found by deciding again, limits near where the distributions of the best candidates say.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "recommend/decide.h"
#include "recommend/knobs.h"

namespace advisor {

/// What a changed situation comes to.
struct Trial {
  bool reached = false;  ///< what is looked for
  std::string verdict, variant;
  /// The tightest value of the field in question with which something would still hold, where that can be read from
  /// the candidates.
  std::optional<double> tightest{};
};
using Try = std::function<Trial(const Situation&, const std::string& field)>;

struct Aim {
  Try attempt;           ///< quick
  Try confirm{};         ///< of what was found: the whole decision; empty: `attempt` is that
  bool numbers = false;  ///< only numbers and devices are changed, not what is allowed
  std::string suffix{};  ///< of the text: what it would make possible
};

inline constexpr std::size_t most_counterfactuals = 8;

/// By how small the change is, then by field. `decisions` are what `now` came to: they tell which licences and whether
/// other hardware can matter.
std::vector<Counterfactual> search(const Toolbox& tools, const Situation& now,
                                   std::span<const Decision* const> decisions, const Aim& aim);

/// Of a question that nothing meets or that cannot be decided: what would make it decidable. Of a recommendation other
/// than to keep the model in use: what would let it be kept as it is. `judge` is that of the question.
std::vector<Counterfactual> counterfactuals(const Toolbox& tools, const Question& question, const CellJudge& judge,
                                            const Decision& decision);

/// The profile as it was given, without the limit that ask() assumes.
Situation situation_of(const Question& question);

}  // namespace advisor
