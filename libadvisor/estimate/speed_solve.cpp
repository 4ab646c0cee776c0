#include "estimate/speed_solve.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <tuple>

namespace advisor {

namespace {

constexpr int turns = 12;
constexpr double largest_step = 1.0;  // in link space: a factor of e
constexpr double source_sd = 0.03;    // of a source's offset
// Of loaded servers: settings and processors differ between sources (H100 and H200 of one source by a factor of two).
constexpr double loaded_source_sd = 0.3;
constexpr double tails = 2;  // degrees of freedom of the rows' noise: a tenth of them are other setups

/// Scatter of rows of one source around the model, where few rows can say: runs repeat within some percent, prompts
/// and loaded servers less so.
double usual_scale(const std::string& kind) {
  if (kind == "single") return 0.07;
  if (kind == "single mixture") return 0.15;
  if (kind == "batch") return 0.20;
  if (kind == "prompt") return 0.25;
  return kind == "rate" ? 0.30 : 0.50;
}

/// Which rows teach which terms. Single streams and lone prompts say what memory, launches and arithmetic cost; loaded
/// servers teach only what is left to know, so that their scatter, from queues and settings that nobody states, does
/// not bend what clean rows measured (cut feedback; Plummer, Stat. Comput. 25, 2015). Queues teach nothing: the wait of
/// the median request turns on whether the machine keeps up, which no gradient tells.
bool is_first_stage(const std::string& kind) { return kind.starts_with("single") || kind == "prompt"; }
bool teaches(const std::string& kind, std::size_t term) {
  const bool of_loads = term == sequence_time || term == batch_efficiency;
  if (kind == "queue") return false;
  return term == speed_terms || is_first_stage(kind) != of_loads;
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
    const bool loaded = row.kind == "batch" || row.kind == "rate";
    key = row.source + "|" + row.levels.engine + "|" + (loaded ? "load" : row.kind);
    problem.entries[i].push_back({column(offset_block, 0, key, loaded ? loaded_source_sd : source_sd), speed_terms});
    problem.gradient[i].resize(problem.entries[i].size());
  }
  problem.residual.resize(rows.size());
  problem.weight.resize(rows.size());
  for (const auto& row : rows) problem.scale.push_back(usual_scale(row.kind));
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
    problem.weight[i] = (tails + 1) / (tails + z * z) / (problem.scale[i] * problem.scale[i]);
  }
}

void add_row(const Problem& problem, std::size_t i, double sign, Eigen::MatrixXd& hessian, Eigen::VectorXd& slope) {
  const auto& entries = problem.entries[i];
  const auto& gradient = problem.gradient[i];
  const double weight = sign * problem.weight[i];
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

void leave_out(const Problem& problem, const Eigen::VectorXd& value, const Eigen::MatrixXd& hessian,
               SpeedSolution& solution) {
  std::map<std::string, std::vector<std::size_t>> sources;
  for (std::size_t i = 0; i < problem.rows->size(); ++i) sources[(*problem.rows)[i].source].push_back(i);
  const auto size = hessian.rows();
  for (const auto& [source, members] : sources) {
    Eigen::MatrixXd without = hessian;
    Eigen::VectorXd slope = Eigen::VectorXd::Zero(size);
    for (const auto i : members) add_row(problem, i, -1, without, slope);
    const Eigen::LLT<Eigen::MatrixXd> factor(without);
    const Eigen::VectorXd change = factor.solve(slope);
    const double longest = change.cwiseAbs().maxCoeff();
    const Eigen::VectorXd moved = value + std::min(1.0, largest_step / std::max(longest, 1e-12)) * change;
    Eigen::MatrixXd gradients = Eigen::MatrixXd::Zero(size, static_cast<Eigen::Index>(members.size()));
    for (std::size_t m = 0; m < members.size(); ++m) {
      const auto i = members[m];
      // What a source adds of its own belongs to the spread: an estimate knows nothing of it.
      for (std::size_t k = 0; k < problem.entries[i].size(); ++k)
        if (problem.entries[i][k].term < speed_terms)
          gradients(static_cast<Eigen::Index>(problem.entries[i][k].column), static_cast<Eigen::Index>(m)) +=
              problem.gradient[i][k];
      LogSeconds unused;
      solution.held_out[i] = residual_at(problem, i, moved, unused);
    }
    factor.matrixL().solveInPlace(gradients);
    for (std::size_t m = 0; m < members.size(); ++m)
      solution.held_out_variance[members[m]] = gradients.col(static_cast<Eigen::Index>(m)).squaredNorm();
  }
}

/// Negative log posterior of one stage, without constants.
double misfit(const Problem& problem, const Eigen::VectorXd& value, bool first_stage) {
  double sum = 0;
  for (std::size_t i = 0; i < problem.rows->size(); ++i) {
    const auto& kind = (*problem.rows)[i].kind;
    if (is_first_stage(kind) != first_stage || kind == "queue") continue;
    const double z = problem.residual[i] / problem.scale[i];
    sum += (tails + 1) / 2 * std::log1p(z * z / tails);
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
  for (std::size_t i = 0; i < problem.rows->size(); ++i) add_row(problem, i, 1, hessian, slope);
  for (Eigen::Index c = 0; c < size; ++c) {
    const double sd = problem.columns[static_cast<std::size_t>(c)].sd;
    hessian(c, c) += 1 / (sd * sd);
    slope[c] -= value[c] / (sd * sd);
  }
}

/// Columns that a stage moves; the two share none.
std::vector<Eigen::Index> columns_of_stage(const Problem& problem, bool first_stage) {
  std::vector<bool> moves(problem.columns.size(), false);
  for (std::size_t i = 0; i < problem.rows->size(); ++i) {
    const auto& kind = (*problem.rows)[i].kind;
    if (is_first_stage(kind) != first_stage) continue;
    for (const auto& entry : problem.entries[i])
      if (teaches(kind, entry.term)) moves[entry.column] = true;
  }
  std::vector<Eigen::Index> columns;
  for (std::size_t c = 0; c < moves.size(); ++c)
    if (moves[c]) columns.push_back(static_cast<Eigen::Index>(c));
  return columns;
}

void solve_stage(Problem& problem, Eigen::VectorXd& value, bool first_stage) {
  const auto moving = columns_of_stage(problem, first_stage);
  if (moving.empty()) return;
  Eigen::MatrixXd hessian;
  Eigen::VectorXd slope;
  linearize(problem, value);
  for (int turn = 0; turn < turns; ++turn) {
    assemble(problem, value, hessian, slope);
    const Eigen::VectorXd solved =
        Eigen::LLT<Eigen::MatrixXd>(Eigen::MatrixXd(hessian(moving, moving).selfadjointView<Eigen::Lower>()))
            .solve(Eigen::VectorXd(slope(moving)));
    Eigen::VectorXd step = Eigen::VectorXd::Zero(slope.size());
    step(moving) = solved;
    const double longest = step.size() > 0 ? step.cwiseAbs().maxCoeff() : 0;
    double share = std::min(1.0, largest_step / std::max(longest, 1e-12));
    const double before = misfit(problem, value, first_stage);
    const Eigen::VectorXd start = value;
    for (int halving = 0; halving < 5; ++halving, share /= 2) {
      value = start + share * step;
      linearize(problem, value);
      if (misfit(problem, value, first_stage) <= before) break;
    }
    if (longest < 2e-2) break;
  }
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
  Eigen::VectorXd value = Eigen::VectorXd::Zero(size);
  solve_stage(problem, value, true);
  solve_stage(problem, value, false);
  Eigen::MatrixXd hessian;
  Eigen::VectorXd slope;
  assemble(problem, value, hessian, slope);
  SpeedSolution solution;
  solution.held_out.resize(rows.size());
  solution.held_out_variance.resize(rows.size());
  leave_out(problem, value, hessian, solution);
  const Eigen::MatrixXd inverse = Eigen::LLT<Eigen::MatrixXd>(hessian).solve(Eigen::MatrixXd::Identity(size, size));
  solution.covariance.assign(inverse.data(), inverse.data() + inverse.size());
  solution.value.assign(value.data(), value.data() + value.size());
  solution.columns = std::move(problem.columns);
  return solution;
}

}  // namespace advisor
