#include "recommend/counterfactual.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "core/fields.h"
#include "core/suggest.h"
#include "core/units.h"
#include "estimate/cost.h"
#include "recommend/cell_judge.h"
#include "recommend/detail.h"

namespace advisor {

namespace {

/// A change of words rather than of a number: one of several that are tried in this order.
struct Wording {
  std::string field, to, text;
  double size = 1;  ///< how large a change: 1 where nothing can be measured
};

/// Licences of what licences alone turned away, the best first: of the model in use, then by score.
std::vector<std::string> turned_away_licences(const Toolbox& tools, std::span<const Decision* const> decisions,
                                              const std::string& in_use) {
  std::vector<std::pair<double, std::string>> found;
  for (const auto* decision : decisions)
    for (const auto& fate : decision->models)
      if (fate.rule != nullptr && fate.rule->code == "licence")
        found.emplace_back(-fate.score, tools.catalog.models()[static_cast<std::size_t>(fate.model)].model->licence);
  std::sort(found.begin(), found.end());
  std::vector<std::string> licences;
  if (!in_use.empty()) licences.push_back(in_use);
  for (const auto& [score, licence] : found)
    if (!licence.empty() && std::find(licences.begin(), licences.end(), licence) == licences.end())
      licences.push_back(licence);
  return licences;
}

std::string list_text(const std::vector<std::string>& items) {
  std::string text = "[";
  for (const auto& item : items) text += (text.size() > 1 ? ", " : "") + item;
  return text + "]";
}

void add_licences(const Toolbox& tools, const Profile& p, std::span<const Decision* const> decisions,
                  std::vector<Wording>& all) {
  if (p.licence.empty()) return;
  const int index = tools.catalog.find(p.model);
  const auto in_use = index < 0 ? "" : tools.catalog.models()[static_cast<std::size_t>(index)].model->licence;
  constexpr std::size_t most = 3;
  auto licences = turned_away_licences(tools, decisions, in_use);
  std::erase_if(licences, [&](const std::string& one) {
    return std::find(p.licence.begin(), p.licence.end(), one) != p.licence.end() ||
           one.find_first_of(",[]") < one.size();
  });
  for (std::size_t i = 0; i < std::min(most, licences.size()); ++i) {
    auto more = p.licence;
    more.push_back(licences[i]);
    all.push_back({"licence", list_text(more), "if the licence " + licences[i] + " were allowed too"});
  }
  all.push_back({"licence", "[]", "if the licence " + join(p.licence, " or ") + " were not required"});
}

void add_modalities(const std::string& field, const std::vector<std::string>& now, const std::string& text,
                    std::vector<Wording>& all) {
  for (const auto& gone : now) {
    if (gone == "text") continue;
    std::vector<std::string> rest;
    for (const auto& one : now)
      if (one != gone) rest.push_back(one);
    if (rest.empty()) rest = {"text"};
    all.push_back({field, list_text(rest), "if " + gone + text});
  }
}

std::vector<Wording> wordings(const Toolbox& tools, const Profile& p, std::span<const Decision* const> decisions) {
  std::vector<Wording> all;
  if (p.engine != "any") all.push_back({"engine", "any", "on any engine"});
  add_licences(tools, p, decisions, all);
  if (!p.allow.compress) all.push_back({"allow.compress", "true", "if compression were allowed"});
  if (!p.allow.switch_model) all.push_back({"allow.switch", "true", "if another model were allowed"});
  if (!p.allow.prune) all.push_back({"allow.prune", "true", "if pruning were allowed"});
  if (!p.allow.calibration_data)
    all.push_back({"allow.calibration_data", "true", "if sample data could be used to calibrate"});
  add_modalities("modality.in", p.modality.in, " did not have to be read", all);
  add_modalities("modality.out", p.modality.out, " did not have to be produced", all);
  const auto task = [&](const auto& one, const std::string& prefix) {
    if (one.critical) all.push_back({prefix + "task.critical", "false", "if the task were not critical"});
    if (!one.in_context)
      all.push_back({prefix + "task.in_context", "true", "if the facts stood in the prompt (retrieval)"});
  };
  if (p.tasks.empty()) task(p.task, "");
  for (std::size_t i = 0; i < p.tasks.size(); ++i) task(p.tasks[i].task, "tasks." + std::to_string(i) + ".");
  return all;
}

/// Whether anything was turned away for a reason that another machine might not give.
bool hardware_matters(std::span<const Decision* const> decisions) {
  static const std::set<std::string> codes{"engine", "rule", "memory", "latency", "budget"};
  for (const auto* decision : decisions)
    for (const auto& cell : decision->cells) {
      const bool limit = cell.fate == Fate::limit && cell.failed != Limit::accuracy && cell.failed != Limit::effort;
      if (limit || (cell.fate == Fate::forbidden && codes.contains(cell.rule->code))) return true;
    }
  return false;
}

/// Devices of the catalog, the nearest first: by price where the present one has one, else by kind and memory.
std::vector<Wording> devices(const Toolbox& tools, const Situation& now) {
  const auto& wanted = now.profile.hardware;
  const auto& here = now.hardware.device;
  const bool explicit_numbers = wanted.memory || wanted.bandwidth || wanted.fp32 || wanted.fp16 || wanted.bf16 ||
                                wanted.fp8 || wanted.int8 || wanted.fp4 || wanted.int4 || !wanted.generation.empty();
  if (explicit_numbers) return {};  // they would win over the catalog's
  const auto price = [&](const Device& device) {
    const auto& cost = tools.price({device, wanted.count, "catalog"});
    return cost ? cost->mean : 1e300;
  };
  const double own_price = price(here);
  struct Nearest {
    bool other_kind;
    double price, memory;
    const Device* device;
  };
  std::vector<Nearest> all;
  for (const auto& device : tools.knowledge.devices) {
    if (device.id == here.id || !(device.memory > 0)) continue;
    const double usd = own_price < 1e300 ? price(device) : 0;
    all.push_back({own_price == 1e300 && device.kind != here.kind, usd, device.memory, &device});
  }
  std::sort(all.begin(), all.end(), [](const Nearest& a, const Nearest& b) {
    return std::tie(a.other_kind, a.price, a.memory, a.device->id) <
           std::tie(b.other_kind, b.price, b.memory, b.device->id);
  });
  std::vector<Wording> result;
  for (const auto& one : all) {
    const auto& device = *one.device;
    const auto text = "on " + (wanted.count == 1 ? "one " : std::to_string(wanted.count) + " x ") + device.id;
    const double ratio = own_price < 1e300 && one.price < 1e300 && own_price > 0 && one.price > 0
                             ? one.price / own_price
                             : device.memory / here.memory;
    result.push_back({"hardware.id", device.id, text, std::abs(std::log(ratio))});
  }
  return result;
}

class Search {
 public:
  Search(const Toolbox& tools, const Situation& now, const Aim& aim) : tools_(tools), now_(now), aim_(aim) {}

  void number(const Knob& knob) {
    std::map<int, Trial> known;
    const auto trial = [&](int step) -> const Trial& {
      const auto found = known.find(step);
      if (found != known.end()) return found->second;
      return known.emplace(step, aim_.attempt(at(knob, step), knob.field)).first->second;
    };
    const auto& last = trial(knob.steps);
    if (!last.reached) return;
    const int guess = last.tightest ? first_beyond(knob, *last.tightest) : 0;
    const int step = least_step(knob.steps, guess, [&](int i) { return trial(i).reached; });
    if (step == 0) return;
    const auto then = at(knob, step);
    const double ratio = knob.from > 0 ? std::abs(std::log(knob.value(step) / knob.from)) : 1;
    Situation as_set = now_;
    if (get_field(now_.profile, knob.field).empty() && knob.from > 0) set_field(as_set.profile, knob.field, knob.from);
    add(ratio, knob.field, get_field(as_set.profile, knob.field), then, trial(step), say(now_, then, knob));
    found_.back().unconfirmed = aim_.confirm ? std::optional(then) : std::nullopt;
  }

  /// Of each field the first wording that helps.
  void words(const std::vector<Wording>& all) {
    std::set<std::string> done;
    for (const auto& one : all) {
      if (done.contains(one.field)) continue;
      const auto then = changed(now_, tools_.knowledge.devices, one.field, one.to);
      const auto trial = aim_.attempt(then, one.field);
      if (!trial.reached) continue;
      const bool fp8 = one.field == "hardware.id" && trial.variant.find("-fp8|") != std::string::npos &&
                       !(now_.hardware.device.fp8.value_or(0) > 0);
      const auto text = one.text + (fp8 ? ", which computes in FP8" : "");
      const auto sure = aim_.confirm ? aim_.confirm(then, one.field) : trial;
      if (!sure.reached) continue;
      add(one.size, one.field, get_field(now_.profile, one.field), then, sure, text);
      done.insert(one.field);
    }
  }

  std::vector<Counterfactual> best() {
    std::stable_sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
      return std::tie(a.size, a.change.field) < std::tie(b.size, b.change.field);
    });
    std::vector<Counterfactual> all;
    for (auto& one : found_) {
      if (all.size() == most_counterfactuals) break;
      if (one.unconfirmed) {  // of many that are found few are told, and only those need be sure
        const auto sure = aim_.confirm(*one.unconfirmed, one.change.field);
        if (!sure.reached) continue;
        one.change.then_verdict = sure.verdict, one.change.then_variant = sure.variant;
      }
      all.push_back(std::move(one.change));
    }
    return all;
  }

 private:
  struct Found {
    double size;
    Counterfactual change;
    std::optional<Situation> unconfirmed{};
  };

  Situation at(const Knob& knob, int step) const {
    Profile number = now_.profile;
    set_field(number, knob.field, knob.value(step));
    return changed(now_, tools_.knowledge.devices, knob.field, get_field(number, knob.field));
  }

  void add(double size, const std::string& field, const std::string& from, const Situation& then, const Trial& trial,
           const std::string& text) {
    found_.push_back(
        {size, {field, from, get_field(then.profile, field), trial.verdict, trial.variant, text + aim_.suffix}});
  }

  const Toolbox& tools_;
  const Situation& now_;
  const Aim& aim_;
  std::vector<Found> found_;
};

/// The tightest limit that one of the feasible candidates would still meet.
std::optional<double> tightest(const Toolbox& tools, const Question& q, const Decision& decision,
                               const std::string& field) {
  const double confidence = q.profile.confidence;
  const auto best = [&](bool most, auto&& of) {
    std::optional<double> result;
    for (const int index : decision.ranked) {
      const std::optional<double> value = of(decision.cells[static_cast<std::size_t>(index)]);
      if (value && (!result || (most ? *value > *result : *value < *result))) result = value;
    }
    return result;
  };
  using Value = std::optional<double>;
  if (field == "accuracy.min")
    return best(true, [&](const Cell& c) { return c.has_value ? Value(c.value.quantile(1 - confidence)) : Value(); });
  if (field == "accuracy.retain")
    return best(true,
                [&](const Cell& c) { return c.has_relative ? Value(c.relative.quantile(1 - confidence)) : Value(); });
  if (field == "slo.ttft")
    return best(false,
                [&](const Cell& c) { return c.has_ttft ? Value(std::exp(c.log_ttft.quantile(confidence))) : Value(); });
  if (field == "slo.tpot")
    return best(
        false, [&](const Cell& c) { return c.has_speed ? Value(std::exp(c.log_tpot.quantile(confidence))) : Value(); });
  if (field == "budget.hours_to_compress")
    return best(false, [&](const Cell& c) {
      return c.has_effort ? Value(std::exp(c.log_hours.quantile(confidence))) : Value(0.0);
    });
  if (field == "budget.usd_per_hour") {
    const auto price = CellJudge(tools, q).usd_per_hour();
    return price ? Value(Distribution{price->mean, price->sd, 30}.quantile(confidence)) : Value();
  }
  if (field == "confidence")
    return best(true, [](const Cell& c) {
      double least = 1;
      for (const auto& chance :
           {c.chances.memory, c.chances.accuracy, c.chances.ttft, c.chances.tpot, c.chances.budget, c.chances.effort})
        least = std::min(least, chance.value_or(1));
      return Value(least);
    });
  return std::nullopt;
}

/// How the decision would end. `tightest` only of the fields that a guess is made of.
Try deciding(const Toolbox& tools, const CellJudge& now, const Model* checkpoint, bool keep) {
  return [&tools, &now, checkpoint, keep](const Situation& then, const std::string& field) {
    static const std::set<std::string> guessed{"accuracy.min", "accuracy.retain",          "slo.ttft",
                                               "slo.tpot",     "budget.hours_to_compress", "budget.usd_per_hour",
                                               "confidence"};
    const auto q = ask(tools, then.profile, then.hardware, checkpoint);
    Trial trial;
    std::optional<Leader> leader;
    const auto* here = field == "hardware.id" ? nullptr : &now;
    if (keep || !guessed.contains(field)) {
      leader = find_leader(tools, q, here);
    } else if (const auto decision = decide(tools, q); !decision.ranked.empty()) {
      leader = Leader{decision.first()};
      trial.tightest = tightest(tools, q, decision, field);
    }
    if (!leader) return trial;
    trial.reached = !keep || leader->keeps;
    trial.verdict = name(verdict_of(leader->cell.action));
    trial.variant = id_of(tools, q, leader->cell);
    return trial;
  };
}

/// Bytes of the model in use as it was published, in the smallest of its files; 0: nobody knows.
double least_bytes(const Toolbox& tools, const Question& q) {
  double least = std::numeric_limits<double>::infinity();
  for (const auto& applied : q.at(tools, q.current).applied)
    if (tools.catalog.treatments()[static_cast<std::size_t>(applied.treatment)].whole)
      least = std::min(least, applied.stored);
  return std::isfinite(least) ? least : 0;
}

/// Whether the model in use could be kept as it is, were nothing else allowed.
Try keeping(const Toolbox& tools, const CellJudge& now, const Question& q) {
  const Model* checkpoint = q.current == own_model ? q.model : nullptr;
  return [&tools, &now, checkpoint, least = least_bytes(tools, q)](Situation then, const std::string& field) {
    const auto& machine = then.hardware;
    const double room = machine.device.memory * static_cast<double>(machine.count) + machine.host_memory.value_or(0);
    // Of a hundred devices most are too small for the weights alone: what more is needed does not matter then.
    if (least > room && then.profile.confidence >= 0.5) return Trial{};
    then.profile.allow.compress = then.profile.allow.switch_model = false;
    const auto q = ask(tools, then.profile, then.hardware, checkpoint);
    const auto decision = decide_keeping(tools, q, field == "hardware.id" ? nullptr : &now);
    Trial trial;
    trial.reached = !decision.ranked.empty();
    if (trial.reached) trial.variant = id_of(tools, q, decision.first());
    trial.tightest = tightest(tools, q, decision, field);
    return trial;
  };
}

}  // namespace

std::vector<Counterfactual> search(const Toolbox& tools, const Situation& now,
                                   std::span<const Decision* const> decisions, const Aim& aim) {
  Search search(tools, now, aim);
  for (const auto& knob : knobs(now)) search.number(knob);
  if (hardware_matters(decisions)) search.words(devices(tools, now));
  if (!aim.numbers) search.words(wordings(tools, now.profile, decisions));
  return search.best();
}

Situation situation_of(const Question& q) {
  Situation now{q.profile, q.hardware};
  if (q.default_limit) now.profile.accuracy = {};
  return now;
}

std::vector<Counterfactual> counterfactuals(const Toolbox& tools, const Question& q, const CellJudge& judge,
                                            const Decision& decision) {
  const auto now = situation_of(q);
  const Model* checkpoint = q.current == own_model ? q.model : nullptr;
  const Decision* const decisions[] = {&decision};
  if (decision.outcome != Outcome::recommended)
    return search(tools, now, decisions, {deciding(tools, judge, checkpoint, false)});
  if (std::any_of(decision.ranked.begin(), decision.ranked.end(),
                  [&](int index) { return decision.cells[static_cast<std::size_t>(index)].action == Action::keep; }))
    return {};  // something else is better, but nothing forces it
  Aim keep;
  keep.attempt = keeping(tools, judge, q);  // a few candidates instead of a whole catalog
  keep.confirm = deciding(tools, judge, checkpoint, true);
  keep.numbers = true;
  keep.suffix = ", " + q.model->id + " could be kept as it is";
  return search(tools, now, decisions, keep);
}

}  // namespace advisor
