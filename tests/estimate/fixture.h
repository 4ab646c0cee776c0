// Two published models and a card, as the catalogs state them.
#pragma once

#include "core/catalog.h"
#include "core/hardware.h"
#include "core/variant.h"

namespace advisor {

inline Model llama(const char* id, double params, std::int64_t layers, std::int64_t hidden, std::int64_t intermediate,
                   std::int64_t heads) {
  Model m;
  m.id = id;
  m.params = params;
  m.architecture = "llama";
  m.layers = layers, m.hidden = hidden, m.intermediate = intermediate, m.heads = heads;
  m.kv_heads = 8, m.head_dim = 128, m.vocab = 128256, m.max_context = 131072;
  m.tie_embeddings = false;
  m.native_dtype = "bfloat16";
  m.licence = "llama3.1";
  m.modalities_in = {"text"}, m.modalities_out = {"text"};
  return m;
}
inline Model llama_8b() { return llama("meta-llama/Llama-3.1-8B-Instruct", 8.0e9, 32, 4096, 14336, 32); }
inline Model llama_70b() { return llama("meta-llama/Llama-3.1-70B-Instruct", 70.6e9, 80, 8192, 28672, 64); }

inline Hardware a100(std::int64_t count = 1) {
  Hardware h;
  h.device.id = "a100", h.device.name = "A100", h.device.vendor = "NVIDIA", h.device.kind = "datacenter-gpu";
  h.device.generation = "Ampere";
  h.device.memory = 80.0 * 1024 * 1024 * 1024;
  h.device.bandwidth = 2.039e12;
  h.device.fp16 = h.device.bf16 = 312e12;
  h.device.int8 = 624e12;
  h.count = count;
  return h;
}

inline Variant as(const Model& model, const char* technique, const char* scheme, const char* format,
                  const char* engine) {
  Variant v;
  v.model = model.id;
  v.technique = technique, v.scheme = scheme, v.format = format, v.engine = engine;
  return v;
}

}  // namespace advisor
