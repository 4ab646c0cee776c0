// The result that `vllm bench serve` (formerly benchmarks/benchmark_serving.py) saves: vllm/benchmarks/serve.py. Loads
// are an arrival rate ("request_rate", the text "inf" when all requests start at once), a cap on requests in flight
// ("max_concurrency", null when there is none), or both.
#include <cmath>

#include "io/import_formats.h"

namespace advisor::imports {
namespace {

/// The engine behind a backend of the client; the openai protocol is spoken by many.
std::string engine_of(const std::string& backend) {
  for (const char* engine : {"tensorrt-llm", "sglang", "lmdeploy", "vllm"}) {
    if (backend.starts_with(engine)) return engine;
  }
  return backend.starts_with("llama.cpp") ? "llama.cpp" : "";
}

void add(ToolRun& run, const ToolSpeed& load, const Document& root, const std::string& where, const char* key,
         const char* metric) {
  const auto value = number_of(root, key, where);
  if (!value || *value <= 0) return;
  ToolSpeed speed = load;
  speed.metric = metric;
  speed.value = *value;
  speed.locator = key;
  run.speed.push_back(std::move(speed));
}

/// Mean latency over requests, with the standard error of that mean.
void add_latency(ToolRun& run, const ToolSpeed& load, const Document& root, const std::string& where,
                 const std::string& name, double completed) {
  const std::size_t before = run.speed.size();
  add(run, load, root, where, ("mean_" + name).c_str(), name.c_str());
  const auto spread = number_of(root, "std_" + name, where);
  if (run.speed.size() > before && spread && completed > 1) {
    run.speed.back().standard_error = *spread / std::sqrt(completed);
  }
}

ToolSpeed load_of(const Document& root, const std::string& where, double completed) {
  ToolSpeed load;
  const auto mean_tokens = [&](const char* key) -> std::optional<std::int64_t> {
    const auto total = number_of(root, key, where);
    if (!total || *total <= 0 || *total / completed > 1e12) return std::nullopt;
    return std::llround(*total / completed);
  };
  load.input_tokens = mean_tokens("total_input_tokens");
  load.output_tokens = mean_tokens("total_output_tokens");
  const std::string rate = text_of(root, "request_rate"), cap = text_of(root, "max_concurrency");
  const auto in_flight = number_in(cap, where + ": max_concurrency");
  if (in_flight && (*in_flight < 1 || *in_flight > 1e9)) refuse(where, "max_concurrency " + cap + " is no count");
  const bool arrival = rate != "inf" && !rate.empty();
  if (in_flight && !arrival) {
    load.concurrency = std::llround(*in_flight);
    load.load = std::to_string(*load.concurrency);
  } else if (arrival) {
    number_in(rate, where + ": request_rate");
    load.load = rate + " req/s" + (in_flight ? ", at most " + cap : "");
  } else {
    load.load = "max(infinite rate)";  // as the shipped tables write it
  }
  return load;
}

}  // namespace

bool read_vllm_bench(const Json& json, ImportedFile& file) {
  const Document& root = json.value;
  if (find(root, "model_id") == nullptr || find(root, "request_throughput") == nullptr ||
      find(root, "completed") == nullptr) {
    return false;
  }
  file.kind = "vLLM serving benchmark";
  const double completed = required_number(root, "completed", json.where);
  if (completed < 1) refuse(json.where, "no request was completed; see \"errors\" with --save-detailed");
  if (const auto failed = number_of(root, "failed", json.where); failed && *failed > 0) {
    file.notes.push_back(text_of(root, "failed") + " of " + text_of(root, "num_prompts") +
                         " requests failed; the figures are of the others");
  }
  ToolRun run;
  run.tool = "vllm bench serve";
  run.model = text_of(root, "model_id");
  const std::string backend =
      text_of(root, "backend").empty() ? text_of(root, "endpoint_type") : text_of(root, "backend");
  run.engine = engine_of(backend);
  if (run.engine.empty()) {
    run.engine = "vllm";
    file.notes.push_back("backend \"" + backend +
                         "\" is a protocol; engine vllm is assumed, as the file is of vLLM's own "
                         "client (--engine if another server answered)");
  }
  if (number_of(root, "spec_decode_acceptance_rate", json.where)) run.engine += "+specdec";
  const ToolSpeed load = load_of(root, json.where, completed);
  add(run, load, root, json.where, "output_throughput", "decode_tok_s");
  add(run, load, root, json.where, "total_token_throughput", "total_tok_s");
  add(run, load, root, json.where, "request_throughput", "requests_s");
  add_latency(run, load, root, json.where, "ttft_ms", completed);
  add_latency(run, load, root, json.where, "tpot_ms", completed);
  if (find(root, "mean_itl_ms") != nullptr || find(root, "p99_ttft_ms") != nullptr) {
    file.notes.push_back(
        "means are kept; medians, percentiles and inter-token latency have no row in data/metrics.csv");
  }
  file.runs.push_back(std::move(run));
  return true;
}

}  // namespace advisor::imports
