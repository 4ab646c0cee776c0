#include <cstdio>
#include <iostream>

#include "cli/command.h"
#include "cli/table.h"
#include "core/error.h"
#include "core/units.h"
#include "facade.h"

namespace advisor::cli {
namespace {

namespace po = boost::program_options;

/// Four digits, as tables need.
std::string rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

/// A value as its metric is read.
Cell shown(const std::string& kind, double value) {
  const bool share = kind == "proportion" || kind == "error_rate" || kind == "similarity" || kind == "retained";
  return share ? rounded(100 * value) + " %" : rounded(value);
}

Cell tokens(const std::optional<std::int64_t>& count) { return cell(count); }

void print_rows(const Recording& recording) {
  Table quality{{"model", "technique", "scheme", "task", "family", "metric", "uncompressed", "value"}, {}};
  for (const RecordedQuality& q : recording.quality) {
    quality.rows.push_back({q.row.model, q.row.technique, cell(q.row.scheme), q.row.task, cell(q.row.family),
                            q.row.metric, shown(q.row.metric_kind, q.row.baseline),
                            shown(q.row.metric_kind, q.row.value)});
  }
  Table scores{{"model, uncompressed", "task", "family", "metric", "value"}, {}};
  for (const RecordedScore& s : recording.scores) {
    scores.rows.push_back(
        {s.row.model, s.row.task, cell(s.row.family), s.row.metric, shown(s.row.metric_kind, s.row.value)});
  }
  Table speed{{"model", "format", "engine", "hardware", "count", "input", "output", "load", "metric", "value"}, {}};
  for (const RecordedSpeed& s : recording.speed) {
    speed.rows.push_back({s.row.model, s.row.format, s.row.engine, s.row.hardware,
                          static_cast<double>(s.row.hardware_count), tokens(s.row.input_tokens),
                          tokens(s.row.output_tokens), cell(s.row.load), s.row.metric, rounded(s.row.value)});
  }
  for (const Table* table : {&quality, &scores, &speed}) {
    if (!table->rows.empty()) std::cout << table->text() << '\n';
  }
}

std::string plural(std::size_t n, const char* what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

std::string counts(const Recording& recording) {
  std::string text;
  const auto add = [&](std::size_t n, const char* what) {
    if (n > 0) text += (text.empty() ? "" : ", ") + plural(n, what);
  };
  add(recording.quality.size(), "quality measurement");
  add(recording.speed.size(), "speed measurement");
  add(recording.scores.size(), "uncompressed score");
  return text.empty() ? "no rows" : text;
}

void print_new(const Recording& recording, const std::string& database) {
  for (const Recording::File& file : recording.files) std::cout << file.name << ": " << file.kind << '\n';
  for (const std::string& why : recording.matched) std::cout << "  " << why << '\n';
  for (const std::string& note : recording.notes) std::cout << "  note: " << note << '\n';
  std::cout << '\n';
  print_rows(recording);
  if (recording.id == 0) {
    std::cout << "Would record " << counts(recording) << " in " << database << "; nothing was stored (--dry-run).\n";
  } else {
    std::cout << "Recording " << recording.id << ": " << counts(recording) << " in " << database
              << ".\n'advisor record --undo " << recording.id << "' takes it back.\n";
  }
}

void print_list(const std::vector<Recording>& recordings, const std::string& database) {
  if (recordings.empty()) std::cout << database << ": nothing is recorded\n";
  for (const Recording& recording : recordings) {
    std::cout << recording.id << "  " << recording.date << "  " << counts(recording);
    for (const Recording::File& file : recording.files) std::cout << "  " << file.name;
    std::cout << (recording.note.empty() ? "" : "  (" + recording.note + ")") << '\n';
  }
}

/// "NAME=TASK", or "TASK" for files that name none.
std::vector<std::pair<std::string, std::string>> tasks_of(const po::variables_map& values) {
  std::vector<std::pair<std::string, std::string>> tasks;
  for (const std::string& text : list_of(values, "task")) {
    if (text.find('=') == std::string::npos) {
      tasks.emplace_back("", text);
    } else {
      tasks.push_back(split_setting(text, "--task"));
    }
  }
  return tasks;
}

RecordRequest request_of(const po::variables_map& values) {
  RecordRequest request;
  for (const std::string& file : list_of(values, "file")) request.files.emplace_back(file);
  for (const std::string& file : list_of(values, "baseline")) request.baselines.emplace_back(file);
  if (request.files.empty()) {
    throw Error(ErrorCode::invalid_argument, "no result file is named; 'advisor record --help' says which are read");
  }
  const auto text = [&](const char* option) {
    return values.count(option) != 0 ? values[option].as<std::string>() : std::string();
  };
  RecordOptions& options = request.options;
  options.model = text("model");
  if (values.count("params") != 0) {
    options.params = parse_quantity(text("params"), Dimension::count);
    if (!(*options.params > 0)) throw Error(ErrorCode::invalid_argument, "--params must be positive");
  }
  options.technique = text("technique");
  options.scheme = text("scheme");
  options.format = text("format");
  options.engine = text("engine");
  options.engine_version = text("engine-version");
  options.hardware = text("hardware");
  options.hardware_count = non_negative(values, "hardware-count");
  options.tasks = tasks_of(values);
  options.note = text("note");
  request.dry_run = values.count("dry-run") != 0;
  return request;
}

po::options_description all_options() {
  const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
  const auto texts = [](const char* name) {
    return po::value<std::vector<std::string>>()->value_name(name)->composing();
  };
  po::options_description options("options");
  options.add_options()("file", texts("FILE"), "results, and an advisor_report.json that says what the weights are")(
      "baseline", texts("FILE"), "results of the uncompressed model, to compare with (repeatable)")(
      "model", text("ID"), "catalog id, when the file's own name is not known; a name of your own with --params")(
      "params", text("COUNT"), "parameters of a model in no catalog, as 8.03e9")(
      "technique", text("ID"), "how the weights were compressed; none = not")("scheme", text("SCHEME"),
                                                                              "to what: W4A16-g128, Q4_K_M ...")(
      "format", text("NAME"), "file format of the weights")("engine", text("ID"), "engine that ran it")(
      "engine-version", text("TEXT"), "its version")("hardware", text("ID"),
                                                     "hardware it ran on ('advisor catalog hardware')")(
      "hardware-count", po::value<std::int64_t>()->default_value(0)->value_name("N"), "0 = as the file says, else 1")(
      "task", texts("[NAME=]ID"),
      "task, or family of tasks, that the file's task NAME is; ID alone where it names none")(
      "note", text("TEXT"), "kept with the recording")("dry-run", "say what would be recorded, store nothing")(
      "list", "list the recordings")("undo", po::value<std::int64_t>()->implicit_value(0)->value_name("ID"),
                                     "take back a recording; without ID the last one");
  return options;
}

int run(const std::vector<std::string>& args, const Command& self) {
  po::positional_options_description positional;
  positional.add("file", -1);
  po::variables_map values;
  if (!parse_options(self, args, all_options(), positional, values)) return exit_ok;
  const bool json = values.count("json") != 0, undo = values.count("undo") != 0, list = values.count("list") != 0;
  if ((undo || list) && (values.count("file") != 0 || (undo && list))) {
    throw Error(ErrorCode::invalid_argument, "--undo and --list go alone, without files");
  }
  const Advisor advisor = open_advisor(values);
  const std::string database = advisor.local_database().string();
  if (list) {
    const auto recordings = advisor.recordings();
    json ? void(std::cout << to_json("listed", recordings, database) << '\n') : print_list(recordings, database);
    return exit_ok;
  }
  const Recording recording =
      undo ? advisor.undo_recording(values["undo"].as<std::int64_t>()) : advisor.record(request_of(values));
  if (json) {
    const char* action = undo ? "undone" : recording.id == 0 ? "would record" : "recorded";
    std::cout << to_json(action, {recording}, database) << '\n';
  } else if (undo) {
    std::cout << "Took back recording " << recording.id << " of " << recording.date << ": " << counts(recording)
              << ".\n";
  } else {
    print_new(recording, database);
  }
  return exit_ok;
}

}  // namespace

const Command record_command = {
    "record", "bring in your own results, so that they sharpen the estimates",
    "record FILE ... [--baseline FILE] [--model ID] [--technique ID] [--scheme SCHEME] [--hardware ID] [--dry-run] | "
    "--list | --undo [ID]",
    "Reads results_*.json of lm-evaluation-harness, llama-bench (json, jsonl, csv, table), llama-perplexity (what it\n"
    "prints), the result of 'vllm bench serve', our evaluation and compression reports, and tables in the columns of\n"
    "data/measurements. The kind is told from the content. A loss needs the uncompressed run of the same tool: in the\n"
    "same file, as another FILE, with --baseline, or recorded before. Says what it matched and why; a file or a row\n"
    "that is there already is refused. Rows go into a database of your own beside the shipped one.\n",
    run};

}  // namespace advisor::cli
