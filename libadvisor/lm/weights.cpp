#include "lm/weights.h"

#include <functional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "lm/mlp.h"
#include "lm/rope.h"
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

void check_attention(const Checkpoint& checkpoint) {
  const ModelConfig& c = checkpoint.config();
  if (c.heads % c.kv_heads != 0) {
    refuse(checkpoint, std::to_string(c.heads) + " query heads cannot share " + std::to_string(c.kv_heads) +
                           " key-value heads evenly");
  }
  if (std::string why = rope_refuses(c); !why.empty()) {
    refuse(checkpoint, why);
  }
  if (!c.windows.empty() && static_cast<std::int64_t>(c.windows.size()) != c.layers) {
    refuse(checkpoint, "its configuration gives the attention windows of " + std::to_string(c.windows.size()) +
                           " layers, but there are " + std::to_string(c.layers));
  }
  for (double value : {c.attention_scale, c.attention_cap, c.logit_cap}) {
    if (!(value >= 0)) {
      refuse(checkpoint, "its configuration scales or caps by " + std::to_string(value));
    }
  }
}

void check_config(const Checkpoint& checkpoint, const Architecture& architecture) {
  const ModelConfig& c = checkpoint.config();
  bool mixture = !architecture.router.empty();
  constexpr std::int64_t limit = std::int64_t{1} << 30;  // products of two of them stay in 64 bits
  for (auto [what, value] :
       {std::pair{"hidden", c.hidden}, std::pair{"intermediate", c.intermediate}, std::pair{"layers", c.layers},
        std::pair{"heads", c.heads}, std::pair{"kv_heads", c.kv_heads}, std::pair{"head_dim", c.head_dim},
        std::pair{"vocab", c.vocab}, std::pair{"max_context", c.max_context},
        std::pair{"experts", mixture ? c.experts : 1},
        std::pair{"experts_per_token", mixture ? c.experts_per_token : 1},
        std::pair{"expert_intermediate", mixture ? c.expert_intermediate : 1}}) {
    if (value <= 0 || value > limit) {
      refuse(checkpoint, std::string(what) + " = " + std::to_string(value) + " in its configuration makes no sense");
    }
  }
  if (mixture ? c.experts_per_token > c.experts : c.experts != 0) {
    refuse(checkpoint, std::to_string(c.experts_per_token) + " of " + std::to_string(c.experts) +
                           " experts per token have no place in architecture " + c.architecture);
  }
  check_attention(checkpoint);
  if (!c.unsupported.empty()) {
    refuse(checkpoint, c.unsupported);
  }
  if (c.activation != architecture.activation || !knows_activation(c.activation)) {
    refuse(checkpoint, "activation \"" + c.activation + "\" is not implemented; \"" +
                           std::string(architecture.activation) + "\" is");
  }
}

/// Reserves the tensors and collects what has to be read into them, so that reading can run in parallel. A loader
/// that only checks reserves nothing.
class Loader {
 public:
  enum class Mode { check, read };
  Loader(const Checkpoint& checkpoint, Mode mode) : checkpoint_(checkpoint), mode_(mode) {}

  struct Piece {
    std::string name;
    std::int64_t rows;
  };

  /// One tensor made of the named ones, one below the other. All have `cols` columns; cols = 0 stands for vectors.
  Tensor stack(const std::vector<Piece>& pieces, std::int64_t cols) {
    std::vector<const TensorInfo*> found;
    std::int64_t rows = 0;
    for (const Piece& piece : pieces) {
      found.push_back(find(piece.name, cols == 0 ? Shape{piece.rows} : Shape{piece.rows, cols}));
      rows += piece.rows;
      used_.insert(piece.name);
    }
    if (mode_ == Mode::check) {
      return {};
    }
    Tensor out(cols == 0 ? Shape{rows} : Shape{rows, cols});
    std::size_t at = 0;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      auto size = static_cast<std::size_t>(pieces[i].rows * (cols == 0 ? 1 : cols));
      reads_.push_back({found[i], out.span().subspan(at, size)});
      at += size;
    }
    return out;
  }

  Linear linear(const std::vector<Piece>& pieces, std::int64_t cols, bool biased) {
    Linear out;
    out.weight = stack(pieces, cols);
    std::vector<Piece> biases;
    std::int64_t begin = 0;
    for (const Piece& piece : pieces) {
      out.parts.push_back({piece.name, begin, piece.rows});
      begin += piece.rows;
      biases.push_back({piece.name.substr(0, piece.name.rfind('.')) + ".bias", piece.rows});
    }
    if (biased) {
      out.bias = stack(biases, 0);
    }
    return out;
  }

  Norm norm(const std::string& name, std::int64_t size) { return {name, stack({{name, size}}, 0)}; }

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

  const TensorInfo* find(const std::string& name, const Shape& expected) {
    if (by_name_.empty()) {  // Checkpoint::find is a search; a mixture has ten thousands of tensors
      for (const TensorInfo& tensor : checkpoint_.tensors()) {
        by_name_.emplace(tensor.name, &tensor);
      }
    }
    auto found = by_name_.find(name);
    if (found == by_name_.end()) {
      throw Error(ErrorCode::not_found, "model \"" + checkpoint_.config().name + "\" lacks the tensor " + name +
                                            "; is the download complete?");
    }
    if (found->second->shape != expected) {
      throw Error(ErrorCode::parse_error, "tensor " + name + " of \"" + checkpoint_.config().name + "\" has shape " +
                                              text(found->second->shape) + ", but the configuration asks for " +
                                              text(expected));
    }
    return found->second;
  }

  const Checkpoint& checkpoint_;
  Mode mode_;
  std::vector<Read> reads_;
  std::unordered_map<std::string_view, const TensorInfo*> by_name_;
  std::set<std::string, std::less<>> used_;
};

/// Gate above up, and down, of the MLP whose names begin with `prefix`.
std::pair<Linear, Linear> reserve_mlp(Loader& loader, const Architecture& a, const ModelConfig& c,
                                      const std::string& prefix, std::int64_t inner) {
  auto name = [&](std::string_view part) { return prefix + std::string(part); };
  std::vector<Loader::Piece> gate_up = {{name(a.fused_gate_up), 2 * inner}};
  if (a.fused_gate_up.empty()) {
    gate_up = {{name(a.gate), inner}, {name(a.up), inner}};
  }
  return {loader.linear(gate_up, c.hidden, c.mlp_bias), loader.linear({{name(a.down), c.hidden}}, inner, c.mlp_bias)};
}

void reserve_attention(Loader& loader, const Architecture& a, const ModelConfig& c, std::int64_t layer,
                       BlockWeights& out) {
  auto name = [&](std::string_view part) { return tensor_name(a, layer, part); };
  std::int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  std::vector<Loader::Piece> qkv = {{name(a.fused_qkv), q + 2 * kv}};
  if (a.fused_qkv.empty()) {
    qkv = {{name(a.query), q}, {name(a.key), kv}, {name(a.value), kv}};
  }
  out.qkv = loader.linear(qkv, c.hidden, a.qkv_bias || c.attention_bias);
  if (!a.query_norm.empty()) {
    out.query_norm = loader.norm(name(a.query_norm), c.head_dim);
    out.key_norm = loader.norm(name(a.key_norm), c.head_dim);
  }
  out.attention_out = loader.linear({{name(a.attention_out), c.hidden}}, q, c.attention_bias);
}

BlockWeights reserve_block(Loader& loader, const Architecture& a, const ModelConfig& c, std::int64_t layer) {
  auto name = [&](std::string_view part) { return tensor_name(a, layer, part); };
  auto norm = [&](std::string_view part) { return part.empty() ? Norm{} : loader.norm(name(part), c.hidden); };
  BlockWeights out;
  out.attention_norm = norm(a.attention_norm);
  reserve_attention(loader, a, c, layer, out);
  out.post_attention_norm = norm(a.post_attention_norm);
  out.mlp_norm = norm(a.mlp_norm);
  if (a.router.empty()) {
    std::tie(out.gate_up, out.down) = reserve_mlp(loader, a, c, name(""), c.intermediate);
  } else {
    out.router = loader.linear({{name(a.router), c.experts}}, c.hidden, false);
    for (std::int64_t e = 0; e < c.experts; ++e) {
      std::string prefix = name(a.expert_prefix) + std::to_string(e) + ".";
      auto [gate_up, down] = reserve_mlp(loader, a, c, prefix, c.expert_intermediate);
      out.experts.push_back({std::move(gate_up), std::move(down)});
    }
  }
  out.post_mlp_norm = norm(a.post_mlp_norm);
  return out;
}

OuterWeights reserve_outer(Loader& loader, const Architecture& a, const ModelConfig& c) {
  OuterWeights out;
  out.embedding = loader.stack({{std::string(a.embedding), c.vocab}}, c.hidden);
  out.final_norm = loader.norm(std::string(a.final_norm), c.hidden);
  if (c.tie_embeddings) {
    loader.ignore(a.head);  // some files carry a copy
  } else {
    out.own_head = loader.stack({{std::string(a.head), c.vocab}}, c.hidden);
  }
  return out;
}

/// The architecture of a checkpoint whose configuration it can run.
const Architecture& checked_architecture(const Checkpoint& checkpoint) {
  const Architecture& architecture = find_architecture(checkpoint.config().architecture);
  check_config(checkpoint, architecture);
  return architecture;
}

}  // namespace

BlockWeights load_block(const Checkpoint& checkpoint, std::int64_t layer, int threads) {
  const Architecture& a = checked_architecture(checkpoint);
  Loader loader(checkpoint, Loader::Mode::read);
  BlockWeights out = reserve_block(loader, a, checkpoint.config(), layer);
  loader.read(threads);
  return out;
}

OuterWeights load_outer(const Checkpoint& checkpoint, int threads) {
  const Architecture& a = checked_architecture(checkpoint);
  Loader loader(checkpoint, Loader::Mode::read);
  OuterWeights out = reserve_outer(loader, a, checkpoint.config());
  loader.read(threads);
  return out;
}

void check_model(const Checkpoint& checkpoint) {
  const Architecture& a = checked_architecture(checkpoint);
  Loader loader(checkpoint, Loader::Mode::check);
  reserve_outer(loader, a, checkpoint.config());
  for (std::int64_t layer = 0; layer < checkpoint.config().layers; ++layer) {
    reserve_block(loader, a, checkpoint.config(), layer);
  }
  loader.refuse_unused();
}

DecoderWeights load_weights(const Checkpoint& checkpoint, int threads) {
  check_model(checkpoint);
  const ModelConfig& c = checkpoint.config();
  const Architecture& a = find_architecture(c.architecture);
  Loader loader(checkpoint, Loader::Mode::read);
  DecoderWeights out;
  out.outer = reserve_outer(loader, a, c);
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    out.blocks.push_back(reserve_block(loader, a, c, layer));
  }
  loader.read(threads);
  return out;
}

}  // namespace advisor
