// Progress of one stage of a job.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "compress/job.h"

namespace advisor {

/// Serializes the callback and turns its refusal into an error that stops the workers.
class Meter {
 public:
  Meter(const ProgressFn& callback, std::string stage, std::int64_t total);
  /// Throws cancelled when the callback refuses.
  void advance(const std::string& item, std::int64_t bytes);

 private:
  const ProgressFn& callback_;
  std::mutex mutex_;
  Progress progress_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  bool stopped_ = false;
};

}  // namespace advisor
