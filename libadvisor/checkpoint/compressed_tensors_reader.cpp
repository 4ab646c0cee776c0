// Opens compressed-tensors folders: which scheme each module has, and its shape.
#include <algorithm>
#include <array>
#include <map>
#include <regex>
#include <utility>

#include "checkpoint/compressed_tensors.h"
#include "checkpoint/quantized_reader.h"
#include "core/error.h"

namespace advisor {
namespace {

using json::Json;

/// "re:" and a regular expression that matches a module's name from its beginning.
struct NamePattern {
  std::string text;
  std::regex expression;

  NamePattern(const std::string& target, const std::string& where) : text(target) {
    constexpr std::size_t longest = 1024;  // names of layers are short, and expressions compile recursively
    try {
      if (target.size() > longest) throw std::regex_error(std::regex_constants::error_complexity);
      // __polynomial: matching takes no longer than pattern times name, whatever a file asks for.
      expression.assign(target.substr(3), std::regex_constants::ECMAScript | std::regex_constants::__polynomial);
    } catch (const std::regex_error& error) {
      cannot_read(where, "the target \"" + target + "\" is no regular expression that can be read: " + error.what());
    }
  }
  bool matches(const std::string& module) const {
    return std::regex_search(module, expression, std::regex_constants::match_continuous);
  }
};

/// "config_groups", by what they name. The package takes the most specific target: a name, then the first pattern in
/// the order of their texts, then the class.
struct Groups {
  std::map<std::string, QuantScheme> by_module;
  std::vector<std::pair<NamePattern, QuantScheme>> by_pattern;
  std::optional<QuantScheme> linear;  ///< of "Linear": every module that is not named
};

/// Schemes that the package knows by name, each with a list of targets in the place of a group.
std::optional<QuantScheme> preset(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, const char*>, 14> presets{
      {{"W8A16", "W8A16-channel"},
       {"W4A16", "W4A16-g128"},
       {"W4A16_ASYM", "W4A16-g128-asym"},
       {"W8A8", "W8A8-int8-channel"},
       {"INT8", "W8A8-int8-channel"},
       {"INT8_W8A8", "W8A8-int8-channel"},
       {"FP8", "W8A8-fp8-tensor-static"},
       {"FP8_DYNAMIC", "W8A8-fp8-channel"},
       {"FP8_BLOCK", "W8A8-fp8-block128"},
       {"NVFP4", "W4A4-nvfp4"},
       {"NVFP4A16", "W4A16-nvfp4"},
       {"MXFP4", "W4A4-mxfp4"},
       {"MXFP4A16", "W4A16-mxfp4"},
       {"INT8_W8A16", "W8A16-channel"}}};
  const auto at = std::find_if(presets.begin(), presets.end(), [&](const auto& p) { return p.first == name; });
  if (at == presets.end()) return std::nullopt;
  return parse_quant_scheme(at->second);
}

bool is_known(std::string_view format) {
  using namespace compressed_tensors;
  static constexpr std::array<std::string_view, 7> known{pack_format,  int_format,   float_format, naive_format,
                                                         nvfp4_format, mxfp4_format, mixed_format};
  return std::find(known.begin(), known.end(), format) != known.end();
}

void read_format(const Json& object, const std::string& where) {
  const std::string format = json::find_string(object, "format", where).value_or("");
  if (!is_known(format)) {
    cannot_read(where, "\"format\" is \"" + format +
                           "\"; only pack-, int-, float-, naive-, nvfp4-pack- and mxfp4-pack-quantized and "
                           "mixed-precision can be read");
  }
}

void add_targets(const Json* targets, const QuantScheme& scheme, Groups& groups, const std::string& where) {
  if (targets == nullptr || !targets->is_array()) bad_file(where, "\"targets\" of a group must be a list");
  for (const Json& target : *targets) {
    if (!target.is_string()) bad_file(where, "\"targets\" must be a list of names");
    const std::string name = target.get<std::string>();
    bool fresh = true;
    if (name.starts_with("re:")) {
      fresh = std::ranges::none_of(groups.by_pattern, [&](const auto& other) { return other.first.text == name; });
      groups.by_pattern.emplace_back(NamePattern(name, where), scheme);
    } else if (name == "Linear") {
      fresh = !groups.linear || *groups.linear == scheme;
      groups.linear = scheme;
    } else {
      fresh = groups.by_module.emplace(name, scheme).second;
    }
    if (!fresh) bad_file(where, "two groups have the target \"" + name + "\"");
  }
}

void add_group(const std::string& id, const Json& group, bool only, Groups& groups, const std::string& where) {
  QuantScheme scheme;
  const Json* targets = nullptr;
  if (group.is_array()) {
    const auto known = preset(id);
    if (!known) cannot_read(where, "the group \"" + id + "\" is no preset that can be read");
    scheme = *known;
    targets = &group;
  } else {
    if (!group.is_object()) bad_file(where, "the group \"" + id + "\" must be an object, or a list of targets");
    if (json::find(group, "format") != nullptr) read_format(group, where);
    scheme = compressed_tensors::scheme_from_json(group, where);
    targets = json::find(group, "targets");
  }
  if (only) {  // whatever it names, nothing else can be meant by the codes in the file
    groups.linear = scheme;
  } else {
    add_targets(targets, scheme, groups, where);
  }
}

Groups parse_groups(const std::string& text, const std::string& where) {
  const Json root = json::parse(text, where);
  read_format(root, where);
  const Json* list = json::find(root, "config_groups");
  if (list == nullptr || !list->is_object() || list->empty()) {
    bad_file(where, "\"config_groups\" is missing or empty");
  }
  Groups groups;
  for (const auto& [id, group] : list->items()) add_group(id, group, list->size() == 1, groups, where);
  std::ranges::sort(groups.by_pattern, {}, [](const auto& entry) -> const std::string& { return entry.first.text; });
  return groups;
}

/// The module of a tensor that holds codes: x.weight_packed, or x.weight of int8 or fp8; empty for any other.
std::string coded_module(const SafetensorsEntry& entry) {
  const std::string_view name = entry.name;
  static constexpr std::string_view packed = ".weight_packed", plain = ".weight";
  if (name.ends_with(packed)) return std::string(name.substr(0, name.size() - packed.size()));
  const bool codes = entry.dtype == DType::i8 || entry.dtype == DType::f8_e4m3;
  return codes && name.ends_with(plain) ? module_of(name) : "";
}

const QuantScheme& scheme_of(const Groups& groups, const std::string& module, const std::string& where) {
  const auto it = groups.by_module.find(module);
  if (it != groups.by_module.end()) return it->second;
  for (const auto& [pattern, scheme] : groups.by_pattern) {
    if (pattern.matches(module)) return scheme;
  }
  if (!groups.linear) bad_file(where, "no group of \"config_groups\" has the target \"" + module + "\"");
  return *groups.linear;
}

/// Shape of a weight from its codes, and from weight_shape where the format has it.
std::pair<std::int64_t, std::int64_t> shape_of(const ShardSet& shards, const ShardSet::Tensor& codes,
                                               const std::string& module, const QuantScheme& scheme) {
  const std::string where = shards.path_of(codes) + ": tensor \"" + codes.entry.name + "\"";
  if (codes.entry.shape.size() != 2) bad_file(where, "must have two dimensions");
  const std::int64_t rows = codes.entry.shape[0], stored = codes.entry.shape[1];
  constexpr std::int64_t limit = std::int64_t{1} << 40;  // keeps cols * bits far from overflow
  if (rows > limit || stored > limit) bad_file(where, "is too large");
  const std::string_view format = compressed_tensors::format_of(scheme);
  if (format == compressed_tensors::nvfp4_format || format == compressed_tensors::mxfp4_format)
    return {rows, 2 * stored};
  if (format != compressed_tensors::pack_format) return {rows, stored};

  const std::string name = module + ".weight_shape";
  const ShardSet::Tensor* shape = shards.find(name);
  if (shape == nullptr) bad_file(where, "comes without \"" + name + "\", which is missing");
  if (shape->entry.dtype != DType::i64 || shape->entry.shape != std::vector<std::int64_t>{2}) {
    bad_file(where, "\"" + name + "\" must be I64 [2]");
  }
  std::array<std::int64_t, 2> size{};
  shards.read(*shape, 0, std::as_writable_bytes(std::span(size)));
  if (size[0] != rows || size[1] < 0 || size[1] > limit) {
    bad_file(where, "does not fit the shape [" + std::to_string(size[0]) + ", " + std::to_string(size[1]) +
                        "] in its weight_shape");
  }
  return {rows, size[1]};
}

WeightLayout layout_of(const ShardSet& shards, const ShardSet::Tensor& codes, const std::string& module,
                       const Groups& groups) {
  const std::string where = shards.path_of(codes) + ": tensor \"" + codes.entry.name + "\"";
  const QuantScheme& scheme = scheme_of(groups, module, where);
  const auto [rows, cols] = shape_of(shards, codes, module, scheme);
  if (const std::string why = misfit(scheme, cols); !why.empty()) bad_file(where, why);
  if (scheme.code && scheme.bits == 4 && cols % scheme.group != 0) bad_file(where, "has inputs that fill no groups");
  WeightLayout layout = compressed_tensors::layout(module, scheme, rows, cols, DType::bf16);
  if (layout.codes.name != codes.entry.name) {
    bad_file(where, "holds no codes of " + scheme.id() + ", which its config says it has");
  }
  if (layout.codes.matrix.packing == Packing::row_streams && shards.find(module + ".weight_g_idx") != nullptr) {
    layout.column_name = module + ".weight_g_idx";
  }
  return layout;
}

}  // namespace

std::unique_ptr<Checkpoint> open_compressed_tensors(const std::filesystem::path& folder, ModelConfig config,
                                                    const std::string& quantization) {
  const Groups groups = parse_groups(quantization, (folder / "config.json").string() + ": quantization_config");
  QuantizedFolder files{"compressed-tensors", folder, std::move(config), ShardSet(folder)};
  for (const ShardSet::Tensor& tensor : files.shards.tensors()) {
    const std::string module = coded_module(tensor.entry);
    if (!module.empty()) files.weights.push_back(layout_of(files.shards, tensor, module, groups));
  }
  return make_quantized_checkpoint(std::move(files));
}

}  // namespace advisor
