// What of a case decides how much a model loses, as levels of the terms of the fitted model (quality_fit.h): the same
// code describes the rows that are learnt from and the questions that are asked.
#pragma once

#include <string>
#include <vector>

#include "estimate/quality_case.h"

namespace advisor {

/// value x coefficient(term, level) is one summand of the log damage.
struct Level {
  std::string term, level;
  double value = 1;
};
using Levels = std::vector<Level>;

/// What is believed of a level before any measurement: normal, with this mean and standard deviation.
struct LevelPrior {
  double mean, sd;
};
LevelPrior level_prior(const std::string& term);
/// All terms, sorted: for the record.
std::vector<std::string> level_terms();

/// Bits that carry values: without the scales of K-quants, with fractions where a table states them.
double value_bits(const Treatment& treatment);
/// How far below 4 bits, else 0: techniques, and models, part there.
double bits_below_four(const Treatment& treatment);

Levels treatment_levels(const Treatment& treatment);
/// Without the level "model_low", which counts once per bit below four.
Levels model_levels(const Model& model, bool pruned);
/// `headroom`: ln of what the uncompressed model scores above chance, in units of one half.
Levels task_levels(const Yardstick& yardstick, bool pruned, double headroom);
/// Instead of task_levels where the measure is a perplexity.
Levels perplexity_levels(const std::string& task, const Treatment& treatment);
Levels source_levels(const std::string& source, const Treatment& treatment);

/// Technique and format, or technique and pattern.
std::string recipe_name(const Treatment& treatment);
/// Bits or pattern, whatever the technique.
std::string step_name(const Treatment& treatment);

/// One word per treatment that measurements of one model are compared by.
std::string treatment_key(const Treatment& treatment);

/// Tasks without one level of chance (averages, choices of varying number) keep a share that is guessed; it is fitted.
bool guess_is_fitted(const Yardstick& yardstick);
double headroom(double baseline, double chance);

}  // namespace advisor
