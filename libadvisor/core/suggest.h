// "Did you mean ...": the nearest known names to one that is not known. Used for every unknown model, field, engine
// or option, so that a typing error costs one glance.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace advisor {

/// At most `limit` candidates, nearest first (edit distance without case, then substrings), ties by name. Empty when
/// nothing is near.
std::vector<std::string> nearest(std::string_view unknown, std::span<const std::string> candidates,
                                 std::size_t limit = 3);

/// "; did you mean \"a\", \"b\" or \"c\"?", or empty when nothing is near. Appended to an error message.
std::string did_you_mean(std::string_view unknown, std::span<const std::string> candidates);

/// "a, b, c": for messages that list what is allowed.
std::string join(std::span<const std::string> items, std::string_view separator = ", ");

}  // namespace advisor
