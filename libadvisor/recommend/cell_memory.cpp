// Whether a cell fits: on the devices, with a part of it in the host's memory, or with as many bits as there is room
// for.
#include <algorithm>
#include <cmath>

#include "estimate/kv_cache.h"
#include "recommend/cell_judge.h"

namespace advisor {

CellJudge::EngineSide& CellJudge::side_of(const CatalogTreatment& treatment) {
  auto& side = sides_[static_cast<std::size_t>(treatment.engine)];
  if (side.entered) return side;
  side.entered = true;
  const auto& engine = treatment.choice.variant.engine;
  const auto& workload = q_.profile.workload;
  side.overhead = engine_buffers(engine, *entry_->model, q_.hardware.device,
                                 {workload.context, workload.concurrency, q_.hardware.count, side.prefill});
  side.caches = {};
  return side;
}

/// An engine's treatments take turns with two types of cache: whole and short.
double CellJudge::cache_bytes(const CatalogTreatment& treatment, EngineSide& side) {
  for (const auto& known : side.caches)
    if (known.value_bytes == treatment.kv_value_bytes) return known.bytes;
  const auto& engine = treatment.choice.variant.engine;
  const auto& workload = q_.profile.workload;
  std::swap(side.caches[0], side.caches[1]);
  side.caches[0] = {treatment.kv_value_bytes,
                    kv_bytes(*entry_->kv, treatment.kv_value_bytes, static_cast<double>(workload.context),
                             static_cast<double>(workload.concurrency), kv_paging(engine, *entry_->model)) *
                        kv_copies(engine, *entry_->model, q_.hardware.count)};
  return side.caches[0].bytes;
}

double CellJudge::chance_of_memory(const CatalogTreatment& treatment, double weights, EngineSide& side) {
  terms_ = {weights,
            entry_->weights_spread,
            cache_bytes(treatment, side),
            entry_->kv->spread,
            side.overhead.activations,
            side.overhead.other,
            side.overhead.sd,
            side.usable,
            static_cast<double>(q_.hardware.count)};
  placed_ = {};
  return chance_of(terms_);
}

double CellJudge::chance_of(const MemoryTerms& terms) {
  memory_ = add_up(terms);
  return memory_.need().probability_below(memory_.available);
}

std::optional<HostShare> CellJudge::host_share() const {
  if (placed_.layers == 0) return std::nullopt;
  return advisor::host_share(terms_, placed_, q_.hardware);
}

Distribution CellJudge::host_need() const {
  return placed_.layers == 0 ? Distribution{0, 0, 30} : advisor::host_need(terms_, placed_);
}

/// Moves as many layers to the host's memory as the devices have no room for. Where that does not help, nothing is
/// changed. Both memories have to suffice; what is not known of the weights is the same for both, so the chance is that
/// of the tighter one.
bool CellJudge::make_room(const Applied& applied, Cell& cell) {
  const double confidence = q_.profile.confidence;
  const auto all = memory_;
  if (applied.layers != nullptr && host_usable_ > 0) {
    const auto layers = fewest_layers(applied.layers->layers(), [&](std::int64_t count) {
      return chance_of(with_host(terms_, place(*applied.layers, count))) >= confidence;
    });
    placed_ = place(*applied.layers, layers);
    const double host = layers > 0 ? host_need().probability_below(host_usable_) : 0;
    if (host >= confidence) {
      cell.chances.memory = std::min(host, chance_of(with_host(terms_, placed_)));
      cell.offloaded = static_cast<std::int32_t>(layers);
      return true;
    }
  }
  memory_ = all, placed_ = {};
  return false;
}

/// Bytes of the weights. Of mixed precision as many as just fit: the average rises in steps of a tenth of a bit from
/// the smaller scheme to the larger one, and is the larger one where that fits. A step less than that changes memory by
/// less than its own uncertainty.
double CellJudge::weights_of(const CatalogTreatment& treatment, const Applied& applied, EngineSide& side, Cell& cell) {
  if (treatment.choice.upper.empty()) return applied.stored;
  const double low = treatment.scheme.bits_per_weight, high = treatment.upper_bits;
  const auto bytes = [&](double bits) {
    return applied.stored + (applied.upper_stored - applied.stored) * (bits - low) / (high - low);
  };
  const int steps = static_cast<int>(std::ceil((high - low) / 0.1));
  const auto bits = [&](int step) { return std::min(high, low + 0.1 * step); };
  int fits = 0, too_much = steps + 1;  // need grows with every step
  while (too_much - fits > 1) {
    const int middle = (fits + too_much) / 2;
    const bool fit = chance_of_memory(treatment, bytes(bits(middle)), side) >= q_.profile.confidence;
    (fit ? fits : too_much) = middle;
  }
  cell.mixed_bits = bits(fits);
  return bytes(cell.mixed_bits);
}

}  // namespace advisor
