// Fork-join over an index range. The result must not depend on the thread count: each index writes its own output.
#pragma once

#include <cstdint>
#include <functional>

namespace advisor {

/// Calls body(i) for i in [0, n) on up to `threads` threads (0 = all cores); rethrows the exception of the
/// lowest failing index. Runs inline when threads == 1 or n < 2.
void parallel_for(std::int64_t n, int threads, const std::function<void(std::int64_t)>& body);

}  // namespace advisor
