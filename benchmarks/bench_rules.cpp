// What a rule costs a decision: the shipped rules asked for one candidate, layer by layer, and in words.
#include <benchmark/benchmark.h>

#include "io/yaml.h"
#include "rules/rule_set.h"

namespace {

using namespace advisor;

/// An ordinary question in which nothing is forbidden, so that every rule is looked at.
struct Candidate {
  RuleSet rules = RuleSet::compile(load_rules(ADVISOR_BINARY_DIR "/share/advisor/rules"));
  FactSheet sheet;

  Candidate() {
    Profile profile;
    profile.model = "acme/llama-8b";
    profile.task.type = "chat";
    profile.accuracy.retain = 0.95;
    Hardware hardware;
    hardware.device.name = "Acme GPU";
    hardware.device.kind = "datacenter-gpu";
    hardware.device.generation = "Hopper";
    hardware.device.memory = 80e9;
    hardware.device.fp8 = hardware.device.int8 = 2e15;
    hardware.device.sparse_2_4 = true;
    Model model;
    model.id = profile.model;
    model.params = 8e9;
    model.layers = 32;
    model.max_context = 131072;
    model.modalities_in = model.modalities_out = {"text"};
    model.licence = "apache-2.0";
    model.commercial_use = "yes";
    model.released = "2024-07";
    Variant variant;
    variant.model = model.id;
    variant.technique = "gptq";
    variant.scheme = "W4A16-g128";
    variant.format = "compressed-tensors";
    variant.engine = "vllm";
    Task task;
    task.id = "chat";
    task.family = "instruction";
    EngineSupport support;
    support.supported = "yes";
    const Technique gptq{"gptq", "GPTQ", "quantization", true, true, ""};
    sheet = collect(profile, hardware, model, variant, task, &gptq, &support);
    sheet.set("plan.action", "compress");
    estimate(sheet.layer(FactLayerId::estimate), 0.98);
  }

  static void estimate(FactLayer& layer, double retention) {
    static const int total = fact_slot("memory.total"), weights = fact_slot("memory.weights"),
                     cache = fact_slot("memory.kv_cache"), overhead = fact_slot("memory.overhead"),
                     available = fact_slot("memory.available"), share = fact_slot("memory.share"),
                     kv_share = fact_slot("memory.kv_share"), mean = fact_slot("quality.mean"),
                     low = fact_slot("quality.low"), kept = fact_slot("quality.retention"),
                     chance = fact_slot("quality.probability"), rows = fact_slot("quality.rows"),
                     decode = fact_slot("speed.decode"), ttft = fact_slot("speed.ttft"), tpot = fact_slot("speed.tpot");
    layer.set(total, Value(10e9));
    layer.set(weights, Value(5e9));
    layer.set(cache, Value(4e9));
    layer.set(overhead, Value(1e9));
    layer.set(available, Value(72e9));
    layer.set(share, Value(10.0 / 72));
    layer.set(kv_share, Value(0.4));
    layer.set(mean, Value(0.7 * retention));
    layer.set(low, Value(0.66));
    layer.set(kept, Value(retention));
    layer.set(chance, Value(0.97));
    layer.set(rows, Value(40.0));
    layer.set(decode, Value(150.0));
    layer.set(ttft, Value(0.05));
    layer.set(tpot, Value(0.007));
  }
};

void ask(benchmark::State& state, const std::vector<FactLayerId>& layers) {
  const Candidate candidate;
  const Facts facts = candidate.sheet.facts();
  for (auto _ : state) {
    for (const FactLayerId layer : layers) benchmark::DoNotOptimize(candidate.rules.forbidden(facts, layer));
  }
  state.counters["rules"] = static_cast<double>(candidate.rules.size());
}

void cell(benchmark::State& state) { ask(state, {FactLayerId::candidate, FactLayerId::estimate}); }
BENCHMARK(cell);

/// With the rules that the model and the treatment left open, as a decision does.
void open_rules_of_cell(benchmark::State& state) {
  Candidate candidate;
  const Facts facts = candidate.sheet.facts();
  Facts with_model, with_treatment;
  for (Facts* some : {&with_model, &with_treatment}) some->use(candidate.sheet.layer(FactLayerId::query));
  with_model.use(candidate.sheet.layer(FactLayerId::model));
  with_treatment.use(candidate.sheet.layer(FactLayerId::treatment));
  const RuleMask of_model = candidate.rules.can_fire(with_model),
                 of_treatment = candidate.rules.can_fire(with_treatment);
  for (auto _ : state) {
    const RuleMask open = of_model & of_treatment;
    for (const FactLayerId layer : {FactLayerId::candidate, FactLayerId::estimate})
      benchmark::DoNotOptimize(candidate.rules.forbidden(facts, layer, open));
  }
}
BENCHMARK(open_rules_of_cell);

void open_rules(benchmark::State& state) {
  Candidate candidate;
  Facts facts;
  facts.use(candidate.sheet.layer(FactLayerId::query));
  facts.use(candidate.sheet.layer(FactLayerId::treatment));
  for (auto _ : state) benchmark::DoNotOptimize(candidate.rules.can_fire(facts));
}
BENCHMARK(open_rules);

void all_layers(benchmark::State& state) {
  ask(state,
      {FactLayerId::query, FactLayerId::model, FactLayerId::treatment, FactLayerId::candidate, FactLayerId::estimate});
}
BENCHMARK(all_layers);

/// With its fifteen estimates written into the layer first, as a decision does.
void cell_with_facts(benchmark::State& state) {
  Candidate candidate;
  const Facts facts = candidate.sheet.facts();
  double retention = 0.98;
  for (auto _ : state) {
    Candidate::estimate(candidate.sheet.layer(FactLayerId::estimate), retention);
    retention = 1.96 - retention;
    for (const FactLayerId layer : {FactLayerId::candidate, FactLayerId::estimate})
      benchmark::DoNotOptimize(candidate.rules.forbidden(facts, layer));
  }
}
BENCHMARK(cell_with_facts);

void in_words(benchmark::State& state) {
  const Candidate candidate;
  for (auto _ : state) benchmark::DoNotOptimize(candidate.rules.apply(candidate.sheet, "variant"));
}
BENCHMARK(in_words);

void compile(benchmark::State& state) {
  const std::vector<RuleSource> sources = load_rules(ADVISOR_BINARY_DIR "/share/advisor/rules");
  for (auto _ : state) benchmark::DoNotOptimize(RuleSet::compile(sources));
}
BENCHMARK(compile);

}  // namespace
