// The key-value cache, layer kind by layer kind: full attention grows with every token, a sliding window is capped,
// latent attention (MLA) stores the latent and the rope key, linear-attention and Mamba layers keep a constant state,
// and layers that share another's cache store nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/catalog.h"

namespace advisor {

struct LayerGroup {
  enum class Kind { full, sliding, latent, recurrent };
  Kind kind = Kind::full;
  std::int64_t layers = 0;
  double values = 0;  ///< stored per token and layer, in the cache's number format
  double fixed_bytes =
      0;  ///< per token and layer whatever the format (indexer keys); recurrent: per sequence, all layers
  std::int64_t window = 0;  ///< sliding: tokens kept
};

struct KvLayout {
  std::array<LayerGroup, 3> groups;
  int count = 0;
  std::string_view basis;  ///< "geometry"; "parameters": an upper figure by model size
  /// sd of the total as a share of it: 0 where every layer is known.
  double spread = 0;
};
/// nullopt: nothing is known. Where nobody says which layers slide, all count as full: an upper bound.
std::optional<KvLayout> kv_layout(const Model& model);

/// Bytes of a cached value, scales included: fp16 and bf16 2, fp8 1, q8_0 34/32, q4_0 18/32 ...
double kv_value_bytes(std::string_view kv);
/// Nominal bits of a cached value: 8 of "q8_0" and "fp8_e4m3", 16 of a name without a number.
double kv_bits(std::string_view kv);
/// Every name it knows; others count as 16 bits.
std::vector<std::string> kv_formats();

/// How an engine hands out the cache.
struct KvPaging {
  std::int64_t block = 1;         ///< tokens; each sequence is rounded up to it
  bool slides = true;             ///< frees what falls out of a sliding window
  std::int64_t window_extra = 0;  ///< tokens kept beyond the window
};
KvPaging kv_paging(const std::string& engine, const Model& model);

/// How many times the devices of a tensor-parallel group store the same cache: a latent cannot be split (each device
/// keeps all of it), nor can fewer KV heads than devices. 1 for engines that split by layers.
double kv_copies(const std::string& engine, const Model& model, std::int64_t devices);

/// Bytes of all sequences; no allocation.
double kv_bytes(const KvLayout& layout, double value_bytes, double context, double sequences,
                const KvPaging& paging = {});

struct KvCache {
  double bytes = 0;   ///< of all sequences
  std::string basis;  ///< "geometry" or "parameters"
  double spread = 0;  ///< sd as a share of bytes
};
/// The tokens themselves, without an engine's rounding.
std::optional<KvCache> estimate_kv_cache(const Model& model, const std::string& kv, std::int64_t context,
                                         std::int64_t concurrency);

}  // namespace advisor
