#include "core/gguf_mix.h"

#include <algorithm>
#include <array>
#include <utility>

namespace advisor {

namespace {

using T = GgufType;
using M = GgufMix;

/// In the order of GgufType. Sizes are those of the structures in ggml-common.h.
constexpr std::array<GgufBlock, 25> blocks{
    {{"F32", 1, 4},        {"F16", 1, 2},       {"BF16", 1, 2},     {"Q4_0", 32, 18},     {"Q4_1", 32, 20},
     {"Q5_0", 32, 22},     {"Q5_1", 32, 24},    {"Q8_0", 32, 34},   {"Q2_K", 256, 84},    {"Q3_K", 256, 110},
     {"Q4_K", 256, 144},   {"Q5_K", 256, 176},  {"Q6_K", 256, 210}, {"IQ1_S", 256, 50},   {"IQ1_M", 256, 56},
     {"IQ2_XXS", 256, 66}, {"IQ2_XS", 256, 74}, {"IQ2_S", 256, 82}, {"IQ3_XXS", 256, 98}, {"IQ3_S", 256, 110},
     {"IQ4_XS", 256, 136}, {"IQ4_NL", 32, 18},  {"TQ1_0", 256, 54}, {"TQ2_0", 256, 66},   {"MXFP4", 32, 17}}};

/// In the order of GgufMix: the name on the command line, the type of tensors that no rule speaks of, and llama.cpp's
/// number (llama_ftype).
struct MixName {
  std::string_view name;
  GgufType base;
  int file_type;
};
constexpr std::array<MixName, 33> mixes{
    {{"F32", T::f32, 0},          {"F16", T::f16, 1},        {"BF16", T::bf16, 32},    {"Q4_0", T::q4_0, 2},
     {"Q4_1", T::q4_1, 3},        {"Q5_0", T::q5_0, 8},      {"Q5_1", T::q5_1, 9},     {"Q8_0", T::q8_0, 7},
     {"Q2_K", T::q2_k, 10},       {"Q2_K_S", T::q2_k, 21},   {"Q3_K_S", T::q3_k, 11},  {"Q3_K_M", T::q3_k, 12},
     {"Q3_K_L", T::q3_k, 13},     {"Q4_K_S", T::q4_k, 14},   {"Q4_K_M", T::q4_k, 15},  {"Q5_K_S", T::q5_k, 16},
     {"Q5_K_M", T::q5_k, 17},     {"Q6_K", T::q6_k, 18},     {"IQ1_S", T::iq1_s, 24},  {"IQ1_M", T::iq1_m, 31},
     {"IQ2_XXS", T::iq2_xxs, 19}, {"IQ2_XS", T::iq2_xs, 20}, {"IQ2_S", T::iq2_xs, 28}, {"IQ2_M", T::iq2_s, 29},
     {"IQ3_XXS", T::iq3_xxs, 23}, {"IQ3_XS", T::iq3_s, 22},  {"IQ3_S", T::iq3_s, 26},  {"IQ3_M", T::iq3_s, 27},
     {"IQ4_XS", T::iq4_xs, 30},   {"IQ4_NL", T::iq4_nl, 25}, {"TQ1_0", T::tq1_0, 36},  {"TQ2_0", T::tq2_0, 37},
     {"MXFP4_MOE", T::mxfp4, 38}}};

/// Layers that get `special` instead of `type`.
enum class Where : std::uint8_t { nowhere, first_2, first_4, first_eighth, first_sixteenth, middle, more_bits };
struct Choice {
  GgufType type;
  Where where = Where::nowhere;
  GgufType special = GgufType::f32;
};

/// llama.cpp's use_more_bits: the first and the last eighth, and every third layer between them.
bool more_bits(std::int64_t layer, std::int64_t layers) {
  const std::int64_t eighth = layers / 8;
  return layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
}

bool applies(Where where, std::int64_t layer, std::int64_t layers) {
  switch (where) {
    case Where::nowhere: return false;
    case Where::first_2: return layer < 2;
    case Where::first_4: return layer < 4;
    case Where::first_eighth: return layer < layers / 8;
    case Where::first_sixteenth: return layer < layers / 16;
    case Where::middle: return layer >= layers / 8 && layer < 7 * layers / 8;
    case Where::more_bits: return more_bits(layer, layers);
  }
  return false;
}

bool below_iq3(GgufMix mix) {
  return mix == M::iq1_s || mix == M::iq1_m || mix == M::iq2_xxs || mix == M::iq2_xs || mix == M::iq2_s ||
         mix == M::iq2_m;
}
bool is_iq2_s(GgufMix mix) { return mix == M::iq2_s || mix == M::iq2_m; }

Choice choose_head(GgufMix mix, GgufType base, const GgufModel& m, std::int64_t columns) {
  if (mix == M::mxfp4_moe || m.falcon || columns % gguf_block(base).elements != 0) return {T::q8_0};
  if (below_iq3(mix) || mix == M::iq3_xxs) return {T::q5_k};
  return {base == T::q8_0 ? T::q8_0 : T::q6_k};
}

Choice choose_embedding(GgufMix mix, GgufType base) {
  switch (mix) {
    case M::iq1_s:
    case M::iq1_m:
    case M::iq2_xxs:
    case M::iq2_xs: return {T::q2_k};
    case M::iq2_s:
    case M::iq2_m:
    case M::iq3_xxs: return {T::iq3_s};
    case M::tq1_0:
    case M::tq2_0: return {T::q4_k};
    default: return {base};
  }
}

/// attn_v, and the fused tensors that contain it.
Choice choose_v(GgufMix mix, GgufType base, bool imatrix, const GgufModel& m) {
  const bool grouped = m.queries_per_kv >= 4;
  Choice choice{base};
  if (below_iq3(mix)) {
    return {grouped || m.experts >= 4 ? T::q4_k : is_iq2_s(mix) ? T::iq3_s : T::q2_k};
  }
  switch (mix) {
    case M::q2_k: choice.type = grouped ? T::q4_k : T::q3_k; break;
    case M::q2_k_s: choice.type = grouped ? T::q4_k : base; break;
    case M::iq3_xxs: choice.type = grouped ? T::q4_k : imatrix ? T::iq3_xxs : T::iq3_s; break;
    case M::iq3_xs:
    case M::iq3_s: choice.type = grouped ? T::q4_k : base; break;
    case M::iq3_m: choice.type = T::q4_k; break;
    case M::q3_k_m: choice = {T::q4_k, Where::first_2, T::q5_k}; break;
    case M::q3_k_l: choice.type = T::q5_k; break;
    case M::iq4_nl:
    case M::iq4_xs: choice.type = grouped ? T::q5_k : base; break;
    case M::q4_k_m:
    case M::q5_k_m: choice = {base, Where::more_bits, T::q6_k}; break;
    case M::q4_k_s: choice = {base, Where::first_4, T::q5_k}; break;
    default: break;
  }
  // The 70B class (80 layers, grouped queries): values are an eighth of the queries, so more bits cost next to nothing.
  if (m.layers == 80 && m.queries_per_kv > 1 && (choice.type == T::q3_k || choice.type == T::q4_k))
    choice.type = T::q5_k;
  if (m.experts == 8) choice = {T::q8_0};
  return choice;
}

/// Falcon's own first-sixteenth exceptions are left out: a layer or two of a model that is no longer served.
Choice choose_down(GgufMix mix, GgufType base, bool imatrix, const GgufModel& m) {
  if (below_iq3(mix)) return {base, Where::first_eighth, is_iq2_s(mix) ? T::iq3_s : T::q2_k};
  switch (mix) {
    case M::q2_k: return {T::q3_k};
    case M::q2_k_s: return {base, Where::first_eighth, T::q4_k};
    case M::iq3_xxs: return imatrix ? Choice{base} : Choice{T::q3_k, Where::first_eighth, T::q4_k};
    case M::q3_k_m:
      return m.falcon ? Choice{base, Where::more_bits, T::q4_k} : Choice{T::q4_k, Where::first_sixteenth, T::q5_k};
    case M::iq3_m: return {base, m.experts == 8 ? Where::more_bits : Where::first_eighth, T::q4_k};
    case M::q3_k_l: return {m.falcon ? T::q4_k : T::q5_k};
    case M::q4_k_m: return {base, Where::more_bits, m.falcon ? T::q5_k : T::q6_k};
    case M::q5_k_m: return {base, Where::more_bits, T::q6_k};
    case M::iq4_nl:
    case M::iq4_xs: return imatrix ? Choice{base} : Choice{base, Where::first_eighth, T::q5_k};
    case M::q4_k_s: return m.falcon ? Choice{base} : Choice{base, Where::first_eighth, T::q5_k};
    case M::q4_0: return imatrix ? Choice{base, Where::first_eighth, T::q4_1} : Choice{base};
    case M::q5_0: return imatrix ? Choice{base, Where::first_eighth, T::q5_1} : Choice{base};
    default: return {base};
  }
}

Choice choose_output(GgufMix mix, GgufType base, const GgufModel& m) {
  if (m.falcon) return {mix == M::q3_k_l ? T::q4_k : base};
  if (m.experts == 8) {
    const bool raised = below_iq3(mix) || mix == M::q2_k || (mix >= M::iq3_xxs && mix <= M::iq4_nl) ||
                        mix == M::q3_k_s || mix == M::q3_k_m || mix == M::q4_k_s || mix == M::q4_k_m;
    return {raised ? T::q5_k : base};
  }
  switch (mix) {
    case M::iq1_s:
    case M::iq1_m: return {T::iq2_xxs};
    case M::iq2_s:
    case M::iq2_m:
    case M::iq3_xxs: return {T::iq3_s};
    case M::q2_k: return {T::q3_k};
    case M::q3_k_m:
    case M::iq3_m: return {T::q4_k};
    case M::q3_k_l: return {T::q5_k};
    default: return {base};
  }
}

Choice choose_key_or_query(GgufMix mix, GgufType base, const GgufModel& m, bool key) {
  if (key && m.experts == 8) return {below_iq3(mix) ? T::q4_k : T::q8_0};
  if (mix == M::iq3_xs) return {T::iq3_xxs};
  if (mix == M::iq3_xxs) return {T::iq2_s};
  return {base};
}

Choice choose(const TensorGroup& group, GgufMix mix, bool imatrix, const GgufModel& m) {
  const GgufType base = mixes[static_cast<std::size_t>(mix)].base;
  if (group.role == TensorRole::vector || group.role == TensorRole::router) return {T::f32};
  if (group.role == TensorRole::wide) return {T::f16};
  if (gguf_block(base).elements == 1) return {base};
  const bool head = group.role == TensorRole::head || (m.tied && group.role == TensorRole::embedding);
  if (head) return choose_head(mix, base, m, group.columns);
  if (mix == M::mxfp4_moe) return {group.routed ? T::mxfp4 : T::q8_0};
  switch (group.role) {
    case TensorRole::embedding: return choose_embedding(mix, base);
    case TensorRole::attn_v:
    case TensorRole::attn_qkv:
    case TensorRole::attn_kv_b: return choose_v(mix, base, imatrix, m);
    case TensorRole::attn_k: return choose_key_or_query(mix, base, m, true);
    case TensorRole::attn_q: return choose_key_or_query(mix, base, m, false);
    case TensorRole::attn_output: return choose_output(mix, base, m);
    case TensorRole::ffn_down: return choose_down(mix, base, imatrix, m);
    case TensorRole::ffn_gate:
    case TensorRole::ffn_up: return mix == M::iq3_xs ? Choice{base, Where::middle, T::iq3_xxs} : Choice{base};
    default: return {base};
  }
}

/// What llama-quantize takes when a row is no multiple of the block. For Q2_K and Q3_K that was IQ4_NL until 2025 and
/// is Q4_0 since; both have the same size, IQ4_NL leaves less error.
GgufType fallback(GgufType type) {
  switch (type) {
    case T::tq1_0:
    case T::tq2_0: return T::q4_0;
    case T::q4_k: return T::q5_0;
    case T::q5_k: return T::q5_1;
    case T::q6_k: return T::q8_0;
    case T::iq1_s:
    case T::iq1_m:
    case T::iq2_xxs:
    case T::iq2_xs:
    case T::iq2_s:
    case T::iq3_xxs:
    case T::iq3_s:
    case T::iq4_xs:
    case T::q2_k:
    case T::q3_k: return T::iq4_nl;
    default: return T::f16;
  }
}

GgufType fitting(GgufType type, std::int64_t columns) {
  if (columns % gguf_block(type).elements != 0) type = fallback(type);
  return columns % gguf_block(type).elements != 0 ? T::f16 : type;
}

double row_bytes(GgufType type, std::int64_t columns) {
  const GgufBlock& block = gguf_block(fitting(type, columns));
  return static_cast<double>(columns / block.elements) * block.bytes;
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return upper(x) == upper(y); });
}

}  // namespace

const GgufBlock& gguf_block(GgufType type) { return blocks[static_cast<std::size_t>(type)]; }

std::optional<GgufMix> gguf_mix_named(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, GgufMix>, 4> unsuffixed{
      {{"Q3_K", M::q3_k_m}, {"Q4_K", M::q4_k_m}, {"Q5_K", M::q5_k_m}, {"MXFP4", M::mxfp4_moe}}};
  for (const auto& [text, mix] : unsuffixed)
    if (same_name(text, name)) return mix;
  for (std::size_t i = 0; i < mixes.size(); ++i)
    if (same_name(mixes[i].name, name)) return static_cast<GgufMix>(i);
  return std::nullopt;
}

std::string_view gguf_mix_name(GgufMix mix) { return mixes[static_cast<std::size_t>(mix)].name; }

std::vector<std::string_view> gguf_mix_names() {
  std::vector<std::string_view> names;
  for (const MixName& mix : mixes) names.push_back(mix.name);
  return names;
}

GgufType gguf_base_type(GgufMix mix) { return mixes[static_cast<std::size_t>(mix)].base; }

int gguf_file_type(GgufMix mix) { return mixes[static_cast<std::size_t>(mix)].file_type; }

GgufType gguf_tensor_type(const TensorGroup& group, std::int64_t layer, GgufMix mix, bool imatrix,
                          const GgufModel& model) {
  const Choice choice = choose(group, mix, imatrix, model);
  return fitting(applies(choice.where, layer, model.layers) ? choice.special : choice.type, group.columns);
}

double gguf_bytes(const TensorGroup& group, GgufMix mix, bool imatrix, const GgufModel& model) {
  const Choice choice = choose(group, mix, imatrix, model);
  std::int64_t special = 0;
  if (choice.where != Where::nowhere)
    for (auto layer = group.first_layer; layer < group.first_layer + group.layers; ++layer)
      special += applies(choice.where, layer, model.layers) ? 1 : 0;
  const auto rows = static_cast<double>(group.rows) * static_cast<double>(group.copies);
  double bytes = rows * static_cast<double>(group.layers - special) * row_bytes(choice.type, group.columns);
  if (special > 0) bytes += rows * static_cast<double>(special) * row_bytes(choice.special, group.columns);
  return bytes;
}

}  // namespace advisor
