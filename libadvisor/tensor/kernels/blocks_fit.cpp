// The two-level fits of super-blocks: groups are fitted freely, the unit is taken from the group that needs the most,
// multiples are searched, and then unit and multiples in turn as long as the error falls.
#include <algorithm>
#include <cmath>

#include "tensor/kernels/blocks_families.h"

namespace advisor::kernels {
namespace {

constexpr Lanes zeros{};

/// Sum over the lanes of one super-block, in order.
double sum_of(const Lanes& values, int begin, int count) {
  double sum = 0;
  for (int lane = begin; lane < begin + count; ++lane) sum += static_cast<double>(values[lane]);
  return sum;
}

void divide(const Lanes& values, const Lanes& units, Lanes& out) {
  for (int lane = 0; lane < lanes; ++lane) out[lane] = units[lane] != 0 ? values[lane] / units[lane] : 0;
}

void multiply(const Lanes& a, const Lanes& b, Lanes& out) {
  for (int lane = 0; lane < lanes; ++lane) out[lane] = a[lane] * b[lane];
}

void fill(Lanes& values, int begin, int count, float value) { std::fill_n(values + begin, count, value); }

void copy(const Lanes& from, int begin, int count, Lanes& to) { std::copy_n(from + begin, count, to + begin); }

/// Units that minimise the error for the codes and multiples as they are; nearest values that can be stored.
void refit_unit(const Moments& m, const Lanes& multiple, int super_lanes, Lanes& unit) {
  for (int s = 0; s < lanes; s += super_lanes) {
    double above = 0, below = 0;
    for (int lane = s; lane < s + super_lanes; ++lane) {
      const double k = static_cast<double>(multiple[lane]);
      above += k * static_cast<double>(m.wxq[lane]);
      below += k * k * static_cast<double>(m.wqq[lane]);
    }
    const float ideal = below > 0 ? static_cast<float>(above / below) : unit[s];
    if (fits_half(ideal) && to_half(ideal) != 0) fill(unit, s, super_lanes, to_half(ideal));
  }
}

/// The same for the two units of an affine type.
void refit_units(const Moments& m, const AffineGroupFit& fit, int super_lanes, Lanes& step_unit, Lanes& minimum_unit) {
  for (int s = 0; s < lanes; s += super_lanes) {
    double a = 0, b = 0, c = 0, p = 0, r = 0;  // [a b; b c] (step unit, minimum unit) = (p, r)
    for (int lane = s; lane < s + super_lanes; ++lane) {
      const double k = static_cast<double>(fit.step_multiple[lane]),
                   l = static_cast<double>(fit.minimum_multiple[lane]);
      a += k * k * static_cast<double>(m.wqq[lane]);
      b -= k * l * static_cast<double>(m.wq[lane]);
      c += l * l * static_cast<double>(m.w[lane]);
      p += k * static_cast<double>(m.wxq[lane]);
      r -= l * static_cast<double>(m.wx[lane]);
    }
    const double determinant = a * c - b * b;
    float step = step_unit[s], minimum = minimum_unit[s];
    if (determinant > 1e-9 * a * c) {  // below it, the two cannot be told apart in double precision of float32 sums
      step = static_cast<float>((p * c - b * r) / determinant);
      minimum = static_cast<float>((a * r - b * p) / determinant);
    } else if (a > 0) {
      step = static_cast<float>(p / a);
    }
    if (step > 0 && fits_half(step) && to_half(step) != 0) fill(step_unit, s, super_lanes, to_half(step));
    if (minimum >= 0 && fits_half(minimum)) fill(minimum_unit, s, super_lanes, to_half(minimum));
  }
}

constexpr int refits = 2;  ///< measured: the third gains less than 0.1 % of the error

}  // namespace

float half_away_from_zero(float value) {
  const std::uint16_t half = reference::f32_to_f16(value);
  const float rounded = reference::f16_to_f32(half);
  return std::fabs(rounded) < std::fabs(value) ? reference::f16_to_f32(static_cast<std::uint16_t>(half + 1)) : rounded;
}

Batch::Batch(const BlockSearch& search, const BlockInput& input, int block_weights, int group_weights)
    : search_(search), input_(input), block_weights_(block_weights), group_weights_(group_weights) {
  groups_.size = group_weights;
  groups_.weights = weights_;
  groups_.importance = input.importance != nullptr ? importance_ : nullptr;
}

std::int64_t Batch::load(std::int64_t first) {
  const std::int64_t room = lanes * group_weights_ / block_weights_;
  const std::int64_t count = std::min(room, input_.blocks - first);
  in_order_ = input_.weights + first * block_weights_;
  if (count < room) {
    std::copy_n(in_order_, count * block_weights_, padded_);
    std::fill_n(padded_ + count * block_weights_, (room - count) * block_weights_, 0.0F);
    in_order_ = padded_;
  }
  first_ = first;
  interleaved_ = false;
  return count;
}

const Groups& Batch::groups() {
  if (interleaved_) return groups_;
  interleaved_ = true;
  search_.interleave(in_order_, group_weights_, weights_);
  if (input_.importance == nullptr) return groups_;
  const std::int64_t room = lanes * group_weights_ / block_weights_;
  for (std::int64_t block = 0; block < room; ++block) {
    const std::int64_t at = (first_ + block) % input_.blocks_per_row;
    std::copy_n(input_.importance + at * block_weights_, block_weights_, importance_in_order_ + block * block_weights_);
  }
  search_.interleave(importance_in_order_, group_weights_, importance_);
  return groups_;
}

bool fit_symmetric(const BlockSearch& search, Batch& batch, const Symmetric& type, SymmetricFit& out) {
  const Groups& groups = batch.groups();
  ScaleFit free;
  search.fit_scale(groups, type.levels, type.trials, type.both, free);
  for (int s = 0; s < lanes; s += type.super_lanes) {
    float largest = 0;  // the first on ties
    for (int lane = s; lane < s + type.super_lanes; ++lane) {
      if (std::fabs(free.scale[lane]) > std::fabs(largest)) largest = free.scale[lane];
    }
    const float unit = half_away_from_zero(largest / static_cast<float>(type.multiples.low));
    if (!fits_half(unit)) return false;
    fill(out.unit, s, type.super_lanes, unit);
  }
  Lanes centre;
  divide(free.scale, out.unit, centre);
  MultipleFit fit;
  search.fit_multiple(groups, type.levels, type.multiples, out.unit, centre, fit);
  for (int round = 0; round < refits; ++round) {
    Lanes scale, unit;
    multiply(out.unit, fit.multiple, scale);
    Moments moments;
    search.moments(groups, type.levels, scale, zeros, moments);
    std::copy_n(out.unit, lanes, unit);
    refit_unit(moments, fit.multiple, type.super_lanes, unit);
    divide(scale, unit, centre);
    MultipleFit again;
    search.fit_multiple(groups, type.levels, {type.multiples.low, type.multiples.high, 1}, unit, centre, again);
    for (int s = 0; s < lanes; s += type.super_lanes) {
      if (sum_of(again.error, s, type.super_lanes) >= sum_of(fit.error, s, type.super_lanes)) continue;
      copy(unit, s, type.super_lanes, out.unit);
      copy(again.multiple, s, type.super_lanes, fit.multiple);
      copy(again.error, s, type.super_lanes, fit.error);
    }
  }
  std::copy_n(fit.multiple, lanes, out.multiple);
  multiply(out.unit, out.multiple, out.scale);
  return true;
}

bool fit_affine_groups(const BlockSearch& search, Batch& batch, const Affine& type, AffineGroupFit& out) {
  const Groups& groups = batch.groups();
  AffineFit centre;
  search.fit_affine(groups, type.top, type.trials, false, centre);
  for (int s = 0; s < lanes; s += type.super_lanes) {
    const float highest = static_cast<float>(type.multiples.high);
    const float step =
        half_away_from_zero(*std::max_element(centre.step + s, centre.step + s + type.super_lanes) / highest);
    const float minimum =
        half_away_from_zero(*std::max_element(centre.minimum + s, centre.minimum + s + type.super_lanes) / highest);
    if (!fits_half(step) || !fits_half(minimum)) return false;
    fill(out.step_unit, s, type.super_lanes, step);
    fill(out.minimum_unit, s, type.super_lanes, minimum);
  }
  AffineMultipleFit fit;
  search.fit_affine_multiple(groups, type.top, type.multiples, out.step_unit, out.minimum_unit, centre, fit);
  for (int round = 0;; ++round) {
    std::copy_n(fit.step, lanes, out.step_multiple);
    std::copy_n(fit.minimum, lanes, out.minimum_multiple);
    multiply(out.step_unit, out.step_multiple, out.step);
    multiply(out.minimum_unit, out.minimum_multiple, out.minimum);
    if (round == refits) return true;
    Moments moments;
    search.moments(groups, {Levels::Kind::uniform, 0, type.top}, out.step, out.minimum, moments);
    Lanes step_unit, minimum_unit;
    std::copy_n(out.step_unit, lanes, step_unit);
    std::copy_n(out.minimum_unit, lanes, minimum_unit);
    refit_units(moments, out, type.super_lanes, step_unit, minimum_unit);
    std::copy_n(out.step, lanes, centre.step);
    std::copy_n(out.minimum, lanes, centre.minimum);
    AffineMultipleFit again;
    search.fit_affine_multiple(groups, type.top, {type.multiples.low, type.multiples.high, 1}, step_unit, minimum_unit,
                               centre, again);
    for (int s = 0; s < lanes; s += type.super_lanes) {
      if (sum_of(again.error, s, type.super_lanes) >= sum_of(fit.error, s, type.super_lanes)) continue;
      copy(step_unit, s, type.super_lanes, out.step_unit);
      copy(minimum_unit, s, type.super_lanes, out.minimum_unit);
      copy(again.step, s, type.super_lanes, fit.step);
      copy(again.minimum, s, type.super_lanes, fit.minimum);
      copy(again.error, s, type.super_lanes, fit.error);
    }
  }
}

}  // namespace advisor::kernels
