// The ways from the model in use to another variant: a graph whose vertices are variants and whose edges are steps
// that somebody has to carry out. Answers which routes are worth knowing when time, money, memory of the job and
// quality are all to be kept low and no exchange rate between them is given. Knows nothing of how a step's cost was
// estimated or why a step is allowed: who builds the graph adds allowed steps only.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/variant.h"

namespace advisor {

enum class StepKind : std::uint8_t {
  switch_model,
  use_published,
  prune,
  sparsify,
  quantize,
  convert,
  quantize_kv,
  serve
};
std::string_view name(StepKind kind);  ///< "switch_model", "use_published" ... as PlanStep::kind

/// What a step takes. Along a route hours, usd and quality_loss add up; peak_memory is the largest of the steps.
struct StepCost {
  double hours = 0;
  double usd = 0;
  double quality_loss = 0;  ///< upper bound, share of the quality of the model in use; what two steps do to each other
                            ///< belongs into the estimate of the vertex, not in here
  double peak_memory = 0;   ///< bytes while the step runs
};

struct GraphStep {
  StepKind kind = StepKind::serve;
  int from = 0, to = 0;  ///< vertices
  StepCost cost;
  std::string note{};  ///< tool or checkpoint that does it
};

struct RouteLimits {
  double hours = std::numeric_limits<double>::infinity();
  double usd = std::numeric_limits<double>::infinity();
  double peak_memory = std::numeric_limits<double>::infinity();
  int steps = 6;
};

struct Route {
  std::vector<int> steps;  ///< indices into VariantGraph::steps(), in the order of execution
  StepCost total;
};

class VariantGraph {
 public:
  explicit VariantGraph(const Variant& source);  ///< vertex 0
  ~VariantGraph();
  VariantGraph(VariantGraph&&) noexcept;
  VariantGraph& operator=(VariantGraph&&) noexcept;

  /// Adds the variant, or finds it by id().
  int vertex(const Variant& variant);
  /// Throws invalid_argument for an unknown vertex, a step from a vertex to itself, a negative cost or one that is not
  /// a number. An infinite cost is allowed: no limit admits it, and without one it is a cost like any other.
  void step(GraphStep step);

  const Variant& variant(int vertex) const;
  int vertices() const;
  const std::vector<GraphStep>& steps() const;

  /// Every non-dominated way from vertex 0 to `goal` within the limits that uses each kind of step at most once: none
  /// of them is at least as good as another in all four costs. Of equally costly routes only one is kept, the shortest.
  /// Sorted by hours, quality loss, usd, memory, then steps. The way to vertex 0 has no steps. Labels are set by
  /// boost::r_c_shortest_paths; a vertex holds at most one label per Pareto-optimal cost and set of kinds.
  std::vector<Route> routes(int goal, const RouteLimits& limits = {}) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace advisor
