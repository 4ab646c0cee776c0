#include <algorithm>

#include "core/error.h"
#include "core/units.h"
#include "report/explain.h"
#include "report/words.h"

namespace advisor {

namespace {

using Kind = Block::Kind;

const Option& option_of(const Recommendation& r, int rank) {
  const auto found =
      std::find_if(r.options.begin(), r.options.end(), [&](const Option& option) { return option.rank == rank; });
  if (found != r.options.end()) return *found;
  throw Error(ErrorCode::not_found,
              "option " + std::to_string(rank) + ": the recommendation has " +
                  (r.options.empty() ? "no options" : "options 1 to " + std::to_string(r.options.size())));
}

std::string joined(const std::vector<std::string>& items) {
  std::string text;
  for (const auto& item : items) text += (text.empty() ? "" : ", ") + item;
  return text;
}

/// `value`: the estimate in words.
void add_row(Block& table, const std::string& label, const std::optional<Estimate>& estimate,
             const std::string& value) {
  if (!estimate) {
    table.rows.push_back({label, "unknown", "", "", ""});
    return;
  }
  table.rows.push_back(
      {label, value, std::string(name(estimate->basis)), std::to_string(estimate->n), joined(estimate->sources)});
}

void add_estimate(Block& table, const std::string& label, const std::optional<Estimate>& estimate,
                  const std::string& unit, double factor = 1) {
  add_row(table, label, estimate, estimate ? words::interval(*estimate, unit, factor) : "");
}

void add_seconds(Block& table, const std::string& label, const std::optional<Estimate>& estimate) {
  add_row(table, label, estimate, estimate ? words::seconds(*estimate) : "");
}

Block estimates(const Option& option) {
  Block table{Kind::table, "", {{"estimate", "value (interval)", "basis", "n", "sources"}}};
  if (option.quality) {
    add_estimate(table, "score on " + option.quality->task, option.quality->value, "%", 100);
    add_estimate(table, "kept of the uncompressed model", option.quality->retention, "%", 100);
  }
  add_estimate(table, "decode", option.decode_tokens_per_second, "tok/s");
  add_seconds(table, "time to first token", option.ttft_seconds);
  add_seconds(table, "time per output token", option.tpot_seconds);
  add_estimate(table, "price", option.usd_per_hour, "USD/h");
  add_estimate(table, "cost", option.usd_per_million_tokens, "USD per million output tokens");
  return table;
}

Block memory(const MemoryEstimate& memory) {
  Block block{Kind::pairs, "", {}};
  const auto line = [&](const std::string& label, double value, double sd) {
    block.rows.push_back({label, words::bytes(value) + (sd > 0 ? " (sd " + words::bytes(sd) + ")" : "")});
  };
  line("weights", memory.weights, memory.weights_sd);
  line("KV cache", memory.kv_cache, memory.kv_cache_sd);
  line("engine", memory.overhead, memory.overhead_sd);
  line("total", memory.total, 0);
  line("available", memory.available, memory.available_sd);
  if (memory.host) {
    const auto& host = *memory.host;
    block.rows.push_back({"in the host's memory", (host.kind == "experts" ? "experts of " : "") +
                                                      std::to_string(host.layers) + " of " + std::to_string(host.of) +
                                                      " layers: " + words::bytes(host.weights + host.kv_cache) + ", " +
                                                      words::bytes(host.available) + " available"});
  }
  block.rows.push_back({"assumed", std::to_string(memory.concurrency) + " sequences of " +
                                       std::to_string(memory.context) + " tokens; " + memory.basis +
                                       (memory.assumed.empty() ? "" : "; " + memory.assumed)});
  return block;
}

Block route_block(const PlanRoute& route) {
  Block table{Kind::table, "", {{"step", "what to do", "hours", "memory", "command"}}};
  for (const auto& step : route.steps)
    table.rows.push_back({step.kind, step.text, step.hours ? words::hours(*step.hours) : "",
                          step.peak_memory ? words::bytes(*step.peak_memory) : "", step.command});
  return table;
}

}  // namespace

Recommendation only_option(const Recommendation& r, int rank) {
  Recommendation one = r;
  one.options = {option_of(r, rank)};
  return one;
}

Page details(const Recommendation& r, int rank) {
  const Option& option = option_of(r, rank);
  Page page{{Kind::paragraph,
             "Option " + std::to_string(rank) + ": " + option.action + " " + option.variant.model + ", " +
                 words::what(option.variant) + " (" + option.variant.format + ") on " + option.variant.engine,
             {}}};
  const auto section = [&](const std::string& heading, Block block) {
    if (block.rows.empty() && block.text.empty()) return;
    page.push_back({Kind::heading, heading, {}});
    page.push_back(std::move(block));
  };
  if (!option.decided_by.empty()) page.push_back({Kind::list, "", {{option.decided_by}}});
  section("Estimates", estimates(option));
  section("Memory", memory(option.memory));
  Block chances{Kind::pairs, "", {}};
  for (const auto& [limit, probability] : option.probabilities)
    chances.rows.push_back({limit, "met with probability " + words::number(probability)});
  section("Limits", std::move(chances));
  if (!option.route.steps.empty()) section("How to get there", route_block(option.route));
  for (const auto& other : option.other_routes) section("Another way", route_block(other));
  Block evidence{Kind::pairs, "", {}};
  for (const auto& one : option.evidence)
    evidence.rows.push_back({one.kind, (one.id.empty() ? "" : one.id + ": ") + one.text +
                                           (one.sources.empty() ? "" : " [" + joined(one.sources) + "]")});
  section("Evidence", std::move(evidence));
  Block warnings{Kind::list, "", {}};
  for (const auto& warning : option.warnings) warnings.rows.push_back({warning});
  section("Warnings", std::move(warnings));
  if (option.recipe) section("Recipe", {Kind::code, recipe_to_yaml(*option.recipe), {}});
  std::string commands;
  for (const auto& command : {option.apply_command, option.launch_command, option.verify_command})
    if (!command.empty()) commands += command + "\n";
  section("Commands", {Kind::code, commands, {}});
  return page;
}

}  // namespace advisor
