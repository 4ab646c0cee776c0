// Geometry and special tokens of a checkpoint, from config.json or GGUF metadata.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace advisor {

struct ModelConfig {
  std::string architecture;  ///< HF class, "LlamaForCausalLM"
  std::string name;
  std::int64_t hidden = 0, intermediate = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, vocab = 0,
               max_context = 0;
  double rms_norm_eps = 1e-5, rope_theta = 10000;
  std::string activation = "silu";
  bool tie_embeddings = false;
  std::string torch_dtype;   ///< "bfloat16", ...
  std::string rope_scaling;  ///< "" for none, else its type ("llama3", "linear"): a decoder must know it or refuse
  std::optional<std::int64_t> bos, eos, pad;
};

/// What tokenizer.json (or GGUF metadata) says, before lm/tokenizer makes a tokenizer of it.
struct TokenizerData {
  std::string model;                  ///< "bpe"
  std::vector<std::string> tokens;    ///< by id, in the byte-level alphabet of GPT-2
  std::vector<std::string> merges;    ///< "a b", by rank
  std::vector<std::int64_t> special;  ///< ids matched whole before splitting (control / added tokens)
  std::string pre;                    ///< pre-tokenizer: "gpt2" (the regex of GPT-2) or the split pattern as written
  std::string normalizer;             ///< "" for none, else its type ("NFC"): a tokenizer must know it or refuse
  bool add_prefix_space = false;
  bool ignore_merges = false;
  std::optional<std::int64_t> bos, eos, pad;
  bool add_bos = true;
};

}  // namespace advisor
