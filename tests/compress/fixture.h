// A small Llama-shaped checkpoint made on the spot, and a folder that cleans up after itself.
#pragma once

#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "compress/job.h"
#include "core/error.h"
#include "gtest/gtest.h"
#include "tensor/kernels/kernels.h"

namespace advisor::testing {

namespace fs = std::filesystem;

class TempFolder {
 public:
  TempFolder() {
    static std::atomic<int> counter{0};
    path_ = fs::temp_directory_path() /
            ("advisor-compress-" + std::to_string(::getpid()) + "-" + std::to_string(counter++));
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~TempFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

inline std::vector<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return {names.begin(), names.end()};
}

inline std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// All files below a folder but the report (which holds times), by relative path.
inline std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().filename() != "advisor_report.json")
      files[fs::relative(entry.path(), folder).string()] = read_file(entry.path());
  return files;
}

inline std::vector<float> normal(std::size_t n, unsigned seed, float sd = 0.02f) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution(0, sd);
  std::vector<float> values(n);
  for (float& value : values) value = distribution(generator);
  return values;
}

struct ModelSpec {
  std::int64_t hidden = 64, intermediate = 128, layers = 2, heads = 4, kv_heads = 2, vocab = 320;
  DType dtype = DType::bf16;
  std::string architecture = "LlamaForCausalLM";
  /// May change the values of a tensor before it is stored.
  std::function<void(const std::string&, std::vector<float>&)> edit = [](const std::string&, std::vector<float>&) {};
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> more{};  ///< tensors besides
};

inline void write_config(const fs::path& folder, const ModelSpec& spec) {
  std::ofstream(folder / "config.json")
      << R"({"architectures": [")" << spec.architecture << R"("], "model_type": "llama", "hidden_size": )"
      << spec.hidden << R"(, "intermediate_size": )" << spec.intermediate << R"(, "num_hidden_layers": )" << spec.layers
      << R"(, "num_attention_heads": )" << spec.heads << R"(, "num_key_value_heads": )" << spec.kv_heads
      << R"(, "head_dim": )" << spec.hidden / spec.heads << R"(, "vocab_size": )" << spec.vocab
      << R"(, "max_position_embeddings": 128, "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "hidden_act": "silu",)"
      << R"( "tie_word_embeddings": true, "torch_dtype": "bfloat16", "bos_token_id": 0, "eos_token_id": 1})";
}

inline std::vector<std::pair<std::string, std::vector<std::int64_t>>> tensors_of(const ModelSpec& spec) {
  const std::int64_t kv = spec.hidden / spec.heads * spec.kv_heads;
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> tensors{
      {"model.embed_tokens.weight", {spec.vocab, spec.hidden}}};
  for (std::int64_t i = 0; i < spec.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    tensors.insert(tensors.end(), {{layer + "input_layernorm.weight", {spec.hidden}},
                                   {layer + "self_attn.q_proj.weight", {spec.hidden, spec.hidden}},
                                   {layer + "self_attn.k_proj.weight", {kv, spec.hidden}},
                                   {layer + "self_attn.v_proj.weight", {kv, spec.hidden}},
                                   {layer + "self_attn.o_proj.weight", {spec.hidden, spec.hidden}},
                                   {layer + "post_attention_layernorm.weight", {spec.hidden}},
                                   {layer + "mlp.gate_proj.weight", {spec.intermediate, spec.hidden}},
                                   {layer + "mlp.up_proj.weight", {spec.intermediate, spec.hidden}},
                                   {layer + "mlp.down_proj.weight", {spec.hidden, spec.intermediate}}});
  }
  tensors.push_back({"model.norm.weight", {spec.hidden}});
  tensors.insert(tensors.end(), spec.more.begin(), spec.more.end());
  return tensors;
}

inline fs::path write_model(const fs::path& folder, const ModelSpec& spec = {}) {
  fs::create_directories(folder);
  write_config(folder, spec);
  std::ostringstream header;
  std::string data;
  const char* spelling = spec.dtype == DType::bf16 ? "BF16" : spec.dtype == DType::f16 ? "F16" : "F32";
  unsigned seed = 1;
  for (const auto& [name, shape] : tensors_of(spec)) {
    std::int64_t count = 1;
    std::string dims;
    for (const std::int64_t d : shape) {
      count *= d;
      dims += (dims.empty() ? "" : ",") + std::to_string(d);
    }
    std::vector<float> values = normal(static_cast<std::size_t>(count), seed++);
    spec.edit(name, values);
    std::vector<std::byte> bytes(values.size() * static_cast<std::size_t>(size_of(spec.dtype)));
    kernels::from_f32(spec.dtype, values, bytes);
    header << (data.empty() ? "{" : ",") << '"' << name << R"(":{"dtype":")" << spelling << R"(","shape":[)" << dims
           << R"(],"data_offsets":[)" << data.size() << ',' << data.size() + bytes.size() << "]}";
    data.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  std::string text = header.str() + "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  std::ofstream file(folder / "model.safetensors", std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), sizeof length);
  file << text << data;
  return folder;
}

inline CompressRequest request(const fs::path& model, const fs::path& out, const std::string& scheme = "W4A16-g32",
                               std::vector<RecipeFormat> formats = {{"compressed-tensors", ""}}) {
  CompressRequest r;
  r.model = model;
  r.out = out;
  RecipeStep step;
  step.technique = "rtn";
  step.scheme = scheme;
  r.recipe.steps.push_back(step);
  r.recipe.formats = std::move(formats);
  r.threads = 1;
  return r;
}

inline fs::path tiny() { return fs::path(ADVISOR_SOURCE_DIR) / "examples/models/tiny"; }

/// Runs `work`, expects an Error of `code` and returns its message.
template <typename F>
std::string refusal(ErrorCode code, const F& work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

}  // namespace advisor::testing
