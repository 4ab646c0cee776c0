#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "core/fields.h"
#include "report/explain.h"
#include "report/words.h"

namespace advisor {

namespace {

using Kind = Block::Kind;

std::string state(const Recommendation& r) {
  return std::string(name(r.outcome)) + (r.verdict ? ", " + std::string(name(*r.verdict)) : "");
}

/// Of the database and of each thing that was used beside it: "0123456789ab+rules:cdef01234567".
std::string short_digest(const std::string& digest) {
  constexpr std::size_t shown = 12;
  std::string text;
  for (std::size_t at = 0; at < digest.size();) {
    const auto end = std::min(digest.find('+', at + 1), digest.size());
    const auto colon = digest.find(':', at);
    const auto start = colon < end ? colon + 1 : at;
    text += digest.substr(at, start - at) + digest.substr(start, std::min(shown, end - start));
    at = end;
  }
  return text;
}

std::string first(const Recommendation& r) {
  if (r.options.empty()) return "no option";
  const auto& option = r.options.front();
  return option.action + " " + option.variant.id();
}

Block question(const Recommendation& before, const Recommendation& after) {
  Block table{Kind::table, "", {{"field", "before", "after"}}};
  for (const Field& field : fields()) {
    const auto old = get_field(before.profile, field.path), now = get_field(after.profile, field.path);
    if (old != now) table.rows.push_back({std::string(field.path), old, now});
  }
  const std::size_t tasks = std::max(before.profile.tasks.size(), after.profile.tasks.size());
  for (std::size_t i = 0; i < tasks; ++i) {
    for (const Field& field : task_fields()) {
      const auto path = "tasks." + std::to_string(i) + "." + std::string(field.path);
      const auto of = [&](const Profile& p) { return i < p.tasks.size() ? get_field(p, path) : std::string(); };
      const auto old = of(before.profile), now = of(after.profile);
      if (old != now) table.rows.push_back({path, old, now});
    }
  }
  return table;
}

struct Number {
  const char* label;
  std::function<std::optional<Estimate>(const Option&)> of;
  const char* unit;
  double factor;  ///< 0: seconds, in the unit that suits them
};

const std::vector<Number>& numbers() {
  static const std::vector<Number> all{
      {"kept", [](const Option& o) { return o.quality ? o.quality->retention : std::nullopt; }, "%", 100},
      {"score", [](const Option& o) { return o.quality ? std::optional(o.quality->value) : std::nullopt; }, "%", 100},
      {"decode", [](const Option& o) { return o.decode_tokens_per_second; }, "tok/s", 1},
      {"time to first token", [](const Option& o) { return o.ttft_seconds; }, "", 0},
      {"cost", [](const Option& o) { return o.usd_per_million_tokens; }, "USD per million tokens", 1}};
  return all;
}

std::string shown(const std::optional<Estimate>& estimate, const Number& number) {
  if (!estimate) return "unknown";
  return number.factor > 0 ? words::interval(*estimate, number.unit, number.factor) : words::seconds(*estimate);
}

void add_changes(const Option& old, const Option& now, Block& table) {
  const auto id = now.variant.id();
  if (old.rank != now.rank) table.rows.push_back({id, "rank", std::to_string(old.rank), std::to_string(now.rank)});
  if (old.memory.total != now.memory.total)
    table.rows.push_back({id, "memory", words::bytes(old.memory.total), words::bytes(now.memory.total)});
  for (const auto& number : numbers()) {
    const auto a = shown(number.of(old), number), b = shown(number.of(now), number);
    if (a != b) table.rows.push_back({id, number.label, a, b});
  }
}

Block options(const Recommendation& before, const Recommendation& after) {
  Block table{Kind::table, "", {{"option", "what", "before", "after"}}};
  std::map<std::string, const Option*> old;
  for (const auto& option : before.options) old[option.variant.id()] = &option;
  for (const auto& option : after.options) {
    const auto found = old.find(option.variant.id());
    if (found == old.end()) {
      table.rows.push_back({option.variant.id(), "is new", "", "#" + std::to_string(option.rank)});
    } else {
      add_changes(*found->second, option, table);
      old.erase(found);
    }
  }
  for (const auto& [id, option] : old) table.rows.push_back({id, "is gone", "#" + std::to_string(option->rank), ""});
  return table;
}

/// "compress a/b: memory", with the reason of each side where it differs.
Block rejections(const Recommendation& before, const Recommendation& after) {
  const auto index = [](const Recommendation& r) {
    std::map<std::string, std::string> all;
    for (const auto& one : r.rejections)
      all[one.action + " " + one.model + (one.engine.empty() ? "" : " on " + one.engine) + ": " +
          (one.rule.empty() ? one.code : one.rule)] = one.because;
    return all;
  };
  const auto old = index(before), now = index(after);
  Block table{Kind::table, "", {{"rejected", "before", "after"}}};
  for (const auto& [what, because] : old)
    if (!now.contains(what)) table.rows.push_back({what, because, "no longer"});
  for (const auto& [what, because] : now)
    if (!old.contains(what)) table.rows.push_back({what, "was not", because});
  return table;
}

/// What became of each variant that either of them asked about, and why where that differs.
Block answered(const Recommendation& before, const Recommendation& after) {
  const auto index = [](const Recommendation& r) {
    std::map<std::string, std::string> all;
    for (const auto& one : r.answered) {
      std::string became(name(one.judgement));
      if (one.judgement == Judgement::option) became += " #" + std::to_string(one.option);
      all[one.asked + (one.task.empty() ? "" : " for " + one.task)] = became + ": " + one.because;
    }
    return all;
  };
  const auto old = index(before), now = index(after);
  Block table{Kind::table, "", {{"asked about", "before", "after"}}};
  for (const auto& [what, became] : old) {
    const auto found = now.find(what);
    if (found == now.end())
      table.rows.push_back({what, became, "not asked"});
    else if (found->second != became)
      table.rows.push_back({what, became, found->second});
  }
  for (const auto& [what, became] : now)
    if (!old.contains(what)) table.rows.push_back({what, "not asked", became});
  return table;
}

}  // namespace

Page difference(const Recommendation& before, const Recommendation& after) {
  Page page{{Kind::paragraph,
             state(before) == state(after) ? "Both: " + state(after) : state(before) + " -> " + state(after),
             {}}};
  if (first(before) != first(after))
    page.push_back({Kind::pairs, "", {{"before", first(before)}, {"after", first(after)}}});
  const auto section = [&](const std::string& heading, Block block) {
    if (block.rows.size() < 2) return;  // the header alone
    page.push_back({Kind::heading, heading, {}});
    page.push_back(std::move(block));
  };
  section("The question", question(before, after));
  section("Options", options(before, after));
  section("What was asked about", answered(before, after));
  section("Rejections", rejections(before, after));
  if (before.knowledge_digest != after.knowledge_digest)
    page.push_back({Kind::list,
                    "",
                    {{"The knowledge differs: " + short_digest(before.knowledge_digest) + " -> " +
                      short_digest(after.knowledge_digest)}}});
  else if (page.size() == 1)
    page.push_back({Kind::list, "", {{"Nothing differs."}}});
  return page;
}

}  // namespace advisor
