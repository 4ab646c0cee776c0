#include "estimate/evidence_rows.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace advisor {

EvidenceKey evidence_key(const Treatment& t) {
  return {static_cast<int>(std::lround(t.weight_bits)), static_cast<int>(std::lround(t.activation_bits)), t.pattern,
          static_cast<int>(std::lround(t.sparsity * 20))};
}

std::map<EvidenceKey, std::vector<EvidenceRow>> evidence_rows(const Knowledge& knowledge) {
  const QualityCases cases(knowledge);
  std::map<EvidenceKey, std::vector<EvidenceRow>> index;
  for (const auto& row : knowledge.quality) {
    const auto c = cases.read(row);
    if (!c || (c->measure == "perplexity" && c->yardstick.family != "language_modelling")) continue;
    index[evidence_key(c->treatment)].push_back({c->measure == "perplexity" ? std::exp(-c->observed) : c->observed,
                                                 c->model.params.value_or(0) > 0 ? std::log(*c->model.params) : 0,
                                                 c->source, c->model.id, c->treatment.technique, c->treatment.scheme,
                                                 c->yardstick.task, c->yardstick.family, c->where,
                                                 c->treatment.group == -1});
  }
  const auto content = [](const EvidenceRow& r) {
    return std::tie(r.source, r.model, r.technique, r.scheme, r.task, r.family, r.recovery, r.where);
  };
  for (auto& [key, rows] : index)
    std::sort(rows.begin(), rows.end(),
              [&](const EvidenceRow& a, const EvidenceRow& b) { return content(a) < content(b); });
  return index;
}

}  // namespace advisor
