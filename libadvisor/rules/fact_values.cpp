// Catalog rows, profile and variant as facts.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <type_traits>

#include "core/fields.h"
#include "rules/facts.h"

namespace advisor {
namespace {

void put(FactLayer& facts, std::string_view path, const std::string& text) {
  if (!text.empty()) facts.set(path, Value(text));  // empty = no source says
}
void put(FactLayer& facts, std::string_view path, const std::optional<double>& number) {
  if (number) facts.set(path, Value(*number));
}
void put(FactLayer& facts, std::string_view path, const std::optional<std::int64_t>& number) {
  if (number) facts.set(path, Value(static_cast<double>(*number)));
}
void put_set(FactLayer& facts, std::string_view path, const std::vector<std::string>& items) {
  if (!items.empty()) facts.set(path, Value(items));
}

/// Counterfactuals ask with a hundred profiles: where each field goes is looked up once.
struct FieldSlot {
  int slot;
  double factor;  ///< of its unit
};
const std::vector<FieldSlot>& field_slots() {
  static const std::vector<FieldSlot> slots = [] {
    std::vector<FieldSlot> all;
    for (const Field& field : fields()) {
      const Unit* unit = field.unit.empty() ? nullptr : find_unit(field.unit);
      all.push_back({fact_slot("profile." + std::string(field.path)), unit == nullptr ? 1 : unit->factor});
    }
    return all;
  }();
  return slots;
}

void put_profile(FactLayer& facts, const Profile& profile) {
  auto& readable = const_cast<Profile&>(profile);  // the accessors of the field table give mutable references
  const auto put_member = [&](const FieldSlot& place, const auto& value) {
    using Member = std::remove_cvref_t<decltype(value)>;
    if constexpr (std::is_same_v<Member, bool>) {
      facts.set(place.slot, value);
    } else if constexpr (std::is_arithmetic_v<Member>) {
      facts.set(place.slot, static_cast<double>(value) * place.factor);
    } else if constexpr (std::is_same_v<Member, std::optional<double>>) {
      if (value) facts.set(place.slot, *value * place.factor);
    } else if constexpr (std::is_same_v<Member, std::string>) {
      if (!value.empty()) facts.set(place.slot, Value(value));
    } else {
      facts.set(place.slot, Value(value));  // what the user left empty is known to be empty
    }
  };
  for (std::size_t i = 0; i < fields().size(); ++i)
    std::visit([&](const auto& member) { put_member(field_slots()[i], member(readable)); }, fields()[i].member);
}

/// 2024 of "2024-07".
std::optional<double> release_year(const std::string& released) {
  const std::string year = released.substr(0, 4);
  if (year.size() < 4 || year.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  return std::strtod(year.c_str(), nullptr);
}

/// Known where experts are counted, or where the parameters of a token are stated. A card with geometry but without
/// experts describes a dense model: data/models.csv leaves the cell blank for exactly that reason.
void put_is_moe(FactLayer& facts, const Model& model) {
  const bool counted = model.experts.value_or(0) > 1;
  const bool fewer = model.active_params && model.params && *model.active_params < *model.params;
  if (counted || fewer || model.experts || model.layers) facts.set("model.is_moe", Value(counted || fewer));
}

void put_model(FactLayer& facts, const Model& model) {
  put(facts, "model.id", model.id);
  put(facts, "model.family", model.family);
  put(facts, "model.developer", model.developer);
  put(facts, "model.architecture", model.architecture);
  put(facts, "model.specialty", model.specialty);
  put(facts, "model.native_dtype", model.native_dtype);
  put(facts, "model.qat", model.qat);
  put(facts, "model.licence", model.licence);
  put(facts, "model.commercial_use", model.commercial_use);
  put(facts, "model.params", model.params);
  put(facts, "model.active_params", model.active_params ? model.active_params : model.params);
  put(facts, "model.layers", model.layers);
  put(facts, "model.hidden", model.hidden);
  put(facts, "model.kv_heads", model.kv_heads);
  put(facts, "model.head_dim", model.head_dim);
  put(facts, "model.max_context", model.max_context);
  put(facts, "model.experts", model.experts);
  put(facts, "model.sliding_window", model.sliding_window);
  put(facts, "model.kv_lora_rank", model.kv_lora_rank);
  put(facts, "model.kv_bytes_per_token", model.kv_bytes_per_token_bf16);
  put(facts, "model.release_year", release_year(model.released));
  put_is_moe(facts, model);
  put_set(facts, "model.modalities_in", model.modalities_in);
  put_set(facts, "model.modalities_out", model.modalities_out);
}

/// Generations known to lack a unit, by the start of their name in data/hardware.csv. NVIDIA: FP8 tensor cores came
/// with Ada and Hopper (compute capability 8.9), FP4 with Blackwell (10.0). AMD: FP8 came with CDNA 3 and RDNA 4, FP4
/// with CDNA 4.
struct Lack {
  std::string_view generation;
  bool fp8, fp4, sparse_2_4;
};
constexpr std::array lacks{
    Lack{"Maxwell", true, true, true},  Lack{"Pascal", true, true, true},   Lack{"Volta", true, true, true},
    Lack{"Turing", true, true, true},   Lack{"Ampere", true, true, false},  Lack{"Ada", false, true, false},
    Lack{"Hopper", false, true, false}, Lack{"GCN", true, true, true},      Lack{"CDNA 1", true, true, true},
    Lack{"CDNA 2", true, true, true},   Lack{"CDNA 3", false, true, false}, Lack{"RDNA 2", true, true, true},
    Lack{"RDNA 3", true, true, true},   Lack{"RDNA 4", false, true, false},
};

const Lack* find_lack(const std::string& generation) {
  const auto found = std::find_if(lacks.begin(), lacks.end(), [&](const Lack& lack) {
    return generation.compare(0, lack.generation.size(), lack.generation) == 0;
  });
  return found == lacks.end() ? nullptr : &*found;
}

void put_hardware(FactLayer& facts, const Hardware& hardware) {
  const Device& device = hardware.device;
  put(facts, "hardware.id", device.id);
  facts.set("hardware.name", Value(!device.name.empty() ? device.name
                                   : !device.id.empty() ? device.id
                                                        : "this hardware"));
  put(facts, "hardware.vendor", device.vendor);
  put(facts, "hardware.kind", device.kind);
  put(facts, "hardware.generation", device.generation);
  put(facts, "hardware.compute_capability", device.compute_capability);
  facts.set("hardware.count", Value(static_cast<double>(hardware.count)));
  if (device.memory > 0) facts.set("hardware.memory", Value(device.memory));
  put(facts, "hardware.bandwidth", device.bandwidth);
  put(facts, "hardware.fp32_rate", device.fp32);
  put(facts, "hardware.fp16_rate", device.fp16);
  put(facts, "hardware.bf16_rate", device.bf16);
  put(facts, "hardware.fp8_rate", device.fp8);
  put(facts, "hardware.int8_rate", device.int8);
  put(facts, "hardware.fp4_rate", device.fp4);
  put(facts, "hardware.int4_rate", device.int4);
  if (device.sparse_2_4) facts.set("hardware.sparse_2_4", Value(*device.sparse_2_4));
  put(facts, "hardware.host_memory", hardware.host_memory);
  put(facts, "hardware.host_bandwidth", hardware.host_bandwidth);
  facts.set("hardware.unified_memory", Value(device.unified_memory));

  const Lack* lack = find_lack(device.generation);
  if (lack == nullptr) return;
  if (lack->fp8 && !device.fp8) facts.set("hardware.fp8_rate", Value(0.0));
  if (lack->fp4 && !device.fp4) facts.set("hardware.fp4_rate", Value(0.0));
  if (lack->sparse_2_4 && !device.sparse_2_4) facts.set("hardware.sparse_2_4", Value(false));
}

/// 8 of "fp8_e4m3" and "q8_0": the first number in the name of a dtype.
std::optional<double> nominal_bits(const std::string& dtype) {
  const auto digits = dtype.find_first_of("0123456789");
  if (digits == std::string::npos) return std::nullopt;
  return std::strtod(dtype.substr(digits, dtype.find_first_not_of("0123456789", digits) - digits).c_str(), nullptr);
}

void put_variant(FactLayer& facts, const Variant& variant) {
  const SchemeInfo scheme = describe_scheme(variant.scheme);
  const bool quantized = scheme.weight_bits < 16 || scheme.activation_bits < 16;
  const bool pruned = variant.sparsity > 0;
  put(facts, "variant.technique", variant.technique);
  put(facts, "variant.scheme", variant.scheme);
  facts.set("variant.weight_bits", Value(scheme.weight_bits));
  facts.set("variant.activation_bits", Value(scheme.activation_bits));
  facts.set("variant.bits_per_weight", Value(scheme.bits_per_weight));
  facts.set("variant.group_size", Value(static_cast<double>(scheme.group)));
  facts.set("variant.weight_dtype", Value(scheme.weight_dtype));
  facts.set("variant.activation_dtype", Value(scheme.activation_dtype));
  facts.set("variant.symmetric", Value(scheme.symmetric));
  put(facts, "variant.kv", variant.kv);
  if (const std::optional<double> bits = nominal_bits(variant.kv); bits) {
    facts.set("variant.kv_bits", Value(*bits));
    facts.set("variant.is_kv_quantized", Value(*bits < 16));
  }
  facts.set("variant.sparsity", Value(variant.sparsity));
  facts.set("variant.pattern", Value(!variant.pattern.empty() ? variant.pattern : pruned ? "unstructured" : "dense"));
  put(facts, "variant.format", variant.format);
  put(facts, "variant.engine", variant.engine);
  facts.set("variant.is_base", Value(!quantized && !pruned));
  facts.set("variant.is_pruned", Value(pruned));
  facts.set("variant.is_quantized", Value(quantized));
  facts.set("variant.is_mixed_precision", Value(variant.technique == "mixed"));
  facts.set("variant.technique_kind", quantized && pruned ? "mixed"
                                      : quantized         ? "quantization"
                                      : pruned            ? "pruning"
                                                          : "none");
}

}  // namespace

FactLayer query_facts(const Profile& profile, const Hardware& hardware, const Task& task) {
  FactLayer facts(FactLayerId::query);
  put_profile(facts, profile);
  put_hardware(facts, hardware);
  put(facts, "task.id", task.id);
  put(facts, "task.type", profile.task.type);
  put(facts, "task.family", task.family);
  facts.set("task.knowledge_intensive", Value(task.knowledge_intensive));
  facts.set("task.in_context", Value(profile.task.in_context));
  put(facts, "task.chance", task.chance);
  return facts;
}

FactLayer model_facts(const Model& model) {
  FactLayer facts(FactLayerId::model);
  put_model(facts, model);
  return facts;
}

FactLayer treatment_facts(const Variant& variant, const Technique* technique, const EngineSupport* support) {
  FactLayer facts(FactLayerId::treatment);
  put_variant(facts, variant);
  if (technique != nullptr) {
    put(facts, "technique.kind", technique->kind);
    facts.set("technique.needs_calibration", Value(technique->needs_calibration));
    facts.set("technique.implemented", Value(technique->implemented));
  }
  add_support(facts, support);
  return facts;
}

void add_support(FactLayer& facts, const EngineSupport* support) {
  if (support == nullptr) return;
  put(facts, "engine.supports_format", support->supported);
  put(facts, "engine.support_source", support->source);
}

FactSheet collect(const Profile& profile, const Hardware& hardware, const Model& model, const Variant& variant,
                  const Task& task, const Technique* technique, const EngineSupport* support) {
  FactSheet sheet;
  sheet.use(query_facts(profile, hardware, task));
  sheet.use(model_facts(model));
  sheet.use(treatment_facts(variant, technique, support));
  put(sheet.layer(FactLayerId::candidate), "variant.model", variant.model);
  sheet.set("plan.uses_published", Value(false));
  sheet.set("plan.retrained", Value(false));
  return sheet;
}

}  // namespace advisor
