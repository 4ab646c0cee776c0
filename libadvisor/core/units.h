// Physical quantities at the edges: "16 GiB" <-> 17179869184 bytes. Inside the library numbers are plain doubles in SI
// units and bytes; a Dimension travels beside them only where text is read, written or type-checked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace advisor {

/// Exponents of the base units. Ratios and counts have no dimension.
struct Dimension {
  std::int8_t byte = 0, second = 0, operation = 0, usd = 0, token = 0, request = 0;

  constexpr bool operator==(const Dimension&) const = default;

  static const Dimension none, ratio, count, bytes, seconds, bytes_per_second, ops_per_second, usd_only, usd_per_second,
      tokens, tokens_per_second, requests_per_second;
};

inline constexpr Dimension Dimension::none{};
inline constexpr Dimension Dimension::ratio{};
inline constexpr Dimension Dimension::count{};
inline constexpr Dimension Dimension::bytes{.byte = 1};
inline constexpr Dimension Dimension::seconds{.second = 1};
inline constexpr Dimension Dimension::bytes_per_second{.byte = 1, .second = -1};
inline constexpr Dimension Dimension::ops_per_second{.second = -1, .operation = 1};
inline constexpr Dimension Dimension::usd_only{.usd = 1};
inline constexpr Dimension Dimension::usd_per_second{.second = -1, .usd = 1};
inline constexpr Dimension Dimension::tokens{.token = 1};
inline constexpr Dimension Dimension::tokens_per_second{.second = -1, .token = 1};
inline constexpr Dimension Dimension::requests_per_second{.second = -1, .request = 1};

Dimension operator*(Dimension a, Dimension b);
Dimension operator/(Dimension a, Dimension b);
std::string name(Dimension dimension);  ///< "bytes", "seconds", "bytes/second", "a plain number"

/// A unit as written: "GiB" -> {1073741824, bytes}, "%" -> {0.01, none}, "USD/h" -> {1/3600, usd per second}.
struct Unit {
  double factor = 1;
  Dimension dimension;
};
/// nullptr when no unit is spelled so. Spelling is case-sensitive ("MB" is not "mb").
const Unit* find_unit(std::string_view spelling);

struct Quantity {
  double value = 0;  ///< SI
  Dimension dimension;
};
/// Reads "<number> [unit]". Throws invalid_argument for anything else, for an unknown unit and for a number that is
/// not finite.
Quantity parse_quantity(std::string_view text);
/// The same for a known dimension. A plain number counts in `plain_unit` ("" = SI base unit); another dimension is
/// refused.
double parse_quantity(std::string_view text, Dimension dimension, std::string_view plain_unit = "");

/// For people: "23.7 GiB", "936 GB/s", "142 TFLOPS", "400 ms", "4 USD/h", about four digits.
std::string format_quantity(double value, Dimension dimension);
/// The shortest text with a unit that parse_quantity reads back to exactly this value.
std::string format_exact(double value, Dimension dimension);
/// Shortest decimal that reads back to the same double, without exponent where that is short: "0.1", "8192".
std::string format_number(double value);

}  // namespace advisor
