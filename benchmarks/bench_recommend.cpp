// How fast decisions are made. A cell is one model under one treatment against rules, memory, quality, speed, cost and
// effort. `recommend` is the whole answer for one profile and one machine: every model of the catalog, all treatments,
// routes, words, rejections; `decide` the numbers of it. The toolbox is built before the clock starts; scores of models
// on a task are looked up when a task is first asked about, which `first_question` counts.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>
#include <vector>

#include "core/json.h"
#include "io/database.h"
#include "io/yaml.h"
#include "recommend/decide.h"
#include "recommend/question.h"
#include "recommend/recommend.h"
#include "recommend/toolbox.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;

const Knowledge& knowledge() {
  static const Knowledge loaded = [] {
    auto snapshot = load_knowledge(fs::path(ADVISOR_BINARY_DIR) / "share/advisor/advisor.db");
    snapshot.rules = load_rules(fs::path(ADVISOR_BINARY_DIR) / "share/advisor/rules");
    return snapshot;
  }();
  return loaded;
}

const Toolbox& tools() {
  static const Toolbox all(knowledge());
  return all;
}

Hardware machine(const std::string& id) {
  for (const auto& device : knowledge().devices)
    if (device.id == id) return {device, 1, "catalog"};
  std::abort();
}

/// Profiles that leave everything open: any engine, any model.
Profile profile_of(const char* model, const char* task) {
  Profile profile;
  profile.model = model;
  profile.task.type = task;
  return profile;
}

constexpr const char* models[] = {"meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-70B-Instruct",
                                  "Qwen/Qwen2.5-7B-Instruct", "mistralai/Mistral-7B-Instruct-v0.3"};
constexpr const char* types[] = {"chat", "closed_book_qa", "medical_qa", "code", "math"};

void report(benchmark::State& state, std::int64_t variants) {
  state.counters["variants/s"] = benchmark::Counter(static_cast<double>(variants), benchmark::Counter::kIsRate);
  state.counters["variants"] =
      static_cast<double>(variants) / static_cast<double>(std::max<std::int64_t>(1, state.iterations()));
}

void decide_once(benchmark::State& state, const char* device, const char* model, const char* task) {
  const auto profile = profile_of(model, task);
  const auto hardware = machine(device);
  const auto question = ask(tools(), profile, hardware, nullptr);
  std::int64_t variants = 0;
  for (auto _ : state) variants += decide(tools(), question).variants_considered;
  report(state, variants);
}

void recommend_once(benchmark::State& state, const char* device, const char* model, const char* task) {
  const auto profile = profile_of(model, task);
  const auto hardware = machine(device);
  std::int64_t variants = 0;
  for (auto _ : state) variants += recommend(profile, hardware, tools()).variants_considered;
  report(state, variants);
}

/// The median of several repetitions: one that something else disturbed does not count.
void medians(benchmark::internal::Benchmark* benchmark) {
  benchmark->Unit(benchmark::kMillisecond)->MinTime(0.3)->Repetitions(11)->ReportAggregatesOnly(true);
}

#define EACH(name, function)                                                                                      \
  BENCHMARK_CAPTURE(function, name##_a100, "nvidia-a100-sxm4-80gb", models[0], "closed_book_qa")->Apply(medians); \
  BENCHMARK_CAPTURE(function, name##_h100, "nvidia-h100-sxm5-80gb", models[1], "code")->Apply(medians);           \
  BENCHMARK_CAPTURE(function, name##_4090, "nvidia-rtx-4090-24gb", models[2], "chat")->Apply(medians)
EACH(numbers, decide_once);
EACH(full_catalog, recommend_once);

/// One of 1,000 profiles: model, task, context, load, limit and freedom vary.
Profile profile_number(std::size_t i) {
  auto profile = profile_of(models[i % std::size(models)], types[i / 4 % std::size(types)]);
  profile.workload.context = 2048 << (i / 20 % 5);
  profile.workload.concurrency = std::int64_t{1} << (i / 100 % 5);
  profile.allow.switch_model = i / 500 % 2 == 0;
  return profile;
}

/// 1,000 profiles on 90 machines are 90,000 decisions; a sample of them, spread evenly over both, is timed: every
/// 499th, a prime. CPU time is that of all threads together: as long as it does not grow with the threads, nothing but
/// the number of cores limits a sweep.
void sweep(benchmark::State& state) {
  const auto threads = static_cast<std::size_t>(state.range(0));
  constexpr std::size_t profiles = 1000, machines = 90, stride = 499;
  std::vector<const Device*> devices;
  for (const auto& device : knowledge().devices)
    if (device.memory > 0 && device.bandwidth) devices.push_back(&device);
  std::sort(devices.begin(), devices.end(), [](const Device* a, const Device* b) { return a->id < b->id; });
  std::vector<std::pair<Profile, Hardware>> questions;
  for (std::size_t i = 0; i < profiles * machines; i += stride)
    questions.emplace_back(profile_number(i / machines),
                           Hardware{*devices[i % machines % devices.size()], 1, "catalog"});
  const auto answer = [&](std::size_t i) {
    return decide(tools(), ask(tools(), questions[i].first, questions[i].second, nullptr)).variants_considered;
  };
  for (std::size_t i = 0; i < questions.size(); ++i) answer(i);  // scores of the tasks are looked up once
  std::int64_t variants = 0;
  for (auto _ : state) {
    std::atomic<std::size_t> next{0};
    std::atomic<std::int64_t> looked_at{0};
    std::vector<std::jthread> workers;
    for (std::size_t t = 0; t < threads; ++t)
      workers.emplace_back([&] {
        for (std::size_t i = next++; i < questions.size(); i = next++) looked_at += answer(i);
      });
    workers.clear();
    variants += looked_at;
  }
  report(state, variants);
  state.counters["decisions/s"] = benchmark::Counter(
      static_cast<double>(questions.size()) * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(sweep)
    ->Name("decide/sweep_sampled")
    ->RangeMultiplier(2)
    ->Range(1, std::max(2U, std::thread::hardware_concurrency()))
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void build_toolbox(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(std::make_unique<Toolbox>(knowledge()));
}
BENCHMARK(build_toolbox)->Name("recommend/build_toolbox")->Unit(benchmark::kMillisecond);

void first_question(benchmark::State& state) {
  const auto profile = profile_of(models[0], "closed_book_qa");
  const auto hardware = machine("nvidia-a100-sxm4-80gb");
  for (auto _ : state) {
    state.PauseTiming();
    const auto fresh = std::make_unique<Toolbox>(knowledge());
    state.ResumeTiming();
    benchmark::DoNotOptimize(recommend(profile, hardware, *fresh));
  }
}
BENCHMARK(first_question)->Name("recommend/first_question")->Unit(benchmark::kMillisecond)->Iterations(5);

}  // namespace
}  // namespace advisor
