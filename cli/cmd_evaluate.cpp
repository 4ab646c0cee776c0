#include <cstdio>
#include <iostream>

#include "cli/command.h"
#include "cli/progress.h"
#include "core/error.h"
#include "core/units.h"
#include "facade.h"

namespace advisor::cli {
namespace {

namespace po = boost::program_options;

void print(const EvaluationReport& report) {
  std::printf("%s: %s, weights %s\n", report.model.c_str(), report.format.c_str(),
              format_quantity(static_cast<double>(report.weight_bytes), Dimension::bytes).c_str());
  for (const PerplexityResult& p : report.perplexity) {
    std::printf("  %-16s perplexity %9.3f  (95 %%: %.3f to %.3f)  %lld tokens in windows of %lld\n", p.name.c_str(),
                p.value, p.low, p.high, static_cast<long long>(p.tokens), static_cast<long long>(p.window));
    if (const auto& d = p.divergence) {
      std::printf(
          "  %-16s divergence %9.5f  (95 %%: %.5f to %.5f)  median %.5f, 99 %% below %.4f, same top token %.2f %%\n",
          p.name.c_str(), d->mean, d->low, d->high, d->median, d->p99, 100 * d->same_top);
    }
  }
  for (const ChoiceResult& c : report.choices) {
    std::printf("  %-16s accuracy   %8.1f %%  (95 %%: %.1f to %.1f)  n = %lld, chance %.1f %%\n", c.name.c_str(),
                100 * c.accuracy, 100 * c.low, 100 * c.high, static_cast<long long>(c.n), 100 * c.chance);
  }
  std::printf("  %.1f s\n", report.seconds);
}

int run(const std::vector<std::string>& args, const Command& self) {
  po::options_description options("options");
  options.add_options()("model", po::value<std::string>()->required()->value_name("MODEL"),
                        "checkpoint folder (safetensors, dense or quantized, or one .gguf) or a .gguf file")(
      "suite", po::value<std::string>()->value_name("DIR"), "folder of *.txt and *.jsonl")(
      "text", po::value<std::string>()->value_name("FILE"), "one text, for perplexity")(
      "choices", po::value<std::vector<std::string>>()->value_name("FILE.jsonl")->composing(),
      "multiple-choice questions (repeatable)")("limit", po::value<std::int64_t>()->default_value(0)->value_name("N"),
                                                "only the first N questions and windows of each; 0 = all")(
      "baseline", po::value<std::string>()->value_name("MODEL"),
      "the model before compression: mean KL divergence of the predictions from its, on the text")(
      "threads", po::value<std::int64_t>()->default_value(0)->value_name("N"),
      "0 = all cores; the result does not depend on it");
  po::positional_options_description positional;
  positional.add("model", 1);
  po::variables_map values;
  if (!parse_options(self, args, options, positional, values)) return exit_ok;

  EvaluateRequest request;
  request.model = values["model"].as<std::string>();
  if (values.count("suite") != 0) {
    request = evaluation_of(request.model, values["suite"].as<std::string>(), 0, 0);
  }
  if (values.count("text") != 0) request.text = values["text"].as<std::string>();
  for (const std::string& file : list_of(values, "choices")) request.choices.emplace_back(file);
  if (!request.suite && !request.text && request.choices.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "nothing to measure: give --suite DIR, --text FILE or --choices FILE.jsonl");
  }
  if (values.count("baseline") != 0) request.baseline = values["baseline"].as<std::string>();
  request.limit = non_negative(values, "limit");
  request.threads = static_cast<int>(non_negative(values, "threads"));

  EvaluationReport report;
  {
    ProgressPrinter printer("items");
    report = open_advisor(values).evaluate(
        request, [&](const EvaluateProgress& p) { return printer.update(p.stage, p.done, p.total, p.seconds); });
  }
  if (values.count("json") != 0) {
    std::cout << to_json(report) << '\n';
  } else {
    print(report);
  }
  return exit_ok;
}

}  // namespace

const Command evaluate_command = {
    "evaluate", "measure a checkpoint: perplexity and multiple choice",
    "evaluate MODEL (--suite DIR | --text FILE | --choices FILE.jsonl) [--baseline MODEL] [--json]",
    "Reads the files as an engine would (dense safetensors, compressed-tensors, GPTQ, AutoAWQ, ModelOpt, GGUF) and "
    "measures them.\n"
    "Perplexity: windows of the model's context, a BOS token in front, every token scored once.\n"
    "Divergence from a baseline: KL(baseline || model) of every token of those windows, as llama-perplexity defines "
    "it.\n"
    "Multiple choice: the option with the highest log-likelihood, no length normalisation.\n",
    run};

}  // namespace advisor::cli
