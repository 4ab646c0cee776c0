// What became of the variants that a profile asks about, in words.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/units.h"
#include "recommend/accuracy.h"
#include "recommend/cell_judge.h"
#include "recommend/consider.h"
#include "recommend/detail.h"
#include "recommend/rejections.h"

namespace advisor {

namespace {

std::string digits(double value) {
  if (!(value > 0) || !std::isfinite(value)) return format_number(value);
  const double scale = std::pow(10, 2 - std::floor(std::log10(value)));
  return format_number(std::round(value * scale) / scale);
}

/// In what the option is better, each with both figures. The measures and steps are those of dominance (decide.cpp).
std::string better_in(const Objectives& option, const Objectives& mine) {
  std::string text;
  const auto add = [&](const std::string& what, const std::string& theirs, const std::string& own) {
    text += (text.empty() ? "" : ", ") + what + " (" + theirs + " against " + own + ")";
  };
  const auto costs = [&](const char* what, double theirs, double own, const char* unit) {
    const bool less = theirs < own && !(std::isfinite(own) && std::abs(theirs - own) <= 0.005 * own);
    if (!less) return;
    add(what, digits(theirs) + unit, std::isfinite(own) ? digits(own) + unit : "unknown");
  };
  if (option.quality > mine.quality + 0.0005)
    add("quality", "at least " + percent(option.quality), percent(mine.quality));
  costs("cost", option.cost, mine.cost, " USD per million tokens");
  costs("latency", option.latency * 1000, mine.latency * 1000, " ms per token");
  costs("effort", option.effort, mine.effort, " h");
  return text;
}

class Answerer {
 public:
  Answerer(const Considering& considering, const Question& q, CellJudge& judge, const Decision& decision,
           const std::vector<Option>& options)
      : considering_(considering),
        tools_(considering.tools()),
        q_(q),
        judge_(judge),
        decision_(decision),
        options_(options),
        dominating_(dominating(decision)) {}

  Answered answer(const Asked& asked) {
    Answered result;
    result.asked = asked.text;
    result.judged.variant = asked.variant;
    const auto* cell = cell_of(considering_, asked, q_, decision_);
    if (cell == nullptr) {
      result.judgement = Judgement::rejected, result.code = "rule", result.because = asked.refused;
      return result;
    }
    result.judged = describe(tools_, q_, judge_, *cell);
    result.judged.evidence.clear();
    decide(*cell, result);
    return result;
  }

 private:
  void decide(const Cell& cell, Answered& result) {
    if (!decision_.profile_rules.empty()) return reject_by_profile(result);
    const int index = static_cast<int>(&cell - decision_.cells.data());
    const auto ranked = std::find(decision_.ranked.begin(), decision_.ranked.end(), index);
    if (ranked != decision_.ranked.end()) {
      place(cell, dominating_[static_cast<std::size_t>(ranked - decision_.ranked.begin())] == index, index, result);
    } else if (cell.fate == Fate::undecided) {
      const auto gap = gap_of(tools_, q_, cell);
      result.because = gap.subject + ": needs " + gap.needs;
      for (const auto& unknown : tools_.rules.apply(judge_.facts_of(cell), "variant").unknowns)
        if (unknown.kind == "forbid") result.also.push_back(unknown.gap().subject + ": needs " + unknown.gap().needs);
    } else {
      reject(cell, result);
    }
  }

  void place(const Cell& cell, bool in_front, int index, Answered& result) {
    const int leader =
        in_front ? index
                 : dominating_[static_cast<std::size_t>(
                       std::find(decision_.ranked.begin(), decision_.ranked.end(), index) - decision_.ranked.begin())];
    const auto rank = static_cast<std::size_t>(std::find(decision_.front.begin(), decision_.front.end(), leader) -
                                               decision_.front.begin());
    result.option = static_cast<int>(rank) + 1;
    result.judgement = in_front ? Judgement::option : Judgement::dominated;
    if (in_front) {
      if (rank < options_.size()) result.because = options_[rank].decided_by;
      return;
    }
    const auto& option = decision_.cells[static_cast<std::size_t>(leader)];
    const auto better = better_in(option.objectives, cell.objectives);
    result.because = "meets every limit, but option " + std::to_string(result.option) + ", " +
                     id_of(tools_, q_, option) + ", is " +
                     (better.empty() ? "as good in everything" : "nowhere worse and better in " + better);
  }

  void reject_by_profile(Answered& result) {
    result.judgement = Judgement::rejected;
    const auto findings = judge_.profile_findings();
    if (findings.forbids.empty()) return;
    const auto& first = findings.forbids.front();
    result.code = first.code, result.rule = first.rule, result.because = first.reason;
  }

  void reject(const Cell& cell, Answered& result) {
    result.judgement = Judgement::rejected;
    auto rejection = advisor::reject(tools_, q_, judge_, cell);
    result.code = std::move(rejection.code), result.rule = std::move(rejection.rule);
    result.because = std::move(rejection.because);
    if (rejection.memory_detail) result.because += "; " + *rejection.memory_detail;
    for (const auto& forbid : tools_.rules.apply(judge_.facts_of(cell), "variant").forbids)
      if (forbid.rule != result.rule) result.also.push_back(forbid.reason);
  }

  const Considering& considering_;
  const Toolbox& tools_;
  const Question& q_;
  CellJudge& judge_;
  const Decision& decision_;
  const std::vector<Option>& options_;
  std::vector<int> dominating_;
};

}  // namespace

const Cell* cell_of(const Considering& considering, const Asked& asked, const Question& q, const Decision& decision) {
  if (asked.treatment < 0) return nullptr;
  const int model =
      asked.variant.model == q.model->id ? q.current : considering.tools().catalog.find(asked.variant.model);
  for (const auto& cell : decision.cells)
    if (cell.model == model && (cell.treatment == asked.treatment || cell.treatment == asked.same_as)) return &cell;
  throw Error(ErrorCode::internal, "\"" + asked.text + "\" was asked about, but nobody looked at it");
}

std::vector<Answered> answers(const Considering& considering, const Question& q, CellJudge& judge,
                              const Decision& decision, const std::vector<Option>& options) {
  std::vector<Answered> all;
  if (considering.asked().empty()) return all;
  Answerer answerer(considering, q, judge, decision, options);
  for (const auto& asked : considering.asked()) all.push_back(answerer.answer(asked));
  return all;
}

}  // namespace advisor
