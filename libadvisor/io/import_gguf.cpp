// How llama.cpp names the types of its files, in results and in file names.
#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/variant.h"
#include "io/import_formats.h"

namespace advisor::imports {

std::string gguf_type_of(std::string_view description) {
  // llama_ftype_name(): "Q4_K - Medium", "Q2_K - Small", "IQ2_XXS - 2.0625 bpw", "all F32"; older "mostly Q4_0"
  std::string text(trim(description));
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> mixes{
      {{" - Small", "_S"}, {" - Medium", "_M"}, {" - Large", "_L"}}};
  std::string mix;
  for (const auto& [words, suffix] : mixes) {
    if (text.ends_with(words)) {
      text.resize(text.size() - words.size());
      mix = suffix;
    }
  }
  if (const auto bits = text.find(" - "); bits != std::string::npos && text.ends_with("bpw")) text.resize(bits);
  const auto space = text.find_last_of(' ');
  std::string type = text.substr(space == std::string::npos ? 0 : space + 1) + mix;
  std::transform(type.begin(), type.end(), type.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  if (type.starts_with('W')) return "";  // that would be a scheme, not a type
  try {
    describe_scheme(type);
    return type;
  } catch (const Error&) {
    return "";
  }
}

std::string technique_of_gguf(const std::string& type) {
  if (type == "F16" || type == "BF16" || type == "F32") return "none";
  if (type.starts_with("MXFP4")) return "mxfp4";
  if (type.starts_with("IQ")) return "gguf-i";
  if (type.find("_K") != std::string::npos) return "gguf-k";
  return type.starts_with("TQ") ? "gguf" : "gguf-legacy";
}

WeightState gguf_weights(const std::string& type) {
  return type.empty() ? WeightState{} : WeightState{technique_of_gguf(type), type, "gguf"};
}

}  // namespace advisor::imports
