// Every architecture against Hugging Face transformers, block for block (make_parity.py made the fixtures).
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "checkpoint/checkpoint.h"
#include "gtest/gtest.h"
#include "lm/block.h"
#include "lm/decoder.h"
#include "lm/parity_models.h"

namespace advisor {
namespace {

using testing::parity_folder;

/// Largest difference, in parts of the largest expected value.
double error_of(const Tensor& got, const std::vector<double>& expected) {
  EXPECT_EQ(static_cast<std::size_t>(got.size()), expected.size());
  double error = 0, scale = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    error = std::max(error, std::abs(static_cast<double>(got.span()[i]) - expected[i]));
    scale = std::max(scale, std::abs(expected[i]));
  }
  return error / scale;
}

class Parity : public ::testing::TestWithParam<const char*> {};

TEST_P(Parity, EveryBlockGivesWhatTransformersGives) {
  auto checkpoint = open_checkpoint(parity_folder(GetParam()));
  auto expected = nlohmann::json::parse(std::ifstream(parity_folder(GetParam()) / "expected.json"));
  auto ids = expected["token_ids"].get<std::vector<std::int32_t>>();
  Decoder decoder(*checkpoint);
  std::vector<Tensor> states = decoder.hidden_states(ids);
  ASSERT_EQ(states.size(), expected["states"].size());
  double worst = 0;
  for (std::size_t i = 0; i < states.size(); ++i) {
    double error = error_of(states[i], expected["states"][i].get<std::vector<double>>());
    EXPECT_LT(error, 1e-5) << "behind block " << i;  // float32 sums in another order; 3e-6 was the largest seen
    worst = std::max(worst, error);
  }
  double head = error_of(decoder.logits(ids), expected["logits"].get<std::vector<double>>());
  EXPECT_LT(head, 1e-5) << "logits";
  std::ostringstream largest;
  largest << std::max(worst, head);
  RecordProperty("largest_error", largest.str());
}

INSTANTIATE_TEST_SUITE_P(Architectures, Parity, ::testing::ValuesIn(testing::parity_models), [](const auto& info) {
  std::string name = info.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

}  // namespace
}  // namespace advisor
