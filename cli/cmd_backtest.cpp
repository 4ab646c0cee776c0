#include <chrono>
#include <filesystem>
#include <iostream>

#include "cli/backtest_plots.h"
#include "cli/backtest_report.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "core/error.h"
#include "core/suggest.h"
#include "facade.h"

namespace advisor::cli {
namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

LeftOut left_out(const std::string& text) {
  if (text == "source") return LeftOut::source;
  if (text == "model") return LeftOut::model;
  throw Error(ErrorCode::invalid_argument, "--by is source or model, not \"" + text + '"');
}

/// "family" is short for "task_family". Refused before the long work, not after.
std::vector<std::string> properties(const po::variables_map& values) {
  std::vector<std::string> wanted = list_of(values, "group");
  const auto& known = backtest_properties();
  for (auto& property : wanted) {
    if (property == "family") property = "task_family";
    if (std::find(known.begin(), known.end(), property) != known.end()) continue;
    throw Error(ErrorCode::invalid_argument,
                "--group \"" + property + '"' + did_you_mean(property, known) + "; known: " + join(known));
  }
  return wanted;
}

void write_plots(const fs::path& folder, const BacktestReport& report) {
  std::error_code ec;
  fs::create_directories(folder, ec);
  if (ec) throw Error(ErrorCode::io_error, folder.string() + ": cannot be made: " + ec.message());
  for (const auto& [name, text] : backtest_plots(report)) save_file(folder / name, text);
}

int run(const std::vector<std::string>& args, const Command& self) {
  po::options_description options("options");
  options.add_options()("file", po::value<std::vector<std::string>>()->value_name("FILE.csv")->composing(),
                        "measurements in the columns of data/measurements; none = all shipped ones")(
      "by", po::value<std::string>()->default_value("source")->value_name("source|model"),
      "what is left out whole before its rows are predicted")(
      "group", po::value<std::vector<std::string>>()->value_name("PROPERTY")->composing(),
      "also by family, technique, format, engine, hardware, quantity, basis, task, source or model (repeatable)")(
      "format", po::value<std::string>()->default_value("text")->value_name("text|markdown|json"), "of the output")(
      "plots", po::value<std::string>()->value_name("DIR"),
      "also draw calibration and predicted against measured, as SVG")(
      "rows", po::value<std::string>()->value_name("OUT.csv"), "also write every row with its prediction")(
      "threads", po::value<std::int64_t>()->default_value(0)->value_name("N"),
      "0 = all cores; the result does not depend on it");
  po::positional_options_description positional;
  positional.add("file", -1);
  po::variables_map values;
  if (!parse_options(self, args, options, positional, values)) return exit_ok;

  const auto wanted = properties(values);
  const LeftOut what = left_out(values["by"].as<std::string>());
  const std::string format = values.count("json") != 0 ? "json" : values["format"].as<std::string>();
  if (format != "text" && format != "markdown" && format != "json")
    throw Error(ErrorCode::invalid_argument, "--format is text, markdown or json, not \"" + format + '"');
  std::vector<fs::path> files;
  for (const auto& file : list_of(values, "file")) files.emplace_back(file);

  BacktestReport report;
  {
    ProgressPrinter printer("fits");
    const auto start = std::chrono::steady_clock::now();
    report = open_advisor(values).backtest(
        files, what, static_cast<int>(non_negative(values, "threads")), [&](std::int64_t done, std::int64_t total) {
          const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
          return printer.update("backtest", done, total, seconds.count());
        });
  }
  if (values.count("plots") != 0) write_plots(values["plots"].as<std::string>(), report);
  if (values.count("rows") != 0) save_file(values["rows"].as<std::string>(), backtest_csv(report));
  if (format == "json") {
    std::cout << backtest_json(report) << '\n';
  } else {
    std::cout << (format == "text" ? backtest_text(report, wanted) : backtest_markdown(report, wanted));
  }
  return exit_ok;
}

}  // namespace

const Command backtest_command = {
    "backtest", "how good are the estimates: predict measurements that were left out",
    "backtest [FILE.csv ...] [--by source|model] [--group PROPERTY ...] [--plots DIR] [--json]",
    "Every row is predicted by models fitted without any row of its source (or model), and compared with what was\n"
    "measured and with two baselines fitted on the same rows: one loss per format, and a one-factor roofline.\n"
    "FILE.csv has the columns of data/measurements/quality or speed; rows of sources that the database does not\n"
    "know are predicted with everything it knows. Rows that cannot be scored are counted with the reason.\n",
    run};

}  // namespace advisor::cli
