// The one exception that libadvisor throws. Expected outcomes (infeasible, no evidence, rejected) are values, not
// errors.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace advisor {

/// Status codes; the C API exports the same numbers (capi/advisor.h asserts it). Numbers are never reused.
enum class ErrorCode : std::int32_t {
  ok = 0,
  invalid_argument = -1,  ///< a value that makes no sense (negative memory, unknown field)
  not_found = -2,         ///< a file, model, hardware or option that does not exist
  parse_error = -3,       ///< a file that is not what it claims to be
  unsupported = -4,       ///< well formed, but not something this build can do
  io_error = -5,          ///< the world failed: unwritable output, full disk
  cancelled = -6,
  out_of_memory = -7,
  internal = -8,  ///< a bug
};

/// "invalid_argument", "not_found", ...
std::string_view name(ErrorCode code);

class Error : public std::runtime_error {
 public:
  /// The message says what was wrong, where, and what to do.
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

}  // namespace advisor
