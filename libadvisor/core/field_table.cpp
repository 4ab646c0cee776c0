// The rows of the field table. Bounds keep out slips of the keyboard (a negative memory, a probability of 90), not
// ambition: they are far above anything that exists.
#include <algorithm>
#include <array>

#include "core/fields.h"
#include "core/variant.h"

namespace advisor {
namespace {

using Words = std::string_view;
using D = Dimension;

constexpr std::array<Words, 19> task_types{
    "chat",      "customer_service", "summarization", "classification", "extraction", "translation",
    "rag",       "closed_book_qa",   "medical_qa",    "legal",          "code",       "math",
    "reasoning", "tool_use",         "long_document", "multilingual",   "vision_qa",  "document_vision",
    "speech"};
constexpr std::array<Words, 5> modalities{"text", "image", "video", "audio", "embedding"};
constexpr std::array<Words, 6> engines{"any", "vllm", "tensorrt-llm", "sglang", "llama.cpp", "transformers"};
constexpr std::array<Words, 3> priorities{"quality", "cost", "latency"};

constexpr double max_bytes = 1e18, max_rate = 1e21, max_tokens = 1e8, max_usd = 1e9;

// Member is spelled out once here so that each row below stays one line of facts.
template <class T>
using Access = T& (*)(Profile&);
#define MEMBER(type, name) Access<type>([](Profile& p) -> type& { return p.name; })

using Text = std::string;
using List = std::vector<std::string>;
using Number = std::optional<double>;

const std::array table{
    Field{"model", MEMBER(Text, model), D::none, "", 0, 0, {}, "", "catalog id, or a checkpoint folder"},

    Field{"hardware.id",
          MEMBER(Text, hardware.id),
          D::none,
          "",
          0,
          0,
          {},
          "",
          "catalog id, or auto for this machine; without it the numbers below describe the device"},
    Field{"hardware.count", MEMBER(std::int64_t, hardware.count), D::count, "", 1, 100000, {}, "", "how many devices"},
    Field{
        "hardware.memory", MEMBER(Number, hardware.memory), D::bytes, "B", 1, max_bytes, {}, "", "memory of a device"},
    Field{"hardware.bandwidth",
          MEMBER(Number, hardware.bandwidth),
          D::bytes_per_second,
          "B/s",
          1,
          max_bytes,
          {},
          "",
          "memory bandwidth of a device"},
    Field{"hardware.fp32",
          MEMBER(Number, hardware.fp32),
          D::ops_per_second,
          "FLOPS",
          0,
          max_rate,
          {},
          "",
          "dense peak rate; 0 = no such unit"},
    Field{"hardware.fp16",
          MEMBER(Number, hardware.fp16),
          D::ops_per_second,
          "FLOPS",
          0,
          max_rate,
          {},
          "",
          "dense peak rate; 0 = no such unit"},
    Field{"hardware.bf16",
          MEMBER(Number, hardware.bf16),
          D::ops_per_second,
          "FLOPS",
          0,
          max_rate,
          {},
          "",
          "dense peak rate; 0 = no such unit"},
    Field{"hardware.fp8",
          MEMBER(Number, hardware.fp8),
          D::ops_per_second,
          "FLOPS",
          0,
          max_rate,
          {},
          "",
          "dense peak rate; 0 = no such unit"},
    Field{"hardware.int8",
          MEMBER(Number, hardware.int8),
          D::ops_per_second,
          "FLOPS",
          0,
          max_rate,
          {},
          "",
          "dense peak rate; 0 = no such unit"},
    Field{"hardware.fp4",
          MEMBER(Number, hardware.fp4),
          D::ops_per_second,
          "FLOPS",
          0,
          max_rate,
          {},
          "",
          "dense peak rate; 0 = no such unit"},
    Field{"hardware.int4",
          MEMBER(Number, hardware.int4),
          D::ops_per_second,
          "FLOPS",
          0,
          max_rate,
          {},
          "",
          "dense peak rate; 0 = no such unit"},
    Field{"hardware.generation",
          MEMBER(Text, hardware.generation),
          D::none,
          "",
          0,
          0,
          {},
          "",
          "Ampere, Ada, Hopper ...; decides what engines support"},
    Field{"hardware.host_memory",
          MEMBER(Number, hardware.host_memory),
          D::bytes,
          "B",
          1,
          max_bytes,
          {},
          "",
          "memory of the host beside the devices; layers or experts that these have no room for can lie there"},
    Field{"hardware.host_bandwidth",
          MEMBER(Number, hardware.host_bandwidth),
          D::bytes_per_second,
          "B/s",
          1,
          max_bytes,
          {},
          "two channels of DDR4-3200",
          "memory bandwidth of the host, all channels together"},

    Field{"task.type", MEMBER(Text, task.type), D::none, "", 0, 0, task_types, "",
          "what the model is for; sets the family of tasks whose measurements count"},
    Field{"task.benchmark",
          MEMBER(Text, task.benchmark),
          D::none,
          "",
          0,
          0,
          {},
          "the family of task.type",
          "the yardstick, as mmlu or medqa"},
    Field{"task.critical",
          MEMBER(bool, task.critical),
          D::none,
          "",
          0,
          1,
          {},
          "",
          "wrong answers do harm: ask for verification"},
    Field{"task.in_context",
          MEMBER(bool, task.in_context),
          D::none,
          "",
          0,
          1,
          {},
          "",
          "the facts that are asked for stand in the prompt (retrieval, RAG)"},

    Field{"modality.in", MEMBER(List, modality.in), D::none, "", 1, 0, modalities, "", "what goes in"},
    Field{"modality.out", MEMBER(List, modality.out), D::none, "", 1, 0, modalities, "", "what comes out"},

    Field{"accuracy.min",
          MEMBER(Number, accuracy.min),
          D::ratio,
          "",
          0,
          1,
          {},
          "no limit",
          "least score on the benchmark, absolute"},
    Field{"accuracy.retain",
          MEMBER(Number, accuracy.retain),
          D::ratio,
          "",
          0,
          2,
          {},
          "no limit",
          "least score relative to the model in use"},
    Field{"confidence",
          MEMBER(double, confidence),
          D::ratio,
          "",
          0.5,
          0.999,
          {},
          "",
          "probability with which each limit must hold"},

    Field{"workload.context",
          MEMBER(std::int64_t, workload.context),
          D::count,
          "",
          1,
          max_tokens,
          {},
          "",
          "tokens that a request may hold"},
    Field{"workload.input_tokens",
          MEMBER(std::int64_t, workload.input_tokens),
          D::count,
          "",
          1,
          max_tokens,
          {},
          "",
          "tokens of a typical prompt"},
    Field{"workload.output_tokens",
          MEMBER(std::int64_t, workload.output_tokens),
          D::count,
          "",
          1,
          max_tokens,
          {},
          "",
          "tokens of a typical answer"},
    Field{"workload.concurrency",
          MEMBER(std::int64_t, workload.concurrency),
          D::count,
          "",
          1,
          1e6,
          {},
          "",
          "requests at the same time"},
    Field{"workload.requests_per_second",
          MEMBER(Number, workload.requests_per_second),
          D::requests_per_second,
          "req/s",
          0,
          1e6,
          {},
          "no limit",
          "requests that arrive"},

    Field{"slo.ttft", MEMBER(Number, slo.ttft), D::seconds, "s", 1e-6, 3600, {}, "no limit", "time to first token"},
    Field{"slo.tpot",
          MEMBER(Number, slo.tpot),
          D::seconds,
          "s",
          1e-6,
          3600,
          {},
          "no limit",
          "time per output token after the first"},

    Field{"budget.usd_per_hour",
          MEMBER(Number, budget.usd_per_hour),
          D::usd_per_second,
          "USD/h",
          0,
          max_usd,
          {},
          "no limit",
          "cost of serving"},
    Field{"budget.hours_to_compress",
          MEMBER(Number, budget.hours_to_compress),
          D::seconds,
          "h",
          0,
          1e5,
          {},
          "no limit",
          "time that compression may take"},

    Field{"cost.usd_per_hour",
          MEMBER(Number, cost.usd_per_hour),
          D::usd_per_second,
          "USD/h",
          0,
          max_usd,
          {},
          "list prices",
          "your own price of the whole machine; wins over list prices"},
    Field{"cost.utilisation",
          MEMBER(double, cost.utilisation),
          D::ratio,
          "",
          0.01,
          1,
          {},
          "",
          "share of the hour in which tokens are produced"},

    Field{"engine", MEMBER(Text, engine), D::none, "", 0, 0, engines, "", "what serves the model"},
    Field{"licence",
          MEMBER(List, licence),
          D::none,
          "",
          0,
          0,
          {},
          "any, unknown ones too",
          "allowed licences; an unknown licence is never among them"},

    Field{
        "allow.compress", MEMBER(bool, allow.compress), D::none, "", 0, 1, {}, "", "a compressed model is acceptable"},
    Field{"allow.switch", MEMBER(bool, allow.switch_model), D::none, "", 0, 1, {}, "", "another model is acceptable"},
    Field{"allow.prune", MEMBER(bool, allow.prune), D::none, "", 0, 1, {}, "", "removing weights is acceptable"},
    Field{"allow.calibration_data",
          MEMBER(bool, allow.calibration_data),
          D::none,
          "",
          0,
          1,
          {},
          "",
          "sample data may be used to calibrate"},

    Field{"priority", MEMBER(List, priority), D::none, "", 1, 0, priorities, "",
          "what is compared first, second, third"},
};

/// A row of a task of a portfolio: that of the same name, kept in the first task.
Field of_task(std::string_view path, Field::Member member, std::string_view unset = "") {
  Field field = *std::find_if(table.begin(), table.end(), [&](const Field& row) { return row.path == path; });
  field.member = member;
  if (!unset.empty()) field.unset = unset;
  return field;
}

const std::array task_table{
    of_task("task.type", MEMBER(Text, tasks.front().task.type)),
    of_task("task.benchmark", MEMBER(Text, tasks.front().task.benchmark)),
    of_task("task.critical", MEMBER(bool, tasks.front().task.critical)),
    of_task("task.in_context", MEMBER(bool, tasks.front().task.in_context)),
    of_task("accuracy.min", MEMBER(Number, tasks.front().accuracy.min), "the profile's accuracy.min"),
    of_task("accuracy.retain", MEMBER(Number, tasks.front().accuracy.retain), "the profile's accuracy.retain"),
    Field{"share",
          MEMBER(double, tasks.front().share),
          D::ratio,
          "",
          1e-6,
          1e6,
          {},
          "",
          "of all requests, relative to the shares of the other tasks"},
};

constexpr std::array<Words, 5> patterns{"unstructured", "2:4", "4:8", "structured-depth", "structured-width"};
constexpr std::array<Words, 6> formats{"safetensors", "compressed-tensors", "modelopt", "gptq", "autoawq", "gguf"};

void check_scheme(std::string_view text) { describe_scheme(std::string(text)); }
void check_sparsity(std::string_view text) { parse_sparsity(text); }

Field of_wish(std::string_view path, Field::Member member, std::span<const Words> words, std::string_view unset,
              std::string_view doc, void (*check)(std::string_view) = nullptr) {
  return {path, member, D::none, "", 0, 0, words, unset, doc, check};
}

const std::array wish_table{
    of_wish("model", MEMBER(Text, consider.front().model), {}, "the model in use", "catalog id"),
    of_wish("technique", MEMBER(Text, consider.front().technique), {}, "by the scheme",
            "rtn, gptq, awq, magnitude, wanda, qat ...; none = as published"),
    of_wish("scheme", MEMBER(Text, consider.front().scheme), {}, "not quantized", "W4A16-g128, W8A8-fp8, Q2_K ...",
            check_scheme),
    of_wish("sparsity", MEMBER(Text, consider.front().sparsity), {}, "0",
            "share of weights removed, or a pattern: 50 %, 2:4", check_sparsity),
    of_wish("pattern", MEMBER(Text, consider.front().pattern), patterns, "by technique and sparsity",
            "which weights go"),
    of_wish("format", MEMBER(Text, consider.front().format), formats, "by the scheme", "of the file"),
    of_wish("engine", MEMBER(Text, consider.front().engine), std::span(engines).subspan(1), "by profile and format",
            "what serves it"),
    of_wish("kv", MEMBER(Text, consider.front().kv), {}, "fp16", "KV cache: fp16, fp8, q8_0, q4_0, int4 ..."),
};
#undef MEMBER

}  // namespace

std::span<const Field> fields() { return table; }
std::span<const Field> task_fields() { return task_table; }
std::span<const Field> wish_fields() { return wish_table; }

}  // namespace advisor
