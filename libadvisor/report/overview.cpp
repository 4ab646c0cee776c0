#include <algorithm>
#include <map>
#include <set>

#include "report/explain.h"
#include "report/words.h"

namespace advisor {

namespace {

using Kind = Block::Kind;

constexpr std::size_t shown_options = 6, shown_gaps = 6, shown_measurements = 3;

std::string headline(const Recommendation& r) {
  const auto& model = r.profile.model;
  if (r.outcome == Outcome::infeasible) return "INFEASIBLE: nothing meets every limit for " + model;
  if (r.outcome == Outcome::insufficient_evidence)
    return "NOT ENOUGH EVIDENCE: what fits cannot be judged against the limits for " + model;
  if (r.verdict == Verdict::portfolio)
    return "PORTFOLIO of " + std::to_string(r.options.size()) + " variants for " +
           std::to_string(r.assignments.size()) + " tasks";
  const auto& best = r.options.front().variant;
  const auto on = " (" + best.format + ") on " + best.engine;
  switch (*r.verdict) {
    case Verdict::keep: return "KEEP " + best.model + " as it is: " + words::what(best) + on;
    case Verdict::compress: return "COMPRESS " + best.model + ": " + words::what(best) + on;
    case Verdict::switch_model: return "SWITCH to " + best.model + ": " + words::what(best) + on;
    default: return "SWITCH to " + best.model + " and COMPRESS it: " + words::what(best) + on;
  }
}

std::string memory_text(const MemoryEstimate& memory) {
  return words::bytes(memory.total) + " of " + words::bytes(memory.available) + ": weights " +
         words::bytes(memory.weights) + ", KV cache " + words::bytes(memory.kv_cache) + " (" +
         std::to_string(memory.concurrency) + " x " + std::to_string(memory.context) + " tokens), engine " +
         words::bytes(memory.overhead);
}

Block best_block(const Option& best) {
  Block block{Kind::pairs, "", {}};
  const auto line = [&](const std::string& label, const std::string& text) {
    if (!text.empty()) block.rows.push_back({label, text});
  };
  line("memory", memory_text(best.memory));
  std::string quality = words::quality(best, true);
  if (best.quality && best.quality->probability)
    quality += "; the limit is met with probability " + words::number(*best.quality->probability);
  line("quality", quality);
  for (const auto& evidence : best.evidence)
    if (evidence.kind == "measurement" || evidence.kind == "prediction") line("evidence", evidence.text);
  line("speed", words::speed(best));
  if (best.usd_per_million_tokens)
    line("cost", words::interval(*best.usd_per_million_tokens, "USD per million output tokens") + ", " +
                     words::interval(*best.usd_per_hour, "USD per hour"));
  line("effort", words::effort(best.route));
  line("why", best.decided_by);
  for (const auto& warning : best.warnings) line("warning", warning);
  for (std::size_t i = 0; i < best.steps.size(); ++i) line("step " + std::to_string(i + 1), best.steps[i]);
  line("start", best.launch_command);
  line("make it", best.apply_command);
  line("prove it", best.verify_command);
  return block;
}

Block options_block(const Recommendation& r) {
  Block table{Kind::table, "", {{"#", "action", "model", "variant", "engine", "memory", "quality", "USD/M"}}};
  for (const auto& option : r.options) {
    if (table.rows.size() > shown_options) break;
    table.rows.push_back(
        {std::to_string(option.rank), option.action, option.variant.model, words::what(option.variant),
         option.variant.engine, words::bytes(option.memory.total), words::keeps(option),
         option.usd_per_million_tokens ? words::number(option.usd_per_million_tokens->mean) : "unknown"});
  }
  return table;
}

/// What is not in the table, counted.
std::string left_out(const Recommendation& r) {
  std::string text;
  if (r.options.size() > shown_options)
    text = std::to_string(r.options.size() - shown_options) + " more as good in one way or another";
  std::size_t dominated = 0;
  for (const auto& group : r.dominated) dominated += group.variants.size();
  if (dominated > 0)
    text += (text.empty() ? "" : "; ") + std::to_string(dominated) +
            " others meet every limit but are no better than one of these in anything";
  return text;
}

void add_portfolio(const Recommendation& r, Page& page) {
  if (r.assignments.empty()) return;
  page.push_back({Kind::heading, "Which task goes where", {}});
  Block table{Kind::table, "", {{"task", "share", "option", "quality", "why"}}};
  for (const auto& one : r.assignments)
    table.rows.push_back({one.task, words::percent(one.share), "#" + std::to_string(one.option),
                          one.quality ? words::percent(one.quality->mean) : "unknown", one.because});
  page.push_back(std::move(table));
  Block routing{Kind::list, "", {}};
  for (const auto& one : r.routing)
    routing.rows.push_back({one.task + ": send " + words::percent(one.share_small) + " of the requests to #" +
                            std::to_string(one.small) + ", the rest to #" + std::to_string(one.large) + ": " +
                            one.because});
  if (!routing.rows.empty()) page.push_back(std::move(routing));
}

std::string subject(const Rejection& rejection) {
  return rejection.action + " " + rejection.model + (rejection.scheme.empty() ? "" : " [" + rejection.scheme + "]") +
         (rejection.engine.empty() ? "" : " on " + rejection.engine);
}

/// The model in use line by line; models to switch to by cause, with the first of each as the example.
Block rejections_block(const Recommendation& r) {
  Block block{Kind::pairs, "", {}};
  std::map<std::string, std::vector<const Rejection*>> others;
  for (const auto& rejection : r.rejections) {
    if (rejection.action == "switch" || rejection.action == "compress_and_switch")
      others[rejection.code].push_back(&rejection);
    else
      block.rows.push_back({rejection.code, subject(rejection) + ": " + rejection.because});
  }
  for (const auto& [code, rejections] : others) {
    std::set<std::string> models;
    for (const auto* rejection : rejections) models.insert(rejection->model);
    const auto& example = *rejections.front();
    block.rows.push_back(
        {code, (rejections.size() == 1 ? "" : std::to_string(models.size()) + " other models, for example ") +
                   subject(example) + ": " + example.because});
  }
  return block;
}

/// "rejected", "dominated by #1": what became of each variant that was asked about.
void add_answered(const Recommendation& r, Page& page) {
  if (r.answered.empty()) return;
  Block block{Kind::pairs, "", {}};
  for (const auto& one : r.answered) {
    std::string label(name(one.judgement));
    if (one.judgement == Judgement::option) label += " #" + std::to_string(one.option);
    std::string text = one.asked + (one.task.empty() ? "" : " for " + one.task) + ": " + one.because;
    for (const auto& reason : one.also) text += " Also: " + reason;
    if (one.judged.quality && one.judged.quality->retention) text += " (" + words::keeps(one.judged) + ")";
    block.rows.push_back({std::move(label), std::move(text)});
  }
  page.push_back({Kind::heading, "What you asked about", {}});
  page.push_back(std::move(block));
}

void add_list(Page& page, const std::string& heading, std::vector<std::string> items, std::size_t shown = 100) {
  if (items.empty()) return;
  page.push_back({Kind::heading, heading, {}});
  Block list{Kind::list, "", {}};
  for (std::size_t i = 0; i < std::min(items.size(), shown); ++i) list.rows.push_back({std::move(items[i])});
  if (items.size() > shown) list.rows.push_back({"... and " + std::to_string(items.size() - shown) + " more"});
  page.push_back(std::move(list));
}

std::vector<std::string> helps(const Recommendation& r) {
  std::vector<std::string> items;
  for (const auto& change : r.counterfactuals) {
    const auto set = change.field + " " + (change.from.empty() ? "unset" : change.from) + " -> " +
                     (change.to.empty() ? "unset" : change.to);
    items.push_back((change.text.empty() ? set : change.text + " (" + set + ")") + ": " + change.then_verdict +
                    (change.then_variant.empty() ? "" : ", " + change.then_variant));
  }
  return items;
}

std::vector<std::string> measurements(const Recommendation& r) {
  std::vector<std::string> items;
  for (const auto& one : r.measure)
    items.push_back(one.model + " with " + one.technique + " " + one.scheme + " on " + one.task + ": " + one.because +
                    (one.command.empty() ? "" : "; " + one.command));
  return items;
}

}  // namespace

Page overview(const Recommendation& r) {
  Page page{{Kind::paragraph, headline(r), {}}};
  if (!r.options.empty()) {
    if (r.verdict != Verdict::portfolio) page.push_back(best_block(r.options.front()));
    add_portfolio(r, page);
    page.push_back({Kind::heading, "Options that meet every limit", {}});
    page.push_back(options_block(r));
    if (const auto rest = left_out(r); !rest.empty()) page.push_back({Kind::list, "", {{rest}}});
  }
  add_answered(r, page);
  add_list(page, "What would change it", helps(r));
  add_list(page, "What to measure", measurements(r), shown_measurements);
  if (!r.rejections.empty()) {
    page.push_back({Kind::heading, "Rejected", {}});
    page.push_back(rejections_block(r));
  }
  std::vector<std::string> gaps;
  for (const auto& gap : r.gaps) gaps.push_back(gap.subject + ": needs " + gap.needs);
  add_list(page, "Not known", std::move(gaps), shown_gaps);
  std::string defaults;
  for (const auto& [field, value] : r.defaults) defaults += (defaults.empty() ? "" : "; ") + field + " = " + value;
  if (!defaults.empty()) add_list(page, "Defaults applied", {defaults});
  page.push_back({Kind::heading, "Looked at", {}});
  page.push_back({Kind::list,
                  "",
                  {{std::to_string(r.variants_considered) + " variants of " + std::to_string(r.models_considered) +
                    " models, " + std::to_string(r.variants_feasible) + " meet every limit; knowledge " +
                    r.knowledge_digest.substr(0, 12) + ": " + std::to_string(r.knowledge_rules) + " rules, " +
                    std::to_string(r.knowledge_measurements) + " measurements and scores"}}});
  return page;
}

std::string explain(const Recommendation& recommendation) { return as_text(overview(recommendation)); }

}  // namespace advisor
