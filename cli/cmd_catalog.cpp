#include <algorithm>
#include <array>
#include <iostream>

#include "cli/catalog.h"
#include "cli/command.h"
#include "core/error.h"
#include "core/suggest.h"
#include "core/units.h"
#include "facade.h"

namespace advisor::cli {
namespace {

namespace po = boost::program_options;

/// Options that keep the rows whose column of that name is the value.
constexpr std::array filters = {std::pair{"model", "of this model"},
                                std::pair{"task", "of this benchmark or task type"},
                                std::pair{"family", "of this family"},
                                std::pair{"technique", "of this technique"},
                                std::pair{"scheme", "of this scheme"},
                                std::pair{"format", "in this format"},
                                std::pair{"engine", "of this engine"},
                                std::pair{"hardware", "on this hardware"},
                                std::pair{"generation", "on this generation"},
                                std::pair{"metric", "of this metric"},
                                std::pair{"harness", "as reported by this harness"},
                                std::pair{"source", "from this source"},
                                std::pair{"provider", "of this provider"},
                                std::pair{"developer", "of this developer"},
                                std::pair{"licence", "under this licence"},
                                std::pair{"kind", "of this kind"}};

std::string kind_names() {
  std::string text;
  for (const auto& kind : catalog_kinds())
    text +=
        "  " + std::string(kind.name) + std::string(13 - std::string_view(kind.name).size(), ' ') + kind.holds + '\n';
  return text;
}

po::options_description make_options() {
  po::options_description options("options");
  auto add = options.add_options();
  add("what", po::value<std::string>()->required()->value_name("KIND"), "what to list, or 'show'");
  add("text", po::value<std::string>()->value_name("TEXT"), "only rows that contain it, whatever the case");
  for (const auto& [name, meaning] : filters)
    add(name, po::value<std::string>()->value_name("ID"), (std::string("only rows ") + meaning).c_str());
  add("min-params", po::value<std::string>()->value_name("SIZE"),
      "only models of at least this size, as in 7B or 500M");
  add("max-params", po::value<std::string>()->value_name("SIZE"), "only models of at most this size");
  add("sort", po::value<std::string>()->value_name("COLUMN"), "sort by a column; -COLUMN for the largest first");
  add("columns", po::value<std::string>()->value_name("A,B"), "these columns, or 'all'");
  add("limit", po::value<std::int64_t>()->default_value(0)->value_name("N"), "only the first N rows (0 = all)");
  add("csv", "print CSV on standard output");
  return options;
}

std::optional<double> size_of(const po::variables_map& values, const char* option) {
  if (values.count(option) == 0) return std::nullopt;
  auto text = values[option].as<std::string>();
  double factor = 1;
  switch (text.empty() ? ' ' : text.back()) {
    case 'T':
    case 't': factor = 1e12; break;
    case 'B':
    case 'b': factor = 1e9; break;
    case 'M':
    case 'm': factor = 1e6; break;
    default: break;
  }
  if (factor > 1) text.pop_back();
  try {
    std::size_t used = 0;
    const double number = std::stod(text, &used);
    if (used == text.size() && number >= 0 && number < 1e300) return number * factor;
  } catch (const std::exception&) {
  }
  throw Error(ErrorCode::invalid_argument, std::string("--") + option + ": \"" + values[option].as<std::string>() +
                                               "\" is no number of parameters; write 7B, 500M or 1.5T");
}

std::string text_option(const po::variables_map& values, const char* option) {
  return values.count(option) != 0 ? values[option].as<std::string>() : "";
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> items;
  for (std::size_t at = 0; at <= list.size();) {
    const auto end = std::min(list.find(',', at), list.size());
    if (end > at) items.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return items;
}

View view_of(const po::variables_map& values) {
  View view;
  view.text = text_option(values, "text");
  for (const auto& [name, meaning] : filters)
    if (values.count(name) != 0) view.filters.emplace_back(name, values[name].as<std::string>());
  view.min_params = size_of(values, "min-params");
  view.max_params = size_of(values, "max-params");
  view.sort = text_option(values, "sort");
  view.limit = static_cast<std::size_t>(non_negative(values, "limit"));
  if (const auto columns = text_option(values, "columns"); columns != "all") view.columns = split(columns);
  return view;
}

int show(const po::variables_map& values) {
  if (values.count("text") == 0)
    throw Error(ErrorCode::invalid_argument, "catalog show needs an id, as in 'advisor catalog show gptq'");
  const auto found = cards(open_advisor(values).knowledge(), values["text"].as<std::string>());
  std::cout << (values.count("json") != 0 ? json_of(found) + "\n" : text_of(found));
  return exit_ok;
}

int run(const std::vector<std::string>& args, const Command& self) {
  po::positional_options_description positional;
  positional.add("what", 1).add("text", 1);
  po::variables_map values;
  if (!parse_options(self, args, make_options(), positional, values)) return exit_ok;

  const auto wanted = values["what"].as<std::string>();
  const bool as_json = values.count("json") != 0, as_csv = values.count("csv") != 0;
  if (as_json && as_csv) throw Error(ErrorCode::invalid_argument, "--json and --csv exclude each other");
  if (wanted == "show") return show(values);
  const auto kinds = catalog_kinds();
  const auto kind = std::find_if(kinds.begin(), kinds.end(), [&](const CatalogKind& k) { return wanted == k.name; });
  if (kind == kinds.end()) {
    std::vector<std::string> names{"show"};
    for (const auto& k : kinds) names.emplace_back(k.name);
    throw Error(ErrorCode::invalid_argument,
                "unknown catalog \"" + wanted + '"' + did_you_mean(wanted, names) + "; known: " + join(names));
  }
  const auto view = view_of(values);
  auto listing = kind->make(open_advisor(values).knowledge());
  const auto found = apply(view, listing, as_json || as_csv || text_option(values, "columns") == "all");
  const auto& table = listing.table;
  std::cout << (as_json ? table.json() + "\n" : as_csv ? csv(table) : table.text());
  if (!as_json && !as_csv)
    std::cerr << table.rows.size() << (table.rows.size() < found ? " of " + std::to_string(found) : std::string())
              << ' ' << wanted << '\n';
  return exit_ok;
}

const std::string details = "KIND is one of\n" + kind_names() +
                            "Filters take an id, or part of one where nothing has exactly that name.\n"
                            "'-' means that no source states it; every number is from the sources that its row names.\n"
                            "JSON and CSV have all columns.\n"
                            "\n"
                            "examples:\n"
                            "  advisor catalog models llama --min-params 7B --max-params 20B --sort params_b\n"
                            "  advisor catalog quality --technique gptq --task mmlu --csv > gptq.csv\n"
                            "  advisor catalog scores --task gpqa_diamond --sort -value --limit 10\n"
                            "  advisor catalog show nvidia-h100-sxm5-80gb\n"
                            "  advisor catalog show Llama-3.1-8B-Instruct --json\n";

}  // namespace

const Command catalog_command = {
    "catalog", "what is known: models, hardware, measurements, sources, ...",
    "catalog KIND [TEXT] [--model ID] [--task ID] ... [--json | --csv]\n       advisor catalog show ID [--json]",
    details, run};

}  // namespace advisor::cli
