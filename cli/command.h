// The commands: each cmd_<name>.cpp exports one. Two programs are made of them, see own_commands.
#pragma once

#include <boost/program_options.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "facade.h"

namespace advisor::cli {

/// Exit codes that scripts rely on (README.md, 'advisor --help').
enum Exit { exit_ok = 0, exit_infeasible = 1, exit_bad_input = 2, exit_insufficient_evidence = 3, exit_failure = 4 };

struct Command {
  std::string_view name, summary, usage, details;
  int (*run)(const std::vector<std::string>& args, const Command& self);
};

extern const Command rules_command, estimate_command, recommend_command, compress_command, evaluate_command,
    catalog_command, probe_command, backtest_command, record_command, explain_command, diff_command, apply_command;

/// What this program does itself: in work.cpp all commands; in light.cpp, which has no compression side, those that
/// seldom or never need it.
std::span<const Command* const> own_commands();

/// All else. work.cpp: help, version, a message about what is no command. light.cpp: becomes the other program, with
/// the same arguments.
int run_other(const std::vector<std::string>& args);

/// Parses `args`; prints help and returns false for --help. Every command has --help, --json, --data and --local.
/// Throws Error{invalid_argument} with suggestions for unknown options.
bool parse_options(const Command& command, const std::vector<std::string>& args,
                   boost::program_options::options_description options,
                   const boost::program_options::positional_options_description& positional,
                   boost::program_options::variables_map& values);

/// The facade on --data, --local and --rules (of commands that have it), or on what it finds by itself.
Advisor open_advisor(const boost::program_options::variables_map& values);

/// Values of a repeatable option; empty when it was not given.
std::vector<std::string> list_of(const boost::program_options::variables_map& values, const char* option);

/// "key=value" -> {key, value}; throws invalid_argument naming the option.
std::pair<std::string, std::string> split_setting(const std::string& text, const char* option);

/// An integer option that must not be negative.
std::int64_t non_negative(const boost::program_options::variables_map& values, const char* option);

}  // namespace advisor::cli
