#include "estimate/speed_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

namespace advisor {

namespace {

bool applies(const SpeedBlock& block, const SpeedLevels& levels) {
  if (block.of_mixtures && !levels.mixture) return false;
  return block.required == 0 || !levels[block.fields.front()].empty();
}

/// "2|vllm|new": how many levels, and those.
std::string cell_key(const SpeedBlock& block, const SpeedLevels& levels, std::size_t depth) {
  const auto key = speed_key(levels, std::span(block.fields).first(depth));
  return std::to_string(depth) + (key.empty() ? "" : "|" + key);
}

/// The same of every depth of a block, without a text for each: a decision asks thousands of times.
class CellKeys {
 public:
  CellKeys(const SpeedBlock& block, const SpeedLevels& levels) {
    text_.reserve(64);
    text_ += '0';
    ends_[0] = 1;
    bool empty = true;
    for (std::size_t i = 0; i < block.fields.size(); ++i) {
      const auto& level = levels[block.fields[i]];
      if (empty && !level.empty())
        text_ += '|', empty = false;  // as speed_key() joins, and cell_key() prefixes
      else if (!empty)
        text_ += '|';
      text_ += level;
      ends_[i + 1] = text_.size();
    }
  }
  std::string_view at(std::size_t depth) {
    text_[0] = static_cast<char>('0' + depth);
    return std::string_view(text_).substr(0, ends_[depth]);
  }

 private:
  std::string text_;
  std::array<std::size_t, 10> ends_{};  // no block has more fields than there are digits
};

/// The block whose rows are named as the evidence.
constexpr std::size_t memory_block = 0;

/// Without rows at all: the spread of the prior, about a factor of two.
constexpr double unknown_spread = 0.7;

}  // namespace

SpeedTable::SpeedTable(std::span<const FittedTerm> terms) {
  const auto& blocks = speed_blocks();
  cells_.resize(blocks.size());
  for (const auto& term : terms) {
    if (term.fit != "speed") continue;
    if (term.term == "spread") {
      spread_at(term.level).added = term.value;
    } else if (term.term == "spread share") {
      spread_at(term.level).share = term.value;
    } else if (term.term == "engine version") {
      const auto bar = term.level.find('|');
      versions_[term.level.substr(0, bar)] = bar == std::string::npos ? "" : term.level.substr(bar + 1);
    } else {
      for (std::size_t b = 0; b < blocks.size(); ++b)
        if (term.term == blocks[b].name) cells_[b][term.level] = {term.value, term.sd, term.rows, term.sources};
    }
  }
}

const SpeedTable::Cell* SpeedTable::find(std::size_t block, const SpeedLevels& levels, std::size_t* depth) const {
  const auto& wanted = speed_blocks()[block];
  if (block >= cells_.size()) return nullptr;
  CellKeys keys(wanted, levels);
  for (std::size_t fields = wanted.fields.size() + 1; fields-- > wanted.required;) {
    const auto found = cells_[block].find(keys.at(fields));
    if (found == cells_[block].end()) continue;
    if (depth) *depth = fields;
    return &found->second;
  }
  return nullptr;
}

std::optional<SpeedSetup> SpeedTable::setup(const SpeedLevels& levels) const {
  const auto& blocks = speed_blocks();
  SpeedSetup setup;
  std::array<double, speed_terms> variance{};
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    if (!applies(blocks[b], levels)) continue;
    std::size_t depth = 0;
    const auto* cell = find(b, levels, &depth);
    if (b == memory_block) {
      if (!cell || depth == 0) return std::nullopt;
      setup.class_known = depth >= 3;
      setup.rows = cell->rows, setup.sources = &cell->sources;
      setup.depth = depth;
    }
    if (cell) {
      setup.terms.value[blocks[b].term] += cell->value;
      variance[blocks[b].term] += cell->sd * cell->sd;
    } else {
      setup.terms.value[blocks[b].term] += blocks[b].mean;
      for (const auto& effect : blocks[b].effects) variance[blocks[b].term] += effect.sd * effect.sd;
    }
  }
  for (std::size_t t = 0; t < speed_terms; ++t) setup.terms.sd[t] = std::sqrt(variance[t]);
  setup.rates = speed_rates(setup.terms.value);
  return setup;
}

std::string SpeedTable::cell_of(const SpeedSetup& setup, const SpeedLevels& levels) {
  return speed_key(levels, std::span(speed_blocks()[memory_block].fields).first(setup.depth));
}

/// "kind|engine", or "kind" of all engines.
SpeedSpread& SpeedTable::spread_at(const std::string& level) {
  const auto bar = level.find('|');
  return spreads_[bar == std::string::npos ? "" : level.substr(bar + 1)][level.substr(0, bar)];
}

SpeedSpread SpeedTable::spread(std::string_view kind, std::string_view engine) const {
  for (const auto& of : {engine, std::string_view()})
    if (const auto known = spreads_.find(of); known != spreads_.end())
      if (const auto found = known->second.find(kind); found != known->second.end()) return found->second;
  return {unknown_spread, 1};
}

std::string SpeedTable::newest_version(const std::string& engine) const {
  const auto found = versions_.find(engine);
  return found == versions_.end() ? "" : found->second;
}

void SpeedTable::learn(const SpeedLevels& levels, const std::array<double, speed_terms>& slope, double residual,
                       double noise, const std::string& source) {
  const auto& blocks = speed_blocks();
  cells_.resize(blocks.size());
  std::vector<Cell*> touched(blocks.size(), nullptr);
  double total = noise * noise;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    if (!applies(blocks[b], levels)) continue;
    // A setup that was only known by its leading levels gets a cell of its own.
    Cell start{blocks[b].mean, 0, 0, {}};
    if (const auto* nearest = find(b, levels)) {
      start = *nearest;
    } else {
      double variance = 0;
      for (const auto& effect : blocks[b].effects) variance += effect.sd * effect.sd;
      start.sd = std::sqrt(variance);
    }
    auto& cell = cells_[b].try_emplace(cell_key(blocks[b], levels, blocks[b].fields.size()), start).first->second;
    touched[b] = &cell;
    total += std::pow(slope[blocks[b].term] * cell.sd, 2);
  }
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    if (!touched[b]) continue;
    auto& cell = *touched[b];
    const double covariance = slope[blocks[b].term] * cell.sd * cell.sd;
    cell.value += covariance / total * residual;
    cell.sd = std::sqrt(std::max(0.0, cell.sd * cell.sd - covariance * covariance / total));
    ++cell.rows;
    const auto at = std::lower_bound(cell.sources.begin(), cell.sources.end(), source);
    if (at == cell.sources.end() || *at != source) cell.sources.insert(at, source);
  }
}

}  // namespace advisor
