#include "recommend/judged_decision.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "rank/rank.h"
#include "recommend/judge.h"

namespace advisor {

namespace {

struct Refused {
  Rejection rejection;
  double miss;
};

/// Rejections with the same cause for one model become one: all schemes named, the reason of the nearest miss.
std::vector<Rejection> grouped(const std::vector<Refused>& refused) {
  using Key = std::tuple<std::string, std::string, std::string, std::string, std::string>;
  std::map<Key, std::vector<const Refused*>> groups;
  std::vector<Key> order;  // as first met: the model in use first
  for (const auto& one : refused) {
    const auto& r = one.rejection;
    const Key key{r.action, r.model, r.code, r.rule, r.code == "memory" ? "" : r.engine};
    if (!groups.contains(key)) order.push_back(key);
    groups[key].push_back(&one);
  }
  std::vector<Rejection> result;
  for (const auto& key : order) {
    const auto& members = groups[key];
    const auto* nearest = *std::min_element(members.begin(), members.end(),
                                            [](const auto* a, const auto* b) { return a->miss < b->miss; });
    Rejection merged = nearest->rejection;
    std::vector<std::string> schemes, engines;
    const auto add = [](std::vector<std::string>& items, const std::string& item) {
      if (!item.empty() && std::find(items.begin(), items.end(), item) == items.end()) items.push_back(item);
    };
    add(schemes, merged.scheme), add(engines, merged.engine);
    for (const auto* member : members) add(schemes, member->rejection.scheme), add(engines, member->rejection.engine);
    const auto list = [](const std::vector<std::string>& items) {
      std::string text;
      for (const auto& item : items) text += (text.empty() ? "" : ", ") + item;
      return text;
    };
    if (members.size() > 1 && schemes.size() > 1) merged.because = schemes.front() + ", the nearest: " + merged.because;
    merged.scheme = list(schemes);
    merged.engine = list(engines);
    if (members.size() > 1 && engines.size() > 1) merged.format.clear();
    result.push_back(std::move(merged));
  }
  return result;
}

std::vector<Candidate> candidates_of(const Toolbox& tools, const Question& q, std::vector<Rejection>& refused_models) {
  const auto engines = engines_to_try(q.profile, q.hardware.device);
  auto all = as_published(*q.model, "keep", engines);
  const auto append = [&](std::vector<Candidate> more) {
    all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  append(compressed(*q.model, "compress", engines, false));
  for (const auto* model : models_to_switch_to(tools, q, engines, refused_models)) {
    append(as_published(*model, "switch", engines));
    append(compressed(*model, "compress_and_switch", engines, true));
  }
  return all;
}

void add_gap(std::vector<Gap>& gaps, const Gap& gap) {
  const bool known = std::any_of(gaps.begin(), gaps.end(), [&](const Gap& other) {
    return other.subject == gap.subject && other.needs == gap.needs;
  });
  if (!known) gaps.push_back(gap);
}

void sort_gaps(std::vector<Gap>& gaps) {
  std::sort(gaps.begin(), gaps.end(),
            [](const Gap& a, const Gap& b) { return std::tie(a.subject, a.needs) < std::tie(b.subject, b.needs); });
}

}  // namespace

std::optional<Verdict> verdict_of(const std::string& action) {
  if (action == "keep") return Verdict::keep;
  if (action == "compress") return Verdict::compress;
  if (action == "switch") return Verdict::switch_model;
  if (action == "compress_and_switch") return Verdict::compress_and_switch;
  return std::nullopt;
}

JudgedDecision decide_judged(const Toolbox& tools, const Question& q) {
  JudgedDecision decision;
  std::vector<Rejection> refused_models;
  std::vector<Refused> refused;
  std::vector<Judged> options;
  bool undecided = false;
  for (const auto& candidate : candidates_of(tools, q, refused_models)) {
    auto judgement = judge(tools, q, candidate);
    for (const auto& gap : judgement.gaps) add_gap(decision.gaps, gap);
    if (judgement.rejection) {
      decision.memory_killed |= judgement.rejection->code == "memory";
      refused.push_back({std::move(*judgement.rejection), judgement.miss});
    } else if (judgement.undecided) {
      undecided = true;
      add_gap(decision.gaps, *judgement.undecided);
    } else if (judgement.option) {
      options.push_back(std::move(*judgement.option));
    }
  }
  rank_options(options, q.profile.priority);
  for (auto& judged : options) decision.options.push_back(std::move(judged.option));
  decision.rejections = grouped(refused);
  std::vector<Refused> models;
  for (auto& rejection : refused_models) models.push_back({std::move(rejection), 0});
  for (auto& rejection : grouped(models)) decision.rejections.push_back(std::move(rejection));
  sort_gaps(decision.gaps);
  if (!decision.options.empty()) {
    decision.outcome = Outcome::recommended;
    decision.verdict = verdict_of(decision.options.front().action);
  } else {
    decision.outcome = undecided ? Outcome::insufficient_evidence : Outcome::infeasible;
  }
  return decision;
}

}  // namespace advisor
