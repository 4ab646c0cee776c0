// A small Llama model with made-up weights, written and read back in the tests of GGUF.
#pragma once

#include <stdlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "checkpoint/format.h"
#include "checkpoint/gguf.h"

namespace advisor {

extern const FormatImpl gguf_format;

namespace gguf_fixture {

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "gguf-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::vector<char> read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

struct Shape {
  std::int64_t hidden = 64, intermediate = 96, layers = 2, heads = 4, kv_heads = 2, head_dim = 16, vocab = 40;
  bool tied = true;
};

inline ModelConfig config(const Shape& s = {}) {
  ModelConfig c;
  c.architecture = "LlamaForCausalLM";
  c.name = "tiny";
  c.hidden = s.hidden;
  c.intermediate = s.intermediate;
  c.layers = s.layers;
  c.heads = s.heads;
  c.kv_heads = s.kv_heads;
  c.head_dim = s.head_dim;
  c.vocab = s.vocab;
  c.max_context = 128;
  c.rope_theta = 500000;
  c.tie_embeddings = s.tied;
  c.torch_dtype = "float16";
  c.bos = 0;
  c.eos = 1;
  c.pad = 2;
  return c;
}

inline TokenizerData tokenizer(std::int64_t tokens = 40) {
  TokenizerData t;
  t.model = "bpe";
  t.tokens = {"<s>", "</s>", "<pad>", "a", "b", "ab", "\xc4\xa0"};
  while (static_cast<std::int64_t>(t.tokens.size()) < tokens) t.tokens.push_back("t" + std::to_string(t.tokens.size()));
  t.merges = {"a b"};
  t.added = {AddedToken{0}, AddedToken{1}, AddedToken{2}};
  t.pre = "gpt2";
  t.bos = 0;
  t.eos = 1;
  t.pad = 2;
  return t;
}

inline OutputPlan plan(const std::string& type, const Shape& s = {}) {
  OutputPlan p;
  p.config = config(s);
  p.tokenizer = tokenizer(s.vocab);
  p.type = type;
  const auto add = [&p](const std::string& name, std::vector<std::int64_t> shape) {
    p.tensors.push_back({TensorInfo{name, std::move(shape), "bf16", 0}, std::nullopt});
  };
  add("model.embed_tokens.weight", {s.vocab, s.hidden});
  for (std::int64_t l = 0; l < s.layers; ++l) {
    const std::string at = "model.layers." + std::to_string(l) + ".";
    add(at + "input_layernorm.weight", {s.hidden});
    add(at + "self_attn.q_proj.weight", {s.heads * s.head_dim, s.hidden});
    add(at + "self_attn.k_proj.weight", {s.kv_heads * s.head_dim, s.hidden});
    add(at + "self_attn.v_proj.weight", {s.kv_heads * s.head_dim, s.hidden});
    add(at + "self_attn.o_proj.weight", {s.hidden, s.heads * s.head_dim});
    add(at + "post_attention_layernorm.weight", {s.hidden});
    add(at + "mlp.gate_proj.weight", {s.intermediate, s.hidden});
    add(at + "mlp.up_proj.weight", {s.intermediate, s.hidden});
    add(at + "mlp.down_proj.weight", {s.hidden, s.intermediate});
  }
  add("model.norm.weight", {s.hidden});
  if (!s.tied) add("lm_head.weight", {s.vocab, s.hidden});
  return p;
}

/// The weights of a planned tensor: the same for the same index.
inline std::vector<float> weights(const OutputPlan& plan, std::size_t tensor) {
  std::mt19937 random(static_cast<unsigned>(tensor) + 1);
  std::normal_distribution<float> normal(0, 0.1f);
  std::vector<float> x(static_cast<std::size_t>(element_count(plan.tensors[tensor].source.shape)));
  for (float& v : x) v = normal(random);
  return x;
}

/// Writes the whole model and gives the file's path.
inline std::filesystem::path write(const OutputPlan& plan, const std::filesystem::path& folder) {
  const auto writer = gguf_format.create(plan, folder);
  for (std::size_t i = 0; i < plan.tensors.size(); ++i) writer->write_rows(i, 0, weights(plan, i));
  writer->finish();
  return folder / (plan.config.name + "-" + plan.type + ".gguf");
}

}  // namespace gguf_fixture
}  // namespace advisor
