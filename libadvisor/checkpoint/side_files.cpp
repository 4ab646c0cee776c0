#include "checkpoint/side_files.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "checkpoint/files.h"
#include "checkpoint/folder.h"
#include "checkpoint/json.h"
#include "core/error.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;
using json::OrderedJson;

constexpr std::int64_t side_limit = 64 << 20;
constexpr std::int64_t config_limit = 16 << 20;

std::string torch_name(DType dtype) {
  return dtype == DType::bf16 ? "bfloat16" : dtype == DType::f16 ? "float16" : "float32";
}

std::string config_text(const OutputPlan& plan, const std::string& quantization_config) {
  const fs::path path = plan.source / "config.json";
  OrderedJson root;
  if (fs::exists(path)) {
    const std::string text = files::read_text(path, config_limit);
    json::parse(text, path.string());   // for its strictness and its message
    root = OrderedJson::parse(text);    // for the order of keys
    root.erase("quantization_config");  // of a source that was itself quantized
  } else {
    root = OrderedJson::parse(write_model_config(plan.config));
  }
  root["torch_dtype"] = torch_name(dense_type(plan));
  if (!quantization_config.empty()) root["quantization_config"] = OrderedJson::parse(quantization_config);
  return root.dump(2) + "\n";
}

/// Small files that belong to the model whatever its weights: tokenizer, generation defaults, licence.
bool travels(const fs::path& path) {
  static constexpr std::array<std::string_view, 5> extensions{".json", ".txt", ".jinja", ".model", ".md"};
  static constexpr std::array<std::string_view, 3> legal{"LICENSE", "NOTICE", "USE_POLICY"};
  static constexpr std::array<std::string_view, 5> never{"config.json", "advisor_report.json", "quantize_config.json",
                                                         "hf_quant_config.json", "README.md"};
  const std::string name = path.filename().string();
  if (name.ends_with(".index.json")) return false;
  if (std::find(never.begin(), never.end(), name) != never.end()) return false;
  const bool known = std::find(extensions.begin(), extensions.end(), path.extension().string()) != extensions.end();
  return known || std::any_of(legal.begin(), legal.end(), [&](std::string_view w) { return name.starts_with(w); });
}

OrderedJson byte_level(const TokenizerData& data, bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", data.add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

OrderedJson pre_tokenizer(const TokenizerData& data) {
  if (!data.byte_level) return nullptr;  // a GGUF file says all in its normalizer
  if (data.pre == "gpt2") return byte_level(data, true);
  const OrderedJson split{
      {"type", "Split"}, {"pattern", {{"Regex", data.pre}}}, {"behavior", "Isolated"}, {"invert", false}};
  return {{"type", "Sequence"}, {"pretokenizers", OrderedJson::array({split, byte_level(data, false)})}};
}

OrderedJson replace(const std::string& pattern, const std::string& content) {
  return {{"type", "Replace"}, {"pattern", {{"String", pattern}}}, {"content", content}};
}

OrderedJson normalizer(const TokenizerData& data) {
  OrderedJson steps = OrderedJson::array();
  for (const NormalizerStep& step : data.normalizer) {
    if (step.type == "Prepend") steps.push_back({{"type", step.type}, {"prepend", step.content}});
    if (step.type == "Replace") steps.push_back(replace(step.pattern, step.content));
    if (step.type == "NFC") steps.push_back({{"type", step.type}});
  }
  if (steps.empty()) return nullptr;
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

OrderedJson decoder(const TokenizerData& data) {
  if (data.byte_level) return byte_level(data, true);
  OrderedJson steps = OrderedJson::array(
      {replace(data.decoded_space, " "), OrderedJson{{"type", "ByteFallback"}}, OrderedJson{{"type", "Fuse"}}});
  if (data.decoded_strip > 0) {
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", data.decoded_strip}, {"stop", 0}});
  }
  return {{"type", "Sequence"}, {"decoders", steps}};
}

OrderedJson added_token(const TokenizerData& data, const AddedToken& token) {
  return {{"id", token.id},
          {"content", data.tokens.at(static_cast<std::size_t>(token.id))},
          {"single_word", token.single_word},
          {"lstrip", token.lstrip},
          {"rstrip", token.rstrip},
          {"normalized", token.normalized},
          {"special", token.special}};
}

std::string tokenizer_text(const TokenizerData& data) {
  OrderedJson vocab = OrderedJson::object();
  for (std::size_t id = 0; id < data.tokens.size(); ++id) vocab[data.tokens[id]] = id;
  OrderedJson added = OrderedJson::array();
  for (const AddedToken& token : data.added) added.push_back(added_token(data, token));
  OrderedJson root;
  root["version"] = "1.0";
  root["truncation"] = nullptr;
  root["padding"] = nullptr;
  root["added_tokens"] = added;
  root["normalizer"] = normalizer(data);
  root["pre_tokenizer"] = pre_tokenizer(data);
  root["post_processor"] = nullptr;
  root["decoder"] = decoder(data);
  root["model"] = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", nullptr},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", data.fuse_unknown},
                   {"byte_fallback", data.byte_fallback},
                   {"ignore_merges", data.ignore_merges}};
  if (data.unknown) root["model"]["unk_token"] = data.tokens.at(static_cast<std::size_t>(*data.unknown));
  root["model"]["vocab"] = std::move(vocab);
  root["model"]["merges"] = data.merges;
  return root.dump() + "\n";
}

std::string tokenizer_config_text(const TokenizerData& data) {
  OrderedJson root;
  root["tokenizer_class"] = "PreTrainedTokenizerFast";
  const auto name_token = [&](const char* key, std::optional<std::int64_t> id) {
    if (id) root[key] = data.tokens.at(static_cast<std::size_t>(*id));
  };
  name_token("bos_token", data.bos);
  name_token("eos_token", data.eos);
  name_token("pad_token", data.pad);
  root["add_bos_token"] = data.add_bos;
  root["add_prefix_space"] = data.add_prefix_space;
  return root.dump(2) + "\n";
}

}  // namespace

std::int64_t SideFile::bytes() const {
  return static_cast<std::int64_t>(from.empty() ? content.size() : fs::file_size(from));
}

DType dense_type(const OutputPlan& plan) {
  if (plan.type == "bf16") return DType::bf16;
  if (plan.type == "f16") return DType::f16;
  if (plan.type == "f32") return DType::f32;
  throw Error(ErrorCode::invalid_argument, "'" + plan.type + "' is not a type of dense tensors; use bf16, f16 or f32");
}

kernels::BlockType dense_stored_type(const OutputPlan& plan, const PlannedTensor&) {
  return *kernels::block_type_named(name(dense_type(plan)));
}

std::vector<SideFile> side_files(const OutputPlan& plan, const std::string& quantization_config) {
  std::vector<SideFile> side{{"config.json", {}, config_text(plan, quantization_config)}};
  if (fs::is_directory(plan.source)) {
    for (const auto& item : fs::directory_iterator(plan.source)) {
      if (item.is_regular_file() && travels(item.path()) && static_cast<std::int64_t>(item.file_size()) <= side_limit) {
        side.push_back({item.path().filename().string(), item.path(), {}});
      }
    }
  }
  const auto has = [&](std::string_view name) {
    return std::any_of(side.begin(), side.end(), [&](const SideFile& f) { return f.name == name; });
  };
  if (!has("tokenizer.json") && plan.tokenizer.model == "bpe") {
    side.push_back({"tokenizer.json", {}, tokenizer_text(plan.tokenizer)});
    if (!has("tokenizer_config.json")) {
      side.push_back({"tokenizer_config.json", {}, tokenizer_config_text(plan.tokenizer)});
    }
  }
  std::sort(side.begin(), side.end(), [](const SideFile& a, const SideFile& b) { return a.name < b.name; });
  return side;
}

void write_side_files(const std::vector<SideFile>& side, const fs::path& folder, bool resume) {
  for (const SideFile& file : side) {
    const std::string content = file.from.empty() ? file.content : files::read_text(file.from, side_limit);
    files::OutputFile out(folder / file.name, static_cast<std::int64_t>(content.size()), resume);
    out.write(0, std::as_bytes(std::span(content)));
    out.close();
  }
}

}  // namespace advisor
