// One decoder block as data and as a function: what calibration streams through, and what the decoder is made of.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "lm/architecture.h"
#include "tensor/tensor.h"

namespace advisor {

/// A stored tensor (Hugging Face name) that makes up rows [begin, begin + rows) of a stack.
struct Part {
  std::string name;
  std::int64_t begin = 0, rows = 0;
};

/// y = x W^T + b. Layers that read the same input are stacked, so that one matrix product serves them.
struct Linear {
  Tensor weight;  ///< [out, in], parts below each other; empty when the block has no such layer
  Tensor bias;    ///< [out], or empty
  std::vector<Part> parts;
};

struct Norm {
  std::string name;
  Tensor weight;  ///< as stored: Architecture::norm_plus_one adds the 1; empty when the block has no such norm
};

struct Expert {
  Linear gate_up;  ///< [2 * expert_intermediate, hidden]: gate above up
  Linear down;     ///< [hidden, expert_intermediate]
};

struct BlockWeights {
  Norm attention_norm, query_norm, key_norm, post_attention_norm, mlp_norm, post_mlp_norm;
  Linear qkv;            ///< [(heads + 2 kv_heads) * head_dim, hidden]: query, key, value
  Linear attention_out;  ///< [hidden, heads * head_dim]
  Linear gate_up, down;  ///< of a dense MLP, shaped as an expert's
  Linear router;         ///< [experts, hidden]
  std::vector<Expert> experts;
};

/// The input of: qkv | attention_out | gate_up and router | down | gate_up of an expert | down of an expert; or what
/// the cache holds.
struct Site {
  SiteKind kind = SiteKind::attention_in;
  int expert = -1;
};

/// Sees the input of a linear layer, [rows, cols] with `ld` elements from row to row. An expert shows the rows that
/// were routed to it, and nothing when there are none.
using Observe = std::function<void(Site site, const float* x, std::int64_t rows, std::int64_t cols, std::int64_t ld)>;

/// Rows that go through a block together: a common prefix, then branches that continue it. A row sees the prefix and
/// the rows of its own branch up to itself.
struct Rows {
  std::int64_t prefix = 0;
  std::vector<std::int64_t> position;
  std::vector<std::int64_t> branch;  ///< row at which the branch of this row starts; 0 in the prefix

  explicit Rows(std::int64_t prefix_rows);
  void add_branch(std::int64_t rows);
  std::int64_t count() const { return static_cast<std::int64_t>(position.size()); }
};

/// Reads and dequantizes one block. Throws unsupported when the configuration is something that is not implemented,
/// not_found when a tensor is missing, parse_error when a shape contradicts the configuration.
BlockWeights load_block(const Checkpoint& checkpoint, std::int64_t layer, int threads);

/// Replaces x [n, hidden], the residual stream of one sequence at positions 0..n-1, by the block's output. `until`:
/// return after that site was observed (all experts of it); x then means nothing. Single-threaded and deterministic:
/// callers parallelise over sequences.
void forward_block(const ModelConfig& config, const Architecture& architecture, std::int64_t layer,
                   const BlockWeights& weights, Tensor& x, const Observe& observe = {},
                   std::optional<SiteKind> until = {});
/// The same for a prefix and branches.
void forward_block(const ModelConfig& config, const Architecture& architecture, std::int64_t layer,
                   const BlockWeights& weights, const Rows& rows, Tensor& x, const Observe& observe = {},
                   std::optional<SiteKind> until = {});

/// What surrounds the blocks.
struct OuterWeights {
  Tensor embedding;  ///< [vocab, hidden]
  Norm final_norm;   ///< [hidden]
  Tensor own_head;   ///< [vocab, hidden], or empty when the embedding is used

  const Tensor& head() const { return own_head.size() != 0 ? own_head : embedding; }
};
OuterWeights load_outer(const Checkpoint& checkpoint, int threads);

/// Refuses, before anything is read, a model that would be run wrongly: a configuration that is not implemented, a
/// tensor that is missing, has another shape, or has no place in the architecture. Errors as load_block.
void check_model(const Checkpoint& checkpoint);

/// The residual stream [ids, hidden] in front of the first block. Ids must be those of the vocabulary.
Tensor embed(const ModelConfig& config, const Architecture& architecture, const Tensor& embedding,
             std::span<const std::int32_t> ids);
/// Logits [end - begin, vocab] of rows [begin, end) of the residual stream behind the last block.
Tensor head_logits(const ModelConfig& config, const Architecture& architecture, const OuterWeights& outer,
                   const Tensor& x, std::int64_t begin, std::int64_t end);

}  // namespace advisor
