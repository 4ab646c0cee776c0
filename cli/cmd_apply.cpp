#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/job_options.h"
#include "cli/progress.h"
#include "core/units.h"
#include "facade.h"

namespace advisor::cli {
namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

struct Applied {
  CompressReport compression;
  std::optional<EvaluationReport> before, after;
};

std::string bytes(std::int64_t value) { return format_quantity(static_cast<double>(value), Dimension::bytes); }

EvaluationReport measure(const Advisor& advisor, const fs::path& model, const fs::path& suite, int threads) {
  ProgressPrinter printer("items");
  return advisor.evaluate(evaluation_of(model, suite, threads, 0), [&](const EvaluateProgress& p) {
    return printer.update(p.stage, p.done, p.total, p.seconds);
  });
}

std::string percent(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %%", 100 * value);
  return text;
}

std::string shown(double value, double low, double high, double factor) {
  char text[80];
  std::snprintf(text, sizeof text, "%.4g (%.4g to %.4g)", factor * value, factor * low, factor * high);
  return text;
}

/// The command to start an engine, with the place of the weights filled in: OUT stands for it in a recommendation.
std::string start_command(const Option& option, const CompressReport::Output& output) {
  fs::path weights = output.folder;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(output.folder, ec))
    if (entry.path().extension() == ".gguf") weights = entry.path();  // llama.cpp loads the file
  std::string command = option.launch_command;
  if (const auto at = command.find(" OUT"); at != std::string::npos) command.replace(at + 1, 3, weights.string());
  return command;
}

Page page_of(const Option& option, const Applied& applied) {
  const auto& output = applied.compression.outputs.front();
  Page page{{Block::Kind::paragraph, "Option " + std::to_string(option.rank) + " is made: " + option.variant.id(), {}},
            {Block::Kind::pairs,
             "",
             {{"weights", bytes(output.bytes) + " in " + output.folder.string()},
              {"verified", "reopened and compared with the source: worst relative error " +
                               percent(output.worst_relative_error) + ", all within the scheme's budget"}}}};
  if (!option.launch_command.empty()) page.back().rows.push_back({"start", start_command(option, output)});
  if (!applied.after) return page;
  Block table{Block::Kind::table, "", {{"measured (95 % interval)", "before", "after"}}};
  for (std::size_t i = 0; i < applied.after->perplexity.size(); ++i) {
    const auto &old = applied.before->perplexity[i], &now = applied.after->perplexity[i];
    table.rows.push_back(
        {"perplexity, " + now.name, shown(old.value, old.low, old.high, 1), shown(now.value, now.low, now.high, 1)});
  }
  for (std::size_t i = 0; i < applied.after->choices.size(); ++i) {
    const auto &old = applied.before->choices[i], &now = applied.after->choices[i];
    table.rows.push_back({"accuracy %, " + now.name + ", n = " + std::to_string(now.n),
                          shown(old.accuracy, old.low, old.high, 100), shown(now.accuracy, now.low, now.high, 100)});
  }
  page.push_back(std::move(table));
  return page;
}

std::string json_of(const Option& option, const Applied& applied) {
  using Json = nlohmann::ordered_json;
  const auto parsed = [](const std::optional<EvaluationReport>& report) {
    return report ? Json::parse(to_json(*report)) : Json(nullptr);
  };
  return Json{{"schema", "advisor.application/1"},
              {"option", option.rank},
              {"variant", option.variant.id()},
              {"compression", Json::parse(to_json(applied.compression))},
              {"before", parsed(applied.before)},
              {"after", parsed(applied.after)},
              {"launch_command", start_command(option, applied.compression.outputs.front())}}
      .dump(2);
}

int run(const std::vector<std::string>& args, const Command& self) {
  po::options_description options("options");
  options.add_options()("recommendation", po::value<std::string>()->required()->value_name("R.json"),
                        "what 'advisor recommend --json' printed, or the folder that --out made")(
      "model", po::value<std::string>()->required()->value_name("DIR"),
      "checkpoint folder of the option's model, uncompressed")(
      "out", po::value<std::string>()->required()->value_name("DIR"), "folder to create; must not exist")(
      "option", po::value<std::int64_t>()->default_value(1)->value_name("N"), "which option to make")(
      "suite", po::value<std::string>()->value_name("DIR"),
      "measure both models on it: a folder of *.txt and *.jsonl, or one such file")(
      "dry-run", "print what would be done, write nothing");
  add_job_options(options);
  po::positional_options_description positional;
  positional.add("recommendation", 1);
  po::variables_map values;
  if (!parse_options(self, args, options, positional, values)) return exit_ok;

  const Recommendation answer = load_recommendation(values["recommendation"].as<std::string>());
  const auto rank = static_cast<int>(non_negative(values, "option"));
  CompressRequest request;
  request.model = values["model"].as<std::string>();
  request.out = values["out"].as<std::string>();
  read_job_options(values, request);
  request = application_of(answer, rank, request);
  const Option option = only_option(answer, rank).options.front();
  const Advisor advisor = open_advisor(values);
  const bool json = values.count("json") != 0;
  if (request.recipe.budget) {
    ProgressPrinter printer("bytes");
    request = advisor.spend_budget(
        request, [&](const Progress& p) { return printer.update(p.stage, p.done, p.total, p.seconds); });
  }
  const CompressPlan plan = advisor.plan(request);
  if (values.count("dry-run") != 0) {
    std::cout << (json ? to_json(plan) : "would make " + option.variant.id() + " in " + request.out.string()) << '\n';
    return exit_ok;
  }
  Applied applied;
  {
    ProgressPrinter printer("bytes");
    applied.compression = advisor.compress(
        request, [&](const Progress& p) { return printer.update(p.stage, p.done, p.total, p.seconds); });
  }
  if (values.count("suite") != 0) {
    const fs::path suite = values["suite"].as<std::string>();
    applied.before = measure(advisor, request.model, suite, request.threads);
    applied.after = measure(advisor, applied.compression.outputs.front().folder, suite, request.threads);
  }
  std::cout << (json ? json_of(option, applied) : as_text(page_of(option, applied))) << '\n';
  return exit_ok;
}

}  // namespace

const Command apply_command = {
    "apply", "make what a recommendation advises, and measure it",
    "apply R.json --model DIR --out DIR [--option N] [--calibration TEXT] [--suite DIR] [--dry-run] [--json]",
    "Runs the option's recipe as 'advisor compress --recipe' would, reopens every file and compares it with the "
    "source.\n"
    "Options whose technique learns from a text need --calibration; nothing is written without it. With --suite both\n"
    "models are measured on the same items.\n"
    "  advisor recommend profile.yaml --json > r.json\n"
    "  advisor apply r.json --model models/mine --out out --suite suites/mine\n",
    run};

}  // namespace advisor::cli
