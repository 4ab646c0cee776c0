// GPTQ (Frantar et al. 2022, arXiv:2210.17323): columns are rounded one after the other, and what rounding did to the
// output so far is compensated by the columns that are still free. Minimises tr(E G E^T), E = W - W', G the Gram matrix
// of the inputs, greedily.
//
// Written in the form of Chee et al. 2023 (arXiv:2307.13304, theorem 6), which needs no inverse: with the damped
// H = R R^T, R upper triangular, tr(E H E^T) = ||E R||^2 and column j of E R is
//   sum_{k<j} E_k R_kj + E_j R_jj,   so   w'_j = round(w_j + F_j / R_jj),  F_j = sum_{k<j} E_k R_kj.
// F of a block of columns is one matrix product with all the finished ones, o i^2 flop in all.
//
// Rows are independent given R. They are worked on in fixed blocks, transposed, so that every step of a column is a
// loop over contiguous rows.
#include "compress/techniques/gptq.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "compress/techniques/grids.h"
#include "core/error.h"
#include "core/units.h"
#include "tensor/linalg.h"
#include "tensor/parallel.h"

namespace advisor {
namespace {

/// Rows of a task: as many as let the product with R run near the speed of the BLAS.
constexpr std::int64_t row_block = 256;
/// Columns between two products with all finished columns.
constexpr std::int64_t column_block = 128;
/// Columns between two products inside a block; what lies between costs 2 * column_step flop per weight as plain loops.
constexpr std::int64_t column_step = 16;

enum class Order { as_stored, by_square, group_aware };

struct Options {
  GridOptions grid;
  Order order = Order::by_square;
  bool updated_scales = false;
  double damp = 0.01;
};

Options read_options(const TechniqueParams& given) {
  const TechniqueParams params = complete_params(gptq_technique, given);
  Options options;
  options.grid = read_grid_options(params);
  const std::string& order = params.at("actorder");
  options.order = order == "none" ? Order::as_stored : order == "static" ? Order::by_square : Order::group_aware;
  options.updated_scales = params.at("scales") == "updated";
  options.damp = read_number(params, "damp", 0, 1);
  return options;
}

void check(const QuantScheme& scheme, const TechniqueParams& params) {
  const Options options = read_options(params);
  check_grid_scheme("gptq", scheme, options.grid);
  if (options.updated_scales && options.order == Order::by_square && scheme.group != 0)
    throw Error(ErrorCode::invalid_argument,
                "scales=updated needs the columns of a group one after the other; use actorder=group_aware or none");
  if (options.updated_scales && (scheme.block_rows != 1 || scheme.scale == ScaleType::e4m3))
    throw Error(ErrorCode::unsupported, "scales=updated needs scales of single rows; " + scheme.id() +
                                            " shares them between rows; use scales=static");
}

std::size_t to_size(std::int64_t n) { return static_cast<std::size_t>(n); }

/// The column that is worked on at each position.
std::vector<std::int64_t> column_order(std::span<const float> square, std::int64_t group, Order order) {
  std::vector<std::int64_t> columns(square.size());
  std::iota(columns.begin(), columns.end(), 0);
  if (order == Order::as_stored) return columns;
  const auto larger = [&](std::int64_t a, std::int64_t b) { return square[to_size(a)] > square[to_size(b)]; };
  if (order == Order::by_square) {
    std::ranges::stable_sort(columns, larger);
    return columns;
  }
  std::vector<std::int64_t> groups(square.size() / to_size(group));
  std::iota(groups.begin(), groups.end(), 0);
  const auto begin = [&](std::int64_t g) { return columns.begin() + g * group; };
  for (const std::int64_t g : groups) std::stable_sort(begin(g), begin(g + 1), larger);
  // A group is as important as its most important column, which is now its first.
  std::ranges::stable_sort(groups, [&](std::int64_t a, std::int64_t b) { return larger(*begin(a), *begin(b)); });
  std::vector<std::int64_t> sorted;
  sorted.reserve(columns.size());
  for (const std::int64_t g : groups) sorted.insert(sorted.end(), begin(g), begin(g + 1));
  return sorted;
}

/// What all blocks of rows share.
struct Problem {
  std::int64_t in, group;
  const QuantScheme& scheme;
  const Options& options;
  DType scale_dtype;
  std::vector<std::int64_t> order;  ///< position -> column
  Tensor factor{};                  ///< R [in, in] in the order of positions
  std::vector<float> importance{};  ///< [in], of the column: R_jj^2, what its rounding error costs after compensation
  Grids grids{};                    ///< of the whole matrix, from the weights as given
  std::vector<std::string> notes{};
};

/// R of the damped Gram matrix in the order of the problem. Damping is raised tenfold until the factor exists.
void factor(Problem& problem, const LayerStats& stats, int threads) {
  const std::int64_t in = problem.in;
  double mean = 0;
  std::int64_t dead = 0;
  for (std::int64_t i = 0; i < in; ++i) {
    const float square = stats.gram.row(i)[to_size(i)];
    mean += double{square} / static_cast<double>(in);
    dead += square == 0;
  }
  if (dead != 0)
    problem.notes.push_back(std::to_string(dead) + " of " + std::to_string(in) +
                            " input columns were always 0 in calibration; their weights were rounded to nearest");
  problem.factor = Tensor({in, in});
  double damp = problem.options.damp;
  for (;;) {
    const auto ridge = static_cast<float>(damp * mean);
    parallel_for(in, threads, [&](std::int64_t i) {
      const std::int64_t row = problem.order[to_size(i)];
      const auto from = stats.gram.row(row);
      const auto to = problem.factor.row(i);
      for (std::int64_t j = i; j < in; ++j) to[to_size(j)] = from[to_size(problem.order[to_size(j)])];
      if (to[to_size(i)] == 0)
        to[to_size(i)] = 1;  // no input: independent of all others, so that any positive number rounds to nearest
      else
        to[to_size(i)] += ridge;
    });
    const auto failed = linalg::factor_upper(in, problem.factor.data(), in, threads);
    if (!failed) break;
    if (damp >= 1)
      throw Error(ErrorCode::invalid_argument,
                  "gptq: the Gram matrix of the inputs is not positive definite even with " + format_number(damp) +
                      " of its mean diagonal added (column " + std::to_string(problem.order[to_size(*failed)]) +
                      "); the calibration statistics are damaged");
    damp = std::min(1.0, std::max(damp, 0.001) * 10);
  }
  problem.importance.resize(to_size(in));
  for (std::int64_t j = 0; j < in; ++j) {
    const float pivot = problem.factor.row(j)[to_size(j)];
    problem.importance[to_size(problem.order[to_size(j)])] = pivot * pivot;
  }
  if (damp != problem.options.damp)
    problem.notes.push_back("damping was raised from " + format_number(problem.options.damp) + " to " +
                            format_number(damp) +
                            " of the mean diagonal: the Gram matrix was not positive definite with less");
}

/// Up to row_block rows of the matrix on their way to codes. Everything is indexed [position or column][row].
class RowBlock {
 public:
  RowBlock(const Problem& problem, std::span<const float> rows, std::int64_t first)
      : p_(problem), rows_(rows), n_(static_cast<std::int64_t>(rows.size()) / problem.in), first_(first) {
    weights_ = Tensor({p_.in, n_});
    errors_ = Tensor({p_.in, n_});
    for (std::int64_t j = 0; j < p_.in; ++j)
      for (std::int64_t r = 0; r < n_; ++r)
        weights_.row(j)[to_size(r)] = rows[to_size(r * p_.in + p_.order[to_size(j)])];
    const std::int64_t groups = p_.in / p_.group;
    scales_ = Tensor({groups, n_});
    zeros_ = Tensor({groups, n_});
    for (std::int64_t r = 0; r < n_; ++r)
      for (std::int64_t g = 0; g < groups; ++g) {
        const std::size_t at = slot(r, g);
        scales_.row(g)[to_size(r)] = p_.grids.scales[at] * p_.grids.tensor_scale;
        zeros_.row(g)[to_size(r)] = static_cast<float>(p_.grids.zeros[at]);
      }
  }

  /// Writes codes, scales and zero points of its rows into `q`.
  void solve(QuantizedTensor& q) {
    const bool updated = p_.options.updated_scales && p_.group != p_.in;
    // A group whose grid is chosen on the way must be known as a whole when it begins.
    const std::int64_t block = !updated                   ? column_block
                               : p_.group <= column_block ? column_block / p_.group * p_.group
                                                          : p_.group;
    feedback_ = Tensor({std::min(block, p_.in), n_});
    for (std::int64_t begin = 0; begin < p_.in; begin += block) {
      const std::int64_t end = std::min(begin + block, p_.in);
      linalg::gemm_tn(end - begin, n_, begin, 1, p_.factor.data() + begin, p_.in, errors_.data(), n_, 0,
                      feedback_.data(), n_);
      solve_columns(begin, end, updated, q);
    }
  }

 private:
  /// Place of a scale in the whole matrix.
  std::size_t slot(std::int64_t row, std::int64_t group) const {
    const std::int64_t rows = p_.scheme.block_rows, block = rows == 0 ? 0 : (first_ + row) / rows;
    return to_size(block * (p_.in / p_.group) + group);
  }

  void solve_columns(std::int64_t begin, std::int64_t end, bool updated, QuantizedTensor& q) {
    const auto next_group = [&](std::int64_t at) { return updated ? (at / p_.group + 1) * p_.group : end; };
    for (std::int64_t at = begin; at < end;) {
      if (updated && at % p_.group == 0) choose_updated(begin, at, q);
      const std::int64_t stop = std::min({at + column_step, next_group(at), end});
      for (std::int64_t j = at; j < stop; ++j) {
        round_column(j, feedback_.row(j - begin).data(), q);
        for (std::int64_t k = j + 1; k < stop; ++k) add_error(j, k, feedback_.row(k - begin).data());
      }
      linalg::gemm_tn(end - stop, n_, stop - at, 1, p_.factor.data() + at * p_.in + stop, p_.in, errors_.row(at).data(),
                      n_, 1, feedback_.data() + (stop - begin) * n_, n_);
      at = stop;
    }
  }

  void add_error(std::int64_t j, std::int64_t k, float* feedback) const {
    const float factor = p_.factor.row(j)[to_size(k)];
    const float* error = errors_.data() + j * n_;
    for (std::int64_t r = 0; r < n_; ++r) feedback[r] += factor * error[r];
  }

  void round_column(std::int64_t j, const float* feedback, QuantizedTensor& q) {
    const std::int64_t column = p_.order[to_size(j)], g = column / p_.group;
    const float step = 1 / p_.factor.row(j)[to_size(j)];
    const float *scale = scales_.row(g).data(), *zero = zeros_.row(g).data(), *weight = weights_.row(j).data();
    float* error = errors_.row(j).data();
    std::array<float, row_block> levels;  // first what is to be rounded, then what it is rounded to, in units of scale
    std::array<std::int8_t, row_block> codes;
    for (std::int64_t r = 0; r < n_; ++r) levels[to_size(r)] = (weight[r] + feedback[r] * step) / scale[r];
    if (p_.scheme.code) {
      const auto used = std::span(levels).first(to_size(n_));
      kernels::quantize(*p_.scheme.code, used, 1, codes);
      kernels::dequantize(*p_.scheme.code, std::span(codes).first(to_size(n_)), 1, used);
    } else {
      constexpr float rounder = 0x1.8p23F;  // adding it rounds half to even: what is added to is at most 2^8
      const auto low = static_cast<float>(p_.scheme.qmin()), high = static_cast<float>(p_.scheme.qmax());
      for (std::int64_t r = 0; r < n_; ++r) {
        float& level = levels[to_size(r)];
        level = std::min(std::max(level, low - zero[r]), high - zero[r]) + rounder - rounder;
        codes[to_size(r)] = static_cast<std::int8_t>(static_cast<int>(level + zero[r]));
      }
    }
    for (std::int64_t r = 0; r < n_; ++r) {
      error[r] = weight[r] - levels[to_size(r)] * scale[r];
      q.codes[to_size((first_ + r) * p_.in + column)] = codes[to_size(r)];
    }
  }

  /// Grids of the group that begins at position `at`, from its weights as the finished columns compensate them:
  /// minimising ||E R||^2 over the free columns gives D R_gg = F_g for the group, R_gg its corner of R.
  void choose_updated(std::int64_t begin, std::int64_t at, QuantizedTensor& q) {
    Tensor moved({p_.group, n_});
    std::copy_n(feedback_.row(at - begin).data(), moved.size(), moved.data());
    linalg::solve_upper_transposed(p_.group, n_, p_.factor.row(at).data() + at, p_.in, moved.data(), n_);
    std::vector<float> values(to_size(p_.group * n_));
    std::vector<float> importance(to_size(p_.group));
    for (std::int64_t k = 0; k < p_.group; ++k) {
      const std::int64_t column = p_.order[to_size(at + k)];
      importance[to_size(k)] = p_.importance[to_size(column)];
      for (std::int64_t r = 0; r < n_; ++r)
        values[to_size(r * p_.group + k)] = weights_.row(at + k)[to_size(r)] + moved.row(k)[to_size(r)];
    }
    GridOptions options = p_.options.grid;
    options.output = false;  // errors in a group that is compensated count by the pivots
    const Grids grids = GridChooser(p_.scheme, options, p_.scale_dtype, importance).choose(values, p_.group);
    const std::int64_t g = p_.order[to_size(at)] / p_.group;
    for (std::int64_t r = 0; r < n_; ++r) {
      const std::size_t from = to_size(r), to = slot(r, g);
      scales_.row(g)[from] = q.scales[to] = grids.scales[from];
      zeros_.row(g)[from] = static_cast<float>(grids.zeros[from]);
      if (!q.zeros.empty()) q.zeros[to] = static_cast<std::int8_t>(grids.zeros[from]);
    }
  }

  const Problem& p_;
  std::span<const float> rows_;
  std::int64_t n_, first_;
  Tensor weights_, errors_;  ///< [position][row]; errors are weights minus what their codes stand for
  Tensor feedback_;          ///< [position in the block][row]: F
  Tensor scales_, zeros_;    ///< [group][row]
};

Solution solve(std::span<const float> weights, std::int64_t in, const LayerStats* stats, const QuantScheme& scheme,
               const TechniqueParams& params, DType scale_dtype, int threads) {
  check(scheme, params);
  const Options options = read_options(params);
  if (stats == nullptr)
    throw Error(ErrorCode::invalid_argument, "gptq needs calibration: the Gram matrix of the inputs was not given");
  check_stats(*stats, in, Needs::gram);
  check_finite(weights, in);
  Problem problem{in, group_size(in, scheme), scheme, options, scale_dtype, {}};
  problem.order = column_order(stats->mean_square, problem.group, options.order);
  factor(problem, *stats, threads);

  GridChooser chooser(scheme, options.grid, scale_dtype, problem.importance, &stats->gram);
  problem.grids = chooser.choose_all(weights, in, threads);
  Solution solution{encode({}, in, scheme, problem.grids), std::move(problem.notes)};
  QuantizedTensor& q = solution.tensor;
  q.rows = static_cast<std::int64_t>(weights.size()) / in;
  q.codes.resize(weights.size());
  parallel_for((q.rows + row_block - 1) / row_block, threads, [&](std::int64_t b) {
    const std::int64_t begin = b * row_block, end = std::min(begin + row_block, q.rows);
    RowBlock(problem, weights.subspan(to_size(begin * in), to_size((end - begin) * in)), begin).solve(q);
  });
  return solution;
}

/// The factor, and what each thread has of its rows: weights and errors, transposed.
std::int64_t memory(std::int64_t rows, std::int64_t in, const TechniqueParams&, int threads) {
  return 4 * in * in + threads * std::min(rows, row_block) * in * 2 * 4;
}

}  // namespace

std::vector<float> gptq_pivots(const LayerStats& stats, const QuantScheme& scheme, const TechniqueParams& params,
                               int threads) {
  check_stats(stats, stats.gram.rows(), Needs::gram);
  const Options options = read_options(params);
  const std::int64_t in = stats.gram.rows();
  Problem problem{in, group_size(in, scheme), scheme, options, DType::f32, {}};
  problem.order = column_order(stats.mean_square, problem.group, options.order);
  factor(problem, stats, threads);
  return std::move(problem.importance);
}

const TechniqueImpl gptq_technique{"gptq", Needs::gram, gptq_params, check, nullptr, nullptr, solve, nullptr, memory};

}  // namespace advisor
