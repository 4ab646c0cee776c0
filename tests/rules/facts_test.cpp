#include "rules/facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  EXPECT_THROW(facts.set("memory.totl", Value(1.0)), Error);
  EXPECT_THROW(facts.set("memory.total", "much"), Error);
  facts.set("memory.total", Value(1.0));
  facts.clear("memory.total");
  EXPECT_EQ(facts.find("memory.total"), nullptr);
}

}  // namespace
}  // namespace advisor
