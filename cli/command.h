// The table of commands: main.cpp lists them, each cmd_<name>.cpp exports one.
#pragma once

#include <boost/program_options.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace advisor::cli {

/// Exit codes that scripts rely on (docs/cli.md).
enum Exit { exit_ok = 0, exit_infeasible = 1, exit_bad_input = 2, exit_insufficient_evidence = 3, exit_failure = 4 };

struct Command {
  std::string_view name, summary, usage, details;
  int (*run)(const std::vector<std::string>& args, const Command& self);
};

extern const Command recommend_command, compress_command, evaluate_command, catalog_command, probe_command;

/// Parses `args`; prints help and returns false for --help. Every command has --help, --json and --data.
/// Throws Error{invalid_argument} with suggestions for unknown options.
bool parse_options(const Command& command, const std::vector<std::string>& args,
                   boost::program_options::options_description options,
                   const boost::program_options::positional_options_description& positional,
                   boost::program_options::variables_map& values);

}  // namespace advisor::cli
