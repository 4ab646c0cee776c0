#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <iostream>

#include "core/units.h"

namespace advisor::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;

void on_interrupt(int) {
  interrupted = 1;
  std::signal(SIGINT, SIG_DFL);  // a second Ctrl-C ends the program at once
}

std::string clock_text(double seconds) {
  char text[32];
  const auto s = static_cast<long>(seconds + 0.5);
  std::snprintf(text, sizeof text, "%ld:%02ld", s / 60, s % 60);
  return text;
}

}  // namespace

ProgressPrinter::ProgressPrinter(std::string unit, bool quiet)
    : unit_(std::move(unit)), quiet_(quiet), terminal_(isatty(STDERR_FILENO) != 0) {
  interrupted = 0;
  std::signal(SIGINT, on_interrupt);
}

ProgressPrinter::~ProgressPrinter() {
  finish_line();
  std::signal(SIGINT, SIG_DFL);
}

std::string ProgressPrinter::amount(double value) const {
  if (unit_ == "bytes") return format_quantity(value, Dimension::bytes);
  char text[32];
  std::snprintf(text, sizeof text, "%.0f", value);
  return text;
}

void ProgressPrinter::finish_line() {
  if (open_line_) std::cerr << '\n';
  open_line_ = false;
}

bool ProgressPrinter::update(const std::string& stage, std::int64_t done, std::int64_t total, double seconds) {
  if (quiet_) return interrupted == 0;
  if (stage != stage_) {
    finish_line();
    stage_ = stage;
    last_print_ = -1;
    last_tenth_ = -1;
  }
  const double part = total > 0 ? std::min(1.0, static_cast<double>(done) / static_cast<double>(total)) : 1.0;
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  const std::string rate_text = amount(rate) + (unit_ == "bytes" ? "/s" : " " + unit_ + "/s");
  const std::string left = part > 0 && part < 1 ? ", " + clock_text(seconds * (1 - part) / part) + " left" : "";
  char percent[8];
  std::snprintf(percent, sizeof percent, "%3.0f %%", part * 100);
  if (terminal_) {
    if (part < 1 && last_print_ >= 0 && seconds - last_print_ < 0.1) return interrupted == 0;
    last_print_ = seconds;
    constexpr int width = 30;
    const auto filled = static_cast<std::size_t>(part * width);
    std::cerr << '\r' << stage << " [" << std::string(filled, '#') << std::string(width - filled, '.') << "] "
              << percent << ' ' << rate_text << left << "\033[K" << std::flush;
    open_line_ = true;
  } else if (const int tenth = static_cast<int>(part * 10); tenth != last_tenth_) {
    last_tenth_ = tenth;
    std::cerr << stage << ' ' << percent << " (" << amount(static_cast<double>(done)) << " of "
              << amount(static_cast<double>(total)) << ", " << rate_text << left << ")\n";
  }
  return interrupted == 0;
}

}  // namespace advisor::cli
