#include "estimate/speed_solve.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <Eigen/SparseCore>
#include <algorithm>
#include <cmath>
#include <tuple>

namespace advisor {

namespace {

constexpr int turns = 16;
constexpr double largest_step = 1.0;  // in link space: a factor of e
constexpr double source_sd = 0.03;    // of a source's offset
// Of prompts and loaded servers: settings and processors differ between sources (H100 and H200 of one by a factor of
// two).
constexpr double loaded_source_sd = 0.3;
constexpr double tails = 2;  // degrees of freedom of the rows' noise: a tenth of them are other setups
/// Rows of one kind from one source that count in full; more count by the root of their number.
constexpr double independent_rows = 10;

/// Scatter of rows of one source around the model, where few rows can say: runs repeat within some percent, prompts
/// and loaded servers less so.
double usual_scale(const std::string& kind) {
  if (kind == "single") return 0.07;
  if (kind == "single mixture" || kind == "batch") return 0.15;
  if (kind == "rate") return 0.20;
  if (kind == "prompt") return 0.25;
  return kind == "burst" ? 0.30 : 0.35;
}

/// Which rows teach which terms. Single streams and lone prompts say nothing about what only loaded servers pay. The
/// first tokens of queues teach nothing: their wait turns on whether the machine keeps up, which no gradient tells (cut
/// feedback; Plummer, Stat. Comput. 25, 2015).
bool fits(const std::string& kind) { return !kind.ends_with("queue"); }
bool is_alone(const std::string& kind) { return kind.starts_with("single") || kind == "prompt"; }
bool teaches(const std::string& kind, std::size_t term) {
  const bool of_loads = term == sequence_time || term == batch_efficiency || term == turn_share;
  return fits(kind) && !(of_loads && is_alone(kind));
}

struct Entry {
  std::size_t column, term;
};

struct Problem {
  const std::vector<SpeedRow>* rows = nullptr;
  std::vector<SpeedColumn> columns;
  std::vector<std::vector<Entry>> entries;    ///< per row; offsets have term == speed_terms
  std::vector<std::vector<double>> gradient;  ///< per row, as entries
  std::vector<double> residual, weight, scale;
  std::vector<double> share;  ///< of a row that counts
};

constexpr std::size_t offset_block = static_cast<std::size_t>(-1);

Problem set_up(const std::vector<SpeedRow>& rows) {
  Problem problem;
  problem.rows = &rows;
  problem.entries.resize(rows.size());
  problem.gradient.resize(rows.size());
  std::map<std::tuple<std::size_t, std::size_t, std::string>, std::size_t> index;
  const auto column = [&](std::size_t block, std::size_t effect, const std::string& key, double sd) {
    const auto [found, fresh] = index.try_emplace({block, effect, key}, problem.columns.size());
    if (fresh) problem.columns.push_back({block, effect, key, sd});
    return found->second;
  };
  const auto& blocks = speed_blocks();
  std::string key;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    for (std::size_t b = 0; b < blocks.size(); ++b)
      for (std::size_t e = 0; e < blocks[b].effects.size(); ++e)
        if (speed_effect_key(blocks[b], blocks[b].effects[e], row.levels, key))
          problem.entries[i].push_back({column(b, e, key, blocks[b].effects[e].sd), blocks[b].term});
    const bool single = row.kind.starts_with("single");
    const bool load = !is_alone(row.kind) && row.kind != "turn";
    key = row.source + "|" + row.levels.engine + "|" + (load ? "load" : row.kind);
    problem.entries[i].push_back({column(offset_block, 0, key, single ? source_sd : loaded_source_sd), speed_terms});
    problem.gradient[i].resize(problem.entries[i].size());
  }
  problem.residual.resize(rows.size());
  problem.weight.resize(rows.size());
  std::map<std::pair<std::string, std::string>, double> counts;
  for (const auto& row : rows) ++counts[{row.source, row.kind}];
  for (const auto& row : rows) {
    problem.scale.push_back(usual_scale(row.kind));
    problem.share.push_back(std::min(1.0, std::sqrt(independent_rows / counts[{row.source, row.kind}])));
  }
  return problem;
}

/// Residual of a row at `value`, its slopes into `predicted`.
double residual_at(const Problem& problem, std::size_t i, const Eigen::VectorXd& value, LogSeconds& predicted) {
  const auto& row = (*problem.rows)[i];
  std::array<double, speed_terms> terms{};
  for (const auto& block : speed_blocks())
    if (!block.of_mixtures || row.levels.mixture) terms[block.term] += block.mean;
  double offset = 0;
  for (const auto& entry : problem.entries[i])
    (entry.term < speed_terms ? terms[entry.term] : offset) += value[static_cast<Eigen::Index>(entry.column)];
  predicted = log_seconds(row.work, speed_rates(terms), row.quantity);
  return row.log_seconds - predicted.value - offset;
}

void linearize(Problem& problem, const Eigen::VectorXd& value) {
  LogSeconds predicted;
  for (std::size_t i = 0; i < problem.rows->size(); ++i) {
    problem.residual[i] = residual_at(problem, i, value, predicted);
    for (std::size_t k = 0; k < problem.entries[i].size(); ++k) {
      const auto term = problem.entries[i][k].term;
      problem.gradient[i][k] = term < speed_terms ? predicted.slope[term] : 1;
    }
    const double z = problem.residual[i] / problem.scale[i];
    problem.weight[i] = problem.share[i] * (tails + 1) / (tails + z * z) / (problem.scale[i] * problem.scale[i]);
  }
}

void add_row(const Problem& problem, std::size_t i, Eigen::MatrixXd& hessian, Eigen::VectorXd& slope) {
  const auto& entries = problem.entries[i];
  const auto& gradient = problem.gradient[i];
  const double weight = problem.weight[i];
  const auto& kind = (*problem.rows)[i].kind;
  for (std::size_t a = 0; a < entries.size(); ++a) {
    const double ga = teaches(kind, entries[a].term) ? weight * gradient[a] : 0;
    if (ga == 0) continue;
    const auto row = static_cast<Eigen::Index>(entries[a].column);
    slope[row] += ga * problem.residual[i];
    for (std::size_t b = 0; b < entries.size(); ++b) {
      const auto column = static_cast<Eigen::Index>(entries[b].column);
      if (column <= row && teaches(kind, entries[b].term)) hessian(row, column) += ga * gradient[b];
    }
  }
}

using SparseRows = Eigen::SparseMatrix<double, Eigen::RowMajor>;

/// Slopes of some rows, one row each: those that taught the fit (scaled by the root of their weight), or those that an
/// estimate goes by (what a source adds of its own is not known to it).
SparseRows slopes_of(const Problem& problem, const std::vector<std::size_t>& members, bool taught) {
  std::vector<Eigen::Triplet<double>> entries;
  for (std::size_t m = 0; m < members.size(); ++m) {
    const auto i = members[m];
    const auto& kind = (*problem.rows)[i].kind;
    for (std::size_t k = 0; k < problem.entries[i].size(); ++k) {
      const auto& entry = problem.entries[i][k];
      if (taught ? !teaches(kind, entry.term) : entry.term == speed_terms) continue;
      const double slope = problem.gradient[i][k] * (taught ? std::sqrt(problem.weight[i]) : 1);
      entries.emplace_back(static_cast<int>(m), static_cast<int>(entry.column), slope);
    }
  }
  SparseRows slopes(static_cast<Eigen::Index>(members.size()), static_cast<Eigen::Index>(problem.columns.size()));
  slopes.setFromTriplets(entries.begin(), entries.end());
  return slopes;
}

/// Leaving rows T (slopes times root of weight) out of a fit with covariance C changes it by Woodbury's identity:
///   C' = C + C T' (1 - T C T')^-1 T C,   and the fit by -C' T' times their weighted residuals.
void leave_out(const Problem& problem, const Eigen::VectorXd& value, const Eigen::MatrixXd& covariance,
               SpeedSolution& solution) {
  std::map<std::string, std::vector<std::size_t>> publishers;
  for (std::size_t i = 0; i < problem.rows->size(); ++i) publishers[(*problem.rows)[i].publisher].push_back(i);
  for (const auto& [publisher, members] : publishers) {
    const auto count = static_cast<Eigen::Index>(members.size());
    const SparseRows taught = slopes_of(problem, members, true), asked = slopes_of(problem, members, false);
    const Eigen::MatrixXd spread = covariance * taught.transpose();
    const Eigen::MatrixXd own = taught * spread, other = asked * spread;
    const Eigen::LLT<Eigen::MatrixXd> factor(Eigen::MatrixXd::Identity(count, count) - own);
    Eigen::VectorXd pull(count);
    for (Eigen::Index m = 0; m < count; ++m) {
      const auto i = members[static_cast<std::size_t>(m)];
      pull[m] = -std::sqrt(problem.weight[i]) * problem.residual[i];
    }
    const Eigen::VectorXd change = spread * factor.solve(pull);
    const double longest = change.cwiseAbs().maxCoeff();
    const Eigen::VectorXd moved = value + std::min(1.0, largest_step / std::max(longest, 1e-12)) * change;
    const Eigen::MatrixXd gained = factor.matrixL().solve(other.transpose());
    for (Eigen::Index m = 0; m < count; ++m) {
      const auto i = members[static_cast<std::size_t>(m)];
      LogSeconds unused;
      solution.held_out[i] = residual_at(problem, i, moved, unused);
      double known = 0;
      for (SparseRows::InnerIterator a(asked, m); a; ++a)
        for (SparseRows::InnerIterator b(asked, m); b; ++b)
          known += a.value() * covariance(a.col(), b.col()) * b.value();
      solution.held_out_variance[i] = known + gained.col(m).squaredNorm();
    }
  }
}

/// Negative log posterior, without constants.
double misfit(const Problem& problem, const Eigen::VectorXd& value) {
  double sum = 0;
  for (std::size_t i = 0; i < problem.rows->size(); ++i) {
    if (!fits((*problem.rows)[i].kind)) continue;
    const double z = problem.residual[i] / problem.scale[i];
    sum += problem.share[i] * (tails + 1) / 2 * std::log1p(z * z / tails);
  }
  for (Eigen::Index c = 0; c < value.size(); ++c) {
    const double z = value[c] / problem.columns[static_cast<std::size_t>(c)].sd;
    sum += z * z / 2;
  }
  return sum;
}

void assemble(const Problem& problem, const Eigen::VectorXd& value, Eigen::MatrixXd& hessian, Eigen::VectorXd& slope) {
  const auto size = value.size();
  hessian = Eigen::MatrixXd::Zero(size, size);
  slope = Eigen::VectorXd::Zero(size);
  for (std::size_t i = 0; i < problem.rows->size(); ++i) add_row(problem, i, hessian, slope);
  for (Eigen::Index c = 0; c < size; ++c) {
    const double sd = problem.columns[static_cast<std::size_t>(c)].sd;
    hessian(c, c) += 1 / (sd * sd);
    slope[c] -= value[c] / (sd * sd);
  }
}

/// Gauss-Newton with halved steps; `hessian` is that of the result.
Eigen::VectorXd minimize(Problem& problem, Eigen::MatrixXd& hessian) {
  Eigen::VectorXd value = Eigen::VectorXd::Zero(static_cast<Eigen::Index>(problem.columns.size()));
  Eigen::VectorXd slope;
  linearize(problem, value);
  for (int turn = 0; turn < turns; ++turn) {
    assemble(problem, value, hessian, slope);
    const Eigen::VectorXd step = Eigen::LLT<Eigen::MatrixXd>(hessian).solve(slope);
    const double longest = step.size() > 0 ? step.cwiseAbs().maxCoeff() : 0;
    double share = std::min(1.0, largest_step / std::max(longest, 1e-12));
    const double before = misfit(problem, value);
    const Eigen::VectorXd start = value;
    for (int halving = 0; halving < 5; ++halving, share /= 2) {
      value = start + share * step;
      linearize(problem, value);
      if (misfit(problem, value) <= before) break;
    }
    if (longest < 2e-2) break;
  }
  assemble(problem, value, hessian, slope);
  return value;
}

}  // namespace

bool speed_effect_key(const SpeedBlock& block, const SpeedEffect& effect, const SpeedLevels& levels, std::string& key) {
  if (block.of_mixtures && !levels.mixture) return false;
  if (block.required > 0 && levels[block.fields.front()].empty()) return false;
  // Engines without eras need no effect of them.
  const auto& fields = effect.fields;
  if (levels.era == "any" && std::find(fields.begin(), fields.end(), SpeedField::era) != fields.end()) return false;
  key = speed_key(levels, effect.fields);
  return true;
}

SpeedSolution solve_speed(const std::vector<SpeedRow>& rows) {
  auto problem = set_up(rows);
  const auto size = static_cast<Eigen::Index>(problem.columns.size());
  Eigen::MatrixXd hessian;
  const auto value = minimize(problem, hessian);
  SpeedSolution solution;
  solution.held_out.resize(rows.size());
  solution.held_out_variance.resize(rows.size());
  const Eigen::MatrixXd inverse = Eigen::LLT<Eigen::MatrixXd>(hessian).solve(Eigen::MatrixXd::Identity(size, size));
  leave_out(problem, value, inverse, solution);
  solution.covariance.assign(inverse.data(), inverse.data() + inverse.size());
  solution.value.assign(value.data(), value.data() + value.size());
  solution.columns = std::move(problem.columns);
  return solution;
}

}  // namespace advisor
