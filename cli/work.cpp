// The program advisor-work: every command, and what is said about them. `advisor` (light.cpp) becomes it where it has
// to.
#include <array>
#include <iostream>

#include "cli/command.h"
#include "core/error.h"
#include "core/suggest.h"
#include "core/version.h"

namespace advisor::cli {
namespace {

constexpr std::array commands = {&recommend_command, &explain_command,  &diff_command,     &apply_command,
                                 &estimate_command,  &compress_command, &evaluate_command, &catalog_command,
                                 &probe_command,     &backtest_command, &record_command,   &rules_command};

void print_help(std::ostream& out) {
  out << "advisor " << version() << ": compress, switch or keep a language model, on evidence\n\n"
      << "usage: advisor COMMAND [options]\n\ncommands:\n";
  for (const Command* command : commands) {
    out << "  " << command->name << std::string(12 - command->name.size(), ' ') << command->summary << '\n';
  }
  out << "\n'advisor COMMAND --help' explains one. Every command takes --json.\n"
      << "exit codes: 0 ok, 1 infeasible (a valid answer), 2 bad input, 3 insufficient evidence, 4 run-time failure\n";
}

}  // namespace

std::span<const Command* const> own_commands() { return commands; }

int run_other(const std::vector<std::string>& args) {
  if (args.empty() || args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
    print_help(args.empty() ? std::cerr : std::cout);
    return args.empty() ? exit_bad_input : exit_ok;
  }
  if (args[0] == "--version") {
    std::cout << "advisor " << version() << '\n';
    return exit_ok;
  }
  std::vector<std::string> names;
  for (const Command* command : commands) names.emplace_back(command->name);
  throw Error(ErrorCode::invalid_argument,
              "unknown command \"" + args[0] + '"' + did_you_mean(args[0], names) + "; 'advisor --help' lists them");
}

}  // namespace advisor::cli
