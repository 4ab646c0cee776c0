#include "compress/meter.h"

#include "core/error.h"

namespace advisor {

Meter::Meter(const ProgressFn& callback, std::string stage, std::int64_t total) : callback_(callback) {
  progress_.stage = std::move(stage);
  progress_.total = total;
}

void Meter::advance(const std::string& item, std::int64_t bytes) {
  const std::lock_guard lock(mutex_);
  progress_.item = item;
  progress_.done += bytes;
  progress_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  if (callback_ && !stopped_) stopped_ = !callback_(progress_);
  if (stopped_) throw Error(ErrorCode::cancelled, "cancelled");
}

}  // namespace advisor
