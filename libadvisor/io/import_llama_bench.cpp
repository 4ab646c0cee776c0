// llama-bench of llama.cpp (tools/llama-bench/llama-bench.cpp): -o json (a list), jsonl, csv and the default markdown.
// Each test is a prompt (pp), a generation (tg) or both (pp+tg), alone or after n_depth tokens of context, at batch 1.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "io/csv.h"
#include "io/import_formats.h"

namespace advisor::imports {
namespace {

using Field = std::function<std::string(const std::string&)>;

/// "NVIDIA GeForce RTX 4090, NVIDIA GeForce RTX 4090" -> one name and 2; different devices stay one text.
void set_hardware(const std::string& devices, ToolRun& run) {
  std::vector<std::string> names;
  std::string_view rest = devices;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(", ");
    names.emplace_back(trim(rest.substr(0, comma)));
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 2);
  }
  const bool same = !names.empty() && std::all_of(names.begin(), names.end(),
                                                  [&](const std::string& name) { return name == names.front(); });
  run.hardware = same ? names.front() : devices;
  run.hardware_count = same ? static_cast<std::int64_t>(names.size()) : 1;
}

std::optional<std::int64_t> whole(const std::string& text, const std::string& where) {
  const auto number = number_in(text, where);
  if (!number) return std::nullopt;
  if (*number < 0 || *number != std::floor(*number) || *number > 1e12) refuse(where, "\"" + text + "\" is no count");
  return static_cast<std::int64_t>(*number);
}

/// One test; false when it has no place among our metrics.
bool add_test(std::int64_t prompt, std::int64_t generated, std::int64_t depth, double rate, double spread,
              std::size_t repetitions, const std::string& where, ToolRun& run) {
  if (prompt > 0 && generated > 0) return false;  // a rate over both is neither
  if (prompt == 0 && generated == 0) refuse(where, "neither a prompt nor a generation was timed");
  ToolSpeed speed;
  speed.metric = generated > 0 ? "decode_tok_s" : "prefill_tok_s";
  speed.value = rate;
  if (repetitions > 1) speed.standard_error = spread / std::sqrt(static_cast<double>(repetitions));
  speed.input_tokens = generated > 0 ? depth : depth + prompt;
  if (generated > 0) speed.output_tokens = generated;
  speed.concurrency = 1;
  speed.load = "1";
  speed.locator = (generated > 0 ? "tg" + std::to_string(generated) : "pp" + std::to_string(prompt)) +
                  (depth > 0 ? " @ d" + std::to_string(depth) : "");
  run.speed.push_back(std::move(speed));
  return true;
}

/// The run that a test belongs to: same file of weights, same machine, same settings.
ToolRun& run_for(ToolRun&& run, ImportedFile& file) {
  const auto same = std::find_if(file.runs.begin(), file.runs.end(), [&](const ToolRun& other) {
    return other.model == run.model && other.weights.scheme == run.weights.scheme && other.hardware == run.hardware &&
           other.hardware_count == run.hardware_count && other.parallelism == run.parallelism;
  });
  return same != file.runs.end() ? *same : file.runs.emplace_back(std::move(run));
}

/// Why a test has no place among our rows, which know one device, one format and a 16-bit cache; empty when it has.
std::string misfit(const Field& field) {
  for (const char* cache : {"type_k", "type_v"}) {
    const std::string type = field(cache);
    if (!type.empty() && type != "f16" && type != "bf16" && type != "f32") return "its KV cache is " + type;
  }
  if (const std::string moe = field("n_cpu_moe"); !moe.empty() && moe != "0") return "experts of layers are on the CPU";
  if (const std::string moved = field("tensor_buft_overrides"); !moved.empty() && moved != "none") {
    return "tensors were moved between devices: " + moved;
  }
  return "";
}

void add_record(const Field& field, std::size_t repetitions, const std::string& where, ImportedFile& file) {
  if (const std::string why = misfit(field); !why.empty()) {
    file.notes.push_back("a test of " + field("model_type") + " is left out: " + why);
    return;
  }
  ToolRun run;
  run.tool = "llama-bench";
  run.tool_version = "b" + field("build_number") + " (" + field("build_commit") + ")";
  run.engine = "llama.cpp";
  run.engine_version = "b" + field("build_number");
  run.model = field("model_filename");
  run.weights = gguf_weights(gguf_type_of(field("model_type")));
  run.params = number_in(field("model_n_params"), where);
  const auto bytes = number_in(field("model_size"), where);
  if (bytes && run.params && *run.params > 0) run.bits_per_weight = 8 * *bytes / *run.params;
  const std::string backends = field("backends"), layers = field("n_gpu_layers");
  const bool gpu = !field("gpu_info").empty() && backends != "CPU" && layers != "0";
  set_hardware(gpu ? field("gpu_info") : field("cpu_info"), run);
  run.parallelism =
      gpu ? (run.hardware_count > 1 ? field("split_mode") + "-split" : "") : field("n_threads") + " threads";
  if (const auto offloaded = number_in(layers, where); gpu && offloaded && *offloaded > 0 && *offloaded < 99) {
    file.notes.push_back("-ngl " + layers +
                         ": if the model has more layers, the rest ran on the CPU and the rows are of no "
                         "one device");
  }
  const auto prompt = whole(field("n_prompt"), where + ": n_prompt");
  const auto generated = whole(field("n_gen"), where + ": n_gen");
  const auto depth = whole(field("n_depth"), where + ": n_depth");
  const auto rate = number_in(field("avg_ts"), where + ": avg_ts");
  if (!prompt || !generated || !rate) refuse(where, "n_prompt, n_gen or avg_ts is missing or no number");
  const double spread = number_in(field("stddev_ts"), where + ": stddev_ts").value_or(0);
  if (!add_test(*prompt, *generated, depth.value_or(0), *rate, spread, repetitions, where,
                run_for(std::move(run), file))) {
    file.notes.push_back("pp" + std::to_string(*prompt) + "+tg" + std::to_string(*generated) +
                         " is left out: one rate over prompt and generation is neither");
  }
}

std::string cell_text(std::string_view cell) { return std::string(trim(cell)); }

std::vector<std::string> cells_of(std::string_view line) {
  std::vector<std::string> cells;
  if (!line.starts_with('|')) return cells;
  line.remove_prefix(1);
  while (!trim(line).empty()) {
    const std::size_t bar = line.find('|');
    cells.push_back(cell_text(line.substr(0, bar)));
    line.remove_prefix(bar == std::string_view::npos ? line.size() : bar + 1);
  }
  return cells;
}

/// "3.56 GiB" -> bytes, "6.74 B" -> parameters.
std::optional<double> scaled(const std::string& text, const std::string& where) {
  static const std::map<std::string, double> units{{"MiB", 1048576.0}, {"GiB", 1073741824.0}, {"M", 1e6}, {"B", 1e9}};
  const std::size_t space = text.find(' ');
  if (space == std::string::npos) return std::nullopt;
  const auto number = number_in(text.substr(0, space), where);
  const auto unit = units.find(text.substr(space + 1));
  return number && unit != units.end() ? std::optional(*number * unit->second) : std::nullopt;
}

struct TestName {
  std::int64_t prompt = 0, generated = 0, depth = 0;
};

/// "pp512", "tg 128", "pp512+tg128", "tg128 @ d512".
TestName test_of(std::string text, const std::string& where) {
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  TestName test;
  if (const std::size_t at = text.find("@d"); at != std::string::npos) {
    test.depth = whole(text.substr(at + 2), where).value_or(0);
    text.resize(at);
  }
  const std::size_t plus = text.find('+');
  for (const std::string& part : {text.substr(0, plus), plus == std::string::npos ? "" : text.substr(plus + 1)}) {
    if (part.starts_with("pp")) test.prompt = whole(part.substr(2), where).value_or(0);
    if (part.starts_with("tg")) test.generated = whole(part.substr(2), where).value_or(0);
  }
  return test;
}

/// A row of the markdown table. It names no device, only a backend, and rounds.
void add_table_row(const std::map<std::string, std::string>& row, const std::string& build, const std::string& where,
                   ImportedFile& file) {
  const auto cell = [&](const char* name) {
    const auto found = row.find(name);
    return found == row.end() ? std::string() : found->second;
  };
  ToolRun run;
  run.tool = "llama-bench";
  run.tool_version = build;
  run.engine = "llama.cpp";
  run.engine_version = build.substr(0, build.find(' '));
  run.model = cell("model");
  run.weights = gguf_weights(gguf_type_of(run.model));
  run.params = scaled(cell("params"), where);
  const auto bytes = scaled(cell("size"), where);
  if (bytes && run.params) run.bits_per_weight = 8 * *bytes / *run.params;
  if (const std::string threads = cell("threads"); !threads.empty() && cell("backend") == "CPU") {
    run.parallelism = threads + " threads";
  }
  const std::string rate = cell("t/s");
  const std::size_t sign = rate.find("±");
  const auto value = number_in(rate.substr(0, sign), where + ": t/s");
  if (!value) refuse(where, "t/s \"" + rate + "\" is no number");
  const TestName test = test_of(cell("test"), where + ": test");
  // the table does not say how often a test was repeated, so that the spread gives no error of the mean
  if (!add_test(test.prompt, test.generated, test.depth, *value, 0, 0, where, run_for(std::move(run), file))) {
    file.notes.push_back(cell("test") + " is left out: one rate over prompt and generation is neither");
  }
}

}  // namespace

bool read_llama_bench(const Json& json, ImportedFile& file) {
  if (find(json.value, "model_filename") == nullptr || find(json.value, "avg_ts") == nullptr) return false;
  file.kind = "llama-bench JSON";
  const Document* samples = find(json.value, "samples_ns");
  add_record([&](const std::string& key) { return text_of(json.value, key); },
             samples != nullptr ? samples->items.size() : 0, json.where, file);
  return true;
}

bool read_llama_bench_csv(std::string_view text, ImportedFile& file) {
  const std::string_view header = text.substr(0, text.find('\n'));
  if (header.find("model_filename") == std::string_view::npos || header.find("avg_ts") == std::string_view::npos) {
    return false;
  }
  file.kind = "llama-bench CSV";
  const CsvTable table = parse_csv(text, file.name);
  for (const CsvRow& row : table.rows) {
    add_record(
        [&](const std::string& key) {
          const auto column = std::find(table.columns.begin(), table.columns.end(), key);
          return column == table.columns.end() ? std::string()
                                               : row.fields[static_cast<std::size_t>(column - table.columns.begin())];
        },
        0, table.where(row), file);
  }
  return true;
}

bool read_llama_bench_table(std::string_view text, ImportedFile& file) {
  const auto lines = lines_of(text);
  std::string build;
  for (const std::string_view line : lines) {  // "build: 5a32f10 (6789)"
    const std::size_t open = line.find('(');
    if (!line.starts_with("build: ") || open == std::string_view::npos) continue;
    build = "b" + std::string(line.substr(open + 1, line.find(')') - open - 1)) + " (" +
            std::string(trim(line.substr(7, open - 7))) + ")";
  }
  std::vector<std::string> columns;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto cells = cells_of(lines[i]);
    if (columns.empty()) {
      const bool header = std::find(cells.begin(), cells.end(), "t/s") != cells.end() &&
                          std::find(cells.begin(), cells.end(), "test") != cells.end();
      if (header) columns = cells;
      continue;
    }
    if (cells.empty() || cells[0].starts_with("---") || cells == columns) continue;
    const std::string where = file.name + ":" + std::to_string(i + 1);
    if (cells.size() != columns.size()) {
      refuse(where, "a table row with " + std::to_string(cells.size()) + " cells under " +
                        std::to_string(columns.size()) + " columns; was it cut off?");
    }
    std::map<std::string, std::string> row;
    for (std::size_t c = 0; c < cells.size(); ++c) row[columns[c]] = cells[c];
    add_table_row(row, build, where, file);
  }
  if (columns.empty()) return false;
  file.kind = "llama-bench table";
  return true;
}

}  // namespace advisor::imports
