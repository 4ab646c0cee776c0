#include "recommend/treatments.h"

#include <gmock/gmock.h>

#include <set>

namespace advisor {
namespace {

using testing::ElementsAre;

Knowledge with_published(const char* technique, const char* scheme, const char* format) {
  Knowledge k;
  k.published = {{"a/model", "b/checkpoint", technique, scheme, format, "b", false, "url", ""}};
  return k;
}

TEST(Treatments, HaveIdsOfTheirOwn) {
  std::set<std::string> ids;
  for (const auto& choice : all_treatments(with_published("qat", "Q4_0", "gguf"))) {
    EXPECT_TRUE(ids.insert(choice.variant.id()).second || choice.origin == Origin::as_published) << choice.variant.id();
    EXPECT_NO_THROW(describe_scheme(choice.variant.scheme));
    for (const auto& part : choice.parts) EXPECT_NO_THROW(describe_scheme(part.scheme));
  }
}

TEST(Treatments, EachHasOneWithASmallCacheWhereTheEngineOffersIt) {
  std::size_t whole = 0, small = 0;
  for (const auto& choice : all_treatments({})) {
    if (choice.variant.engine == "transformers") {
      EXPECT_FALSE(choice.quantized_kv);
      continue;
    }
    ++(choice.quantized_kv ? small : whole);
    EXPECT_EQ(choice.quantized_kv, choice.variant.kv != "fp16");
    EXPECT_EQ(choice.quantized_kv, !choice.steps.empty() && choice.steps.back().kind == "quantize_kv");
  }
  EXPECT_EQ(whole, small);
}

TEST(Treatments, RetrainedFormsComeFromPublishedCheckpointsOnly) {
  const auto count = [](const Knowledge& knowledge) {
    std::size_t found = 0;
    for (const auto& choice : all_treatments(knowledge)) found += choice.origin == Origin::found;
    return found;
  };
  EXPECT_EQ(count({}), 0U);
  EXPECT_EQ(count(with_published("qat", "Q4_0", "gguf")), 2U) << "with a whole and a small cache";
  EXPECT_EQ(count(with_published("qat", "UD-Q4_K_XL", "gguf")), 0U) << "nobody can read that scheme";
  EXPECT_EQ(count(with_published("gguf", "Q4_0", "gguf")), 0U);
}

TEST(Treatments, NothingIsQuantizedUpwardsAndOnlyWholeWeightsArePruned) {
  for (const auto& choice : all_treatments({})) {
    if (choice.origin != Origin::made) continue;
    const double bits = bits_per_weight(choice.upper.empty() ? choice.variant.scheme : choice.upper);
    if (choice.variant.sparsity > 0) {
      EXPECT_TRUE(applies(choice, Native::sixteen_bit));
      EXPECT_FALSE(applies(choice, Native::fp8) || applies(choice, Native::mxfp4));
      continue;
    }
    EXPECT_EQ(applies(choice, Native::fp8), bits < 7.9) << choice.variant.id();
    EXPECT_TRUE(!applies(choice, Native::mxfp4) || bits < 4.25) << choice.variant.id();
  }
}

TEST(Treatments, PruningComesBeforeQuantizing) {
  for (const auto& choice : all_treatments({})) {
    if (choice.variant.technique != "joint") continue;
    ASSERT_GE(choice.steps.size(), 2U);
    EXPECT_TRUE(choice.steps[0].kind == "prune" || choice.steps[0].kind == "sparsify");
    EXPECT_EQ(choice.steps[1].kind, "quantize");
    EXPECT_EQ(choice.parts.size(), 2U);
    EXPECT_EQ(choice.kind(), "mixed");
  }
}

TEST(Treatments, EnginesFollowTheDevice) {
  Profile profile;
  Device device;
  device.kind = "datacenter-gpu", device.vendor = "NVIDIA";
  EXPECT_THAT(engines_to_try(profile, device), ElementsAre("vllm", "tensorrt-llm", "llama.cpp"));
  device.vendor = "AMD";
  EXPECT_THAT(engines_to_try(profile, device), ElementsAre("vllm", "llama.cpp"));
  device.kind = "apple-soc";
  EXPECT_THAT(engines_to_try(profile, device), ElementsAre("llama.cpp"));
  profile.engine = "sglang";
  EXPECT_THAT(engines_to_try(profile, device), ElementsAre("sglang"));
}

TEST(Treatments, PublishedCheckpointsAreMatchedByTechniqueAndScheme) {
  const auto match = [](const char* technique, const char* scheme, const char* format) {
    std::set<std::string> schemes;
    const auto knowledge = with_published(technique, scheme, format);
    for (const auto& choice : all_treatments(knowledge))
      if (holds(knowledge.published.front(), choice))
        schemes.insert(choice.variant.technique + " " + choice.variant.scheme);
    return schemes;
  };
  EXPECT_THAT(match("gptq", "W4A16", "gptq"), ElementsAre("gptq W4A16-g128"));
  EXPECT_THAT(match("nvfp4", "NVFP4", "modelopt"), ElementsAre("nvfp4 W4A4-nvfp4"));
  EXPECT_THAT(match("gguf", "q4_k_m;q8_0", "gguf"), ElementsAre("gguf-k Q4_K_M", "rtn Q8_0"));
  EXPECT_THAT(match("qat", "Q4_0", "gguf"), ElementsAre("qat Q4_0")) << "retrained is not rounded";
  EXPECT_TRUE(match("awq", "unspecified", "autoawq").empty());
}

}  // namespace
}  // namespace advisor
