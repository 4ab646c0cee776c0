#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"
#include "evaluate/measure.h"
#include "evaluate/statistics.h"

namespace advisor {
namespace {

/// An item as token ids.
struct EncodedItem {
  std::vector<std::int32_t> prefix;  ///< BOS + context
  std::vector<std::vector<std::int32_t>> options;
};

EncodedItem encode(const Measure& measure, const ChoiceSet& set, const ChoiceItem& item) {
  EncodedItem out{measure.tokenizer.encode(item.context), {}};
  if (auto bos = measure.tokenizer.bos()) {
    out.prefix.insert(out.prefix.begin(), *bos);
  }
  std::string place = set.source + ":" + std::to_string(item.line) + ": ";
  if (out.prefix.empty()) {
    throw Error(ErrorCode::invalid_argument,
                place + "the context is empty and the model has no BOS token to put in its place");
  }
  std::size_t longest = 0;
  for (const std::string& option : item.options) {
    out.options.push_back(measure.tokenizer.encode(option));
    longest = std::max(longest, out.options.back().size());
  }
  auto length = static_cast<std::int64_t>(out.prefix.size() + longest);
  if (length > measure.decoder.config().max_context) {
    throw Error(ErrorCode::invalid_argument, place + "context and option take " + std::to_string(length) +
                                                 " tokens, the model holds " +
                                                 std::to_string(measure.decoder.config().max_context));
  }
  return out;
}

/// "knowledge" of "knowledge/capital"
std::string main_family(const std::string& family) { return family.substr(0, family.find('/')); }

void finish(FamilyScore& score) {
  Interval interval = wilson_interval(score.correct, score.n);
  score.accuracy = static_cast<double>(score.correct) / static_cast<double>(score.n);
  score.low = interval.low;
  score.high = interval.high;
}

/// Counts hits in all and by family.
ChoiceResult summarise(const ChoiceSet& set, std::vector<std::uint8_t> hits) {
  ChoiceResult result;
  result.name = set.name;
  result.family = main_family(set.items[0].family);
  std::map<std::string, FamilyScore> families;
  FamilyScore all;
  double chance = 0;
  for (std::size_t i = 0; i < hits.size(); ++i) {
    const ChoiceItem& item = set.items[i];
    if (main_family(item.family) != result.family) {
      result.family = "mixed";
    }
    for (FamilyScore* score : {&all, &families[item.family]}) {
      score->n += 1;
      score->correct += hits[i];
    }
    chance += 1.0 / static_cast<double>(item.options.size());
  }
  finish(all);
  result.n = all.n;
  result.correct = all.correct;
  result.accuracy = all.accuracy;
  result.low = all.low;
  result.high = all.high;
  result.chance = chance / static_cast<double>(all.n);
  for (auto& [name, score] : families) {
    score.family = name;
    finish(score);
    result.families.push_back(score);
  }
  result.hits = std::move(hits);
  return result;
}

}  // namespace

ChoiceResult measure_choices(const Measure& measure, const ChoiceSet& set) {
  std::size_t count = set.items.size();
  if (measure.limit > 0) {
    count = std::min(count, static_cast<std::size_t>(measure.limit));
  }
  std::vector<EncodedItem> items;  // all first: what does not fit is refused before the long work
  for (std::size_t i = 0; i < count; ++i) {
    items.push_back(encode(measure, set, set.items[i]));
  }
  std::vector<std::uint8_t> hits(count);
  for_each_with_progress(measure, "choices " + set.name, static_cast<std::int64_t>(count), [&](std::int64_t i) {
    auto index = static_cast<std::size_t>(i);
    std::vector<double> scores = measure.decoder.score_options(items[index].prefix, items[index].options);
    if (!std::ranges::all_of(scores, [](double score) { return std::isfinite(score); })) {
      throw Error(ErrorCode::parse_error,
                  "the model \"" + measure.decoder.config().name + "\" gives no finite probabilities on " + set.source +
                      ":" + std::to_string(set.items[index].line) + "; its weights hold NaN or infinity");
    }
    auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();  // the first among equals
    hits[index] = best == set.items[index].answer ? 1 : 0;
  });
  return summarise(set, std::move(hits));
}

}  // namespace advisor
