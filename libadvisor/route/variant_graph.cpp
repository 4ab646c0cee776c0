#include "route/variant_graph.h"

#include <algorithm>
#include <array>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/r_c_shortest_paths.hpp>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>

#include "core/error.h"

namespace advisor {

namespace {

constexpr std::array kinds{std::string_view("switch_model"), std::string_view("use_published"),
                           std::string_view("prune"),        std::string_view("sparsify"),
                           std::string_view("quantize"),     std::string_view("convert"),
                           std::string_view("quantize_kv"),  std::string_view("serve")};
static_assert(kinds.size() == static_cast<std::size_t>(StepKind::serve) + 1);

struct EdgeData {
  int step = 0;  ///< its index
};
using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS, boost::no_property, EdgeData>;
using Vertex = boost::graph_traits<Graph>::vertex_descriptor;
using Edge = boost::graph_traits<Graph>::edge_descriptor;

StepCost sum(const StepCost& a, const StepCost& b) {
  return {a.hours + b.hours, a.usd + b.usd, a.quality_loss + b.quality_loss, std::max(a.peak_memory, b.peak_memory)};
}

auto as_tuple(const StepCost& c) { return std::tie(c.hours, c.quality_loss, c.usd, c.peak_memory); }

bool at_most(const StepCost& a, const StepCost& b) {
  return a.hours <= b.hours && a.usd <= b.usd && a.quality_loss <= b.quality_loss && a.peak_memory <= b.peak_memory;
}

/// The resources of a label, and the way to it: each kind occurs at most once, so eight steps are the most there are.
struct Label {
  StepCost total;
  unsigned used = 0;  ///< a bit per kind of step
  std::uint8_t length = 0;
  std::array<int, kinds.size()> way{};

  auto key() const { return std::tuple_cat(as_tuple(total), std::tie(length, way, used)); }
  bool operator==(const Label& other) const { return key() == other.key(); }
  bool operator<(const Label& other) const { return key() < other.key(); }
};

/// Labels of one vertex. `a` makes `b` superfluous when every way on from `b` is open to `a` too, at no higher cost;
/// of twins the one that sorts first stays.
bool makes_superfluous(const Label& a, const Label& b) {
  if (!at_most(a.total, b.total) || (a.used & ~b.used) != 0) return false;
  return as_tuple(a.total) != as_tuple(b.total) || a.used != b.used || !(b < a);
}

/// Vertices from which the goal can be reached.
std::vector<bool> leading_to(const Graph& graph, Vertex goal) {
  std::vector<bool> seen(boost::num_vertices(graph));
  std::vector<Vertex> todo{goal};
  seen[goal] = true;
  while (!todo.empty()) {
    const Vertex vertex = todo.back();
    todo.pop_back();
    for (auto [edge, end] = boost::in_edges(vertex, graph); edge != end; ++edge) {
      const Vertex before = boost::source(*edge, graph);
      if (seen[before]) continue;
      seen[before] = true;
      todo.push_back(before);
    }
  }
  return seen;
}

/// What remains of labels that had to be kept apart for the kinds they had used: the non-dominated costs, each once.
std::vector<Route> non_dominated(std::vector<Label> labels) {
  std::sort(labels.begin(), labels.end());
  std::vector<Route> routes;
  for (const Label& label : labels) {
    const bool beaten =
        std::any_of(routes.begin(), routes.end(), [&](const Route& r) { return at_most(r.total, label.total); });
    if (!beaten) routes.push_back({{label.way.begin(), label.way.begin() + label.length}, label.total});
  }
  return routes;
}

}  // namespace

std::string_view name(StepKind kind) { return kinds.at(static_cast<std::size_t>(kind)); }

struct VariantGraph::Impl {
  Graph graph;
  std::vector<Variant> variants;
  std::map<std::string, int> by_id;
  std::vector<GraphStep> steps;

  void check(int vertex, const char* what) const {
    if (vertex < 0 || vertex >= static_cast<int>(variants.size()))
      throw Error(ErrorCode::invalid_argument, std::string(what) + " " + std::to_string(vertex) +
                                                   " is no vertex of the graph, which has " +
                                                   std::to_string(variants.size()) + "; add it with vertex() first");
  }

  /// Boost's resource extension function: whether `old` may be extended by the step, and to what.
  bool extend(const RouteLimits& limits, Label& extended, const Label& old, const GraphStep& step, int index) const {
    const unsigned bit = 1u << static_cast<unsigned>(step.kind);
    if ((old.used & bit) != 0 || old.length >= limits.steps) return false;
    extended = old;
    extended.total = sum(old.total, step.cost);
    extended.used |= bit;
    extended.way[extended.length++] = index;
    return extended.total.hours <= limits.hours && extended.total.usd <= limits.usd &&
           extended.total.peak_memory <= limits.peak_memory;
  }
};

VariantGraph::VariantGraph(const Variant& source) : impl_(std::make_unique<Impl>()) { vertex(source); }
VariantGraph::~VariantGraph() = default;
VariantGraph::VariantGraph(VariantGraph&&) noexcept = default;
VariantGraph& VariantGraph::operator=(VariantGraph&&) noexcept = default;

int VariantGraph::vertex(const Variant& variant) {
  const int next = vertices();
  const auto [place, added] = impl_->by_id.try_emplace(variant.id(), next);
  if (added) {
    impl_->variants.push_back(variant);
    boost::add_vertex(impl_->graph);
  }
  return place->second;
}

void VariantGraph::step(GraphStep step) {
  impl_->check(step.from, "start of a step:");
  impl_->check(step.to, "end of a step:");
  const auto about = [&] { return "step " + std::string(name(step.kind)) + " \"" + step.note + "\": "; };
  if (step.from == step.to)
    throw Error(ErrorCode::invalid_argument,
                about() + "leads from " + variant(step.from).id() + " to itself; leave it out");
  const auto& c = step.cost;
  for (const double value : {c.hours, c.usd, c.quality_loss, c.peak_memory})
    if (!(value >= 0))
      throw Error(ErrorCode::invalid_argument, about() + "costs have to be at least 0, not " + std::to_string(value));
  const auto from = static_cast<Vertex>(step.from), to = static_cast<Vertex>(step.to);
  boost::add_edge(from, to, EdgeData{static_cast<int>(impl_->steps.size())}, impl_->graph);
  impl_->steps.push_back(std::move(step));
}

const Variant& VariantGraph::variant(int vertex) const {
  impl_->check(vertex, "vertex");
  return impl_->variants[static_cast<std::size_t>(vertex)];
}
int VariantGraph::vertices() const { return static_cast<int>(impl_->variants.size()); }
const std::vector<GraphStep>& VariantGraph::steps() const { return impl_->steps; }

std::vector<Route> VariantGraph::routes(int goal, const RouteLimits& limits) const {
  impl_->check(goal, "goal");
  if (goal == 0) return {Route{}};
  const Graph& graph = impl_->graph;
  const auto useful = leading_to(graph, static_cast<Vertex>(goal));
  if (!useful[0]) return {};
  const auto extension = [&](const Graph&, Label& extended, const Label& old, Edge edge) {
    const auto to = boost::target(edge, graph);
    // back to the start is never on the way, and what lies behind the goal is of no interest
    if (to == 0 || !useful[to] || boost::source(edge, graph) == static_cast<Vertex>(goal)) return false;
    const int index = graph[edge].step;
    return impl_->extend(limits, extended, old, impl_->steps[static_cast<std::size_t>(index)], index);
  };
  std::vector<std::vector<Edge>> ways;
  std::vector<Label> labels;
  boost::r_c_shortest_paths(graph, boost::get(boost::vertex_index, graph), boost::get(&EdgeData::step, graph),
                            Vertex{0}, static_cast<Vertex>(goal), ways, labels, Label{}, extension, makes_superfluous,
                            std::allocator<boost::r_c_shortest_paths_label<Graph, Label>>(),
                            boost::default_r_c_shortest_paths_visitor());
  return non_dominated(std::move(labels));
}

}  // namespace advisor
