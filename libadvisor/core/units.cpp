#include "core/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/suggest.h"

namespace advisor {
namespace {

constexpr double kilo = 1e3, mega = 1e6, giga = 1e9, tera = 1e12, peta = 1e15;
constexpr double kibi = 1024, mebi = kibi * 1024, gibi = mebi * 1024, tebi = gibi * 1024;
constexpr double hour = 3600;

struct NamedUnit {
  std::string_view spelling;
  Unit unit;
  bool written = true;  ///< format_* may use it; false = only read
};

using D = Dimension;
// In each dimension from small to large; the first spelling of a unit is the one that is written.
constexpr std::array named_units{
    NamedUnit{"B", {1, D::bytes}},
    NamedUnit{"KiB", {kibi, D::bytes}},
    NamedUnit{"MiB", {mebi, D::bytes}},
    NamedUnit{"GiB", {gibi, D::bytes}},
    NamedUnit{"TiB", {tebi, D::bytes}},
    NamedUnit{"kB", {kilo, D::bytes}},
    NamedUnit{"MB", {mega, D::bytes}},
    NamedUnit{"GB", {giga, D::bytes}},
    NamedUnit{"TB", {tera, D::bytes}},
    NamedUnit{"KB", {kilo, D::bytes}, false},
    NamedUnit{"bytes", {1, D::bytes}, false},

    NamedUnit{"us", {1e-6, D::seconds}},
    NamedUnit{"ms", {1e-3, D::seconds}},
    NamedUnit{"s", {1, D::seconds}},
    NamedUnit{"min", {60, D::seconds}},
    NamedUnit{"h", {hour, D::seconds}},
    NamedUnit{"d", {24 * hour, D::seconds}},

    NamedUnit{"B/s", {1, D::bytes_per_second}},
    NamedUnit{"kB/s", {kilo, D::bytes_per_second}},
    NamedUnit{"MB/s", {mega, D::bytes_per_second}},
    NamedUnit{"GB/s", {giga, D::bytes_per_second}},
    NamedUnit{"TB/s", {tera, D::bytes_per_second}},
    NamedUnit{"KiB/s", {kibi, D::bytes_per_second}, false},
    NamedUnit{"MiB/s", {mebi, D::bytes_per_second}, false},
    NamedUnit{"GiB/s", {gibi, D::bytes_per_second}, false},
    NamedUnit{"TiB/s", {tebi, D::bytes_per_second}, false},

    NamedUnit{"FLOPS", {1, D::ops_per_second}},
    NamedUnit{"MFLOPS", {mega, D::ops_per_second}},
    NamedUnit{"GFLOPS", {giga, D::ops_per_second}},
    NamedUnit{"TFLOPS", {tera, D::ops_per_second}},
    NamedUnit{"PFLOPS", {peta, D::ops_per_second}},
    NamedUnit{"OPS", {1, D::ops_per_second}, false},
    NamedUnit{"GOPS", {giga, D::ops_per_second}, false},
    NamedUnit{"TOPS", {tera, D::ops_per_second}, false},
    NamedUnit{"POPS", {peta, D::ops_per_second}, false},
    NamedUnit{"FLOP/s", {1, D::ops_per_second}, false},
    NamedUnit{"GFLOP/s", {giga, D::ops_per_second}, false},
    NamedUnit{"TFLOP/s", {tera, D::ops_per_second}, false},
    NamedUnit{"PFLOP/s", {peta, D::ops_per_second}, false},

    NamedUnit{"USD", {1, D::usd_only}},
    NamedUnit{"USD/s", {1, D::usd_per_second}, false},
    NamedUnit{"USD/h", {1 / hour, D::usd_per_second}},

    NamedUnit{"tok", {1, D::tokens}},
    NamedUnit{"tokens", {1, D::tokens}, false},
    NamedUnit{"tok/s", {1, D::tokens_per_second}},
    NamedUnit{"tokens/s", {1, D::tokens_per_second}, false},
    NamedUnit{"req/s", {1, D::requests_per_second}},

    NamedUnit{"%", {0.01, D::none}, false},
};

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

[[noreturn]] void refuse(std::string_view text, const std::string& why) {
  throw Error(ErrorCode::invalid_argument, "\"" + std::string(text) + "\" is not a quantity: " + why);
}

/// The leading number; moves `text` behind it.
double take_number(std::string_view whole, std::string_view& text) {
  std::string_view digits = text;
  if (!digits.empty() && digits.front() == '+') digits.remove_prefix(1);
  double value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ec == std::errc::result_out_of_range) refuse(whole, "the number is too large or too small");
  if (result.ec != std::errc()) refuse(whole, "it must start with a number, as in \"16 GiB\" or \"400 ms\"");
  if (!std::isfinite(value)) refuse(whole, "the number must be finite");
  text = digits.substr(static_cast<std::size_t>(result.ptr - digits.data()));
  return value;
}

double divide(double value, double factor) {
  // 1e-3 and 1e-6 are not exact in binary; multiplying by the inverse is, and keeps "400 ms" short
  return factor < 1 ? value * std::round(1 / factor) : value / factor;
}

double scale(double value, double factor) { return factor < 1 ? value / std::round(1 / factor) : value * factor; }

std::string with_digits(double value, int digits) {
  std::array<char, 64> buffer{};
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::general, digits);
  double rounded = 0;
  std::from_chars(buffer.data(), end.ptr, rounded);
  return format_number(rounded);
}

}  // namespace

namespace {
constexpr std::int8_t plus(std::int8_t a, std::int8_t b) { return static_cast<std::int8_t>(a + b); }
constexpr std::int8_t minus(std::int8_t a, std::int8_t b) { return static_cast<std::int8_t>(a - b); }
}  // namespace

Dimension operator*(Dimension a, Dimension b) {
  return {plus(a.byte, b.byte), plus(a.second, b.second), plus(a.operation, b.operation),
          plus(a.usd, b.usd),   plus(a.token, b.token),   plus(a.request, b.request)};
}

Dimension operator/(Dimension a, Dimension b) {
  return {minus(a.byte, b.byte), minus(a.second, b.second), minus(a.operation, b.operation),
          minus(a.usd, b.usd),   minus(a.token, b.token),   minus(a.request, b.request)};
}

std::string name(Dimension d) {
  if (d == Dimension::none) return "a plain number";
  const std::array<std::pair<std::string_view, int>, 6> parts{{{"bytes", d.byte},
                                                               {"operations", d.operation},
                                                               {"USD", d.usd},
                                                               {"tokens", d.token},
                                                               {"requests", d.request},
                                                               {"seconds", d.second}}};
  std::string above, below;
  for (const auto& [word, exponent] : parts) {
    std::string& side = exponent > 0 ? above : below;
    for (int i = 0; i < std::abs(exponent); ++i) side += (side.empty() ? "" : "*") + std::string(word);
  }
  if (below.empty()) return above;
  return (above.empty() ? "1" : above) + "/" + below;
}

const Unit* find_unit(std::string_view spelling) {
  for (const NamedUnit& candidate : named_units) {
    if (candidate.spelling == spelling) return &candidate.unit;
  }
  return nullptr;
}

Quantity parse_quantity(std::string_view text) {
  const std::string_view whole = trim(text);
  std::string_view rest = whole;
  const double number = take_number(whole, rest);
  rest = trim(rest);
  if (rest.empty()) return {number, Dimension::none};
  const Unit* unit = find_unit(rest);
  if (unit == nullptr) {
    std::vector<std::string> known;
    for (const NamedUnit& candidate : named_units) known.emplace_back(candidate.spelling);
    refuse(whole, "unknown unit \"" + std::string(rest) + "\"" + did_you_mean(rest, known));
  }
  const double value = scale(number, unit->factor);
  if (!std::isfinite(value)) refuse(whole, "the number is too large");
  return {value, unit->dimension};
}

double parse_quantity(std::string_view text, Dimension dimension, std::string_view plain_unit) {
  const std::string_view whole = trim(text);
  const Quantity quantity = parse_quantity(whole);
  const bool has_unit = !whole.empty() && (whole.back() == '%' || quantity.dimension != Dimension::none);
  if (!has_unit && dimension != Dimension::none) {
    const Unit* unit = plain_unit.empty() ? nullptr : find_unit(plain_unit);
    return unit == nullptr ? quantity.value : scale(quantity.value, unit->factor);
  }
  if (quantity.dimension != dimension) {
    refuse(whole, "expected " + name(dimension) + ", got " + name(quantity.dimension));
  }
  return quantity.value;
}

std::string format_number(double value) {
  if (value == 0) return "0";  // also for -0
  std::array<char, 32> shortest{};
  const auto general = std::to_chars(shortest.data(), shortest.data() + shortest.size(), value);
  std::string text(shortest.data(), general.ptr);
  if (text.find('e') == std::string::npos) return text;
  const double magnitude = std::fabs(value);
  if (magnitude < 1e-6 || magnitude >= 1e15) return text;
  std::array<char, 512> plain{};
  const auto fixed = std::to_chars(plain.data(), plain.data() + plain.size(), value, std::chars_format::fixed);
  return fixed.ec == std::errc() ? std::string(plain.data(), fixed.ptr) : text;
}

std::string format_quantity(double value, Dimension dimension) {
  const NamedUnit* best = nullptr;
  for (const NamedUnit& candidate : named_units) {
    if (!candidate.written || candidate.unit.dimension != dimension) continue;
    // bytes are shown in binary prefixes, and times not in days: "36 h" reads better beside an hourly price
    if (dimension == Dimension::bytes && candidate.spelling == "kB") break;
    if (candidate.spelling == "d") break;
    if (best == nullptr || std::fabs(value) >= candidate.unit.factor) best = &candidate;
  }
  if (value == 0 && dimension == Dimension::seconds) return "0 s";
  if (best == nullptr) {
    // counts keep all digits: "131072 tokens", not "131100"
    const bool whole = value == std::floor(value) && std::fabs(value) < 1e15;
    const std::string number = whole ? format_number(value) : with_digits(value, 4);
    return dimension == Dimension::none ? number : number + " " + name(dimension);
  }
  return with_digits(divide(value, best->unit.factor), 4) + " " + std::string(best->spelling);
}

std::string format_exact(double value, Dimension dimension) {
  if (dimension == Dimension::none) return format_number(value);
  std::string best;
  for (const NamedUnit& candidate : named_units) {
    if (!candidate.written || candidate.unit.dimension != dimension) continue;
    const double number = divide(value, candidate.unit.factor);
    if (scale(number, candidate.unit.factor) != value) continue;
    const std::string text = format_number(number) + " " + std::string(candidate.spelling);
    const bool natural = std::fabs(number) >= 1 || value == 0;
    if (best.empty() || (natural && text.size() < best.size())) best = text;
  }
  return best.empty() ? format_number(value) : best;
}

}  // namespace advisor
