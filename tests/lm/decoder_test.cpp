#include "lm/decoder.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "lm/memory_checkpoint.h"

namespace advisor {
namespace {

using testing::expect_refusal;
using testing::MemoryCheckpoint;
using Ids = std::vector<std::int32_t>;

const Checkpoint& tiny_checkpoint() {
  static const std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(testing::tiny_folder());
  return *checkpoint;
}

const Decoder& tiny() {
  static const Decoder decoder(tiny_checkpoint());
  return decoder;
}

Ids random_ids(std::mt19937& random, std::size_t length) {
  Ids ids;
  for (std::size_t i = 0; i < length; ++i) {
    ids.push_back(static_cast<std::int32_t>(random() % 4096));
  }
  return ids;
}

void expect_close(std::span<const float> a, std::span<const float> b, float tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_NEAR(a[i], b[i], tolerance) << "at " << i;
  }
}

TEST(Decoder, WhatFollowsChangesNothingBefore) {
  std::mt19937 random(1);
  Ids ids = random_ids(random, 150);  // more than one block of rows
  Tensor all = tiny().logits(ids);
  for (std::size_t n : {std::size_t{1}, std::size_t{63}, std::size_t{64}, std::size_t{65}, std::size_t{149}}) {
    Tensor part = tiny().logits(std::span(ids).first(n));
    expect_close(part.row(static_cast<std::int64_t>(n) - 1), all.row(static_cast<std::int64_t>(n) - 1), 2e-4F);
  }
}

TEST(Decoder, LogProbabilitiesAreTheLogSoftmaxOfTheLogits) {
  std::mt19937 random(2);
  Ids ids = random_ids(random, 100);
  Tensor logits = tiny().logits(ids);
  std::vector<double> got = tiny().log_probabilities(ids, 3);
  ASSERT_EQ(got.size(), 97U);
  for (std::size_t i = 3; i < ids.size(); ++i) {
    double sum = 0;
    for (float value : logits.row(static_cast<std::int64_t>(i) - 1)) {
      sum += std::exp(static_cast<double>(value));
    }
    double expected =
        static_cast<double>(logits.row(static_cast<std::int64_t>(i) - 1)[static_cast<std::size_t>(ids[i])]) -
        std::log(sum);
    EXPECT_NEAR(got[i - 3], expected, 1e-4);
  }
}

TEST(Decoder, OptionsScoreAsIfEachWereAlone) {
  std::mt19937 random(3);
  for (int round = 0; round < 6; ++round) {
    Ids prefix = random_ids(random, 1 + random() % 80);
    std::vector<Ids> options;
    for (std::size_t length : {1, 1, 3, 2, 9, 90}) {
      options.push_back(random_ids(random, length));
    }
    std::vector<double> together = tiny().score_options(prefix, options);
    ASSERT_EQ(together.size(), options.size());
    for (std::size_t i = 0; i < options.size(); ++i) {
      Ids whole = prefix;
      whole.insert(whole.end(), options[i].begin(), options[i].end());
      double alone = 0;
      for (double p : tiny().log_probabilities(whole, static_cast<std::int64_t>(prefix.size()))) {
        alone += p;
      }
      EXPECT_NEAR(together[i], alone, 1e-4 * static_cast<double>(options[i].size()) + 1e-4);
    }
  }
}

TEST(Decoder, AgreesWithPyTorch) {
  std::ifstream file(std::string(ADVISOR_SOURCE_DIR) + "/tests/lm/parity_small.json");
  nlohmann::json expected = nlohmann::json::parse(file);
  auto ids = expected["token_ids"].get<Ids>();
  Tensor logits = tiny().logits(ids);
  auto last = static_cast<std::int64_t>(ids.size()) - 1;
  std::span<const float> row = logits.row(last);
  expect_close(row.first(16), expected["logits_last_position_first16"].get<std::vector<float>>(), 1e-4F);
  double sum = 0, squares = 0;
  for (float value : row) {
    sum += static_cast<double>(value);
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  EXPECT_NEAR(sum / expected["logits_sum"].get<double>(), 1, 1e-5);
  EXPECT_NEAR(std::sqrt(squares) / expected["logits_l2"].get<double>(), 1, 1e-5);
  for (const auto& top : expected["top5"]) {
    EXPECT_NEAR(row[top[0].get<std::size_t>()], top[1].get<float>(), 1e-4F);
  }
  std::vector<Tensor> states = tiny().hidden_states(ids);
  const auto& residual = expected["residual_last_position_first8"];
  ASSERT_EQ(states.size(), residual.size());
  for (std::size_t i = 0; i < states.size(); ++i) {
    expect_close(states[i].row(last).first(8), residual[i].get<std::vector<float>>(), 1e-4F);
  }
}

TEST(Decoder, AnUntiedHeadIsUsed) {
  MemoryCheckpoint untied(tiny_checkpoint());
  untied.change().tie_embeddings = false;
  untied.data["lm_head.weight"] = untied.data.at("model.embed_tokens.weight");
  untied.refresh();
  Ids ids = {0, 340, 491, 277};
  Tensor expected = tiny().logits(ids);
  expect_close(Decoder(untied).logits(ids).span(), expected.span(), 0);

  for (float& value : untied.data["lm_head.weight"].values) {
    value *= 2;
  }
  for (float& value : expected.span()) {
    value *= 2;
  }
  expect_close(Decoder(untied).logits(ids).span(), expected.span(), 0);
  untied.change().tie_embeddings = true;  // tied wins over a copy that a file may carry
  expect_close(Decoder(untied).logits(ids).span(), tiny().logits(ids).span(), 0);
}

TEST(Decoder, DoesNotDependOnTheThreadsThatLoaded) {
  Ids ids = {0, 340, 491, 277};
  expect_close(Decoder(tiny_checkpoint(), 1).logits(ids).span(), Decoder(tiny_checkpoint(), 3).logits(ids).span(), 0);
}

TEST(Decoder, NothingInNothingOut) {
  EXPECT_EQ(tiny().logits({}).rows(), 0);
  EXPECT_EQ(tiny().hidden_states({}).size(), 4U);
  EXPECT_TRUE(tiny().log_probabilities({}, 1).empty());
  EXPECT_TRUE(tiny().log_probabilities(Ids{5}, 1).empty());
}

TEST(Decoder, RefusesModelsItWouldGetWrong) {
  auto refused = [](auto change, ErrorCode code, std::initializer_list<const char*> parts) {
    MemoryCheckpoint model(tiny_checkpoint());
    change(model);
    model.refresh();
    expect_refusal([&] { Decoder decoder(model); }, code, parts);
  };
  const std::string query = "model.layers.1.self_attn.q_proj.weight";
  refused([](auto& m) { m.change().architecture = "MambaForCausalLM"; }, ErrorCode::unsupported,
          {"MambaForCausalLM", "LlamaForCausalLM"});
  refused([](auto& m) { m.change().activation = "gelu"; }, ErrorCode::unsupported, {"gelu", "silu"});
  refused([](auto& m) { m.change().rope_scaling.type = "ntk"; }, ErrorCode::unsupported, {"ntk"});
  refused([](auto& m) { m.change().kv_heads = 3; }, ErrorCode::unsupported, {"3"});
  refused([](auto& m) { m.change().head_dim = 31; }, ErrorCode::unsupported, {"31"});
  refused([](auto& m) { m.change().hidden = -128; }, ErrorCode::unsupported, {"hidden", "-128"});
  refused([](auto& m) { m.change().layers = std::int64_t{1} << 62; }, ErrorCode::unsupported, {"layers"});
  refused([](auto& m) { m.change().layers = 4; }, ErrorCode::not_found, {"model.layers.3."});
  refused([](auto& m) { m.change().layers = 2; }, ErrorCode::unsupported, {"model.layers.2."});
  refused([](auto& m) { m.change().vocab = 4095; }, ErrorCode::parse_error, {"embed_tokens", "[4096, 128]", "4095"});
  refused([](auto& m) { m.change().tie_embeddings = false; }, ErrorCode::not_found, {"lm_head.weight"});
  refused([&](auto& m) { m.data.erase(query); }, ErrorCode::not_found, {query.c_str()});
  refused([&](auto& m) { m.data[query].shape = {64, 256}; }, ErrorCode::parse_error, {query.c_str(), "[64, 256]"});
  refused(
      [](auto& m) {
        m.data["model.layers.0.self_attn.q_proj.bias"] = {{128}, std::vector<float>(128)};
      },
      ErrorCode::unsupported, {"model.layers.0.self_attn.q_proj.bias"});
}

TEST(Decoder, RefusesTokensItDoesNotKnowAndSequencesTooLong) {
  expect_refusal([] { tiny().logits(Ids{0, 4096}); }, ErrorCode::invalid_argument, {"4096"});
  expect_refusal([] { tiny().logits(Ids{-1}); }, ErrorCode::invalid_argument, {"-1"});
  expect_refusal([] { tiny().logits(Ids(257, 5)); }, ErrorCode::invalid_argument, {"257", "256"});
  expect_refusal([] { tiny().log_probabilities(Ids{0, 1}, 0); }, ErrorCode::invalid_argument, {"first token"});
  expect_refusal([] { tiny().score_options({}, std::vector<Ids>{{1}}); }, ErrorCode::invalid_argument, {"prefix"});
  expect_refusal(
      [] {
        tiny().score_options(Ids{0}, std::vector<Ids>{{1}, {}});
      },
      ErrorCode::invalid_argument, {"options"});
}

}  // namespace
}  // namespace advisor
