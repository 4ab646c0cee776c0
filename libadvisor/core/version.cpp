#include "core/version.h"

#ifndef ADVISOR_VERSION
#error "ADVISOR_VERSION comes from the project() line of CMakeLists.txt"
#endif

namespace advisor {

std::string_view version() { return ADVISOR_VERSION; }

}  // namespace advisor
