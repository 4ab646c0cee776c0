#include <iostream>

#include "cli/command.h"
#include "core/json.h"
#include "facade.h"

namespace advisor::cli {
namespace {

namespace po = boost::program_options;

int run(const std::vector<std::string>& args, const Command& self) {
  po::options_description options("options");
  options.add_options()("recommendation", po::value<std::string>()->required()->value_name("R.json"),
                        "what 'advisor recommend --json' printed, the folder that --out made, or - for standard input")(
      "option", po::value<std::int64_t>()->default_value(0)->value_name("N"),
      "all about option N: every estimate with interval and sources, routes, recipe, commands")("markdown",
                                                                                                "print Markdown");
  po::positional_options_description positional;
  positional.add("recommendation", 1);
  po::variables_map values;
  if (!parse_options(self, args, options, positional, values)) return exit_ok;

  const Recommendation answer = load_recommendation(values["recommendation"].as<std::string>());
  const auto rank = static_cast<int>(non_negative(values, "option"));
  if (values.count("json") != 0) {
    std::cout << to_json(rank == 0 ? answer : only_option(answer, rank)) << '\n';
    return exit_ok;
  }
  const Page page = rank == 0 ? overview(answer) : details(answer, rank);
  std::cout << (values.count("markdown") != 0 ? as_markdown(page) : as_text(page)) << '\n';
  return exit_ok;
}

}  // namespace

const Command explain_command = {"explain", "a recommendation in words, or all about one of its options",
                                 "explain R.json [--option N] [--markdown] [--json]",
                                 "Adds nothing that is not in the file: the knowledge of today is not asked.\n"
                                 "  advisor recommend profile.yaml --json > r.json\n"
                                 "  advisor explain r.json --option 2\n",
                                 run};

}  // namespace advisor::cli
