// From a recipe with a budget to one that says what each matrix gets.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "compress/allocate.h"
#include "compress/sensitivity.h"
#include "compress/targets.h"
#include "core/document.h"
#include "core/error.h"
#include "core/suggest.h"
#include "core/units.h"
#include "lm/architecture.h"

namespace advisor {
namespace {

// 4 and 8 bits are what engines have kernels for in compressed-tensors. Of GGUF the K-quants, and where rows are no
// multiple of 256 the types of 32 that come closest to them.
constexpr std::array<std::string_view, 2> default_schemes{"W4A16-g128", "W8A16-g128"};
constexpr std::array<std::string_view, 9> default_types{"Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
                                                        "Q4_0", "Q5_0", "Q5_1", "Q8_0"};

std::string bytes_text(std::int64_t bytes) { return format_quantity(static_cast<double>(bytes), Dimension::bytes); }

std::string module_of_tensor(const std::string& tensor) { return tensor.substr(0, tensor.rfind('.')); }

std::string bits_text(std::int64_t bytes, std::int64_t weights) {
  return format_number(std::round(8e4 * static_cast<double>(bytes) / static_cast<double>(weights)) / 1e4);
}

class Spender {
 public:
  Spender(const CompressRequest& request, const ProgressFn& progress)
      : request_(request), budget_(*request.recipe.budget), progress_(progress) {}

  CompressRequest run() {
    check_recipe();
    read_candidates();
    prepare_job();
    make_groups();
    const std::int64_t room = room_for_matrices();
    std::int64_t all = 0;
    for (const PrecisionGroup& group : groups_)
      for (const std::size_t tensor : group.tensors) all += job_.source->tensors()[tensor].bytes;
    Meter meter(progress_, "measure", all);
    sensitivities_ = measure_sensitivity(job_, candidates_, groups_, job_.out.parent_path(), meter);
    return result(solve(room));
  }

 private:
  [[noreturn]] void refuse(ErrorCode code, const std::string& key, const std::string& message) const {
    throw Error(code, prefix(budget_.places.of(key)) + message);
  }

  void check_recipe() {
    const Recipe& recipe = request_.recipe;
    if (recipe.steps.size() != 1)
      refuse(ErrorCode::invalid_argument, "",
             "a budget chooses schemes by itself: give the recipe one step, whose "
             "targets say what it is spent on");
    if (recipe.formats.size() != 1)
      refuse(ErrorCode::invalid_argument, "", "a budget is that of one output: give the recipe one format");
    format_ = &find_format(recipe.formats.front().id);
    if (format_->tensor_bytes == nullptr)
      refuse(ErrorCode::unsupported, "",
             "format " + std::string(format_->id) +
                 " holds one scheme, so that a budget leaves nothing to choose; "
                 "compressed-tensors and gguf hold several");
    if (format_->takes_codes && recipe.steps.front().technique == "none")
      refuse(ErrorCode::invalid_argument, "", "technique none makes nothing smaller; use rtn, gptq or another one");
    if (request_.calibration.texts.empty())
      refuse(ErrorCode::invalid_argument, "",
             "which matrices need their bits is measured: name a text with --calibration");
    own_ = !format_->takes_codes;
  }

  void read_candidates() {
    std::vector<std::string> names = budget_.candidates;
    if (names.empty() && own_) names.assign(default_types.begin(), default_types.end());
    if (names.empty()) names.assign(default_schemes.begin(), default_schemes.end());
    for (std::size_t i = 0; i < names.size(); ++i) {
      const std::string key = "candidates." + std::to_string(i);
      Candidate candidate{names[i], {}, {}};
      try {
        if (own_) {
          const auto type = kernels::block_type_named(names[i]);
          if (!type) throw Error(ErrorCode::invalid_argument, "'" + names[i] + "' is no type of GGUF tensors");
          candidate.type = *type;
          candidate.id = kernels::layout_of(*type).name;
        } else {
          candidate.scheme = parse_quant_scheme(names[i]);
          candidate.id = candidate.scheme->id();
        }
      } catch (const Error& error) {
        refuse(error.code(), key, error.what());
      }
      if (std::ranges::find(candidates_, candidate.id, &Candidate::id) != candidates_.end())
        refuse(ErrorCode::invalid_argument, key, "the candidate " + candidate.id + " is named twice");
      candidates_.push_back(std::move(candidate));
    }
  }

  /// The request with one candidate for all.
  CompressRequest uniform(const Candidate& candidate) const {
    CompressRequest request = request_;
    request.recipe.budget.reset();
    request.resume = false;  // an interrupted run is one of the recipe that the budget leads to
    if (candidate.scheme) request.recipe.steps.front().scheme = candidate.id;
    return request;
  }

  /// Every candidate is asked to stand alone, so that what cannot be done is refused before anything is measured.
  void prepare_job() {
    if (!own_)
      for (const Candidate& candidate : candidates_) job_ = prepare(uniform(candidate));
    else
      job_ = prepare(uniform(candidates_.front()));
    plan_ = job_.outputs.front().plan;
  }

  std::string group_of(const Architecture& architecture, const std::string& tensor) const {
    const std::string fused = fused_group(architecture, tensor);
    if (!own_) return fused;
    // A GGUF file stacks the experts of a layer, gate and up apart; other matrices stand alone.
    const bool expert =
        !architecture.expert_prefix.empty() && tensor.find(architecture.expert_prefix) != std::string::npos;
    const std::string module = module_of_tensor(tensor);
    return expert ? fused + module.substr(module.rfind('.')) : tensor;
  }

  bool fits(const Candidate& candidate, std::size_t tensor) const {
    return candidate.scheme.has_value() ||
           job_.source->tensors()[tensor].shape[1] % kernels::layout_of(candidate.type).elements == 0;
  }

  std::int64_t bytes_of(std::size_t tensor, const Candidate& candidate) {
    assign(tensor, candidate);
    return format_->tensor_bytes(plan_, tensor);
  }

  void assign(std::size_t tensor, const Candidate& candidate) {
    PlannedTensor& planned = plan_.tensors[tensor];
    planned.scheme = candidate.scheme;
    if (!candidate.scheme) planned.type = candidate.id;
  }

  void make_groups() {
    const Architecture& architecture = find_architecture(job_.source->config().architecture);
    const auto& tensors = job_.source->tensors();
    const auto owners = assign_steps(*job_.source, request_.recipe.steps);
    std::map<std::string, std::size_t> index;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      // Other matrices than those of decoder blocks are not seen by calibration; types that the recipe gives stay.
      if (!owners[i] || !tensors[i].name.starts_with(architecture.layer_prefix) || !plan_.tensors[i].type.empty())
        continue;
      const auto [found, first] = index.emplace(group_of(architecture, tensors[i].name), groups_.size());
      if (first) groups_.emplace_back();
      groups_[found->second].tensors.push_back(i);
      weights_ += tensors[i].shape[0] * tensors[i].shape[1];
    }
    if (groups_.empty()) refuse(ErrorCode::invalid_argument, "", "the budget has no matrix to be spent on");
    for (PrecisionGroup& group : groups_) {
      std::vector<std::pair<std::int64_t, std::size_t>> sizes;
      for (std::size_t c = 0; c < candidates_.size(); ++c) {
        if (!std::ranges::all_of(group.tensors, [&](std::size_t t) { return fits(candidates_[c], t); })) continue;
        std::int64_t bytes = 0;
        for (const std::size_t tensor : group.tensors) bytes += bytes_of(tensor, candidates_[c]);
        sizes.emplace_back(bytes, c);
      }
      const std::string& name = tensors[group.tensors.front()].name;
      if (sizes.empty()) refuse(ErrorCode::invalid_argument, "candidates", "no candidate fits the rows of " + name);
      std::ranges::sort(sizes);
      auto& bytes = bytes_.emplace_back();
      for (const auto& [size, c] : sizes) {
        bytes.push_back(size);
        group.candidates.push_back(c);
      }
      for (const std::size_t tensor : group.tensors) assign(tensor, candidates_[group.candidates.front()]);
      least_ += bytes.front();
    }
  }

  /// Bytes of all matrices together. Called while every matrix has its smallest candidate.
  std::int64_t room_for_matrices() const {
    if (budget_.bits_per_weight > 0) {
      const double room = std::floor(budget_.bits_per_weight * static_cast<double>(weights_) / 8);
      if (room < static_cast<double>(least_))
        refuse(ErrorCode::invalid_argument, "bits_per_weight",
               format_number(budget_.bits_per_weight) +
                   " bits per weight cannot be kept: with scales the candidates (" + names() + ") take at least " +
                   bits_text(least_, weights_));
      return static_cast<std::int64_t>(std::min(room, 0x1p50));
    }
    const std::int64_t smallest = format_->bytes(plan_);
    if (budget_.size < smallest)
      refuse(ErrorCode::invalid_argument, "size",
             bytes_text(budget_.size) + " cannot be kept: with the candidates (" + names() +
                 ") the output takes at least " + bytes_text(smallest) + ", of which " + bytes_text(smallest - least_) +
                 " are tensors that the recipe does not target, and side files");
    return least_ + (budget_.size - smallest);
  }

  std::string names() const {
    std::vector<std::string> ids;
    for (const Candidate& candidate : candidates_) ids.push_back(candidate.id);
    return join(ids);
  }

  /// Headers grow with the names of what is stored, so a size is checked and the room made smaller by what it exceeds.
  Allocation solve(std::int64_t room) {
    std::vector<std::vector<Choice>> choices;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      auto& group = choices.emplace_back();
      for (std::size_t c = 0; c < bytes_[g].size(); ++c)
        group.push_back({bytes_[g][c], sensitivities_[g].divergence[c]});
    }
    for (;;) {
      std::optional<Allocation> found = allocate(choices, room);
      if (!found) {  // only headers stand between the smallest output and the budget
        found = allocate(choices, least_);
        room = least_;
      }
      for (std::size_t g = 0; g < groups_.size(); ++g)
        for (const std::size_t tensor : groups_[g].tensors)
          assign(tensor, candidates_[groups_[g].candidates[found->chosen[g]]]);
      const std::int64_t total = budget_.size > 0 ? format_->bytes(plan_) : 0;
      if (total <= budget_.size || room == least_) return *found;
      room = std::max(least_, found->cost - (total - budget_.size));
    }
  }

  CompressRequest result(const Allocation& allocation) {
    CompressRequest request = request_;
    request.recipe.budget.reset();
    std::vector<std::vector<std::string>> modules(candidates_.size());
    auto report = std::make_shared<PrecisionReport>();
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const std::size_t chosen = allocation.chosen[g];
      const Candidate& candidate = candidates_[groups_[g].candidates[chosen]];
      PrecisionReport::Row& row = report->rows.emplace_back();
      row.choice = candidate.id;
      row.bytes = bytes_[g][chosen];
      row.error = sensitivities_[g].error[chosen];
      row.divergence = sensitivities_[g].divergence[chosen];
      for (const std::size_t tensor : groups_[g].tensors) {
        const TensorInfo& info = job_.source->tensors()[tensor];
        row.tensors.push_back(info.name);
        row.weights += info.shape[0] * info.shape[1];
        modules[groups_[g].candidates[chosen]].push_back(module_of_tensor(info.name));
      }
    }
    report->budget =
        budget_.size > 0 ? bytes_text(budget_.size) : format_number(budget_.bits_per_weight) + " bits per weight";
    for (const Candidate& candidate : candidates_) report->candidates.push_back(candidate.id);
    report->weights = weights_;
    report->bytes = allocation.cost;
    report->divergence = allocation.error;
    report->divergence_bound = allocation.bound;
    request.precision = std::move(report);
    write_recipe(modules, request.recipe);
    return request;
  }

  /// Names for all but the most frequent scheme, which has the targets of the recipe; GGUF has types by names.
  void write_recipe(const std::vector<std::vector<std::string>>& modules, Recipe& recipe) const {
    const auto most = std::ranges::max_element(modules, {}, &std::vector<std::string>::size);
    const RecipeStep rest = recipe.steps.front();
    if (!own_) recipe.steps.clear();
    for (std::size_t c = 0; c < modules.size(); ++c) {
      if (modules[c].empty()) continue;
      if (own_) {
        recipe.formats.front().tensor_types.push_back({modules[c], candidates_[c].id});
      } else if (&modules[c] != &*most) {
        RecipeStep& step = recipe.steps.emplace_back(rest);
        step.scheme = candidates_[c].id;
        step.targets = modules[c];
        step.ignore.clear();
        step.places = {};
      }
    }
    if (own_) return;
    recipe.steps.push_back(rest);
    recipe.steps.back().scheme = candidates_[static_cast<std::size_t>(most - modules.begin())].id;
  }

  const CompressRequest& request_;
  const RecipeBudget& budget_;
  const ProgressFn& progress_;
  const FormatImpl* format_ = nullptr;
  bool own_ = false;  ///< the format encodes weights by itself: types instead of schemes
  std::vector<Candidate> candidates_;
  PreparedJob job_;
  OutputPlan plan_;
  std::vector<PrecisionGroup> groups_;
  std::vector<std::vector<std::int64_t>> bytes_;  ///< per group and candidate of the group
  std::vector<Sensitivity> sensitivities_;
  std::int64_t weights_ = 0, least_ = 0;
};

}  // namespace

CompressRequest spend_budget(const CompressRequest& request, const ProgressFn& progress) {
  return request.recipe.budget ? Spender(request, progress).run() : request;
}

}  // namespace advisor
