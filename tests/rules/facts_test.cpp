#include "rules/facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "core/error.h"
#include "core/fields.h"
#include "rules/situation.h"

namespace advisor {
namespace {

double number(const FactSheet& facts, const std::string& path) { return std::get<double>(*facts.find(path)); }
std::string text(const FactSheet& facts, const std::string& path) { return std::get<std::string>(*facts.find(path)); }

TEST(Facts, EveryFieldOfAProfileIsInTheVocabulary) {
  for (const Field& field : fields()) {
    EXPECT_NE(vocabulary().find("profile." + std::string(field.path)), nullptr) << field.path;
  }
}

TEST(Facts, ProfileIsInSiUnits) {
  Situation situation;
  set_field(situation.profile, "budget.usd_per_hour", "3.6");
  set_field(situation.profile, "budget.hours_to_compress", "2");
  set_field(situation.profile, "slo.ttft", "400 ms");
  const FactSheet facts = situation.facts();
  EXPECT_DOUBLE_EQ(number(facts, "profile.budget.usd_per_hour"), 0.001);
  EXPECT_DOUBLE_EQ(number(facts, "profile.budget.hours_to_compress"), 7200);
  EXPECT_DOUBLE_EQ(number(facts, "profile.slo.ttft"), 0.4);
  EXPECT_EQ(facts.find("profile.slo.tpot"), nullptr);
  EXPECT_EQ(facts.find("profile.task.benchmark"), nullptr);
  EXPECT_NE(facts.find("profile.licence"), nullptr) << "an empty list is known to be empty";
}

TEST(Facts, WhatNoSourceStatesIsUnknown) {
  Situation situation;
  situation.model = Model();
  situation.hardware = Hardware();
  const FactSheet facts = situation.facts();
  for (const char* path : {"model.licence", "model.params", "model.modalities_in", "hardware.memory",
                           "hardware.bandwidth", "hardware.fp8_rate", "hardware.sparse_2_4", "task.chance"}) {
    EXPECT_EQ(facts.find(path), nullptr) << path;
  }
  EXPECT_EQ(text(facts, "hardware.name"), "this hardware");
}

TEST(Facts, RatesThatAGenerationLacksAreZero) {
  Situation situation;
  situation.hardware.device.fp8.reset();
  situation.hardware.device.sparse_2_4.reset();
  situation.hardware.device.generation = "Ampere";
  EXPECT_EQ(number(situation.facts(), "hardware.fp8_rate"), 0);
  EXPECT_EQ(situation.facts().find("hardware.sparse_2_4"), nullptr);
  situation.hardware.device.generation = "Turing";
  EXPECT_FALSE(std::get<bool>(*situation.facts().find("hardware.sparse_2_4")));
  situation.hardware.device.generation = "Ada Lovelace";
  EXPECT_EQ(situation.facts().find("hardware.fp8_rate"), nullptr);
  EXPECT_EQ(number(situation.facts(), "hardware.fp4_rate"), 0);
  situation.hardware.device.generation = "Blackwell 2.0";
  EXPECT_EQ(situation.facts().find("hardware.fp4_rate"), nullptr);
}

TEST(Facts, StatedRateWinsOverTheGeneration) {
  Situation situation;
  situation.hardware.device.generation = "Ampere";
  situation.hardware.device.fp8 = 1e12;
  EXPECT_EQ(number(situation.facts(), "hardware.fp8_rate"), 1e12);
}

TEST(Facts, Variant) {
  Situation situation;
  situation.variant.scheme = "W4A16-g128";
  FactSheet facts = situation.facts();
  EXPECT_EQ(number(facts, "variant.weight_bits"), 4);
  EXPECT_EQ(number(facts, "variant.bits_per_weight"), 4.125);
  EXPECT_EQ(text(facts, "variant.weight_dtype"), "int4");
  EXPECT_EQ(text(facts, "variant.pattern"), "dense");
  EXPECT_FALSE(std::get<bool>(*facts.find("variant.is_base")));
  situation.variant.scheme = "W16A16";
  EXPECT_TRUE(std::get<bool>(*situation.facts().find("variant.is_base")));
  situation.variant.sparsity = 0.5;
  facts = situation.facts();
  EXPECT_FALSE(std::get<bool>(*facts.find("variant.is_base")));
  EXPECT_EQ(text(facts, "variant.pattern"), "unstructured");
  situation.variant.scheme = "W5";
  EXPECT_THROW(situation.facts(), Error);
}

TEST(Facts, UndeclaredOrMistypedFactIsABug) {
  FactSheet facts;
  EXPECT_THROW(facts.find("memory.totl"), Error);
  EXPECT_THROW(facts.layer(FactLayerId::query).set("memory.total", Value(1.0)), Error) << "of another layer";
  EXPECT_THROW(facts.layer(FactLayerId::query).clear("memory.total"), Error);
  EXPECT_THROW(facts.set("memory.totl", Value(1.0)), Error);
  EXPECT_THROW(facts.set("memory.total", "much"), Error);
  facts.set("memory.total", Value(1.0));
  facts.clear("memory.total");
  EXPECT_EQ(facts.find("memory.total"), nullptr);
}

TEST(Facts, KvCache) {
  Situation situation;
  const auto bits = [&](const std::string& kv) {
    situation.variant.kv = kv;
    return number(situation.facts(), "variant.kv_bits");
  };
  EXPECT_EQ(bits("bf16"), 16);
  EXPECT_EQ(bits("fp8_e4m3"), 8);
  EXPECT_EQ(bits("q8_0"), 8);
  EXPECT_EQ(bits("q4_1"), 4);
  EXPECT_TRUE(std::get<bool>(*situation.facts().find("variant.is_kv_quantized")));
  situation.variant.kv = "auto";
  EXPECT_EQ(situation.facts().find("variant.kv_bits"), nullptr);
  EXPECT_EQ(situation.facts().find("variant.is_kv_quantized"), nullptr);
}

TEST(Facts, TechniqueKindSaysWhatWasDoneToTheWeights) {
  Situation situation;
  const auto kind = [&](const std::string& scheme, double sparsity) {
    situation.variant.scheme = scheme;
    situation.variant.sparsity = sparsity;
    return text(situation.facts(), "variant.technique_kind");
  };
  EXPECT_EQ(kind("W16A16", 0), "none");
  EXPECT_EQ(kind("W4A16-g128", 0), "quantization");
  EXPECT_EQ(kind("W16A16", 0.5), "pruning");
  EXPECT_EQ(kind("Q4_K_M", 0.2), "mixed");
}

TEST(Facts, MixtureOfExperts) {
  const auto is_moe = [](const Model& model) {
    FactSheet sheet;
    sheet.use(model_facts(model));
    const Value* value = sheet.find("model.is_moe");
    return value == nullptr ? std::string("unknown") : std::get<bool>(*value) ? "yes" : "no";
  };
  Model model;
  EXPECT_EQ(is_moe(model), "unknown") << "only a name is known";
  model.layers = 32;
  EXPECT_EQ(is_moe(model), "no");
  model.experts = 8;
  EXPECT_EQ(is_moe(model), "yes");
  Model sparse;
  sparse.params = 30e9;
  sparse.active_params = 3e9;
  EXPECT_EQ(is_moe(sparse), "yes");
}

TEST(Facts, ReleaseYear) {
  Situation situation;
  situation.model.released = "2024-07";
  EXPECT_EQ(number(situation.facts(), "model.release_year"), 2024);
  for (const char* unclear : {"", "24", "soon-2024"}) {
    situation.model.released = unclear;
    EXPECT_EQ(situation.facts().find("model.release_year"), nullptr) << unclear;
  }
}

TEST(Facts, TaskInItsContext) {
  Situation situation;
  EXPECT_FALSE(std::get<bool>(*situation.facts().find("task.in_context")));
  situation.profile.task.in_context = true;
  EXPECT_TRUE(std::get<bool>(*situation.facts().find("task.in_context")));
  EXPECT_EQ(text(situation.facts(), "task.type"), "chat");
}

TEST(Facts, TechniqueAndEngineAreUnknownWithoutCatalogRows) {
  const FactLayer facts = treatment_facts(Variant(), nullptr, nullptr);
  for (const char* path : {"technique.kind", "technique.implemented", "engine.supports_format"}) {
    EXPECT_EQ(facts.at(fact_slot(path)), nullptr) << path;
  }
}

TEST(Facts, AStackLooksWhereTheLayersAre) {
  const Situation situation;
  Facts facts;
  const int slot = fact_slot("model.params");
  EXPECT_EQ(facts.at(slot), nullptr) << "no layer yet";
  const FactLayer small = model_facts(situation.model);
  Model other = situation.model;
  other.params = 70e9;
  const FactLayer large = model_facts(other);
  facts.use(small);
  EXPECT_EQ(std::get<double>(*facts.at(slot)), 8e9);
  facts.use(large);
  EXPECT_EQ(std::get<double>(*facts.at(slot)), 70e9);
  EXPECT_EQ(facts.at(fact_slot("memory.total")), nullptr);
}

TEST(Facts, EachPrefixIsOfItsLayer) {
  const std::map<std::string, FactLayerId> layers{
      {"profile", FactLayerId::query},    {"hardware", FactLayerId::query},    {"task", FactLayerId::query},
      {"model", FactLayerId::model},      {"variant", FactLayerId::treatment}, {"technique", FactLayerId::treatment},
      {"engine", FactLayerId::treatment}, {"plan", FactLayerId::candidate},    {"published", FactLayerId::candidate},
      {"memory", FactLayerId::estimate},  {"quality", FactLayerId::estimate},  {"speed", FactLayerId::estimate},
      {"cost", FactLayerId::estimate},    {"effort", FactLayerId::estimate},   {"offload", FactLayerId::estimate}};
  for (const std::string& path : vocabulary().paths()) {
    const FactLayerId expected =
        path == "variant.model" ? FactLayerId::candidate : layers.at(path.substr(0, path.find('.')));
    EXPECT_EQ(vocabulary().find(path)->layer, static_cast<int>(expected)) << path;
  }
}

}  // namespace
}  // namespace advisor
