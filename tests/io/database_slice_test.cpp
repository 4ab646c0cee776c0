// What a question about one point loads has to give the same answer as everything.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "core/json.h"
#include "estimate/estimator.h"
#include "io/database.h"
#include "small_data.h"

namespace advisor {
namespace {

const Knowledge& whole() {
  static const Knowledge knowledge = load_knowledge(whole_database);
  return knowledge;
}

struct Treated {
  const char *technique, *scheme, *format, *engine;
};
constexpr Treated treatments[] = {{"gptq", "W4A16-g128", "compressed-tensors", "vllm"},
                                  {"gguf-k", "Q4_K_M", "gguf", "llama.cpp"},
                                  {"fp8", "W8A8-fp8", "compressed-tensors", "sglang"},
                                  {"none", "W16A16", "safetensors", "transformers"},
                                  {"mlx", "W4A16-g64", "mlx", "mlx"},
                                  {"rtn", "W3A16-g128", "compressed-tensors", "no-such-engine"}};

/// `i` only mixes: every model with some treatment, device and task, each of these with many models.
Point point_of(std::size_t i) {
  Point point;
  point.model = whole().models[i % whole().models.size()];
  const Treated& treated = treatments[i % std::size(treatments)];
  point.variant.model = point.model.id;
  point.variant.technique = treated.technique;
  point.variant.scheme = treated.scheme;
  point.variant.format = treated.format;
  point.variant.engine = treated.engine;
  point.hardware.device = whole().devices[(i * 7) % whole().devices.size()];
  point.tasks = {whole().tasks[(i * 5) % whole().tasks.size()], whole().tasks[(i * 11 + 3) % whole().tasks.size()]};
  point.load.concurrency = i % 2 == 0 ? 1 : 8;
  return point;
}

Selection selection_of(const Point& point) {
  return {point.model.id, point.hardware.device.id, {{point.tasks[0].id, point.tasks[1].id}}, point.variant.engine};
}

std::string answer(const Estimator& estimator, const Point& point) {
  PointEstimate answer;
  answer.estimates = estimator.at(point);
  return to_json(answer);
}

TEST(DatabaseSlice, AnswersAsTheWholeDoes) {
  const Estimator all(whole());
  std::set<std::string> answers;
  for (std::size_t i = 0; i < whole().models.size(); i += 2) {
    const Point point = point_of(i);
    const Knowledge slice = load_knowledge(whole_database, selection_of(point));
    const std::string expected = answer(all, point);
    EXPECT_EQ(answer(Estimator(slice), point), expected) << point.variant.id() << " on " << point.hardware.device.id;
    answers.insert(expected);
  }
  EXPECT_GT(answers.size(), whole().models.size() / 3) << "the points hardly differ";
}

TEST(DatabaseSlice, MostMeasuredModelsAnswerAsTheWholeDoes) {
  std::map<std::string, std::size_t> rows;
  for (const auto& row : whole().quality) ++rows[row.model];
  for (const auto& row : whole().speed) ++rows[row.model];
  const Estimator all(whole());
  std::size_t asked = 0;
  for (std::size_t i = 0; i < whole().models.size(); ++i) {
    if (rows[whole().models[i].id] < 100) continue;
    for (std::size_t step = 0; step < std::size(treatments); ++step) {
      Point point = point_of(i + step);
      point.model = whole().models[i];
      point.variant.model = point.model.id;
      const Knowledge slice = load_knowledge(whole_database, selection_of(point));
      EXPECT_EQ(answer(Estimator(slice), point), answer(all, point))
          << point.variant.id() << " on " << point.hardware.device.id;
      ++asked;
    }
  }
  EXPECT_GT(asked, 50U);
}

TEST(DatabaseSlice, HoldsRowsOfTheQuestionOnly) {
  const Selection only{"meta-llama/Llama-3.1-8B-Instruct", "nvidia-a100-sxm4-80gb", {{"mmlu"}}, "vllm"};
  const Knowledge slice = load_knowledge(whole_database, only);
  ASSERT_EQ(slice.models.size(), 1U);
  ASSERT_EQ(slice.devices.size(), 1U);
  EXPECT_EQ(slice.tasks.size(), whole().tasks.size());
  EXPECT_FALSE(slice.quality.empty());
  for (const auto& row : slice.quality) EXPECT_EQ(row.model, only.model);
  for (const auto& row : slice.speed) EXPECT_EQ(row.model + row.hardware, only.model + only.hardware);
  for (const auto& row : slice.scores) EXPECT_EQ(row.model, only.model);
  const auto same = [&](const auto& mine, const auto& all) {
    return mine.model == all.model && mine.source == all.source && mine.locator == all.locator;
  };
  std::size_t found = 0;  // in the order of the whole
  for (const auto& row : whole().quality)
    if (found < slice.quality.size() && same(slice.quality[found], row)) ++found;
  EXPECT_EQ(found, slice.quality.size());
  EXPECT_LT(4 * slice.fits.size(), whole().fits.size());
  for (const FittedTerm& term : slice.fits) {
    EXPECT_NE(std::find(whole().fits.begin(), whole().fits.end(), term), whole().fits.end());
    if (term.term == "model" || term.term == "ability") {
      EXPECT_EQ(term.level, only.model);
    }
    EXPECT_EQ(term.level.find("llama.cpp"), std::string::npos) << term.term << " " << term.level;
    EXPECT_EQ(term.level.find("nvidia-h100"), std::string::npos) << term.term << " " << term.level;
  }
}

}  // namespace
}  // namespace advisor
