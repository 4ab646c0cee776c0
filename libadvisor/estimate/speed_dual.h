// Numbers that carry their derivatives (forward-mode differentiation; Griewank and Walther, Evaluating Derivatives,
// 2nd ed., ch. 3), so that the formula of a speed is written once and serves the fit, the estimate and its spread.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace advisor {

template <std::size_t n>
struct Dual {
  double value = 0;
  std::array<double, n> slope{};

  Dual() = default;
  Dual(double constant) : value(constant) {}  // NOLINT: constants mix with duals in formulas
  static Dual variable(double value, std::size_t index) {
    Dual x(value);
    x.slope[index] = 1;
    return x;
  }
  /// f(this) where f(value) = `image` and f'(value) = `derivative`.
  Dual chained(double image, double derivative) const {
    Dual x(image);
    for (std::size_t i = 0; i < n; ++i) x.slope[i] = derivative * slope[i];
    return x;
  }
  friend Dual operator+(const Dual& a, const Dual& b) {
    Dual x(a.value + b.value);
    for (std::size_t i = 0; i < n; ++i) x.slope[i] = a.slope[i] + b.slope[i];
    return x;
  }
  friend Dual operator-(const Dual& a, const Dual& b) {
    Dual x(a.value - b.value);
    for (std::size_t i = 0; i < n; ++i) x.slope[i] = a.slope[i] - b.slope[i];
    return x;
  }
  friend Dual operator*(const Dual& a, const Dual& b) {
    Dual x(a.value * b.value);
    for (std::size_t i = 0; i < n; ++i) x.slope[i] = a.value * b.slope[i] + b.value * a.slope[i];
    return x;
  }
  friend Dual operator+(Dual a, double b) {
    a.value += b;
    return a;
  }
  friend Dual operator+(double a, const Dual& b) { return b + a; }
  friend Dual operator-(Dual a, double b) {
    a.value -= b;
    return a;
  }
  friend Dual operator*(double a, const Dual& b) { return b.chained(a * b.value, a); }
  friend Dual operator*(const Dual& a, double b) { return b * a; }
  friend Dual operator/(const Dual& a, double b) { return (1 / b) * a; }
  friend Dual operator/(const Dual& a, const Dual& b) {
    const double quotient = a.value / b.value, inverse = 1 / b.value;
    Dual x(quotient);
    for (std::size_t i = 0; i < n; ++i) x.slope[i] = (a.slope[i] - quotient * b.slope[i]) * inverse;
    return x;
  }
};

template <std::size_t n>
Dual<n> exp(const Dual<n>& x) {
  const double image = std::exp(x.value);
  return x.chained(image, image);
}
template <std::size_t n>
Dual<n> log(const Dual<n>& x) {
  return x.chained(std::log(x.value), 1 / x.value);
}
template <std::size_t n>
Dual<n> sqrt(const Dual<n>& x) {
  const double image = std::sqrt(x.value);
  return x.chained(image, image > 0 ? 0.5 / image : 0);
}
template <std::size_t n>
const Dual<n>& larger(const Dual<n>& a, const Dual<n>& b) {
  return a.value < b.value ? b : a;
}
template <std::size_t n>
const Dual<n>& smaller(const Dual<n>& a, const Dual<n>& b) {
  return b.value < a.value ? b : a;
}
/// (a^4 + b^4)^(1/4): the larger of two times that overlap, with a soft corner.
template <std::size_t n>
Dual<n> overlapped(const Dual<n>& a, const Dual<n>& b) {
  const double high = std::max(a.value, b.value), low = std::min(a.value, b.value);
  if (!(high > 0)) return larger(a, b);
  const double ratio = low / high, square = ratio * ratio;
  const double root = std::sqrt(std::sqrt(1 + square * square)), cube = 1 / (root * root * root);
  const double by_high = cube, by_low = cube * square * ratio;  // (part / whole)^3
  Dual<n> x(high * root);
  const auto &first = a.value < b.value ? b : a, &second = a.value < b.value ? a : b;
  for (std::size_t i = 0; i < n; ++i) x.slope[i] = by_high * first.slope[i] + by_low * second.slope[i];
  return x;
}

}  // namespace advisor
