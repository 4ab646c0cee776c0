// The readers behind import.h, one file each, and the few helpers they share. Private to io/.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/document.h"
#include "io/import.h"

namespace advisor::imports {

/// One JSON value and where it stands; a file of lines has several.
struct Json {
  Document value;
  std::string where;  ///< "results.json", "bench.jsonl:3"
};

// Each returns false when the content is not its kind, and throws when it is but cannot be used.
bool read_lm_eval(const Json& json, ImportedFile& file);
bool read_llama_bench(const Json& json, ImportedFile& file);
bool read_vllm_bench(const Json& json, ImportedFile& file);
bool read_own_report(const Json& json, ImportedFile& file);
bool read_llama_bench_csv(std::string_view text, ImportedFile& file);
bool read_llama_bench_table(std::string_view text, ImportedFile& file);
bool read_llama_perplexity(std::string_view text, ImportedFile& file);
bool read_measurement_table(std::string_view text, ImportedFile& file);

/// nullptr when `map` is no map or has no such key, or the value is null.
const Document* find(const Document& map, std::string_view key);
/// Follows "a.b".
const Document* find_path(const Document& map, std::string_view path);
std::string text_of(const Document& map, std::string_view key);

/// nullopt for anything that is no number ("N/A", "auto"); throws parse_error for NaN and infinity.
std::optional<double> number_in(std::string_view text, const std::string& where);
std::optional<double> number_of(const Document& map, std::string_view key, const std::string& where);
/// Throws parse_error when it is missing or no number.
double required_number(const Document& map, std::string_view key, const std::string& where);

[[noreturn]] void refuse(const std::string& where, const std::string& what);

std::string lower(std::string_view text);
std::string_view trim(std::string_view text);
std::vector<std::string_view> lines_of(std::string_view text);

/// "Q4_K - Medium", "mostly Q4_0", "all F32", "IQ4_XS - 4.25 bpw": the type at the end of what llama.cpp prints for a
/// model, spelled as in core/variant.h; empty when there is none.
std::string gguf_type_of(std::string_view description);
/// Technique of a GGUF type: data/techniques.csv splits them by family.
std::string technique_of_gguf(const std::string& type);
/// {type, its technique, "gguf"}; all empty for no type.
WeightState gguf_weights(const std::string& type);

}  // namespace advisor::imports
