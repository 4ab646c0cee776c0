#include "recommend/plan.h"

#include "estimate/memory.h"

namespace advisor {

namespace {

/// The block type of a GGUF file is a rounding of its own: groups of 32, symmetric or with a minimum.
std::string scheme_of_gguf(const std::string& type) {
  if (type == "Q8_0") return "W8A16-g32";
  return type == "Q4_0" ? "W4A16-g32" : "W4A16-g32-asym";
}

Recipe convert_recipe() {
  RecipeStep step;
  step.technique = "none";
  step.scheme = "W16A16";
  return {{step}, {{"gguf", "F16"}}};
}

Recipe recipe_of(const SchemeChoice& choice) {
  RecipeStep step;
  step.technique = choice.technique;
  step.scheme = choice.gguf_type.empty() ? choice.scheme : scheme_of_gguf(choice.gguf_type);
  return {{step}, {{choice.format, choice.gguf_type}}};
}

std::string launch_step(const Option& option) {
  std::string text = "run it with " + option.variant.engine;
  for (const auto& [key, value] : option.launch) text += " --" + key + " " + value;
  return text;
}

}  // namespace

void add_plan(const Toolbox& tools, const Question& question, const Candidate& candidate, Option& option) {
  const auto& load = question.profile.workload;
  option.launch = launch_settings(candidate.variant, question.hardware, load.context, load.concurrency);
  const auto& model = candidate.model->id;
  if (candidate.model != question.model) option.steps.push_back("switch to " + model);
  if (const auto* published = option.action == "keep" || option.action == "switch"
                                  ? nullptr
                                  : find_published(tools.knowledge, candidate.variant)) {
    option.published_checkpoint = published->checkpoint;
    option.steps.push_back("use the published checkpoint " + published->checkpoint + " (" + published->scheme + ", " +
                           published->format +
                           (published->official ? ", official)" : ", by " + published->publisher + ")"));
    option.evidence.push_back({"published_checkpoint",
                               published->checkpoint,
                               "published by " + published->publisher + "; listed, not tested for existence",
                               {published->url}});
  }
  if (candidate.choice == nullptr) {
    if (candidate.variant.format == "gguf" && candidate.variant.scheme == "F16") {
      option.recipe = convert_recipe();
      option.steps.push_back("convert " + model + " to GGUF F16 (advisor compress with the recipe)");
    }
  } else if (candidate.choice->executable) {
    option.recipe = recipe_of(*candidate.choice);
    option.steps.push_back("compress " + model + " to " + candidate.variant.scheme + " (" + candidate.variant.format +
                           ") with advisor compress and the recipe");
  } else if (!option.published_checkpoint) {
    option.steps.push_back("make " + candidate.variant.scheme + " with " + candidate.variant.technique + " in " +
                           candidate.choice->tool + "; libadvisor does not execute this technique yet");
  }
  option.steps.push_back(launch_step(option));
}

}  // namespace advisor
