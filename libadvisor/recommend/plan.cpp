#include "recommend/plan.h"

#include "estimate/launch.h"

namespace advisor {

namespace {

/// GGUF files round in their own blocks, so that technique and scheme of a step do not apply to them.
Recipe recipe_of(const std::string& technique, const std::string& scheme, const std::string& format,
                 const std::string& gguf_type) {
  RecipeStep step;
  step.technique = gguf_type.empty() ? technique : "none";
  step.scheme = gguf_type.empty() ? scheme : "";
  return {{step}, {{format, gguf_type}}};
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
      option.recipe = recipe_of("none", "", "gguf", "F16");
      option.steps.push_back("convert " + model + " to GGUF F16 (advisor compress with the recipe)");
    }
  } else if (candidate.choice->executable) {
    const auto& choice = *candidate.choice;
    option.recipe = recipe_of(choice.technique, choice.scheme, choice.format, choice.gguf_type);
    option.steps.push_back((option.published_checkpoint ? "or compress " : "compress ") + model + " to " +
                           candidate.variant.scheme + " (" + candidate.variant.format +
                           ") with advisor compress and the recipe");
  } else if (!option.published_checkpoint) {
    option.steps.push_back("make " + candidate.variant.scheme + " with " + candidate.variant.technique + " in " +
                           candidate.choice->tool + "; libadvisor does not execute this technique yet");
  }
  option.steps.push_back(launch_step(option));
}

}  // namespace advisor
