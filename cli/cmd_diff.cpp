#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "facade.h"

namespace advisor::cli {
namespace {

namespace po = boost::program_options;

/// schema "advisor.diff/1": the page's tables with their headings as they are.
std::string to_json(const Page& page) {
  using Json = nlohmann::ordered_json;
  Json sections = Json::array();
  std::string heading;
  for (const Block& block : page) {
    if (block.kind == Block::Kind::heading) heading = block.text;
    if (block.kind != Block::Kind::table) continue;
    Json rows = Json::array();
    for (std::size_t i = 1; i < block.rows.size(); ++i) {
      Json row = Json::object();
      for (std::size_t k = 0; k < block.rows[i].size(); ++k) row[block.rows[0][k]] = block.rows[i][k];
      rows.push_back(std::move(row));
    }
    sections.push_back({{"heading", heading}, {"rows", std::move(rows)}});
  }
  return Json{{"schema", "advisor.diff/1"}, {"summary", page.front().text}, {"sections", std::move(sections)}}.dump(
      2, ' ', false, Json::error_handler_t::replace);
}

int run(const std::vector<std::string>& args, const Command& self) {
  po::options_description options("options");
  options.add_options()("before", po::value<std::string>()->required()->value_name("A.json"), "a recommendation")(
      "after", po::value<std::string>()->required()->value_name("B.json"), "another one")("markdown", "print Markdown");
  po::positional_options_description positional;
  positional.add("before", 1).add("after", 1);
  po::variables_map values;
  if (!parse_options(self, args, options, positional, values)) return exit_ok;

  const Page page = difference(load_recommendation(values["before"].as<std::string>()),
                               load_recommendation(values["after"].as<std::string>()));
  std::cout << (values.count("json") != 0       ? to_json(page)
                : values.count("markdown") != 0 ? as_markdown(page)
                                                : as_text(page))
            << '\n';
  return exit_ok;
}

}  // namespace

const Command diff_command = {
    "diff", "what differs between two recommendations", "diff A.json B.json [--markdown] [--json]",
    "Question, outcome, options with their ranks and estimates, rejections, and whether the knowledge differs.\n", run};

}  // namespace advisor::cli
