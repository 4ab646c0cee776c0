#include "estimate/fits.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "estimate/offload_fit.h"
#include "estimate/quality_fit.h"
#include "estimate/scores_fit.h"
#include "estimate/speed_fit.h"

namespace advisor {

namespace {

using Fit = std::vector<FittedTerm> (*)(const Knowledge&);
/// One line per fitted model that rests on measurements alone; offload rests on the fitted speeds.
const std::vector<Fit> fits{fit_quality, fit_scores};

}  // namespace

std::vector<FittedTerm> fit_all(const Knowledge& knowledge) {
  std::vector<FittedTerm> all;
  for (const Fit fit : fits) {
    auto terms = fit(knowledge);
    std::move(terms.begin(), terms.end(), std::back_inserter(all));
  }
  auto speed = fit_speed(knowledge);
  auto offload = fit_offload(knowledge, speed);
  std::move(speed.begin(), speed.end(), std::back_inserter(all));
  std::move(offload.begin(), offload.end(), std::back_inserter(all));
  std::sort(all.begin(), all.end(), [](const FittedTerm& a, const FittedTerm& b) {
    return std::tie(a.fit, a.term, a.level) < std::tie(b.fit, b.term, b.level);
  });
  return all;
}

std::span<const FittedTerm> terms_of(const std::vector<FittedTerm>& terms, const std::string& fit) {
  const auto first = std::lower_bound(terms.begin(), terms.end(), fit,
                                      [](const FittedTerm& term, const std::string& id) { return term.fit < id; });
  const auto last = std::find_if(first, terms.end(), [&](const FittedTerm& term) { return term.fit != fit; });
  return {first, last};
}

}  // namespace advisor
