// What follows the estimates of a recommendation: the routes through a graph of variants, the Pareto front and the
// order of many options, and the effort of a job. None of them knows of the others.
#include <benchmark/benchmark.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "estimate/effort.h"
#include "rank/rank.h"
#include "route/variant_graph.h"

namespace advisor {
namespace {

Variant numbered(int i) {
  Variant v;
  v.model = "m" + std::to_string(i);
  return v;
}

/// The shape that recommendations have: models to switch to, each as published, pruned and quantized by several tools
/// and settings, then a KV cache setting, then a start. About `size` vertices; returns the last one that is served.
int build(VariantGraph& graph, int size) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> u(0.1, 1);
  const auto cost = [&] { return StepCost{u(random), u(random), 0.05 * u(random), 1e11 * u(random)}; };
  int next = 1, goal = 0;
  const auto add = [&](StepKind kind, int from, int to) { graph.step({kind, from, to, cost(), "tool"}); };
  const auto state = [&] { return graph.vertex(numbered(next++)); };
  for (int model = 0; graph.vertices() < size; ++model) {
    const int base = model == 0 ? 0 : state();
    if (model > 0) add(StepKind::switch_model, 0, base);
    const int pruned = state();
    add(StepKind::prune, base, pruned), add(StepKind::prune, base, pruned);
    for (int scheme = 0; scheme < 6; ++scheme) {
      const int quantized = state(), cached = state();
      goal = state();
      for (int tool = 0; tool < 3; ++tool) add(StepKind::quantize, base, quantized);
      add(StepKind::use_published, 0, quantized);
      add(StepKind::quantize, pruned, quantized);
      add(StepKind::quantize_kv, quantized, cached);
      add(StepKind::serve, cached, goal), add(StepKind::serve, quantized, goal);
    }
  }
  return goal;
}

void routes(benchmark::State& state) {
  VariantGraph graph(numbered(0));
  const int goal = build(graph, static_cast<int>(state.range(0)));
  std::size_t found = 0;
  for (auto _ : state) benchmark::DoNotOptimize(found = graph.routes(goal).size());
  state.counters["vertices"] = graph.vertices();
  state.counters["steps"] = static_cast<double>(graph.steps().size());
  state.counters["routes"] = static_cast<double>(found);
}
BENCHMARK(routes)->Arg(20)->Arg(200)->Unit(benchmark::kMicrosecond);

/// One direction, as in the worst case: everything is reachable and leads to the goal.
void dense_routes(benchmark::State& state) {
  constexpr int vertices = 200, steps = 600;
  std::mt19937 random(2);
  std::uniform_real_distribution<double> u(0.1, 1);
  VariantGraph graph(numbered(0));
  for (int i = 1; i < vertices; ++i) graph.vertex(numbered(i));
  for (int i = 0; i < steps; ++i) {
    const int from = static_cast<int>(random() % (vertices - 1));
    const int to = from + 1 + static_cast<int>(random() % static_cast<unsigned>(vertices - from - 1));
    graph.step({static_cast<StepKind>(random() % 8), from, to, {u(random), u(random), u(random), u(random)}});
  }
  std::size_t found = 0;
  for (auto _ : state) benchmark::DoNotOptimize(found = graph.routes(vertices - 1).size());
  state.counters["routes"] = static_cast<double>(found);
}
BENCHMARK(dense_routes)->Unit(benchmark::kMicrosecond);

/// Quality falls and cost and latency rise with size, each with noise; a quarter are equally much effort.
std::vector<Objectives> options(std::size_t count) {
  std::mt19937 random(3);
  std::normal_distribution<double> noise;
  std::vector<Objectives> points(count);
  for (auto& p : points) {
    const double size = noise(random);
    p.quality = 1 - 0.1 * std::exp(-size) + 0.02 * noise(random);
    p.cost = std::exp(size + 0.3 * noise(random));
    p.latency = std::exp(size + 0.3 * noise(random));
    p.effort = static_cast<double>(random() % 4);
  }
  return points;
}

void front(benchmark::State& state) {
  const auto points = options(static_cast<std::size_t>(state.range(0)));
  std::size_t size = 0;
  for (auto _ : state) benchmark::DoNotOptimize(size = pareto_front(points).size());
  state.counters["front"] = static_cast<double>(size);
}
BENCHMARK(front)->Arg(2'000)->Arg(20'000)->Unit(benchmark::kMicrosecond);

void order(benchmark::State& state) {
  const auto points = options(static_cast<std::size_t>(state.range(0)));
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < points.size(); ++i) ids.push_back("model/variant-" + std::to_string(i));
  std::vector<Place> places;
  for (std::size_t i = 0; i < points.size(); ++i) places.push_back({points[i], 1, ids[i]});
  const std::vector<std::string> priority{"quality", "cost", "latency", "effort"};
  for (auto _ : state) benchmark::DoNotOptimize(lexicographic(places, priority));
}
BENCHMARK(order)->Arg(2'000)->Arg(20'000)->Unit(benchmark::kMicrosecond);

void effort(benchmark::State& state) {
  Model model;
  model.params = 70.6e9;
  Hardware machine;
  machine.device.bandwidth = 2.039e12, machine.device.bf16 = 312e12, machine.device.fp32 = 19.5e12;
  const auto work = *model_work(model);
  const auto rates = *job_rates(machine);
  const auto* technique = technique_work("gptq");
  double bytes = 40e9;
  for (auto _ : state) {
    bytes += 1;
    benchmark::DoNotOptimize(job_cost(Job::compress, work, technique, bytes, rates));
  }
}
BENCHMARK(effort);

}  // namespace
}  // namespace advisor
