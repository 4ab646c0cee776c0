#include "estimate/speed_fit.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "estimate/speed_solve.h"
#include "estimate/speed_table.h"

namespace advisor {

namespace {

/// Numbers in version texts compare as numbers: "0.9" before "0.20", "b8931" before "b10102".
std::vector<std::pair<long, std::string>> version_parts(const std::string& text) {
  std::vector<std::pair<long, std::string>> parts;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    if (end > i) {
      parts.emplace_back(std::strtol(text.substr(i, std::min<std::size_t>(end - i, 9)).c_str(), nullptr, 10), "");
    } else {
      end = i + 1;
      parts.emplace_back(-1, text.substr(i, 1));
    }
    i = end;
  }
  return parts;
}

std::vector<SpeedRow> rows_of(const Knowledge& knowledge) {
  const SpeedCases cases(knowledge);
  std::vector<SpeedRow> rows;
  for (const auto& measurement : knowledge.speed) {
    if (!measurement.recorded.empty()) continue;  // these come in on top of the fit
    if (const auto question = cases.read(measurement))
      if (auto row = speed_row(*question)) rows.push_back(std::move(*row));
  }
  const auto order = [](const SpeedRow& row) {
    const auto& load = row.work.load;
    return std::tie(row.source, row.levels.engine, row.levels.device, row.levels.format, row.kind, row.log_seconds,
                    row.work.read, row.work.devices, row.work.stages, row.work.cache, load.input_tokens,
                    load.output_tokens, load.concurrency, row.engine_version, row.levels.scheme);
  };
  std::sort(rows.begin(), rows.end(), [&](const SpeedRow& a, const SpeedRow& b) { return order(a) < order(b); });
  return rows;
}

struct Cell {
  SpeedLevels levels;
  std::int64_t rows = 0;
  std::set<std::string> sources;
};

/// Sum of the effects that live on the first `depth` fields, its spread with the left-out effects, as one term.
FittedTerm compose(const SpeedBlock& block, std::size_t block_index, std::size_t depth, const Cell& cell,
                   const std::string& key, const SpeedSolution& solution,
                   const std::map<std::tuple<std::size_t, std::size_t, std::string>, std::size_t>& index) {
  std::vector<std::size_t> columns;
  FittedTerm term{"speed", std::string(block.name), key, block.mean, 0, cell.rows, {}};
  double variance = 0;
  const auto known = std::span(block.fields).first(depth);
  for (std::size_t e = 0; e < block.effects.size(); ++e) {
    const auto& effect = block.effects[e];
    const bool inside = std::all_of(effect.fields.begin(), effect.fields.end(), [&](SpeedField field) {
      return std::find(known.begin(), known.end(), field) != known.end();
    });
    const bool no_era = cell.levels.era == "any" &&
                        std::find(effect.fields.begin(), effect.fields.end(), SpeedField::era) != effect.fields.end();
    if (no_era) continue;
    const auto found = inside ? index.find({block_index, e, speed_key(cell.levels, effect.fields)}) : index.end();
    if (found == index.end()) {
      variance += effect.sd * effect.sd;
    } else {
      columns.push_back(found->second);
      term.value += solution.value[found->second];
    }
  }
  for (const auto a : columns)
    for (const auto b : columns) variance += solution.at(a, b);
  term.sd = std::sqrt(std::max(0.0, variance));
  term.sources.assign(cell.sources.begin(), cell.sources.end());
  return term;
}

void compose_blocks(const std::vector<SpeedRow>& rows, const SpeedSolution& solution, std::vector<FittedTerm>& terms) {
  std::map<std::tuple<std::size_t, std::size_t, std::string>, std::size_t> index;
  for (std::size_t c = 0; c < solution.columns.size(); ++c)
    index[{solution.columns[c].block, solution.columns[c].effect, solution.columns[c].key}] = c;
  const auto& blocks = speed_blocks();
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const auto& block = blocks[b];
    for (std::size_t depth = block.required; depth <= block.fields.size(); ++depth) {
      std::map<std::string, Cell> cells;
      for (const auto& row : rows) {
        if (block.of_mixtures && !row.levels.mixture) continue;
        if (block.required > 0 && row.levels[block.fields.front()].empty()) continue;
        auto& cell = cells[speed_key(row.levels, std::span(block.fields).first(depth))];
        cell.levels = row.levels;
        ++cell.rows;
        cell.sources.insert(row.source);
      }
      if (cells.empty() && depth == 0) cells[""];  // the prior alone
      for (const auto& [key, cell] : cells)
        terms.push_back(
            compose(block, b, depth, cell, std::to_string(depth) + (key.empty() ? "" : "|" + key), solution, index));
    }
  }
}

/// Of the spread of parameters and noise at least so much is kept: three publishers that agree by chance are no proof.
constexpr double least_share = 0.7;

/// Rows whose publisher was left out: what was missed, and the variance of that by parameters and noise.
struct HeldOut {
  struct Error {
    double size, variance;
  };
  std::vector<Error> errors;
  std::map<std::string, double> rows;  ///< by publisher
  std::set<std::string> sources;

  /// Publishers that the rows are worth (Kish, Survey Sampling, 1965, ch. 11: unequal weights).
  double publishers() const {
    double sum = 0, squares = 0;
    for (const auto& [publisher, count] : rows) sum += count, squares += count * count;
    return squares > 0 ? sum * sum / squares : 0;
  }
  double inside(const SpeedSpread& spread, double t) const {
    const auto within = std::count_if(errors.begin(), errors.end(), [&](const auto& error) {
      return error.size <= t * spread.total(std::sqrt(error.variance));
    });
    return static_cast<double>(within) / static_cast<double>(errors.size());
  }
  double typical_variance() const {
    double sum = 0;
    for (const auto& error : errors) sum += std::log(error.variance);
    return std::exp(sum / static_cast<double>(errors.size()));
  }
};

/// The spread that makes 80 % of a new publisher's rows fall within t80 times the total: something added where the
/// model misses more than its parameters and the noise explain, a share of those where it misses less. Of m publishers
/// that were seen the share inside has to be larger for one that was not, as in split conformal prediction (Lei et
/// al., J. Am. Stat. Assoc. 113, 2018): 1 - 0.2 m / (m + 1).
SpeedSpread spread_that_holds(const HeldOut& held) {
  const double t = quantile(boost::math::students_t(speed_df), 0.9);
  const double seen = held.publishers(), wanted = 1 - 0.2 * seen / (seen + 1);
  const bool adds = held.inside({0, 1}, t) < wanted;
  SpeedSpread spread;
  double low = adds ? 1e-3 : least_share, high = adds ? 3 : 1;
  for (int turn = 0; turn < 40; ++turn) {
    const double middle = std::sqrt(low * high);
    spread = adds ? SpeedSpread{middle, 1} : SpeedSpread{0, middle};
    (held.inside(spread, t) < wanted ? low : high) = middle;
  }
  return adds ? SpeedSpread{high, 1} : SpeedSpread{0, high};
}

/// An engine's own spread counts by its publishers: a single one cannot say how much they differ.
SpeedSpread shrunk(const HeldOut& held, const SpeedSpread& own, const SpeedSpread& kind) {
  const double usual = std::sqrt(held.typical_variance()), weight = std::max(0.0, held.publishers() - 1);
  const double total = std::exp((weight * std::log(own.total(usual)) + 2 * std::log(kind.total(usual))) / (weight + 2));
  if (total <= usual) return {0, total / usual};
  return {std::sqrt(total * total - usual * usual), 1};
}

void compose_spreads(const std::vector<SpeedRow>& rows, const SpeedSolution& solution, std::vector<FittedTerm>& terms) {
  std::map<std::string, HeldOut> groups;
  for (std::size_t i = 0; i < rows.size(); ++i)
    for (const auto& key : {rows[i].kind, rows[i].kind + "|" + rows[i].levels.engine}) {
      auto& group = groups[key];
      group.errors.push_back(
          {std::abs(solution.held_out[i]), solution.held_out_variance[i] + speed_noise * speed_noise});
      ++group.rows[rows[i].publisher];
      group.sources.insert(rows[i].source);
    }
  std::map<std::string, SpeedSpread> of_kind;
  for (const auto& [key, group] : groups) {
    auto spread = spread_that_holds(group);
    const auto bar = key.find('|');
    if (bar == std::string::npos) {
      of_kind[key] = spread;
    } else {
      spread = shrunk(group, spread, of_kind[key.substr(0, bar)]);
    }
    const auto count = static_cast<std::int64_t>(group.errors.size());
    const std::vector<std::string> sources(group.sources.begin(), group.sources.end());
    terms.push_back({"speed", "spread", key, spread.added, 0, count, sources});
    terms.push_back({"speed", "spread share", key, spread.share, 0, count, sources});
  }
}

void newest_versions(const std::vector<SpeedRow>& rows, std::vector<FittedTerm>& terms) {
  std::map<std::string, std::pair<std::string, Cell>> newest;
  for (const auto& row : rows) {
    if (row.engine_version.empty()) continue;
    auto& [version, cell] = newest[row.levels.engine];
    if (version.empty() || version_parts(version) < version_parts(row.engine_version)) {
      version = row.engine_version;
      cell = {};
    }
    if (version != row.engine_version) continue;
    ++cell.rows;
    cell.sources.insert(row.source);
  }
  for (const auto& [engine, last] : newest)
    terms.push_back({"speed",
                     "engine version",
                     engine + "|" + last.first,
                     0,
                     0,
                     last.second.rows,
                     {last.second.sources.begin(), last.second.sources.end()}});
}

}  // namespace

std::string speed_kind(const SpeedWork& work, SpeedQuantity quantity, bool mixture) {
  return std::string(speed_kinds[speed_kind_index(work, quantity, mixture)]);
}

std::size_t speed_kind_index(const SpeedWork& work, SpeedQuantity quantity, bool mixture) {
  const auto& load = work.load;
  const bool first = quantity == SpeedQuantity::first_token;
  if (quantity == SpeedQuantity::prefill) return 1;
  if (load.requests_per_second > 0) return first ? 0 : 2;
  if (load.requests > 0) return first ? 7 : 8;
  if (load.concurrency > 1) return first ? 6 : 3;
  if (first) return 1;
  return mixture ? 4 : 5;
}

std::optional<SpeedQuantity> speed_quantity(const std::string& name) {
  if (name == "decode") return SpeedQuantity::decode;
  if (name == "throughput") return SpeedQuantity::throughput;
  if (name == "prefill") return SpeedQuantity::prefill;
  if (name == "ttft") return SpeedQuantity::first_token;
  if (name == "tpot") return SpeedQuantity::per_token;
  return std::nullopt;
}

double speed_sign(SpeedQuantity quantity) {
  return quantity == SpeedQuantity::first_token || quantity == SpeedQuantity::per_token ? 1 : -1;
}

std::optional<SpeedRow> speed_row(const SpeedCase& question) {
  const auto quantity = speed_quantity(question.quantity);
  auto work = speed_work(question.model, question.variant, question.hardware, question.load);
  if (!quantity || !work) return std::nullopt;
  SpeedRow row;
  row.levels = speed_levels(question.variant, question.hardware.device, question.mixture, question.engine_version);
  if (row.levels.engine.empty()) return std::nullopt;
  row.work = *work;
  row.quantity = *quantity;
  row.log_seconds = speed_sign(*quantity) * question.observed;
  row.source = question.source;
  row.publisher = question.publisher;
  row.engine_version = question.engine_version;
  row.kind = speed_kind(row.work, row.quantity, row.levels.mixture);
  return row;
}

std::vector<FittedTerm> fit_speed(const Knowledge& knowledge) {
  const auto rows = rows_of(knowledge);
  const auto solution = solve_speed(rows);
  std::vector<FittedTerm> terms;
  compose_blocks(rows, solution, terms);
  compose_spreads(rows, solution, terms);
  newest_versions(rows, terms);
  return terms;
}

}  // namespace advisor
