// The search of block_search.h, written once. Included by block_search.cpp for every SIMD target and by
// block_search_scalar.cpp, each time inside a namespace that defines
//   F      float32 values of `width` lanes with + - * /, and the functions load, store, splat, smaller, larger,
//          magnitude, less, at_most, choose(mask, a, b), from_bytes, to_bytes
// No guard, on purpose.

/// Adding and subtracting 1.5 * 2^23 leaves no bits for a fraction: rounds half to even for |x| < 2^22.
SEARCH_INLINE F round_even(F x) {
  const F magic = splat(0x1.8p23F);
  return (x + magic) - magic;
}

/// 1 / x, or 0 where x is so small that this would overflow.
SEARCH_INLINE F reciprocal(F x) {
  const auto tiny = less(magnitude(x), splat(0x1p-126F));
  return choose(tiny, splat(0), splat(1) / choose(tiny, splat(1), x));
}

struct Uniform {
  F low, high;
  explicit SEARCH_INLINE Uniform(Levels levels)
      : low(splat(static_cast<float>(levels.low))), high(splat(static_cast<float>(levels.high))) {}
  /// Nearest level. Clamped first, so that rounding sees small numbers; the ends are whole.
  SEARCH_INLINE F nearest(F x) const { return round_even(smaller(larger(x, low), high)); }
  SEARCH_INLINE F code(F x) const { return nearest(x) - low; }
};

struct Iq4 {
  explicit SEARCH_INLINE Iq4(Levels) {}
  /// Nearest level: steps from one to the next where x passes the middle between them. Sums are whole, hence exact.
  SEARCH_INLINE F nearest(F x) const {
    F level = splat(iq4_levels[0]);
    for (int k = 1; k < 16; ++k) {
      const float rise = iq4_levels[k] - iq4_levels[k - 1], middle = iq4_levels[k - 1] + rise / 2;
      level = level + choose(at_most(splat(middle), x), splat(rise), splat(0));
    }
    return level;
  }
  SEARCH_INLINE F code(F x) const {
    F index = splat(0);
    for (int k = 1; k < 16; ++k) {
      const float middle = (iq4_levels[k] + iq4_levels[k - 1]) / 2;
      index = index + choose(at_most(splat(middle), x), splat(1), splat(0));
    }
    return index;
  }
};

struct E2m1 {
  explicit SEARCH_INLINE E2m1(Levels) {}
  SEARCH_INLINE F nearest(F x) const {
    const F size = magnitude(x);
    F level = splat(0);
    for (int k = 1; k < 8; ++k) {
      const float rise = e2m1_levels[k] - e2m1_levels[k - 1], middle = e2m1_levels[k - 1] + rise / 2;
      level = level + choose(at_most(splat(middle), size), splat(rise), splat(0));
    }
    return choose(less(x, splat(0)), splat(0) - level, level);
  }
  SEARCH_INLINE F code(F x) const {
    const F size = magnitude(x);
    F index = splat(0);
    for (int k = 1; k < 8; ++k) {
      const float middle = (e2m1_levels[k] + e2m1_levels[k - 1]) / 2;
      index = index + choose(at_most(splat(middle), size), splat(1), splat(0));
    }
    const F sign = choose(less(x, splat(0)), splat(8), splat(0));
    return index + choose(at_most(splat(1), index), sign, splat(0));  // no minus zero
  }
};

/// Weight and importance i of the lanes from `lane` on.
template <bool weighted>
struct Column {
  const Groups& groups;
  int lane;
  SEARCH_INLINE F x(int i) const { return load(groups.weights + i * lanes + lane); }
  SEARCH_INLINE F w(int i) const { return weighted ? load(groups.importance + i * lanes + lane) : splat(1); }
  /// w * value, without the product where w is 1
  SEARCH_INLINE F times_w(F value, int i) const { return weighted ? w(i) * value : value; }
};

template <typename Book, bool weighted>
SEARCH_ATTR void fit_scale_as(const Groups& groups, Levels levels, Trials trials, bool both, ScaleFit& out) {
  const Book book(levels);
  for (int lane = 0; lane < lanes; lane += width) {
    const Column<weighted> column{groups, lane};
    F extreme = splat(0);
    for (int i = 0; i < groups.size; ++i) {
      const F x = column.x(i);
      extreme = choose(less(magnitude(extreme), magnitude(x)), x, extreme);
    }
    const F inverse = reciprocal(extreme);
    F best = splat(0), scale = splat(0);
    for (int side = 0; side < (both ? 2 : 1); ++side) {
      const float end = static_cast<float>(side == 0 ? levels.low : levels.high), outward = side == 0 ? -1.0F : 1.0F;
      for (int trial = 0; trial < trials.count; ++trial) {
        const F factor = splat(end + outward * (trials.first + static_cast<float>(trial) * trials.step)) * inverse;
        F wxq = splat(0), wqq = splat(0);
        for (int i = 0; i < groups.size; ++i) {
          const F x = column.x(i), q = book.nearest(x * factor), wq = column.times_w(q, i);
          wxq = wxq + wq * x;
          wqq = wqq + wq * q;
        }
        const F fit = wxq * reciprocal(wqq), gain = fit * wxq;  // of the sum of squares, what the levels explain
        const auto better = less(best, gain);
        best = choose(better, gain, best);
        scale = choose(better, fit, scale);
      }
    }
    store(scale, out.scale + lane);
  }
}

template <typename Book, bool weighted>
SEARCH_INLINE F error_of(const Column<weighted>& column, const Book& book, F scale, F minimum) {
  const F inverse = reciprocal(scale);
  F error = splat(0);
  for (int i = 0; i < column.groups.size; ++i) {
    const F x = column.x(i), q = book.nearest((x + minimum) * inverse);
    const F e = x - (scale * q - minimum);
    error = error + column.times_w(e * e, i);
  }
  return error;
}

template <typename Book, bool weighted>
SEARCH_ATTR void fit_multiple_as(const Groups& groups, Levels levels, Multiples multiples, const Lanes& unit,
                                 const Lanes& centre, MultipleFit& out) {
  const Book book(levels);
  const F low = splat(static_cast<float>(multiples.low)), high = splat(static_cast<float>(multiples.high));
  for (int lane = 0; lane < lanes; lane += width) {
    const Column<weighted> column{groups, lane};
    const F step = load(unit + lane);
    const F middle = round_even(smaller(larger(load(centre + lane), low), high));
    F best = splat(0), error = splat(3.0e38F);
    for (int away = -multiples.reach; away <= multiples.reach; ++away) {
      const F multiple = smaller(larger(middle + splat(static_cast<float>(away)), low), high);
      const F e = error_of(column, book, step * multiple, splat(0));
      const auto better = less(e, error);
      best = choose(better, multiple, best);
      error = choose(better, e, error);
    }
    store(best, out.multiple + lane);
    store(error, out.error + lane);
  }
}

/// Sums over codes 0..top of y = x - base.
struct AffineSums {
  F q, qq, yq;
};

template <bool weighted>
SEARCH_INLINE AffineSums affine_sums(const Column<weighted>& column, F base, F factor, F shift, F top) {
  AffineSums s{splat(0), splat(0), splat(0)};
  for (int i = 0; i < column.groups.size; ++i) {
    const F y = column.x(i) - base;
    const F q = round_even(smaller(larger((y + shift) * factor, splat(0)), top)), wq = column.times_w(q, i);
    s.q = s.q + wq;
    s.qq = s.qq + wq * q;
    s.yq = s.yq + wq * y;
  }
  return s;
}

/// Best line y = slope * q + offset so far, with offset at most `limit`.
struct Line {
  F slope, offset, gain;
};

SEARCH_INLINE void improve(Line& best, const AffineSums& s, F w, F y, F limit) {
  const F determinant = w * s.qq - s.q * s.q;
  const F inverse = reciprocal(determinant);
  F slope = (w * s.yq - y * s.q) * inverse;
  F offset = (s.qq * y - s.q * s.yq) * inverse;
  const auto above = less(limit, offset);  // the offset that may be stored, and the best slope for it
  const F bound = choose(above, limit, offset);
  slope = choose(above, (s.yq - bound * s.q) * reciprocal(s.qq), slope);
  offset = bound;
  // sum w y^2 - sum w (y - slope q - offset)^2
  const F gain = splat(2) * (slope * s.yq + offset * y) -
                 (slope * slope * s.qq + splat(2) * slope * offset * s.q + offset * offset * w);
  const auto better = less(best.gain, gain);
  const auto usable = less(splat(0), determinant);
  best.slope = choose(usable, choose(better, slope, best.slope), best.slope);
  best.offset = choose(usable, choose(better, offset, best.offset), best.offset);
  best.gain = choose(usable, choose(better, gain, best.gain), best.gain);
}

template <bool weighted>
SEARCH_ATTR void fit_affine_as(const Groups& groups, int highest, Trials trials, bool signed_minimum, AffineFit& out) {
  const F top = splat(static_cast<float>(highest));
  for (int lane = 0; lane < lanes; lane += width) {
    const Column<weighted> column{groups, lane};
    F low = column.x(0), high = column.x(0);
    for (int i = 1; i < groups.size; ++i) {
      low = smaller(low, column.x(i));
      high = larger(high, column.x(i));
    }
    if (!signed_minimum) low = smaller(low, splat(0));
    F w = splat(0), y = splat(0);
    for (int i = 0; i < groups.size; ++i) {
      w = w + column.w(i);
      y = y + column.times_w(column.x(i) - low, i);
    }
    // Without a sign of the minimum x' = slope q + (offset + low) must have offset + low <= 0.
    const F limit = signed_minimum ? splat(3.0e38F) : splat(0) - low;
    const F range = high - low, inverse = reciprocal(range);
    Line best{splat(0), splat(0), splat(-3.0e38F)};
    for (int trial = 0; trial < trials.count; ++trial) {
      const F factor =
          splat(static_cast<float>(highest) + trials.first + static_cast<float>(trial) * trials.step) * inverse;
      improve(best, affine_sums(column, low, factor, splat(0), top), w, y, limit);
    }
    // Codes of the best line, and the line of those codes: one step of Lloyd's algorithm.
    improve(best, affine_sums(column, low, reciprocal(best.slope), splat(0) - best.offset, top), w, y, limit);
    // A group of equal weights has no line: its value is the minimum, or with only minima below zero the top code.
    const auto flat = at_most(best.gain, splat(-3.0e38F));
    const F positive = signed_minimum ? splat(0) : larger(column.x(0), splat(0));
    best.slope = choose(flat, positive * splat(1.0F / static_cast<float>(highest)), best.slope);
    best.offset = choose(flat, splat(0), best.offset);
    store(best.slope, out.step + lane);
    store(splat(0) - (best.offset + low), out.minimum + lane);
  }
}

template <bool weighted>
SEARCH_ATTR void fit_affine_multiple_as(const Groups& groups, int highest, Multiples multiples, const Lanes& step_unit,
                                        const Lanes& minimum_unit, const AffineFit& centre, AffineMultipleFit& out) {
  const Uniform book(Levels{Levels::Kind::uniform, 0, highest});
  const F low = splat(static_cast<float>(multiples.low)), high = splat(static_cast<float>(multiples.high));
  for (int lane = 0; lane < lanes; lane += width) {
    const Column<weighted> column{groups, lane};
    const F unit = load(step_unit + lane), below = load(minimum_unit + lane);
    const F per_unit = reciprocal(unit), per_below = reciprocal(below);
    const F middle = round_even(smaller(larger(load(centre.step + lane) * per_unit, low), high));
    const F start = round_even(smaller(larger(load(centre.minimum + lane) * per_below, low), high));
    F w = splat(0), wx = splat(0);
    for (int i = 0; i < groups.size; ++i) {
      w = w + column.w(i);
      wx = wx + column.times_w(column.x(i), i);
    }
    const F per_w = reciprocal(w);
    F best_step = splat(0), best_minimum = start, error = splat(3.0e38F);
    for (int away = -multiples.reach; away <= multiples.reach; ++away) {
      const F multiple = smaller(larger(middle + splat(static_cast<float>(away)), low), high);
      const F step = unit * multiple, inverse = reciprocal(step), shift = below * start;
      F wq = splat(0);
      for (int i = 0; i < groups.size; ++i) wq = wq + column.times_w(book.nearest((column.x(i) + shift) * inverse), i);
      // The minimum that suits these codes, as a multiple.
      const F ideal = (step * wq - wx) * per_w * per_below;
      const F minimum = round_even(smaller(larger(ideal, low), high));
      const F e = error_of(column, book, step, below * minimum);
      const auto better = less(e, error);
      best_step = choose(better, multiple, best_step);
      best_minimum = choose(better, minimum, best_minimum);
      error = choose(better, e, error);
    }
    const F found = best_minimum;
    for (int away = -1; away <= 1; away += 2) {
      const F minimum = smaller(larger(found + splat(static_cast<float>(away)), low), high);
      const F e = error_of(column, book, unit * best_step, below * minimum);
      const auto better = less(e, error);
      best_minimum = choose(better, minimum, best_minimum);
      error = choose(better, e, error);
    }
    store(best_step, out.step + lane);
    store(best_minimum, out.minimum + lane);
    store(error, out.error + lane);
  }
}

template <typename Book, bool weighted>
SEARCH_ATTR void moments_as(const Groups& groups, Levels levels, const Lanes& scale, const Lanes& minimum,
                            Moments& out) {
  const Book book(levels);
  for (int lane = 0; lane < lanes; lane += width) {
    const Column<weighted> column{groups, lane};
    const F inverse = reciprocal(load(scale + lane)), shift = load(minimum + lane);
    F w = splat(0), wx = splat(0), wq = splat(0), wqq = splat(0), wxq = splat(0);
    for (int i = 0; i < groups.size; ++i) {
      const F x = column.x(i), q = book.nearest((x + shift) * inverse), t = column.times_w(q, i);
      w = w + column.w(i);
      wx = wx + column.times_w(x, i);
      wq = wq + t;
      wqq = wqq + t * q;
      wxq = wxq + t * x;
    }
    store(w, out.w + lane);
    store(wx, out.wx + lane);
    store(wq, out.wq + lane);
    store(wqq, out.wqq + lane);
    store(wxq, out.wxq + lane);
  }
}

template <typename Book, bool weighted>
SEARCH_ATTR void error_as(const Groups& groups, Levels levels, const Lanes& scale, const Lanes& minimum, Lanes& out) {
  const Book book(levels);
  for (int lane = 0; lane < lanes; lane += width) {
    const Column<weighted> column{groups, lane};
    store(error_of(column, book, load(scale + lane), load(minimum + lane)), out + lane);
  }
}

template <typename Book>
SEARCH_ATTR void codes_as(const float* x, int size, Levels levels, const Lanes& scale, const Lanes& minimum,
                          std::uint8_t* out) {
  const Book book(levels);
  for (int group = 0; group < lanes; ++group) {
    const F inverse = reciprocal(splat(scale[group])), shift = splat(minimum[group]);
    for (int i = 0; i < size; i += width, x += width, out += width)
      to_bytes(book.code((load(x) + shift) * inverse), out);
  }
}

// What the table of block_search.h points to: the instance for the levels, with and without importance.

template <typename Book>
SEARCH_ATTR void fit_scale_in(const Groups& groups, Levels levels, Trials trials, bool both, ScaleFit& out) {
  return groups.importance != nullptr ? fit_scale_as<Book, true>(groups, levels, trials, both, out)
                                      : fit_scale_as<Book, false>(groups, levels, trials, both, out);
}

SEARCH_ATTR void fit_scale(const Groups& groups, Levels levels, Trials trials, bool both, ScaleFit& out) {
  switch (levels.kind) {
    case Levels::Kind::uniform: return fit_scale_in<Uniform>(groups, levels, trials, both, out);
    case Levels::Kind::iq4: return fit_scale_in<Iq4>(groups, levels, trials, both, out);
    case Levels::Kind::e2m1: return fit_scale_in<E2m1>(groups, levels, trials, both, out);
  }
}

template <typename Book>
SEARCH_ATTR void fit_multiple_in(const Groups& groups, Levels levels, Multiples multiples, const Lanes& unit,
                                 const Lanes& centre, MultipleFit& out) {
  return groups.importance != nullptr ? fit_multiple_as<Book, true>(groups, levels, multiples, unit, centre, out)
                                      : fit_multiple_as<Book, false>(groups, levels, multiples, unit, centre, out);
}

SEARCH_ATTR void fit_multiple(const Groups& groups, Levels levels, Multiples multiples, const Lanes& unit,
                              const Lanes& centre, MultipleFit& out) {
  switch (levels.kind) {
    case Levels::Kind::uniform: return fit_multiple_in<Uniform>(groups, levels, multiples, unit, centre, out);
    case Levels::Kind::iq4: return fit_multiple_in<Iq4>(groups, levels, multiples, unit, centre, out);
    case Levels::Kind::e2m1: return fit_multiple_in<E2m1>(groups, levels, multiples, unit, centre, out);
  }
}

SEARCH_ATTR void fit_affine(const Groups& groups, int top, Trials trials, bool signed_minimum, AffineFit& out) {
  return groups.importance != nullptr ? fit_affine_as<true>(groups, top, trials, signed_minimum, out)
                                      : fit_affine_as<false>(groups, top, trials, signed_minimum, out);
}

SEARCH_ATTR void fit_affine_multiple(const Groups& groups, int top, Multiples multiples, const Lanes& step_unit,
                                     const Lanes& minimum_unit, const AffineFit& centre, AffineMultipleFit& out) {
  return groups.importance != nullptr
             ? fit_affine_multiple_as<true>(groups, top, multiples, step_unit, minimum_unit, centre, out)
             : fit_affine_multiple_as<false>(groups, top, multiples, step_unit, minimum_unit, centre, out);
}

template <typename Book>
SEARCH_ATTR void moments_in(const Groups& groups, Levels levels, const Lanes& scale, const Lanes& minimum,
                            Moments& out) {
  return groups.importance != nullptr ? moments_as<Book, true>(groups, levels, scale, minimum, out)
                                      : moments_as<Book, false>(groups, levels, scale, minimum, out);
}

SEARCH_ATTR void moments(const Groups& groups, Levels levels, const Lanes& scale, const Lanes& minimum, Moments& out) {
  switch (levels.kind) {
    case Levels::Kind::uniform: return moments_in<Uniform>(groups, levels, scale, minimum, out);
    case Levels::Kind::iq4: return moments_in<Iq4>(groups, levels, scale, minimum, out);
    case Levels::Kind::e2m1: return moments_in<E2m1>(groups, levels, scale, minimum, out);
  }
}

template <typename Book>
SEARCH_ATTR void error_in(const Groups& groups, Levels levels, const Lanes& scale, const Lanes& minimum, Lanes& out) {
  return groups.importance != nullptr ? error_as<Book, true>(groups, levels, scale, minimum, out)
                                      : error_as<Book, false>(groups, levels, scale, minimum, out);
}

SEARCH_ATTR void error(const Groups& groups, Levels levels, const Lanes& scale, const Lanes& minimum, Lanes& out) {
  switch (levels.kind) {
    case Levels::Kind::uniform: return error_in<Uniform>(groups, levels, scale, minimum, out);
    case Levels::Kind::iq4: return error_in<Iq4>(groups, levels, scale, minimum, out);
    case Levels::Kind::e2m1: return error_in<E2m1>(groups, levels, scale, minimum, out);
  }
}

SEARCH_ATTR void codes(const float* x, int size, Levels levels, const Lanes& scale, const Lanes& minimum,
                       std::uint8_t* out) {
  switch (levels.kind) {
    case Levels::Kind::uniform: return codes_as<Uniform>(x, size, levels, scale, minimum, out);
    case Levels::Kind::iq4: return codes_as<Iq4>(x, size, levels, scale, minimum, out);
    case Levels::Kind::e2m1: return codes_as<E2m1>(x, size, levels, scale, minimum, out);
  }
}

SEARCH_ATTR void interleave(const float* x, int size, float* groups) {
  for (int i = 0; i < size; i += 4) {
    for (int lane = 0; lane < lanes; lane += 4) transpose4(x + lane * size + i, size, groups + i * lanes + lane, lanes);
  }
}
