// The facade of a program without the compression side, in the place of facade_compress.cpp: what decisions ask of that
// side says that it is needed. plan, compress and evaluate are not there at all, so that using them fails to link.
#include "facade_light.h"

#include "facade_resolve.h"

namespace advisor {

void set_kernel_target(const std::string&) { throw NeedsCompressionSide{}; }

Model model_of(const std::string&) { throw NeedsCompressionSide{}; }

}  // namespace advisor
