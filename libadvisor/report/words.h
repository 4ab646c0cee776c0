// How numbers and names of a recommendation are written on a page. Private to this folder.
#pragma once

#include <optional>
#include <string>

#include "core/recommendation.h"

namespace advisor::words {

std::string bytes(double value);
/// "%.3g" without exponents for numbers that people meet.
std::string number(double value);
/// 0.974 -> "97.4 %"
std::string percent(double value);
/// "92.1 (88.0 to 96.3)"; " (88.0 to 96.3)" is left out when the value is exact.
std::string interval(const Estimate& estimate, const std::string& unit = "", double factor = 1);
/// "200 (167 to 233) ms"; from a second on in seconds, from ten minutes on in minutes.
std::string seconds(const Estimate& estimate);
/// "21 min", "3.4 h"; below a minute in seconds.
std::string hours(const Estimate& estimate);

std::string what(const Variant& variant);  ///< "awq W4A16-g128, KV cache fp8"
std::string keeps(const Option& option);   ///< "keeps 98.2 % (96.9 to 99.4)" or "unchanged"
std::string quality(const Option& option, bool with_score);
std::string speed(const Option& option);
std::string effort(const PlanRoute& route);  ///< empty when nothing has to be done
/// The score of its uncompressed model is not measured but predicted.
bool predicted(const Option& option);

}  // namespace advisor::words
