// What both programs share: which command runs, options that every command has, errors as one line and an exit code.
#include <iostream>
#include <new>

#include "cli/command.h"
#include "core/error.h"
#include "facade_light.h"

namespace advisor::cli {
namespace {

namespace po = boost::program_options;

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::not_found:
    case ErrorCode::parse_error:
    case ErrorCode::unsupported: return exit_bad_input;
    default: return exit_failure;
  }
}

int dispatch(const std::vector<std::string>& args) {
  for (const Command* command : own_commands()) {
    if (args.empty() || args[0] != command->name) continue;
    try {
      return command->run({args.begin() + 1, args.end()}, *command);
    } catch (const NeedsCompressionSide&) {  // nothing has been printed or read from standard input yet
      break;
    }
  }
  return run_other(args);
}

}  // namespace

bool parse_options(const Command& command, const std::vector<std::string>& args, po::options_description options,
                   const po::positional_options_description& positional, po::variables_map& values) {
  po::options_description visible = options;
  visible.add_options()("json", "print JSON on standard output")(
      "data", po::value<std::string>()->value_name("DIR"),
      "folder of advisor.db and rules/ (default: $ADVISOR_DATA or beside the program)")(
      "local", po::value<std::string>()->value_name("FILE"),
      "your own recorded results; none = do without (default: $ADVISOR_LOCAL or ~/.local/share/advisor/local.db)")(
      "help,h", "this text");
  try {
    po::store(po::command_line_parser(args)
                  .options(visible)
                  .positional(positional)
                  .style(po::command_line_style::default_style & ~po::command_line_style::allow_guessing)
                  .run(),
              values);
    if (values.count("help") != 0) {
      std::cout << command.summary << "\n\nusage: advisor " << command.usage << "\n\n"
                << command.details << '\n'
                << visible;
      return false;
    }
    po::notify(values);
  } catch (const po::error& e) {
    throw Error(ErrorCode::invalid_argument,
                std::string(e.what()) + "; see 'advisor " + std::string(command.name) + " --help'");
  }
  return true;
}

Advisor open_advisor(const po::variables_map& values) {
  const auto text = [&](const char* option) {
    return values.count(option) != 0 ? values[option].as<std::string>() : "";
  };
  const auto rules = list_of(values, "rules");
  return Advisor(text("data"), text("local"), {rules.begin(), rules.end()});
}

std::vector<std::string> list_of(const po::variables_map& values, const char* option) {
  return values.count(option) != 0 ? values[option].as<std::vector<std::string>>() : std::vector<std::string>{};
}

std::pair<std::string, std::string> split_setting(const std::string& text, const char* option) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(ErrorCode::invalid_argument, std::string(option) + " takes KEY=VALUE, not \"" + text + '"');
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

std::int64_t non_negative(const po::variables_map& values, const char* option) {
  const auto value = values[option].as<std::int64_t>();
  if (value < 0) {
    throw Error(ErrorCode::invalid_argument,
                std::string("--") + option + " is " + std::to_string(value) + "; it cannot be negative");
  }
  return value;
}

}  // namespace advisor::cli

int main(int argc, char** argv) {
  using advisor::cli::exit_failure;
  try {
    return advisor::cli::dispatch({argv + 1, argv + argc});
  } catch (const advisor::Error& e) {
    std::cerr << "advisor: " << e.what() << '\n';
    return advisor::cli::exit_code(e.code());
  } catch (const std::bad_alloc&) {
    std::cerr << "advisor: out of memory\n";
    return exit_failure;
  } catch (const std::exception& e) {
    std::cerr << "advisor: internal error: " << e.what() << "; please report it with the command line\n";
    return exit_failure;
  }
}
