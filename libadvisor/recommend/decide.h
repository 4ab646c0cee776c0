// The decision as numbers: every model of the catalog under every treatment that the question admits, each as a cell
// with the rule or limit that it fails, and the order of those that fail none. Quick enough to be asked hundreds of
// times: counterfactuals and sweeps ask again with another field.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/recommendation.h"
#include "recommend/cells.h"
#include "recommend/question.h"
#include "recommend/toolbox.h"

namespace advisor {

class CellJudge;

/// Why a model other than the one in use was not looked at any further.
struct ModelFate {
  enum class Why : std::uint8_t { rule, too_weak, undecided, no_size, not_scored };
  int model = 0;  ///< into Catalog::models
  Why why = Why::rule;
  const RuleSource* rule = nullptr;
  double probability = 0;  ///< of the uncompressed model to meet the accuracy limit
  double score = 0;        ///< of the uncompressed model, as far as known
  int treatments = 0;      ///< that it would have had
};

struct Decision {
  Outcome outcome = Outcome::infeasible;
  std::optional<Verdict> verdict;
  std::vector<Cell> cells;                       ///< the model in use first, then models and treatments by id
  std::vector<int> ranked;                       ///< feasible cells, best first
  std::vector<Objectives> steps;                 ///< of `ranked`: what is not worth telling apart is equal
  std::vector<int> front;                        ///< those of them that no other dominates, best first
  std::vector<ModelFate> models;                 ///< what was turned away as a whole, by id
  std::vector<const RuleSource*> profile_rules;  ///< that forbid whatever the variant; then nothing is feasible
  std::int64_t models_considered = 0, variants_considered = 0;
  const Cell& first() const { return cells[static_cast<std::size_t>(ranked.front())]; }
};

/// Reads nothing but its arguments and is safe to call from many threads.
Decision decide(const Toolbox& tools, const Question& question);
/// The same with a judge of this question that is used further.
Decision decide(const Toolbox& tools, const Question& question, CellJudge& judge);

/// The same of the model in use as it is alone: whether it may be kept, and what stands in the way.
/// `like`: a judge of another question about the device, which knows how treatments run there; nullptr: none.
Decision decide_keeping(const Toolbox& tools, const Question& question, const CellJudge* like = nullptr);

/// Decision::first(), and whether the model in use could be kept as it is.
struct Leader {
  Cell cell;
  bool keeps = false;
};
/// Without the places behind the first: candidates that cannot come before one already found are not looked at any
/// further. For what only needs to know how a decision ends. nullopt: nothing is feasible.
std::optional<Leader> find_leader(const Toolbox& tools, const Question& question, const CellJudge* like = nullptr);

/// For each ranked cell the first of the front that is at least as good in everything; itself when in the front.
std::vector<int> dominating(const Decision& decision);

Verdict verdict_of(Action action);

}  // namespace advisor
