// The door as a whole, on the shipped knowledge: what every estimate owes its reader.
#include "estimate/estimator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "io/database.h"

namespace advisor {
namespace {

const std::filesystem::path database = std::filesystem::path(ADVISOR_BINARY_DIR) / "share/advisor/advisor.db";

const Knowledge& whole() {
  static const Knowledge knowledge = load_knowledge(database);
  return knowledge;
}

const Estimator& estimator() {
  static const Estimator estimator(whole());
  return estimator;
}

template <typename Item>
const Item& find(const std::vector<Item>& items, const std::string& id) {
  const auto found = std::find_if(items.begin(), items.end(), [&](const Item& item) { return item.id == id; });
  EXPECT_NE(found, items.end()) << id;
  return *found;
}

Variant variant(const std::string& technique, const std::string& scheme, const std::string& format,
                const std::string& engine) {
  Variant v;
  v.technique = technique;
  v.scheme = scheme;
  v.format = format;
  v.engine = engine;
  return v;
}

Point point_of(const std::string& model, Variant v, const std::string& hardware, std::int64_t concurrency = 1) {
  Point point;
  point.model = find(whole().models, model);
  v.model = model;
  point.variant = std::move(v);
  point.hardware.device = find(whole().devices, hardware);
  point.hardware.source = "catalog";
  point.tasks = {find(whole().tasks, "mmlu"), find(whole().tasks, "gsm8k")};
  point.load.concurrency = concurrency;
  return point;
}

/// Known and unknown ground: measured models, models that nobody compressed, CPUs, engines without a row.
std::vector<Point> points() {
  const std::vector<Variant> variants = {variant("none", "W16A16", "safetensors", "vllm"),
                                         variant("gptq", "W4A16-g128", "compressed-tensors", "vllm"),
                                         variant("awq", "W4A16-g128", "autoawq", "sglang"),
                                         variant("fp8", "W8A8-fp8", "compressed-tensors", "tensorrt-llm"),
                                         variant("gguf-k", "Q4_K_M", "gguf", "llama.cpp"),
                                         variant("gguf-legacy", "Q8_0", "gguf", "llama.cpp"),
                                         variant("rtn", "W3A16-g64", "compressed-tensors", "vllm"),
                                         variant("nf4", "W4A16-g64", "bitsandbytes", "transformers")};
  std::vector<Point> all;
  for (const char* model :
       {"meta-llama/Llama-3.1-8B-Instruct", "mistralai/Mistral-7B-v0.1", "Qwen/Qwen2.5-72B-Instruct",
        "google/gemma-3-27b-it", "mistralai/Mixtral-8x7B-Instruct-v0.1"})
    for (const char* hardware : {"nvidia-a100-sxm4-80gb", "nvidia-rtx-4090-24gb", "nvidia-t4-16gb"})
      for (const auto& v : variants)
        for (const std::int64_t concurrency : {1, 32}) all.push_back(point_of(model, v, hardware, concurrency));
  return all;
}

const NamedEstimate* named(const std::vector<NamedEstimate>& all, const std::string& name,
                           const std::string& task = "") {
  for (const auto& e : all)
    if (e.name == name && e.task == task) return &e;
  return nullptr;
}

TEST(Estimator, NothingWithoutBasisAndSources) {
  for (const auto& point : points()) {
    for (const auto& e : estimator().at(point)) {
      const std::string what = point.variant.id() + " " + e.name + " " + e.task;
      ASSERT_NE(e.estimate.has_value(), !e.missing.empty()) << what;
      if (!e.estimate) continue;
      const Estimate& value = *e.estimate;
      EXPECT_TRUE(std::isfinite(value.mean) && std::isfinite(value.low) && std::isfinite(value.high)) << what;
      EXPECT_LE(value.low, value.mean) << what;
      EXPECT_GE(value.high, value.mean) << what;
      if (e.name == "quality.retention" && point.variant.technique == "none") continue;  // a copy keeps exactly 1
      EXPECT_FALSE(value.sources.empty()) << what;
      EXPECT_TRUE(std::is_sorted(value.sources.begin(), value.sources.end())) << what;
      EXPECT_GE(value.n, 1) << what;
      EXPECT_EQ(value.level, 0.9) << what;
    }
  }
}

TEST(Estimator, OneModelsRowsAreEnough) {
  for (const char* model : {"meta-llama/Llama-3.1-8B-Instruct", "mistralai/Mistral-7B-v0.1", "google/gemma-3-27b-it"}) {
    for (const char* hardware : {"nvidia-a100-sxm4-80gb", "nvidia-t4-16gb"}) {
      const Knowledge slice = load_knowledge(database, {model, hardware, {{"mmlu", "gsm8k"}}});
      ASSERT_LT(slice.quality.size(), whole().quality.size());
      const Estimator from_slice(slice);
      for (const auto& point : points()) {
        if (point.model.id != model || point.hardware.device.id != hardware) continue;
        const auto a = estimator().at(point), b = from_slice.at(point);
        ASSERT_EQ(a.size(), b.size());
        for (std::size_t i = 0; i < a.size(); ++i) {
          ASSERT_EQ(a[i].estimate.has_value(), b[i].estimate.has_value()) << point.variant.id() << " " << a[i].name;
          if (!a[i].estimate) continue;
          EXPECT_EQ(a[i].estimate->mean, b[i].estimate->mean) << point.variant.id() << " " << a[i].name;
          EXPECT_EQ(a[i].estimate->low, b[i].estimate->low) << point.variant.id() << " " << a[i].name;
          EXPECT_EQ(a[i].estimate->sources, b[i].estimate->sources) << point.variant.id() << " " << a[i].name;
        }
      }
    }
  }
}

TEST(Estimator, AWiderLevelIsAWiderInterval) {
  for (auto point : points()) {
    point.level = 0.5;
    const auto narrow = estimator().at(point);
    point.level = 0.95;
    const auto wide = estimator().at(point);
    for (std::size_t i = 0; i < narrow.size(); ++i) {
      if (!narrow[i].estimate || narrow[i].name == "usd_per_hour") continue;
      EXPECT_LE(narrow[i].estimate->high - narrow[i].estimate->low, wide[i].estimate->high - wide[i].estimate->low)
          << point.variant.id() << " " << narrow[i].name;
    }
  }
}

TEST(Estimator, WhatIsNotKnownSaysWhatIsNeeded) {
  Point point = point_of("meta-llama/Llama-3.1-8B-Instruct",
                         variant("gptq", "W4A16-g128", "compressed-tensors", "vllm"), "nvidia-a100-sxm4-80gb");
  point.hardware = {};
  const auto all = estimator().at(point);
  for (const char* name : {"decode_tokens_per_second", "tpot_seconds", "ttft_seconds", "usd_per_hour"}) {
    const auto* e = named(all, name);
    ASSERT_NE(e, nullptr) << name;
    EXPECT_FALSE(e->estimate) << name;
    EXPECT_NE(e->missing.find("--hardware"), std::string::npos) << name;
  }
  EXPECT_TRUE(named(all, "memory.total")->estimate);
  EXPECT_EQ(named(all, "memory.fits"), nullptr);
}

TEST(Estimator, TheUsersOwnPriceWins) {
  Point point = point_of("meta-llama/Llama-3.1-8B-Instruct",
                         variant("gptq", "W4A16-g128", "compressed-tensors", "vllm"), "nvidia-a100-sxm4-80gb");
  point.usd_per_hour = 0.25;
  const auto all = estimator().at(point);
  EXPECT_EQ(named(all, "usd_per_hour")->estimate->mean, 0.25);
  point.utilisation = 0.25;
  const auto idle = estimator().at(point);
  EXPECT_NEAR(named(idle, "usd_per_million_tokens")->estimate->mean,
              2 * named(all, "usd_per_million_tokens")->estimate->mean, 1e-9);
}

}  // namespace
}  // namespace advisor
