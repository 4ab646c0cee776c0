// The names rules may read. profile.* comes from the field table; the rest is declared here.
#include <string>

#include "core/fields.h"
#include "rules/facts.h"

namespace advisor {
namespace {

using D = Dimension;

Symbol boolean(std::string path, std::string doc) { return {std::move(path), {TypeKind::boolean, {}}, std::move(doc)}; }
Symbol text(std::string path, std::string doc) { return {std::move(path), {TypeKind::text, {}}, std::move(doc)}; }
Symbol set(std::string path, std::string doc) { return {std::move(path), {TypeKind::set, {}}, std::move(doc)}; }
Symbol number(std::string path, Dimension dimension, std::string doc) {
  return {std::move(path), {TypeKind::number, dimension}, std::move(doc)};
}

Symbol symbol_of(const Field& field) {
  TypeKind kind = TypeKind::number;
  if (field.kind() == FieldKind::boolean) kind = TypeKind::boolean;
  if (field.kind() == FieldKind::text) kind = TypeKind::text;
  if (field.kind() == FieldKind::list) kind = TypeKind::set;
  return {"profile." + std::string(field.path), {kind, field.dimension}, std::string(field.doc)};
}

/// Adds to one layer.
class Names {
 public:
  Names(Vocabulary& all, FactLayerId layer) : all_(all), layer_(layer) {}
  void add(Symbol symbol) {
    symbol.layer = static_cast<int>(layer_);
    all_.add(std::move(symbol));
  }

 private:
  Vocabulary& all_;
  FactLayerId layer_;
};

void add_model(Names names) {
  names.add(text("model.id", "catalog id"));
  names.add(text("model.family", "Llama, Qwen ..."));
  names.add(text("model.developer", "who trained it"));
  names.add(text("model.architecture", "as in config.json"));
  names.add(text("model.specialty", "general, code, medical ..."));
  names.add(text("model.native_dtype", "dtype of the published weights"));
  names.add(text("model.qat", "no, or the kind of quantization-aware training"));
  names.add(text("model.licence", "unknown when no source states it"));
  names.add(text("model.commercial_use", "yes, no, conditional"));
  names.add(number("model.params", D::count, "parameters"));
  names.add(number("model.active_params", D::count, "parameters that a token uses"));
  names.add(number("model.layers", D::count, "decoder layers"));
  names.add(number("model.hidden", D::count, "width"));
  names.add(number("model.kv_heads", D::count, "key-value heads"));
  names.add(number("model.head_dim", D::count, "width of a head"));
  names.add(number("model.max_context", D::count, "tokens"));
  names.add(number("model.experts", D::count, "experts of a layer"));
  names.add(boolean("model.is_moe", "a mixture of experts"));
  names.add(number("model.sliding_window", D::count, "tokens that sliding-window layers look back"));
  names.add(number("model.kv_lora_rank", D::count, "width of the latent of MLA"));
  names.add(number("model.kv_bytes_per_token", D::bytes, "of a 16-bit KV cache, all layers"));
  names.add(number("model.release_year", D::none, "2024 of 2024-07"));
  names.add(set("model.modalities_in", "what it reads"));
  names.add(set("model.modalities_out", "what it writes"));
}

void add_hardware(Names names) {
  names.add(text("hardware.id", "catalog id"));
  names.add(text("hardware.name", "product name; the id or \"this hardware\" where there is none"));
  names.add(text("hardware.vendor", "NVIDIA, AMD ..."));
  names.add(text("hardware.kind", "datacenter-gpu, consumer-gpu, cpu ..."));
  names.add(text("hardware.generation", "Ampere, Hopper ..."));
  names.add(number("hardware.compute_capability", D::none, "of CUDA devices"));
  names.add(number("hardware.count", D::count, "devices"));
  names.add(number("hardware.memory", D::bytes, "of one device"));
  names.add(number("hardware.bandwidth", D::bytes_per_second, "of one device"));
  for (const char* dtype : {"fp32", "fp16", "bf16", "fp8", "int8", "fp4", "int4"}) {
    names.add(number("hardware." + std::string(dtype) + "_rate", D::ops_per_second, "dense peak; 0 = no such unit"));
  }
  names.add(boolean("hardware.sparse_2_4", "runs 2:4 sparse matrices at more than dense speed"));
  names.add(number("hardware.host_memory", D::bytes, "of the host, beside the devices"));
  names.add(number("hardware.host_bandwidth", D::bytes_per_second, "of the host's memory"));
  names.add(boolean("hardware.unified_memory", "CPU and GPU share the memory"));
}

void add_variant(Names names) {
  names.add(text("variant.technique", "none, rtn, gptq, awq ..."));
  names.add(text("variant.scheme", "W4A16-g128, Q4_0 ..."));
  names.add(number("variant.weight_bits", D::none, "nominal: 4 for Q4_K_M"));
  names.add(number("variant.activation_bits", D::none, "16 = weight-only"));
  names.add(number("variant.bits_per_weight", D::none, "scales and zero points included"));
  names.add(number("variant.group_size", D::count, "inputs per scale; 0 = per channel or tensor"));
  names.add(text("variant.weight_dtype", "fp16, fp8, int8, int4, fp4 ..."));
  names.add(text("variant.activation_dtype", "fp16, fp8, int8, fp4 ..."));
  names.add(boolean("variant.symmetric", "weights are quantized without zero points"));
  names.add(text("variant.kv", "dtype of the KV cache: fp16, fp8 ..."));
  names.add(number("variant.kv_bits", D::none, "of it, nominal"));
  names.add(boolean("variant.is_kv_quantized", "KV cache below 16 bits"));
  names.add(number("variant.sparsity", D::ratio, "share of weights that are zero"));
  names.add(text("variant.pattern", "dense, unstructured, 2:4"));
  names.add(text("variant.format", "safetensors, compressed-tensors, gguf ..."));
  names.add(text("variant.engine", "vllm, llama.cpp ..."));
  names.add(boolean("variant.is_base", "the weights as they were published"));
  names.add(boolean("variant.is_pruned", "some weights were removed"));
  names.add(boolean("variant.is_quantized", "weights or activations below 16 bits"));
  names.add(text("variant.technique_kind", "none, quantization, pruning, or mixed: both"));
  names.add(boolean("variant.is_mixed_precision", "layers share a budget of bits (technique mixed)"));
}

void add_task(Names names) {
  names.add(text("task.id", "benchmark, or type where there is none"));
  names.add(text("task.type", "chat, medical_qa ... as the profile says"));
  names.add(text("task.family", "of tasks whose measurements count"));
  names.add(boolean("task.knowledge_intensive", "answers come from facts stored in the weights"));
  names.add(boolean("task.in_context", "the facts that are asked for stand in the prompt (retrieval)"));
  names.add(number("task.chance", D::ratio, "score of guessing"));
}

void add_treatment(Names names) {
  names.add(text("technique.kind", "quantization, pruning ..."));
  names.add(boolean("technique.needs_calibration", "sample data decide the result"));
  names.add(boolean("technique.implemented", "libadvisor can run it"));
  names.add(text("engine.supports_format", "yes, no, emulated on this hardware; unknown when no source says"));
  names.add(text("engine.support_source", "where that stands"));
}

void add_candidate(Names names) {
  names.add(text("variant.model", "catalog id"));
  names.add(text("plan.action", "keep, compress, switch, compress_and_switch"));
  names.add(boolean("plan.current_model", "the model in use stays"));
  names.add(boolean("plan.uses_published", "a published checkpoint is taken, nothing is compressed here"));
  names.add(boolean("plan.retrained", "accuracy was recovered by training after compression"));
  names.add(boolean("plan.is_qat", "the weights were trained for this quantization"));
  names.add(text("plan.official_published", "checkpoint of this model and kind of scheme by the model's developer"));
  names.add(text("plan.qat_published", "published QAT checkpoint of this model with at most these weight bits"));
  names.add(text("published.checkpoint", "that is taken"));
  names.add(boolean("published.official", "the model's developer published it"));
  names.add(text("published.publisher", "who published it"));
}

void add_estimates(Names names) {
  names.add(number("memory.total", D::bytes, "needed over all devices"));
  names.add(number("memory.weights", D::bytes, "over all devices"));
  names.add(number("memory.kv_cache", D::bytes, "over all devices"));
  names.add(number("memory.overhead", D::bytes, "over all devices"));
  names.add(number("memory.available", D::bytes, "usable by the engine over all devices"));
  names.add(number("memory.share", D::ratio, "needed / available"));
  names.add(number("memory.kv_share", D::ratio, "KV cache / needed"));
  names.add(text("offload.kind", "what lies in the host's memory: none, experts or (whole) layers"));
  names.add(number("offload.layers", D::count, "of how many layers"));
  names.add(number("offload.host_bytes", D::bytes, "of weights there"));
  names.add(number("offload.host_share", D::ratio, "of the weights"));
  names.add(number("quality.mean", D::ratio, "estimated score"));
  names.add(number("quality.low", D::ratio, "lower end of its interval"));
  names.add(number("quality.retention", D::ratio, "estimated score relative to the uncompressed model"));
  names.add(number("quality.probability", D::ratio, "that the accuracy limit is met"));
  names.add(text("quality.basis", "measured, transferred, modelled, prior"));
  names.add(number("quality.rows", D::count, "measurements behind the estimate"));
  names.add(number("quality.knowledge_rows", D::count,
                   "of this technique at these bits: scores of knowledge tasks, not perplexities"));
  names.add(
      boolean("quality.perplexity_only", "all that is measured of this technique at these bits are perplexities"));
  names.add(boolean("quality.baseline_predicted", "the score of the uncompressed model is predicted, not measured"));
  names.add(number("speed.decode", D::count, "tokens per second, all sequences together"));
  names.add(number("speed.ttft", D::seconds, "until the first token"));
  names.add(number("speed.tpot", D::seconds, "per token after the first"));
  names.add(number("speed.gain", D::ratio, "decode rate relative to the same model uncompressed on the same engine"));
  names.add(number("cost.usd_per_hour", D::usd_per_second, "of the whole machine"));
  names.add(number("cost.usd_per_million", D::none, "USD per million tokens"));
  names.add(number("effort.hours", D::seconds, "until it can be deployed; compare with `4 h`"));
}

}  // namespace

const Vocabulary& vocabulary() {
  static const Vocabulary names = [] {
    Vocabulary all;
    Names query(all, FactLayerId::query);
    for (const Field& field : fields()) query.add(symbol_of(field));
    add_hardware(query);
    add_task(query);
    add_model({all, FactLayerId::model});
    add_variant({all, FactLayerId::treatment});
    add_treatment({all, FactLayerId::treatment});
    add_candidate({all, FactLayerId::candidate});
    add_estimates({all, FactLayerId::estimate});
    return all;
  }();
  return names;
}

}  // namespace advisor
