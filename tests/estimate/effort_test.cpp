#include "estimate/effort.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/error.h"
#include "estimate/weights.h"
#include "fixture.h"

namespace advisor {
namespace {

using testing::HasSubstr;

Hardware card(double fp32, double half, double bandwidth) {
  Hardware h = a100();
  h.device.fp32 = fp32, h.device.fp16 = h.device.bf16 = half, h.device.bandwidth = bandwidth;
  return h;
}
Hardware an_a100() { return card(19.5e12, 312e12, 2.039e12); }
Hardware an_h100() { return card(67e12, 989e12, 3.35e12); }
Hardware an_a40() { return card(37.4e12, 150e12, 0.696e12); }

Hardware cpu(double bandwidth) {
  Hardware h;
  h.device.kind = "x86-cpu", h.device.bandwidth = bandwidth;
  return h;
}

Model sized(double params) {
  Model m;
  m.id = "m", m.params = params, m.native_dtype = "bfloat16";
  return m;
}

Model mixture() {
  Model m = llama("mistralai/Mixtral-8x7B-v0.1", 46.7e9, 32, 4096, 14336, 32);
  m.architecture = "mixtral", m.vocab = 32000, m.experts = 8, m.experts_used = 2;
  return m;
}

const char* scheme_for(const std::string& technique) {
  if (technique.starts_with("gguf")) return technique == "gguf-i" ? "IQ1_M" : "Q4_0";
  return technique == "smoothquant" ? "W8A8-int8" : "W4A16-g128";
}

Effort compress(const Model& model, const std::string& technique, const Hardware& machine, bool own = false) {
  Variant v = as(model, technique.c_str(), scheme_for(technique), "safetensors", "vllm");
  const auto effort = estimate_effort(Job::compress, model, v, machine, own);
  if (!effort) throw std::runtime_error("no effort of " + technique);
  return *effort;
}

/// Hours as somebody published them, with the machine where it is stated.
struct Timing {
  const char* technique;
  Model model;
  Hardware machine;
  double hours;
  const char* source;
};

std::vector<Timing> published() {
  const char* llmc = "https://docs.vllm.ai/projects/llm-compressor/en/0.11.0/guides/runtime/";
  const char* autoawq = "https://github.com/casper-hansen/AutoAWQ/blob/main/README.md";
  const char* aqlm = "https://github.com/Vahe1994/AQLM/blob/main/README.md";
  Model opt = llama("facebook/opt-175b", 175e9, 96, 12288, 49152, 96);
  opt.architecture = "opt", opt.kv_heads = 96, opt.vocab = 50272;
  return {
      {"rtn", llama_8b(), an_a100(), 1.0 / 60, llmc},
      {"smoothquant", llama_8b(), an_a100(), 20.0 / 60, llmc},  // stated for RTN with static activation scales
      {"gptq", llama_8b(), an_a100(), 30.0 / 60, llmc},
      {"awq", llama_8b(), an_a100(), 30.0 / 60, llmc},
      {"gptq", opt, an_a100(), 4, "https://arxiv.org/abs/2210.17323"},
      {"sparsegpt", opt, an_a100(), 4.5, "https://arxiv.org/abs/2301.00774"},
      {"gptq", llama_70b(), an_h100(), 6.5, "https://huggingface.co/minyichen/Llama-3-Taiwan-70B-Instruct-GPTQ"},
      {"gptq", sized(34e9), an_a100(), 1,
       "https://huggingface.co/Trelis/Yi-34B-200K-Llamafied-chat-SFT-function-calling-v3/discussions/1"},
      {"awq", sized(7e9), an_a100(), 12.5 / 60, autoawq},
      {"awq", llama_70b(), an_a100(), 1, autoawq},
      {"awq", sized(32.5e9), an_h100(), 1, "https://github.com/casper-hansen/AutoAWQ/issues/701"},
      {"gptq", llama_70b(), an_a100(), 20, "https://github.com/vllm-project/vllm/issues/11062"},
      {"autoround", llama_8b(), an_a100(), 757.0 / 3600, "https://github.com/intel/auto-round/pull/454"},
      {"autoround", sized(72.7e9), an_a100(), 7076.0 / 3600, "https://github.com/intel/auto-round/pull/454"},
      {"omniquant", sized(7e9), an_a100(), 1, "https://arxiv.org/abs/2308.13137"},
      {"omniquant", sized(70e9), an_a100(), 16, "https://arxiv.org/abs/2308.13137"},
      {"aqlm", sized(7e9), an_a100(), 24, aqlm},
      {"aqlm", sized(70e9), an_a100(), 12 * 24, aqlm},
      {"aqlm", sized(7.2e9), an_a40(), 42 * 4,  // four cards for 42 hours
       "https://huggingface.co/alpindale/Mistral-7B-Instruct-v0.2-AQLM-2Bit-1x16"},
      {"quip-sharp", sized(70e9), an_a100(), 25 * 8, "https://github.com/Cornell-RelaxML/quip-sharp/issues/55"},
      {"hqq", sized(69e9), an_a100(), 5.0 / 60, "https://mobiusml.github.io/hqq_blog/"},
  };
}

TEST(Effort, PublishedTimingsLieWithinItsIntervals) {
  int inside = 0, count = 0;
  double bias = 0;
  std::string outside;
  for (const auto& t : published()) {
    const auto effort = compress(t.model, t.technique, t.machine);
    const bool in = effort.hours.low <= t.hours && t.hours <= effort.hours.high;
    inside += in, ++count;
    bias += std::log(t.hours / effort.hours.mean);
    char line[200];
    std::snprintf(line, sizeof line, "%s, %.1f B: published %.3f h, modelled %.3f h (%.3f to %.3f), %s\n", t.technique,
                  *t.model.params / 1e9, t.hours, effort.hours.mean, effort.hours.low, effort.hours.high, t.source);
    if (!in) outside += line;
  }
  EXPECT_GE(inside, count * 8 / 10) << "of " << count << ", outside:\n" << outside;
  EXPECT_LT(std::abs(bias / count), std::log(1.6)) << "too optimistic or pessimistic on the whole";
}

TEST(Effort, QuantizingWithCodebooksTakesMinutesOnSixteenCores) {
  auto work = *technique_work("gguf-i");
  work.tokens = 0, work.intermediate_file = false;  // the importance matrix and the 16-bit file were there before
  auto rates = *job_rates(cpu(83e9));
  rates.cores = 16, rates.cores_sd = 0;  // Ryzen 7950X
  const auto log_hours = job_cost(Job::compress, *model_work(llama_8b()), &work, 2.5e9, rates).log_hours;
  for (const double seconds : {148.1, 60.0, 171.3, 145.8}) {  // pull requests 327 and 312 of ik_llama.cpp
    EXPECT_GT(seconds / 3600, std::exp(log_hours.quantile(0.05)));
    EXPECT_LT(seconds / 3600, std::exp(log_hours.quantile(0.95)));
  }
}

const std::vector<std::string> with_a_known_job{
    "rtn",       "fp8",   "int8", "bnb",       "bnb-int8",    "bnb-fp4",   "nf4",         "nvfp4", "mxfp4",
    "mlx",       "mixed", "hqq",  "gguf",      "gguf-k",      "gguf-i",    "gguf-legacy", "gptq",  "quarot",
    "spinquant", "exl2",  "exl3", "awq",       "smoothquant", "autoround", "omniquant",   "aqlm",  "quip-sharp",
    "magnitude", "wanda", "owl",  "sparsegpt", "slicegpt",    "flap",      "shortgpt",    "depth", "llm-pruner"};

TEST(Effort, OfEveryTechniqueIsAnIntervalWithASource) {
  for (const auto& technique : with_a_known_job)
    for (const auto& machine : {an_a100(), an_h100(), cpu(83e9)}) {
      const auto effort = compress(llama_8b(), technique, machine);
      EXPECT_GT(effort.hours.low, 0) << technique;
      EXPECT_LT(effort.hours.low, effort.hours.mean);
      EXPECT_LT(effort.hours.mean, effort.hours.high);
      EXPECT_GT(effort.hours.high / effort.hours.low, 2) << "it is a model, not a measurement";
      EXPECT_EQ(effort.hours.basis, Basis::modelled);
      EXPECT_FALSE(effort.hours.sources.empty()) << technique;
      EXPECT_GT(effort.peak_memory, 0) << technique;
      EXPECT_GT(effort.disk, 0);
      EXPECT_THAT(effort.how, AllOf(HasSubstr(technique), HasSubstr("assumed"), HasSubstr("disk")));
    }
}

TEST(Effort, ALargerModelNeverTakesLessAndAFasterMachineNeverMore) {
  for (const auto& technique : with_a_known_job) {
    const auto small = compress(llama_8b(), technique, an_a100()), large = compress(llama_70b(), technique, an_a100());
    EXPECT_GT(large.hours.mean, small.hours.mean) << technique;
    EXPECT_GT(large.disk, small.disk);
    EXPECT_GE(large.peak_memory, small.peak_memory) << technique;
    EXPECT_LE(compress(llama_70b(), technique, an_h100()).hours.mean, large.hours.mean) << technique;
    EXPECT_LE(compress(llama_8b(), technique, cpu(400e9)).hours.mean,
              compress(llama_8b(), technique, cpu(40e9)).hours.mean);
  }
}

TEST(Effort, CalibrationCostsMoreThanRoundingAndSearchesMoreThanStatistics) {
  const auto hours = [](const char* technique) { return compress(llama_70b(), technique, an_a100()).hours.mean; };
  EXPECT_LT(hours("rtn"), hours("gptq"));
  EXPECT_LT(hours("wanda"), hours("sparsegpt"));
  EXPECT_LT(hours("gptq"), hours("omniquant"));
  EXPECT_LT(hours("omniquant"), hours("aqlm"));
  EXPECT_LT(hours("gguf-legacy"), hours("gguf-k"));
}

TEST(Effort, OurBackendGoesThroughTheModelTileByTile) {
  const auto own = compress(llama_70b(), "rtn", cpu(200e9), true), tool = compress(llama_70b(), "rtn", cpu(200e9));
  EXPECT_LT(own.peak_memory, 1e9);
  EXPECT_GT(tool.peak_memory, 2 * 70e9) << "the whole model";
  EXPECT_THAT(own.how, HasSubstr("libadvisor"));
  EXPECT_THAT(tool.how, HasSubstr("reference tool"));
  EXPECT_NE(own.hours.sources, tool.hours.sources);
  EXPECT_EQ(technique_work("autoround", true), technique_work("autoround")) << "what it does not run, the tool does";
}

TEST(Effort, OurBackendLearnsBlockByBlockOnTheHost) {
  const auto hours = [](const Model& model, const char* technique, const Hardware& machine) {
    return compress(model, technique, machine, true).hours.mean;
  };
  for (const char* technique : {"smoothquant", "gptq", "awq", "mixed"}) {
    const auto own = compress(llama_8b(), technique, cpu(200e9), true);
    EXPECT_LT(own.peak_memory, 8e9) << technique << ": a block at a time";
    EXPECT_THAT(own.how, HasSubstr("libadvisor"));
    EXPECT_THAT(own.hours.sources, testing::Contains("benchmarks/lab_table.py"));
    EXPECT_GT(own.hours.mean, compress(llama_8b(), "rtn", cpu(200e9), true).hours.mean) << technique;
    EXPECT_LT(hours(llama_8b(), technique, cpu(400e9)), hours(llama_8b(), technique, cpu(100e9))) << "more cores";
    EXPECT_NEAR(hours(llama_8b(), technique, an_h100()), hours(llama_8b(), technique, an_a100()), 0.01)
        << "the accelerator is not used";
  }
  EXPECT_LT(hours(llama_8b(), "smoothquant", cpu(200e9)), hours(llama_8b(), "gptq", cpu(200e9)));
  EXPECT_LT(hours(llama_8b(), "gptq", cpu(200e9)), hours(llama_8b(), "awq", cpu(200e9)));
  EXPECT_LT(hours(llama_8b(), "gptq", cpu(200e9)), hours(llama_8b(), "mixed", cpu(200e9)));
}

/// Seconds with one core that does what is assumed of one, and nothing to read or write.
double own_seconds(const ModelWork& model, TechniqueWork work, double tokens) {
  JobRates rates;
  rates.cores = 1, rates.disk = 1e30, rates.memory = rates.matrix = rates.fp32 = 1;
  if (tokens > 0) work.tokens = tokens;
  return 3600 * std::exp(job_cost(Job::compress, model, &work, 0, rates).log_hours.mean);
}

TEST(Effort, OurJobsTakeAboutWhatTheyTookOnTheLabModels) {
  // docs/compression.md, "On the lab models": processor seconds, 32,768 tokens; a program's start of a second aside
  Model large = llama("large", 8e6, 5, 384, 768, 6);
  large.kv_heads = 2, large.head_dim = 64, large.vocab = 4096, large.tie_embeddings = true;
  const auto model = *model_work(large);
  const std::pair<const char*, double> measured[] = {{"smoothquant", 13.4}, {"gptq", 16.0}, {"awq", 22.0}};
  for (const auto& [technique, seconds] : measured) {
    const double modelled = own_seconds(model, *technique_work(technique, true), 32768) - 1;
    EXPECT_GT(modelled, seconds / 1.4) << technique;
    EXPECT_LT(modelled, seconds * 1.4) << technique;
  }
  ModelWork billion;
  billion.params = billion.linear = 1e9;
  for (const auto& [technique, seconds] : {std::pair("gguf-k", 14.8), {"gguf-i", 24.6}, {"rtn", 4.4}}) {
    const double modelled = own_seconds(billion, *technique_work(technique, true), 0);
    EXPECT_GT(modelled, seconds / 2) << technique;
    EXPECT_LT(modelled, seconds * 2) << technique;
  }
}

TEST(Effort, AMixtureIsCalibratedWithAllItsExperts) {
  const auto dense = compress(llama_8b(), "gptq", an_a100()), experts = compress(mixture(), "gptq", an_a100());
  EXPECT_GT(experts.hours.mean, 3 * dense.hours.mean);
  EXPECT_GT(experts.peak_memory, dense.peak_memory);
}

TEST(Effort, OtherJobsMoveBytes) {
  const Model model = llama_8b();
  const Variant v = as(model, "rtn", "W4A16-g128", "compressed-tensors", "vllm");
  const auto bytes = estimate_weights(model, v)->bytes;
  const auto ask = [&](Job job) { return *estimate_effort(job, model, v, an_a100()); };
  const auto fetch = ask(Job::fetch);
  EXPECT_DOUBLE_EQ(fetch.disk, bytes);
  EXPECT_DOUBLE_EQ(fetch.peak_memory, 0);
  EXPECT_LE(fetch.hours.low * 3600, bytes / 1e9) << "10 Gbit/s is within the interval";
  EXPECT_GE(fetch.hours.high * 3600, bytes / 25e6) << "and so is 200 Mbit/s";
  EXPECT_THAT(fetch.how, AllOf(HasSubstr("from a hub"), HasSubstr("network 20 MB/s")));
  const auto configure = ask(Job::configure);
  EXPECT_DOUBLE_EQ(configure.disk, 0);
  EXPECT_DOUBLE_EQ(configure.peak_memory, bytes);
  EXPECT_LT(configure.hours.mean, 0.1);
  const auto convert = ask(Job::convert);
  EXPECT_DOUBLE_EQ(convert.disk, bytes);
  EXPECT_GT(convert.peak_memory, 0);
  EXPECT_LT(convert.peak_memory, bytes) << "tensor by tensor";
}

TEST(Effort, IsUnknownWhereNothingIsKnown) {
  const auto ask = [](const Model& model, const char* technique, const Hardware& machine) {
    return estimate_effort(Job::compress, model, as(model, technique, "W4A16-g128", "safetensors", "vllm"), machine);
  };
  for (const char* technique : {"distill", "minitron", "sheared", "qat", "joint", "other-compression", "nonsense"})
    EXPECT_EQ(ask(llama_8b(), technique, an_a100()), std::nullopt) << technique;
  EXPECT_EQ(ask(Model{}, "rtn", an_a100()), std::nullopt);
  EXPECT_EQ(ask(llama_8b(), "rtn", Hardware{}), std::nullopt);
  EXPECT_TRUE(estimate_effort(Job::fetch, llama_8b(), as(llama_8b(), "distill", "W4A16-g128", "safetensors", "vllm"),
                              an_a100()))
      << "to fetch what others made needs no technique";
}

TEST(Effort, RefusesACompressionWithoutATechnique) {
  EXPECT_THROW(job_cost(Job::compress, *model_work(llama_8b()), nullptr, 1e9, *job_rates(an_a100())), Error);
  EXPECT_THROW(estimate_effort(Job::fetch, llama_8b(), as(llama_8b(), "rtn", "W4A", "safetensors", "vllm"), an_a100()),
               Error);
}

TEST(Effort, InWordsAndInNumbersIsTheSame) {
  const Model model = llama_8b();
  for (const auto& technique : with_a_known_job) {
    const Variant v = as(model, technique.c_str(), scheme_for(technique), "safetensors", "vllm");
    const auto cost = job_cost(Job::compress, *model_work(model), technique_work(technique),
                               estimate_weights(model, v)->bytes, *job_rates(an_a100()));
    const auto effort = *estimate_effort(Job::compress, model, v, an_a100());
    EXPECT_DOUBLE_EQ(std::exp(cost.log_hours.mean), effort.hours.mean);
    EXPECT_DOUBLE_EQ(cost.peak_memory, effort.peak_memory);
    EXPECT_DOUBLE_EQ(cost.disk, effort.disk);
  }
}

TEST(ModelWork, IsCountedFromGeometry) {
  const auto work = *model_work(llama_8b());
  EXPECT_DOUBLE_EQ(work.gram, 32 * (6 * 4096.0 * 4096 + 14336.0 * 14336));
  EXPECT_DOUBLE_EQ(work.block_gram * 32, work.gram);
  EXPECT_DOUBLE_EQ(work.columns, 32 * (6 * 4096.0 + 14336));
  EXPECT_DOUBLE_EQ(work.block * 32, work.linear);
  EXPECT_DOUBLE_EQ(work.widest, 128256.0 * 4096);
  EXPECT_NEAR(work.linear, 7.0e9, 0.1e9);
  EXPECT_DOUBLE_EQ(work.native_bytes, 2 * work.params);
}

TEST(ModelWork, WithoutGeometryIsThatOfAUsualDecoder) {
  const auto counted = *model_work(llama_8b()), guessed = *model_work(sized(8.03e9));
  const auto near = [](double a, double b) { return a < 2 * b && b < 2 * a; };
  EXPECT_TRUE(near(counted.gram, guessed.gram)) << counted.gram << " " << guessed.gram;
  EXPECT_TRUE(near(counted.cube, guessed.cube)) << counted.cube << " " << guessed.cube;
  EXPECT_TRUE(near(counted.square, guessed.square)) << counted.square << " " << guessed.square;
  EXPECT_TRUE(near(counted.columns, guessed.columns));
  EXPECT_TRUE(near(counted.block, guessed.block));
  EXPECT_TRUE(near(counted.hidden, guessed.hidden));
}

TEST(ModelWork, NativeBytesFollowTheCheckpoint) {
  auto model = sized(8e9);
  model.native_dtype = "fp8/bfloat16";
  EXPECT_DOUBLE_EQ(model_work(model)->native_bytes, 8e9);
  model.native_dtype = "mxfp4";
  EXPECT_LT(model_work(model)->native_bytes, 5e9);
  model.native_dtype = "float32";
  EXPECT_DOUBLE_EQ(model_work(model)->native_bytes, 32e9);
}

TEST(JobRates, AreTakenFromTheCatalogAndWhatIsMissingIsSaid) {
  const auto full = *job_rates(an_a100());
  EXPECT_DOUBLE_EQ(full.matrix, 312e12);
  EXPECT_DOUBLE_EQ(full.fp32, 19.5e12);
  EXPECT_DOUBLE_EQ(full.memory, 2.039e12);
  EXPECT_DOUBLE_EQ(full.peak_sd, 0);
  auto machine = an_a100();
  machine.device.fp32.reset();
  EXPECT_GT(job_rates(machine)->peak_sd, 0);
  EXPECT_THAT(job_rates(machine)->assumed, HasSubstr("fp32 peak"));
  machine.device.bandwidth.reset();
  EXPECT_GT(job_rates(machine)->memory, 0);
  EXPECT_THAT(job_rates(machine)->assumed, HasSubstr("bandwidth from"));
  const auto host = *job_rates(cpu(204.8e9));  // EPYC 7763: 64 cores, 5 TFLOP/s
  EXPECT_NEAR(host.fp32, 5e12, 1e12);
  EXPECT_GT(host.cores, 32);
  EXPECT_LT(host.cores, 128);
  EXPECT_EQ(job_rates(Hardware{}), std::nullopt);
}

TEST(JobRates, KnownOnesNarrowTheInterval) {
  auto rates = *job_rates(cpu(83e9));
  const auto work = *model_work(llama_8b());
  const auto before = job_cost(Job::fetch, work, nullptr, 16e9, rates);
  rates.network = 125e6, rates.network_sd = 0.1;
  const auto after = job_cost(Job::fetch, work, nullptr, 16e9, rates);
  EXPECT_LT(after.log_hours.sd, before.log_hours.sd);
  EXPECT_NEAR(std::exp(after.log_hours.mean) * 3600, 16e9 / 125e6, 1);
}

}  // namespace
}  // namespace advisor
