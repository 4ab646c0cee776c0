// Thin forwards from the C header to the facade; guard() is the only place where exceptions stop.
#include "advisor.h"

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "core/fields.h"
#include "core/json.h"
#include "core/version.h"
#include "facade.h"
#include "guard.h"

using advisor::Error;
using advisor::ErrorCode;
using advisor::Outcome;
using advisor::capi::guard;
using advisor::capi::required;

static_assert(int(ErrorCode::ok) == ADVISOR_OK);
static_assert(int(ErrorCode::invalid_argument) == ADVISOR_INVALID_ARGUMENT);
static_assert(int(ErrorCode::not_found) == ADVISOR_NOT_FOUND);
static_assert(int(ErrorCode::parse_error) == ADVISOR_PARSE_ERROR);
static_assert(int(ErrorCode::unsupported) == ADVISOR_UNSUPPORTED);
static_assert(int(ErrorCode::io_error) == ADVISOR_IO_ERROR);
static_assert(int(ErrorCode::cancelled) == ADVISOR_CANCELLED);
static_assert(int(ErrorCode::out_of_memory) == ADVISOR_OUT_OF_MEMORY);
static_assert(int(ErrorCode::internal) == ADVISOR_INTERNAL);
static_assert(int(Outcome::recommended) == ADVISOR_RECOMMENDED);
static_assert(int(Outcome::infeasible) == ADVISOR_INFEASIBLE);
static_assert(int(Outcome::insufficient_evidence) == ADVISOR_INSUFFICIENT_EVIDENCE);

struct advisor_handle {
  advisor::Advisor facade;
};
struct advisor_profile {
  advisor::Profile value;
};
struct advisor_recommendation {
  advisor::Recommendation value;
  std::string json, text;
};
struct advisor_job {
  advisor::Advisor facade;
  advisor::CompressRequest request;
  std::string plan, report;
};
struct advisor_evaluation {
  std::string json;
};

namespace advisor::capi {

std::string& last_error() {
  thread_local std::string message;
  return message;
}

namespace {

/// Fills *out with what `make` returns, or NULL when it throws.
template <typename T, typename Make>
advisor_status create(T** out, Make&& make) {
  return guard([&] {
    *required(out, "out") = nullptr;
    *out = std::make_unique<T>(make()).release();
  });
}

/// The estimate behind a metric's name, or null when there is no evidence for it.
const Estimate* find_estimate(const Option& option, const std::string& metric) {
  const auto pointer = [](const std::optional<Estimate>& estimate) { return estimate ? &*estimate : nullptr; };
  if (metric == "quality") return option.quality ? &option.quality->value : nullptr;
  if (metric == "decode_tokens_per_second") return pointer(option.decode_tokens_per_second);
  if (metric == "ttft_seconds") return pointer(option.ttft_seconds);
  if (metric == "usd_per_hour") return pointer(option.usd_per_hour);
  if (metric == "usd_per_million_tokens") return pointer(option.usd_per_million_tokens);
  throw Error(
      ErrorCode::invalid_argument,
      "unknown metric '" + metric +
          "'; known: quality, memory, decode_tokens_per_second, ttft_seconds, usd_per_hour, usd_per_million_tokens");
}

}  // namespace
}  // namespace advisor::capi

using advisor::capi::create;

uint32_t advisor_version(void) {
  unsigned major = 0, minor = 0, patch = 0;
  std::sscanf(advisor::version().data(), "%u.%u.%u", &major, &minor, &patch);
  return (major << 16) | (minor << 8) | patch;
}

const char* advisor_last_error(void) { return advisor::capi::last_error().c_str(); }

advisor_status advisor_open(const char* data_dir, advisor_handle** out) {
  return create(out, [&] {
    advisor::Advisor facade(data_dir == nullptr ? "" : data_dir);
    facade.knowledge();
    return advisor_handle{facade};
  });
}

void advisor_close(advisor_handle* handle) { delete handle; }

advisor_status advisor_profile_create(advisor_profile** out) {
  return create(out, [] { return advisor_profile{}; });
}

advisor_status advisor_profile_from_json(const char* json, advisor_profile** out) {
  return create(out, [&] { return advisor_profile{advisor::profile_from_json(required(json, "json"))}; });
}

advisor_status advisor_profile_set_number(advisor_profile* profile, const char* field, double value) {
  return guard([&] { advisor::set_field(required(profile, "profile")->value, required(field, "field"), value); });
}

advisor_status advisor_profile_set_text(advisor_profile* profile, const char* field, const char* value) {
  return guard([&] {
    const std::string_view text = required(value, "value");
    advisor::set_field(required(profile, "profile")->value, required(field, "field"), text);
  });
}

void advisor_profile_release(advisor_profile* profile) { delete profile; }

advisor_status advisor_recommend(const advisor_handle* handle, const advisor_profile* profile,
                                 advisor_recommendation** out) {
  return create(out, [&] {
    advisor_recommendation result;
    result.value = required(handle, "handle")->facade.recommend(required(profile, "profile")->value);
    result.json = advisor::to_json(result.value);
    result.text = advisor::explain(result.value);
    return result;
  });
}

int32_t advisor_recommendation_outcome(const advisor_recommendation* recommendation) {
  return recommendation == nullptr ? -1 : static_cast<int32_t>(recommendation->value.outcome);
}

size_t advisor_recommendation_count(const advisor_recommendation* recommendation) {
  return recommendation == nullptr ? 0 : recommendation->value.options.size();
}

advisor_status advisor_recommendation_estimate(const advisor_recommendation* recommendation, size_t option,
                                               const char* metric, double* mean, double* low, double* high) {
  return guard([&] {
    const auto& options = required(recommendation, "recommendation")->value.options;
    if (option >= options.size()) {
      throw Error(ErrorCode::invalid_argument, "option " + std::to_string(option) + " of " +
                                                   std::to_string(options.size()) + "; options count from 0");
    }
    const auto fill = [&](double m, double l, double h) {
      if (mean != nullptr) *mean = m;
      if (low != nullptr) *low = l;
      if (high != nullptr) *high = h;
    };
    fill(0, 0, 0);
    const std::string name = required(metric, "metric");
    if (name == "memory") {
      const double total = options[option].memory.total;
      return fill(total, total, total);
    }
    const auto* estimate = advisor::capi::find_estimate(options[option], name);
    if (estimate == nullptr) throw Error(ErrorCode::not_found, "there is no evidence for " + name + " of this option");
    fill(estimate->mean, estimate->low, estimate->high);
  });
}

const char* advisor_recommendation_json(const advisor_recommendation* recommendation) {
  return recommendation == nullptr ? "" : recommendation->json.c_str();
}

const char* advisor_recommendation_text(const advisor_recommendation* recommendation) {
  return recommendation == nullptr ? "" : recommendation->text.c_str();
}

void advisor_recommendation_release(advisor_recommendation* recommendation) { delete recommendation; }

advisor_status advisor_job_create(const advisor_handle* handle, const char* model, const char* out_dir,
                                  const char* recipe_yaml, advisor_job** out) {
  return create(out, [&] {
    advisor_job job{required(handle, "handle")->facade, {}, {}, {}};
    job.request.model = required(model, "model");
    job.request.out = required(out_dir, "out_dir");
    job.request.recipe = advisor::parse_recipe(required(recipe_yaml, "recipe_yaml"), "recipe");
    job.plan = advisor::to_json(job.facade.plan(job.request));
    return job;
  });
}

advisor_status advisor_job_set_threads(advisor_job* job, int32_t threads) {
  return guard([&] {
    if (threads < 0) throw Error(ErrorCode::invalid_argument, "threads is negative; 0 means all cores");
    required(job, "job")->request.threads = threads;
  });
}

const char* advisor_job_plan_json(const advisor_job* job) { return job == nullptr ? "" : job->plan.c_str(); }

advisor_status advisor_job_run(advisor_job* job, advisor_progress_fn progress, void* payload) {
  return guard([&] {
    required(job, "job");  // first: the right side of an assignment is evaluated before its left
    const auto report = [&](const advisor::Progress& p) {
      return progress == nullptr || progress(payload, p.stage.c_str(), p.item.c_str(), p.done, p.total, p.seconds) == 0;
    };
    job->report = advisor::to_json(job->facade.compress(job->request, report));
  });
}

const char* advisor_job_report_json(const advisor_job* job) { return job == nullptr ? "" : job->report.c_str(); }

void advisor_job_release(advisor_job* job) { delete job; }

advisor_status advisor_evaluate(const advisor_handle* handle, const char* model, const char* suite, int32_t threads,
                                advisor_progress_fn progress, void* payload, advisor_evaluation** out) {
  return create(out, [&] {
    const auto request = advisor::evaluation_of(required(model, "model"), required(suite, "suite"), threads, 0);
    const auto report = [&](const advisor::EvaluateProgress& p) {
      return progress == nullptr || progress(payload, p.stage.c_str(), "", p.done, p.total, p.seconds) == 0;
    };
    return advisor_evaluation{advisor::to_json(required(handle, "handle")->facade.evaluate(request, report))};
  });
}

const char* advisor_evaluation_json(const advisor_evaluation* evaluation) {
  return evaluation == nullptr ? "" : evaluation->json.c_str();
}

void advisor_evaluation_release(advisor_evaluation* evaluation) { delete evaluation; }
