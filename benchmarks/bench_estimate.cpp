// How fast points are estimated. A cell is one model under one treatment on one machine for one task: what it keeps,
// what memory it needs, tokens per second and time to the first token. Names are resolved before the clock starts, as
// the decision does for the candidates it looks at; the floor is the arithmetic. For comparison: aiconfigurator's
// step for one engine configuration takes 17 to 94 microseconds, for speed alone.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "estimate/estimator.h"
#include "estimate/kv_cache.h"
#include "estimate/layout.h"
#include "estimate/memory.h"
#include "estimate/weights.h"
#include "io/database.h"

namespace advisor {
namespace {

const Knowledge& knowledge() {
  static const Knowledge loaded =
      load_knowledge(std::filesystem::path(ADVISOR_BINARY_DIR) / "share/advisor/advisor.db");
  return loaded;
}

template <typename Item>
const Item& find(const std::vector<Item>& items, const std::string& id) {
  return *std::find_if(items.begin(), items.end(), [&](const Item& item) { return item.id == id; });
}

struct Choice {
  const char *technique, *scheme, *format, *engine;
};
constexpr Choice choices[] = {{"none", "W16A16", "safetensors", "vllm"},
                              {"gptq", "W4A16-g128", "compressed-tensors", "vllm"},
                              {"awq", "W4A16-g128", "autoawq", "vllm"},
                              {"fp8", "W8A8-fp8", "compressed-tensors", "vllm"},
                              {"rtn", "W8A16-channel", "compressed-tensors", "vllm"},
                              {"gguf-k", "Q4_K_M", "gguf", "llama.cpp"},
                              {"gguf-k", "Q6_K", "gguf", "llama.cpp"},
                              {"gguf-legacy", "Q8_0", "gguf", "llama.cpp"}};
constexpr const char* model_ids[] = {"meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-70B-Instruct",
                                     "mistralai/Mistral-7B-v0.1",        "Qwen/Qwen2.5-7B-Instruct",
                                     "Qwen/Qwen2.5-72B-Instruct",        "google/gemma-3-27b-it"};
constexpr const char* device_ids[] = {"nvidia-a100-sxm4-80gb", "nvidia-rtx-4090-24gb", "nvidia-t4-16gb"};
constexpr const char* task_ids[] = {"mmlu", "gsm8k", "hellaswag", "ifeval", "humaneval"};

/// One model under one treatment on one machine, names resolved.
struct Deployment {
  PreparedModel model;
  PreparedTreatment treatment;
  Layout layout;
  WeightFormat weights;
  KvLayout cache;
  SpeedWork work;
  SpeedSetup setup;
  SpeedSpread decode_spread, first_spread;
};

struct Grid {
  Grid() : estimator(knowledge()) {
    for (const char* id : task_ids) {
      const Task& task = find(knowledge().tasks, id);
      tasks.push_back(estimator.quality().prepare(Yardstick{task.id, task.family, task.chance.value_or(0)}));
    }
    for (const char* model_id : model_ids) {
      for (const Choice& choice : choices) {
        for (const char* device_id : device_ids)
          add(find(knowledge().models, model_id), choice, find(knowledge().devices, device_id));
      }
    }
  }

  void add(const Model& model, const Choice& choice, const Device& device) {
    Variant variant;
    variant.model = model.id;
    variant.technique = choice.technique;
    variant.scheme = choice.scheme;
    variant.format = choice.format;
    variant.engine = choice.engine;
    const Hardware hardware{device, 1, "catalog"};
    const auto layout = layout_of(model);
    const auto cache = kv_layout(model);
    const auto work = speed_work(model, variant, hardware, Load{});
    const auto setup = estimator.speed().setup(model, variant, hardware);
    if (!layout || !cache || !work || !setup) return;
    deployments.push_back({estimator.quality().prepare(model), estimator.quality().prepare(variant), *layout,
                           weight_format(variant, model), *cache, *work, *setup,
                           estimator.speed().spread(*work, SpeedQuantity::decode, variant.engine),
                           estimator.speed().spread(*work, SpeedQuantity::first_token, variant.engine)});
  }

  Estimator estimator;
  std::vector<PreparedTask> tasks;
  std::vector<Deployment> deployments;
};

const Grid& grid() {
  static const Grid prepared;
  return prepared;
}

void cells(benchmark::State& state) {
  const Grid& all = grid();
  for (auto _ : state) {
    for (const Deployment& d : all.deployments) {
      for (const PreparedTask& task : all.tasks) {
        const auto quality = all.estimator.quality().numbers(d.model, d.treatment, task);
        const double bytes = weight_bytes(d.layout, d.weights).stored + kv_bytes(d.cache, 2, 4096, 1);
        const Distribution decode = SpeedEstimator::answer(d.work, d.setup, SpeedQuantity::decode, d.decode_spread);
        const Distribution first = SpeedEstimator::answer(d.work, d.setup, SpeedQuantity::first_token, d.first_spread);
        benchmark::DoNotOptimize(quality);
        benchmark::DoNotOptimize(bytes);
        benchmark::DoNotOptimize(decode);
        benchmark::DoNotOptimize(first);
      }
    }
  }
  state.counters["cells/s"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * static_cast<double>(all.deployments.size() * all.tasks.size()),
      benchmark::Counter::kIsRate);
}
BENCHMARK(cells)->Name("estimate/cells_resolved")->Unit(benchmark::kMicrosecond);

void qualities(benchmark::State& state) {
  const Grid& all = grid();
  for (auto _ : state)
    for (const Deployment& d : all.deployments)
      for (const PreparedTask& task : all.tasks)
        benchmark::DoNotOptimize(all.estimator.quality().numbers(d.model, d.treatment, task));
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(all.deployments.size() * all.tasks.size()));
}
BENCHMARK(qualities)->Name("estimate/quality_resolved")->Unit(benchmark::kMicrosecond);

void decodes(benchmark::State& state) {
  const Grid& all = grid();
  for (auto _ : state)
    for (const Deployment& d : all.deployments)
      benchmark::DoNotOptimize(SpeedEstimator::answer(d.work, d.setup, SpeedQuantity::decode, d.decode_spread));
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(all.deployments.size()));
}
BENCHMARK(decodes)->Name("estimate/decode_resolved")->Unit(benchmark::kMicrosecond);

/// With names, words and sources: what `advisor estimate` prints for one point.
void point_in_words(benchmark::State& state) {
  Point point;
  point.model = find(knowledge().models, model_ids[0]);
  point.variant.model = point.model.id;
  point.variant.technique = "gptq";
  point.variant.scheme = "W4A16-g128";
  point.variant.format = "compressed-tensors";
  point.variant.engine = "vllm";
  point.hardware = {find(knowledge().devices, device_ids[0]), 1, "catalog"};
  point.tasks = {find(knowledge().tasks, "mmlu")};
  for (auto _ : state) benchmark::DoNotOptimize(grid().estimator.at(point));
}
BENCHMARK(point_in_words)->Name("estimate/point_in_words")->Unit(benchmark::kMicrosecond);

void load_one_model(benchmark::State& state) {
  const auto database = std::filesystem::path(ADVISOR_BINARY_DIR) / "share/advisor/advisor.db";
  for (auto _ : state) {
    const Knowledge slice = load_knowledge(database, {model_ids[0], device_ids[0], {{"mmlu"}}});
    benchmark::DoNotOptimize(Estimator(slice));
  }
}
BENCHMARK(load_one_model)->Name("estimate/load_one_model")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace advisor
