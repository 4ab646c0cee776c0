// The schema advisor.recommendation/1: which member stands under which key.
#include <array>

#include "core/error.h"
#include "core/fields.h"
#include "core/json.h"
#include "core/json_members.h"

namespace advisor {
namespace detail {

template <>
struct Words<Outcome> {
  static constexpr std::array all{Outcome::recommended, Outcome::infeasible, Outcome::insufficient_evidence};
};
template <>
struct Words<Verdict> {
  static constexpr std::array all{Verdict::keep, Verdict::compress, Verdict::switch_model, Verdict::compress_and_switch,
                                  Verdict::portfolio};
};
template <>
struct Words<Judgement> {
  static constexpr std::array all{Judgement::option, Judgement::dominated, Judgement::rejected, Judgement::undecided};
};

void members(auto& visit, Is<QualityEstimate> auto& value) {
  visit("task", value.task);
  members(visit, value.value);
  visit("probability", value.probability);
  visit("retention", value.retention);
}

void members(auto& visit, Is<HostShare> auto& value) {
  visit("kind", value.kind);
  visit("layers", value.layers);
  visit("of", value.of);
  visit("weights", value.weights);
  visit("kv_cache", value.kv_cache);
  visit("overhead", value.overhead);
  visit("available", value.available);
}

void members(auto& visit, Is<MemoryEstimate> auto& value) {
  visit("bytes", value.total);
  visit("weights", value.weights);
  visit("kv_cache", value.kv_cache);
  visit("overhead", value.overhead);
  visit("available", value.available);
  visit("basis", value.basis);
  visit("context", value.context);
  visit("concurrency", value.concurrency);
  visit("activations", value.activations);
  visit.section("sd", [&](auto& inner) {
    inner("weights", value.weights_sd);
    inner("kv_cache", value.kv_cache_sd);
    inner("overhead", value.overhead_sd);
    inner("available", value.available_sd);
  });
  visit.text("assumed", value.assumed);
  visit("sources", value.sources);
  visit("host", value.host);
}

void members(auto& visit, Is<Evidence> auto& value) {
  visit("kind", value.kind);
  visit("id", value.id);
  visit("text", value.text);
  visit("sources", value.sources);
}

void members(auto& visit, Is<PlanStep> auto& value) {
  visit("kind", value.kind);
  visit("text", value.text);
  visit.text("command", value.command);
  visit("hours", value.hours);
  visit("usd", value.usd);
  visit("peak_memory", value.peak_memory);
}

void members(auto& visit, Is<PlanRoute> auto& value) {
  visit("steps", value.steps);
  visit("hours", value.hours);
  visit("usd", value.usd);
  visit("peak_memory", value.peak_memory);
}

void variant_members(auto& visit, auto& variant) {
  visit("model", variant.model);
  visit("technique", variant.technique);
  visit("scheme", variant.scheme);
  visit("sparsity", variant.sparsity);
  visit.text("pattern", variant.pattern);
  visit("kv", variant.kv);
  visit("format", variant.format);
  visit("engine", variant.engine);
}

void estimate_members(auto& visit, auto& option) {
  visit.section("estimates", [&](auto& inner) {
    inner.maybe("quality", option.quality);
    inner("memory", option.memory);
    inner.maybe("decode_tokens_per_second", option.decode_tokens_per_second);
    inner.maybe("ttft_seconds", option.ttft_seconds);
    inner.maybe("tpot_seconds", option.tpot_seconds);
    inner.maybe("usd_per_hour", option.usd_per_hour);
    inner.maybe("usd_per_million_tokens", option.usd_per_million_tokens);
  });
}

void members(auto& visit, Is<Option> auto& value) {
  visit("rank", value.rank);
  visit("action", value.action);
  variant_members(visit, value.variant);
  visit("published_checkpoint", value.published_checkpoint);
  estimate_members(visit, value);
  visit("probabilities", value.probabilities);
  visit("steps", value.steps);
  visit("route", value.route);
  visit("other_routes", value.other_routes);
  visit.recipe("recipe", value.recipe);
  visit("launch", value.launch);
  visit.text("launch_command", value.launch_command);
  visit.text("apply_command", value.apply_command);
  visit.text("verify_command", value.verify_command);
  visit("decided_by", value.decided_by);
  visit("evidence", value.evidence);
  visit("warnings", value.warnings);
}

void members(auto& visit, Is<Dominated> auto& value) {
  visit("by", value.by);
  visit("variants", value.variants);
}

void members(auto& visit, Is<Rejection> auto& value) {
  visit("action", value.action);
  visit("model", value.model);
  visit("scheme", value.scheme);
  visit("engine", value.engine);
  visit("format", value.format);
  visit("code", value.code);
  visit.text("rule", value.rule);
  visit("because", value.because);
  visit("memory_detail", value.memory_detail);
  visit("count", value.count);
}

void members(auto& visit, Is<Answered> auto& value) {
  visit("asked", value.asked);
  visit.text("task", value.task);
  visit("judgement", value.judgement);
  visit("option", value.option);
  visit.text("code", value.code);
  visit.text("rule", value.rule);
  visit("because", value.because);
  visit("also", value.also);
  visit.text("action", value.judged.action);
  variant_members(visit, value.judged.variant);
  estimate_members(visit, value.judged);
  visit("probabilities", value.judged.probabilities);
  visit("warnings", value.judged.warnings);
}

void members(auto& visit, Is<Gap> auto& value) {
  visit("subject", value.subject);
  visit("needs", value.needs);
}

void members(auto& visit, Is<Counterfactual> auto& value) {
  visit.section("change", [&](auto& inner) {
    inner("field", value.field);
    inner.value("from", value.from);
    inner.value("to", value.to);
  });
  visit.section("then", [&](auto& inner) {
    inner("verdict", value.then_verdict);
    inner.text("variant", value.then_variant);
  });
  visit.text("text", value.text);
}

void members(auto& visit, Is<NextMeasurement> auto& value) {
  visit("model", value.model);
  visit("technique", value.technique);
  visit("scheme", value.scheme);
  visit("task", value.task);
  visit("probability", value.probability);
  visit("because", value.because);
  visit.text("command", value.command);
}

void members(auto& visit, Is<Assignment> auto& value) {
  visit("task", value.task);
  visit("share", value.share);
  visit("option", value.option);
  visit.maybe("quality", value.quality);
  visit("probability", value.probability);
  visit("because", value.because);
}

void members(auto& visit, Is<RoutingThreshold> auto& value) {
  visit("task", value.task);
  visit("small", value.small);
  visit("large", value.large);
  visit("share_small", value.share_small);
  visit.maybe("quality", value.quality);
  visit.maybe("usd_per_million_tokens", value.usd_per_million_tokens);
  visit("because", value.because);
}

void members(auto& visit, Is<Recommendation> auto& value) {
  visit("outcome", value.outcome);
  visit("verdict", value.verdict);
  visit("defaults", value.defaults);
  visit("options", value.options);
  visit("dominated", value.dominated);
  visit("assignments", value.assignments);
  visit("routing", value.routing);
  visit("rejections", value.rejections);
  visit("counterfactuals", value.counterfactuals);
  visit("gaps", value.gaps);
  visit("measure", value.measure);
  visit.section("considered", [&](auto& inner) {
    inner("models", value.models_considered);
    inner("variants", value.variants_considered);
    inner("feasible", value.variants_feasible);
    inner("asked", value.answered);
  });
  visit.section("knowledge", [&](auto& inner) {
    inner("digest", value.knowledge_digest);
    inner("rules", value.knowledge_rules);
    inner("measurements", value.knowledge_measurements);
  });
  visit("hardware", value.hardware);
}

constexpr const char* recommendation_id = "advisor.recommendation/1";

}  // namespace detail

using detail::Json;

std::string to_json(const Recommendation& answer, int indent) {
  Json json = {{"schema", detail::recommendation_id}, {"profile", Json::parse(profile_to_json(answer.profile, -1))}};
  detail::JsonWriter visit(json);
  detail::members(visit, answer);
  return detail::dump(json, indent);
}

Recommendation recommendation_from_json(std::string_view text, RecipeParser parse_recipe, const std::string& file) {
  parse_json(text, file);  // refuses duplicate keys, depth and size, and tells line and column
  const Json json = Json::parse(text);
  try {
    if (!json.is_object() || json.value("schema", Json()) != detail::recommendation_id) {
      throw Error(ErrorCode::parse_error, "this is no recommendation: \"schema\" is not \"" +
                                              std::string(detail::recommendation_id) +
                                              "\"; `advisor recommend --json` writes one");
    }
    Recommendation answer;
    detail::JsonReader visit(json, "");
    detail::members(visit, answer);
    if (const auto profile = json.find("profile"); profile != json.end())
      answer.profile = profile_from_json(profile->dump());
    for (std::size_t i = 0; i < answer.options.size(); ++i) {
      const Json recipe = json["options"][i].value("recipe", Json());
      if (recipe.is_string() && parse_recipe != nullptr)
        answer.options[i].recipe = parse_recipe(recipe.get<std::string>(), "options[" + std::to_string(i) + "].recipe");
    }
    return answer;
  } catch (const Error& error) {
    throw Error(error.code(), prefix({file, 0, 0}) + error.what());
  }
}

std::string recommendation_schema() {
  Json json = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
               {"$id", detail::recommendation_id},
               {"title", "What `advisor recommend --json` prints"}};
  detail::JsonSchema visit(json);
  visit.add("schema", {{"const", detail::recommendation_id}});
  visit.add("profile", {{"type", "object"}});
  const Recommendation any;
  detail::members(visit, any);
  return json.dump(2) + "\n";
}

}  // namespace advisor
