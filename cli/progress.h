// Progress on standard error: a bar with rate and time left on a terminal, plain lines otherwise.
#pragma once

#include <cstdint>
#include <string>

namespace advisor::cli {

class ProgressPrinter {
 public:
  /// `unit` is "bytes" (printed with prefixes) or a plural noun ("items"). `quiet` prints nothing.
  explicit ProgressPrinter(std::string unit, bool quiet = false);
  ~ProgressPrinter();
  ProgressPrinter(const ProgressPrinter&) = delete;
  ProgressPrinter& operator=(const ProgressPrinter&) = delete;

  /// Returns false once the user pressed Ctrl-C: the job then stops and cleans up.
  bool update(const std::string& stage, std::int64_t done, std::int64_t total, double seconds);

 private:
  std::string amount(double value) const;
  void finish_line();

  std::string unit_, stage_;
  bool quiet_, terminal_, open_line_ = false;
  double last_print_ = -1;
  int last_tenth_ = -1;
};

}  // namespace advisor::cli
