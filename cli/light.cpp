// The program advisor: the commands that do without the compression side. For all else it becomes advisor-work, as git
// becomes one of its helpers: same process, arguments, environment, files and signals.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "cli/command.h"
#include "core/error.h"

namespace advisor::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::array commands = {&recommend_command, &explain_command, &diff_command,
                                 &estimate_command,  &catalog_command, &probe_command,
                                 &backtest_command,  &record_command,  &rules_command};

}  // namespace

std::span<const Command* const> own_commands() { return commands; }

int run_other(const std::vector<std::string>& args) {
  std::error_code ec;
  const fs::path self = fs::read_symlink("/proc/self/exe", ec);
  const fs::path work = (self.parent_path() / ADVISOR_WORK_PROGRAM).lexically_normal();
  std::vector<std::string> words{"advisor"};
  words.insert(words.end(), args.begin(), args.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(work.c_str(), argv.data());
  throw Error(ErrorCode::io_error, work.string() + ": " + std::strerror(errno) +
                                       "; without this program advisor opens no checkpoint and gives no help: install "
                                       "libadvisor whole");
}

}  // namespace advisor::cli
