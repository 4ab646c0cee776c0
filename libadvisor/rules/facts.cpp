#include "rules/facts.h"

#include <algorithm>
#include <array>
#include <optional>

#include "core/error.h"
#include "core/fields.h"

namespace advisor {
namespace {

void put(Facts& facts, const std::string& path, const std::string& text) {
  if (!text.empty()) facts.set(path, Value(text));  // empty = no source says
}
void put(Facts& facts, const std::string& path, const std::optional<double>& number) {
  if (number) facts.set(path, Value(*number));
}
void put(Facts& facts, const std::string& path, const std::optional<std::int64_t>& number) {
  if (number) facts.set(path, Value(static_cast<double>(*number)));
}
void put_set(Facts& facts, const std::string& path, const std::vector<std::string>& items) {
  if (!items.empty()) facts.set(path, Value(items));
}

void put_profile(Facts& facts, const Profile& profile) {
  auto& readable = const_cast<Profile&>(profile);  // the accessors of the field table give mutable references
  for (const Field& field : fields()) {
    const std::string path = "profile." + std::string(field.path);
    if (const std::optional<double> number = get_number(profile, field.path); number) {
      if (field.kind() == FieldKind::boolean) {
        facts.set(path, Value(*number != 0));
      } else {
        const Unit* unit = field.unit.empty() ? nullptr : find_unit(field.unit);
        facts.set(path, Value(*number * (unit == nullptr ? 1 : unit->factor)));
      }
    } else if (const auto* text = std::get_if<std::string& (*)(Profile&)>(&field.member)) {
      put(facts, path, (*text)(readable));
    } else if (const auto* list = std::get_if<std::vector<std::string>& (*)(Profile&)>(&field.member)) {
      facts.set(path, Value((*list)(readable)));  // what the user left empty is known to be empty
    }
  }
}

void put_model(Facts& facts, const Model& model) {
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

void put_hardware(Facts& facts, const Hardware& hardware) {
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
  facts.set("hardware.unified_memory", Value(device.unified_memory));

  const Lack* lack = find_lack(device.generation);
  if (lack == nullptr) return;
  if (lack->fp8 && !device.fp8) facts.set("hardware.fp8_rate", Value(0.0));
  if (lack->fp4 && !device.fp4) facts.set("hardware.fp4_rate", Value(0.0));
  if (lack->sparse_2_4 && !device.sparse_2_4) facts.set("hardware.sparse_2_4", Value(false));
}

void put_variant(Facts& facts, const Variant& variant) {
  const SchemeInfo scheme = describe_scheme(variant.scheme);
  const bool quantized = scheme.weight_bits < 16 || scheme.activation_bits < 16;
  const bool pruned = variant.sparsity > 0;
  put(facts, "variant.model", variant.model);
  put(facts, "variant.technique", variant.technique);
  put(facts, "variant.scheme", variant.scheme);
  facts.set("variant.weight_bits", Value(scheme.weight_bits));
  facts.set("variant.activation_bits", Value(scheme.activation_bits));
  facts.set("variant.bits_per_weight", Value(scheme.bits_per_weight));
  facts.set("variant.group_size", Value(static_cast<double>(scheme.group)));
  facts.set("variant.weight_dtype", Value(scheme.weight_dtype));
  facts.set("variant.activation_dtype", Value(scheme.activation_dtype));
  put(facts, "variant.kv", variant.kv);
  facts.set("variant.sparsity", Value(variant.sparsity));
  facts.set("variant.pattern", Value(!variant.pattern.empty() ? variant.pattern : pruned ? "unstructured" : "dense"));
  put(facts, "variant.format", variant.format);
  put(facts, "variant.engine", variant.engine);
  facts.set("variant.is_base", Value(!quantized && !pruned));
  facts.set("variant.is_pruned", Value(pruned));
  facts.set("variant.is_quantized", Value(quantized));
}

}  // namespace

const Value* Facts::find(std::string_view path) const {
  const auto found = values_.find(path);
  return found == values_.end() ? nullptr : &found->second;
}

void Facts::set(std::string_view path, Value value) {
  const Symbol* symbol = vocabulary().find(path);
  if (symbol == nullptr || value.index() != static_cast<std::size_t>(symbol->type.kind)) {
    throw Error(ErrorCode::internal,
                "fact \"" + std::string(path) + "\" " + (symbol == nullptr ? "is not declared" : "has another type"));
  }
  values_.insert_or_assign(std::string(path), std::move(value));
}

void Facts::clear(std::string_view path) {
  const auto found = values_.find(path);
  if (found != values_.end()) values_.erase(found);
}

Facts collect(const Profile& profile, const Hardware& hardware, const Model& model, const Variant& variant,
              const Task& task) {
  Facts facts;
  put_profile(facts, profile);
  put_model(facts, model);
  put_hardware(facts, hardware);
  put_variant(facts, variant);
  put(facts, "task.id", task.id);
  put(facts, "task.family", task.family);
  facts.set("task.knowledge_intensive", Value(task.knowledge_intensive));
  put(facts, "task.chance", task.chance);
  // the ordinary case; a caller that found a published or retrained checkpoint says so
  facts.set("plan.uses_published", Value(false));
  facts.set("plan.retrained", Value(false));
  return facts;
}

void set_technique(Facts& facts, const Technique& technique) {
  put(facts, "technique.kind", technique.kind);
  facts.set("technique.needs_calibration", Value(technique.needs_calibration));
  facts.set("technique.implemented", Value(technique.implemented));
}

}  // namespace advisor
