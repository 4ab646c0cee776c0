#include "lm/weights.h"

#include <functional>
#include <set>
#include <string>

#include "core/error.h"
#include "lm/architecture.h"
#include "tensor/parallel.h"

namespace advisor {
namespace {

using Shape = std::vector<std::int64_t>;

std::string text(const Shape& shape) {
  std::string out = "[";
  for (std::int64_t dim : shape) {
    out += (out.size() > 1 ? ", " : "") + std::to_string(dim);
  }
  return out + "]";
}

[[noreturn]] void refuse(const Checkpoint& checkpoint, const std::string& why) {
  throw Error(ErrorCode::unsupported, "cannot run the model \"" + checkpoint.config().name + "\": " + why);
}

void check_config(const Checkpoint& checkpoint, const Architecture& architecture) {
  const ModelConfig& c = checkpoint.config();
  constexpr std::int64_t limit = std::int64_t{1} << 30;  // products of two of them stay in 64 bits
  for (auto [what, value] :
       {std::pair{"hidden", c.hidden}, std::pair{"intermediate", c.intermediate}, std::pair{"layers", c.layers},
        std::pair{"heads", c.heads}, std::pair{"kv_heads", c.kv_heads}, std::pair{"head_dim", c.head_dim},
        std::pair{"vocab", c.vocab}, std::pair{"max_context", c.max_context}}) {
    if (value <= 0 || value > limit) {
      refuse(checkpoint, std::string(what) + " = " + std::to_string(value) + " in its configuration makes no sense");
    }
  }
  if (c.heads % c.kv_heads != 0) {
    refuse(checkpoint, std::to_string(c.heads) + " query heads cannot share " + std::to_string(c.kv_heads) +
                           " key-value heads evenly");
  }
  if (c.head_dim % 2 != 0) {
    refuse(checkpoint, "rotary embedding needs an even head_dim, not " + std::to_string(c.head_dim));
  }
  if (!c.rope_scaling.empty()) {
    refuse(checkpoint, "rotary embedding scaled by \"" + c.rope_scaling + "\" is not implemented");
  }
  if (c.activation != architecture.activation) {
    refuse(checkpoint, "activation \"" + c.activation + "\" is not implemented; \"" +
                           std::string(architecture.activation) + "\" is");
  }
}

/// Reserves the tensors and collects what has to be read into them, so that reading can run in parallel.
class Loader {
 public:
  explicit Loader(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  /// One tensor made of the named ones, one below the other. All have `cols` columns; cols = 0 stands for vectors.
  Tensor stack(const std::vector<std::pair<std::string, std::int64_t>>& parts, std::int64_t cols) {
    std::int64_t rows = 0;
    for (const auto& [name, part_rows] : parts) {
      check(name, cols == 0 ? Shape{part_rows} : Shape{part_rows, cols});
      rows += part_rows;
    }
    Tensor out(cols == 0 ? Shape{rows} : Shape{rows, cols});
    std::size_t at = 0;
    for (const auto& [name, part_rows] : parts) {
      auto size = static_cast<std::size_t>(part_rows * (cols == 0 ? 1 : cols));
      reads_.push_back({checkpoint_.find(name), out.span().subspan(at, size)});
      at += size;
      used_.insert(name);
    }
    return out;
  }

  void ignore(std::string_view name) { used_.emplace(name); }

  /// A tensor that nobody reads (a bias, a norm of another architecture) would silently change the result.
  void refuse_unused() const {
    for (const TensorInfo& tensor : checkpoint_.tensors()) {
      if (!used_.contains(tensor.name) && !tensor.name.ends_with("rotary_emb.inv_freq")) {
        refuse(checkpoint_, "its tensor " + tensor.name + " has no place in architecture " +
                                checkpoint_.config().architecture + " as implemented here");
      }
    }
  }

  void read(int threads) const {
    parallel_for(static_cast<std::int64_t>(reads_.size()), threads, [&](std::int64_t i) {
      const Read& read = reads_[static_cast<std::size_t>(i)];
      checkpoint_.read_rows(*read.tensor, 0, read.tensor->shape[0], read.out);
    });
  }

 private:
  struct Read {
    const TensorInfo* tensor;
    std::span<float> out;
  };

  void check(const std::string& name, const Shape& expected) const {
    const TensorInfo* found = checkpoint_.find(name);
    if (found == nullptr) {
      throw Error(ErrorCode::not_found, "model \"" + checkpoint_.config().name + "\" lacks the tensor " + name +
                                            "; is the download complete?");
    }
    if (found->shape != expected) {
      throw Error(ErrorCode::parse_error, "tensor " + name + " of \"" + checkpoint_.config().name + "\" has shape " +
                                              text(found->shape) + ", but the configuration asks for " +
                                              text(expected));
    }
  }

  const Checkpoint& checkpoint_;
  std::vector<Read> reads_;
  std::set<std::string, std::less<>> used_;
};

LayerWeights reserve_layer(Loader& loader, const Architecture& a, const ModelConfig& c, std::int64_t layer) {
  auto name = [&](std::string_view part) { return tensor_name(a, layer, part); };
  std::int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  LayerWeights out;
  out.attention_norm = loader.stack({{name(a.attention_norm), c.hidden}}, 0);
  out.qkv = loader.stack({{name(a.query), q}, {name(a.key), kv}, {name(a.value), kv}}, c.hidden);
  out.attention_out = loader.stack({{name(a.attention_out), c.hidden}}, q);
  out.mlp_norm = loader.stack({{name(a.mlp_norm), c.hidden}}, 0);
  out.gate_up = loader.stack({{name(a.gate), c.intermediate}, {name(a.up), c.intermediate}}, c.hidden);
  out.down = loader.stack({{name(a.down), c.hidden}}, c.intermediate);
  return out;
}

}  // namespace

DecoderWeights load_weights(const Checkpoint& checkpoint, int threads) {
  const ModelConfig& c = checkpoint.config();
  const Architecture& a = find_architecture(c.architecture);
  check_config(checkpoint, a);
  Loader loader(checkpoint);
  DecoderWeights out;
  out.embedding = loader.stack({{std::string(a.embedding), c.vocab}}, c.hidden);
  out.final_norm = loader.stack({{std::string(a.final_norm), c.hidden}}, 0);
  if (c.tie_embeddings) {
    loader.ignore(a.head);  // some files carry a copy
  } else {
    out.own_head = loader.stack({{std::string(a.head), c.vocab}}, c.hidden);
  }
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    out.layers.push_back(reserve_layer(loader, a, c, layer));
  }
  loader.refuse_unused();
  loader.read(threads);
  return out;
}

}  // namespace advisor
