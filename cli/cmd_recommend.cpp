#include <iostream>

#include "cli/command.h"
#include "core/fields.h"
#include "core/json.h"
#include "facade.h"

namespace advisor::cli {
namespace {

namespace po = boost::program_options;

/// The commands then name what --out writes.
void name_file(Recommendation& answer, const std::string& folder) {
  constexpr std::string_view any_file = "RECOMMENDATION.json";  // which the library does not write
  const bool plain = folder.find_first_of(" '\"$`\\&;|<>()*?") == std::string::npos;
  if (!plain) return;  // a shell would read it otherwise
  for (Option& option : answer.options)
    if (const auto at = option.apply_command.find(any_file); at != std::string::npos)
      option.apply_command.replace(at, any_file.size(), folder);
}

int run(const std::vector<std::string>& args, const Command& self) {
  po::options_description options("options");
  options.add_options()("profile", po::value<std::string>()->required()->value_name("P.yaml"),
                        "the profile: YAML or JSON")(
      "set", po::value<std::vector<std::string>>()->value_name("FIELD=VALUE")->composing(),
      "override a field, e.g. --set workload.context=8192 (repeatable)")(
      "consider", po::value<std::vector<std::string>>()->value_name("VARIANT")->composing(),
      "why not this one? e.g. --consider 'magnitude sparsity=50%' --consider 'Q2_K' (repeatable)")(
      "rules", po::value<std::vector<std::string>>()->value_name("DIR")->composing(),
      "a file or folder of your own rules, beside the shipped ones (repeatable; default: $ADVISOR_RULES)")(
      "markdown", "print Markdown")(
      "out", po::value<std::string>()->value_name("DIR"),
      "a new folder for recommendation.json, recommendation.md, and recipe and launch script of every option")(
      "overwrite", "replace DIR if it exists");
  po::positional_options_description positional;
  positional.add("profile", 1);
  po::variables_map values;
  if (!parse_options(self, args, options, positional, values)) return exit_ok;

  Profile profile = load_profile(values["profile"].as<std::string>());
  for (const std::string& setting : list_of(values, "set")) {
    const auto [field, value] = split_setting(setting, "--set");
    set_field(profile, field, std::string_view(value));
  }
  for (const std::string& variant : list_of(values, "consider"))
    set_field(profile, "consider." + std::to_string(profile.consider.size()), std::string_view(variant));
  Recommendation answer = open_advisor(values).recommend(profile);
  if (values.count("out") != 0) name_file(answer, values["out"].as<std::string>());
  const Page page = overview(answer);
  if (values.count("out") != 0)
    save_folder(values["out"].as<std::string>(), recommendation_files(answer, as_markdown(page)),
                values.count("overwrite") != 0);
  std::cout << (values.count("json") != 0       ? to_json(answer)
                : values.count("markdown") != 0 ? as_markdown(page)
                                                : as_text(page))
            << '\n';
  switch (answer.outcome) {
    case Outcome::recommended: return exit_ok;
    case Outcome::infeasible: return exit_infeasible;
    case Outcome::insufficient_evidence: return exit_insufficient_evidence;
  }
  return exit_failure;
}

}  // namespace

const Command recommend_command = {
    "recommend", "what to do with a model on given hardware, and why",
    "recommend P.yaml [--set FIELD=VALUE]... [--consider VARIANT]... [--json | --markdown] [--out DIR]",
    "Prints the verdict (keep, compress, switch, compress_and_switch, or a portfolio for several tasks), ranked\n"
    "options with intervals and sources, and why everything else was rejected. Defaults that were applied are listed.\n"
    "--consider asks about a variant that is not looked at by default, by its parts in any order: model, technique,\n"
    "scheme, sparsity=, pattern, format, engine and kv=, as in 'W4A8-int8-g128 engine=sglang' or 'magnitude\n"
    "sparsity=50%'. It is judged like all others, and the answer says what became of it; `consider:` in the profile\n"
    "does the same.\n"
    "Exit code 0: recommended, 1: infeasible, 3: insufficient evidence. 'advisor catalog fields' lists the fields.\n",
    run};

}  // namespace advisor::cli
