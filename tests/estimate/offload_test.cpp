#include "estimate/offload.h"

#include <gtest/gtest.h>

#include <cmath>

#include "estimate/memory.h"
#include "estimate/offload_fit.h"
#include "estimate/speed_model.h"
#include "fixture.h"

namespace advisor {
namespace {

constexpr double gib = 1024.0 * 1024 * 1024;

/// Qwen3-30B-A3B as in its config.json: 48 layers with 128 experts, 8 in use.
Model mixture() {
  Model m;
  m.id = "moe";
  m.architecture = "qwen3_moe";
  m.params = 30.532e9, m.active_params = 3.35e9;
  m.layers = 48, m.hidden = 2048, m.intermediate = 6144, m.heads = 32, m.kv_heads = 4, m.head_dim = 128;
  m.vocab = 151936, m.experts = 128, m.experts_used = 8, m.moe_intermediate = 768, m.tie_embeddings = false;
  return m;
}

Variant gguf(const Model& m, const char* scheme) { return as(m, "gguf-k", scheme, "gguf", "llama.cpp"); }

Hardware card(double memory, double host = 0) {
  Hardware hardware;
  hardware.device.vendor = "NVIDIA", hardware.device.kind = "consumer-gpu", hardware.device.generation = "Turing";
  hardware.device.memory = memory * gib, hardware.device.bandwidth = 448e9, hardware.device.fp16 = 80e12;
  if (host > 0) hardware.host_memory = host * gib, hardware.host_bandwidth = 102e9;
  return hardware;
}

LayerBytes bytes_of(const Model& m, const char* scheme) {
  return *layer_bytes(*layout_of(m), weight_format(gguf(m, scheme), m));
}

TEST(Offload, ExpertsOfALayerWeighWhatTheirMatricesDo) {
  const auto m = mixture();
  const auto bytes = bytes_of(m, "Q8_0");
  EXPECT_EQ(bytes.kind, OffloadKind::experts);
  EXPECT_EQ(bytes.layers(), 48);
  const double layer = 128 * 3.0 * 768 * 2048 * 34 / 32;  // Q8_0: 34 bytes per 32 values
  for (std::size_t n = 0; n <= 48; ++n) EXPECT_NEAR(bytes.moved[n], static_cast<double>(n) * layer, 1) << n;
  EXPECT_DOUBLE_EQ(bytes.embedding, 151936.0 * 2048 * 34 / 32);
  EXPECT_DOUBLE_EQ(bytes.used, 8.0 / 128);
  EXPECT_NEAR(bytes.largest, layer, 1);
}

TEST(Offload, WhatMovesAndWhatStaysAddUpToTheFile) {
  for (const auto& m : {mixture(), llama_8b(), llama_70b()})
    for (const char* scheme : {"Q4_K_M", "Q6_K", "Q3_K_M", "F16"}) {
      const auto layout = layout_of(m);
      const auto bytes = bytes_of(m, scheme);
      const auto all = weight_bytes(*layout, weight_format(gguf(m, scheme), m)).stored;
      double head = 0, rest = 0;
      for (const auto& group : layout->groups) {
        const double stored = stored_bytes(group, *layout, weight_format(gguf(m, scheme), m));
        if (group.role == TensorRole::head) head += stored;
        if (group.role != TensorRole::head && group.role != TensorRole::embedding && !group.routed) rest += stored;
      }
      const auto placed = place(bytes, bytes.layers());
      const double left = all - placed.left;  // on the device
      EXPECT_NEAR(left, head + (bytes.kind == OffloadKind::experts ? rest : 0), 1e-6 * all) << m.id << scheme;
      double before = -1;
      for (std::int64_t n = 0; n <= bytes.layers(); ++n) {
        EXPECT_GT(place(bytes, n).left, before);
        before = place(bytes, n).left;
      }
    }
}

TEST(Offload, TiedEmbeddingsStayWithTheHead) {
  auto m = mixture();
  m.tie_embeddings = true;
  const auto bytes = bytes_of(m, "Q8_0");
  EXPECT_EQ(bytes.embedding, 0);
  EXPECT_GT(bytes.copy, 0);
  const auto placed = place(bytes, 3);
  EXPECT_DOUBLE_EQ(placed.host_weights, placed.left + bytes.copy);
}

TEST(Offload, ExpertsThatCannotBeToldFromTheRestStay) {
  auto m = mixture();
  m.heads.reset();
  m.moe_intermediate.reset(), m.intermediate.reset();  // the stated size alone
  const auto layout = layout_of(m);
  ASSERT_EQ(layout->basis, "parameters");
  EXPECT_FALSE(layer_bytes(*layout, weight_format(gguf(m, "Q4_K_M"), m)));
  m.experts.reset(), m.experts_used.reset();  // dense: evenly
  const auto dense = layer_bytes(*layout_of(m), weight_format(gguf(m, "Q4_K_M"), m));
  ASSERT_TRUE(dense);
  EXPECT_NEAR(dense->moved[24], dense->moved[48] / 2, 1);
  m.layers.reset();
  EXPECT_FALSE(layer_bytes(*layout_of(m), weight_format(gguf(m, "Q4_K_M"), m)));
}

TEST(Offload, FewestLayers) {
  for (std::int64_t of : {1, 2, 7, 48})
    for (std::int64_t least = 1; least <= of; ++least)
      EXPECT_EQ(fewest_layers(of, [&](std::int64_t n) { return n >= least; }), least);
  EXPECT_EQ(fewest_layers(9, [](std::int64_t) { return false; }), 0);
  EXPECT_EQ(fewest_layers(0, [](std::int64_t) { return true; }), 0);
}

TEST(Offload, MakesRoomWithTheFewestLayers) {
  const auto m = mixture();
  const auto v = gguf(m, "Q4_K_M");
  EXPECT_FALSE(estimate_memory(m, v, card(8), 4096, 1)->host) << "nobody says that the host has memory";
  EXPECT_FALSE(estimate_memory(m, v, card(40, 64), 4096, 1)->host) << "it fits";
  const auto e = *estimate_memory(m, v, card(8, 62), 4096, 1);
  ASSERT_TRUE(e.host);
  EXPECT_EQ(e.host->kind, "experts");
  // A published run on such a card had 36 of 48 there and room to spare (data/measurements/offload).
  EXPECT_GE(e.host->layers, 28);
  EXPECT_LE(e.host->layers, 38);
  EXPECT_LT(e.total, e.available);
  EXPECT_GE(memory_distribution(e).probability_below(e.available), 0.9);
  EXPECT_LT(e.host->weights, e.host->available);
  // One layer fewer does not fit.
  const auto bytes = bytes_of(m, "Q4_K_M");
  const double layer = place(bytes, e.host->layers).left - place(bytes, e.host->layers - 1).left;
  auto less = e;
  less.total += layer;
  EXPECT_LT(memory_distribution(less).probability_below(less.available), 0.9);
  EXPECT_FALSE(estimate_memory(m, v, card(8, 12), 4096, 1)->host) << "the host has no room";
  auto vllm = v;
  vllm.engine = "vllm";
  EXPECT_FALSE(estimate_memory(m, vllm, card(8, 62), 4096, 1)->host);
}

TEST(Offload, MoreMemoryOfTheDeviceLeavesFewerLayersWithTheHost) {
  for (const auto& m : {mixture(), llama_70b()}) {
    std::int64_t before = 1000;
    for (double memory = 8; memory < 40; memory += 4) {
      const auto e = *estimate_memory(m, gguf(m, "Q4_K_M"), card(memory, 128), 4096, 1);
      const auto layers = e.host ? e.host->layers : 0;
      EXPECT_LE(layers, before) << memory;
      before = layers;
    }
  }
}

TEST(Offload, OneMemoryForBothHasNoHost) {
  auto spark = card(128, 128);
  spark.device.unified_memory = true;
  EXPECT_FALSE(has_host_memory(spark));
  EXPECT_EQ(usable_host_memory(spark), 0);
  auto cpu = card(64, 64);
  cpu.device.kind = "x86-cpu";
  EXPECT_FALSE(has_host_memory(cpu));
  EXPECT_TRUE(has_host_memory(card(8)));
  EXPECT_EQ(usable_host_memory(card(8)), 0) << "nobody says how much";
}

/// A step that waits for the host takes its bytes over its rate longer; a prompt the copies of each chunk.
TEST(Offload, TheHostAddsItsTime) {
  const auto m = mixture();
  const auto v = gguf(m, "Q4_K_M");
  const auto bytes = bytes_of(m, "Q4_K_M");
  const auto weights = *estimate_weights(m, v);
  const auto kv = kv_layout(m);
  const HostRates host{{std::log(50e9), 0.3, 6}, {std::log(12e9), 0.3, 6}};
  const auto placed = place(bytes, 36);
  const auto seconds = [&](const Placement* where, SpeedQuantity quantity, std::int64_t prompt, std::int64_t clients) {
    const SpeedBytes with{weights.bytes,
                          weights.read_bytes,
                          weights.active_params,
                          &*kv,
                          2,
                          8 * gib,
                          where,
                          where != nullptr ? &host : nullptr};
    auto work = *speed_work(m, with, describe_scheme(v.scheme), engine_traits("llama.cpp"), card(8, 62),
                            {prompt, 128, clients});
    auto device = work;
    device.host_rate = 0;
    const auto rates = speed_rates({0.5, 0, -9, -2, -5, -9, -9, -9, 0, 0});
    return std::pair(std::exp(log_seconds(work, rates, quantity).value),
                     std::exp(log_seconds(device, rates, quantity).value));
  };
  const auto [step, without] = seconds(&placed, SpeedQuantity::decode, 512, 1);
  EXPECT_NEAR(step - without, placed.host_read / 50e9, 1e-9);
  const auto [eight, others] = seconds(&placed, SpeedQuantity::decode, 512, 8);
  const double touched = placed.host_read + placed.host_rest * (1 - std::pow(1 - 8.0 / 128, 7));
  EXPECT_NEAR((eight - others) * 8, touched / 50e9, 1e-6);
  const auto [prompt, alone] = seconds(&placed, SpeedQuantity::first_token, 1024, 1);
  EXPECT_NEAR(prompt - alone, 2 * (placed.host_read + placed.host_rest) / 12e9, 0.001 * prompt) << "two chunks";
  const auto [few, arithmetic] = seconds(&placed, SpeedQuantity::first_token, 8, 1);
  EXPECT_NEAR(few - arithmetic, touched / 50e9, 1e-6) << "too few tokens to copy for";
  const auto [none, same] = seconds(nullptr, SpeedQuantity::decode, 512, 1);
  EXPECT_EQ(none, same);
  EXPECT_LT(none, step);
}

TEST(Offload, RatesNeedEvidenceAndAHost) {
  EXPECT_FALSE(OffloadTable().rates(card(8, 64), OffloadKind::experts));
  const std::vector<FittedTerm> terms{{"offload", "efficiency", "experts", std::log(0.5), 0.3, 4, {"a"}},
                                      {"offload", "efficiency", "layers", std::log(0.6), 0.3, 2, {"b"}},
                                      {"offload", "link", "", std::log(0.8), 0.3, 3, {"a"}}};
  const OffloadTable table(terms);
  EXPECT_EQ(table.rows(), 9);
  EXPECT_EQ(table.sources(), (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(table.rates(card(8, 64), OffloadKind::none));
  auto hardware = card(8, 64);
  hardware.device.host_link = 16e9;
  const auto known = *table.rates(hardware, OffloadKind::layers);
  EXPECT_NEAR(std::exp(known.log_read.mean), 0.6 * 102e9, 1);
  EXPECT_NEAR(std::exp(known.log_link.mean), 0.8 * 16e9, 1);
  hardware.host_bandwidth.reset();
  const auto assumed = *table.rates(hardware, OffloadKind::experts);
  EXPECT_NEAR(std::exp(assumed.log_read.mean), 0.5 * assumed_host_bandwidth, 1);
  EXPECT_GT(assumed.log_read.sd, known.log_read.sd);
  hardware.device.unified_memory = true;
  EXPECT_FALSE(table.rates(hardware, OffloadKind::experts));
}

TEST(Offload, RowsThatSayNothingAreLeftOutWithTheReason) {
  Knowledge knowledge;
  knowledge.models = {mixture()};
  OffloadMeasurement row;
  row.model = "moe", row.hardware = "card", row.engine = "llama.cpp", row.format = "Q4_K_M";
  row.cpu_moe_layers = 36, row.metric = "decode_tok_s", row.value = 30, row.host_bandwidth = 100e9;
  const auto reason = [&](const OffloadMeasurement& one) {
    std::string why;
    EXPECT_FALSE(observe_offload(knowledge, one, {}, &why));
    return why;
  };
  EXPECT_EQ(reason(row), "hardware is in no catalog");
  knowledge.devices = {card(8).device};
  knowledge.devices[0].id = "card";
  EXPECT_EQ(reason(row), "the device's part cannot be estimated");
  auto other = row;
  other.model = "stranger";
  EXPECT_EQ(reason(other), "model is in no catalog");
  other = row, other.host_bandwidth.reset();
  EXPECT_EQ(reason(other), "bandwidth of the host's memory is not stated");
  other = row, other.cpu_moe_layers.reset(), other.gpu_layers = 12;
  EXPECT_EQ(reason(other), "not the kind of offload that the model has");
  other = row, other.metric = "ttft_ms";
  EXPECT_EQ(reason(other), "ttft_ms is no rate of decoding or of prompts");
  other = row, other.suspect = "swapped";
  EXPECT_EQ(reason(other), "marked as suspect");
}

}  // namespace
}  // namespace advisor
