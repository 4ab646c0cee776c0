// The version of the library, set by the build.
#pragma once

#include <string_view>

namespace advisor {

std::string_view version();  ///< "0.1.0"

}  // namespace advisor
