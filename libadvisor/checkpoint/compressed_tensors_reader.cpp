// Opens compressed-tensors folders: which scheme each module has, and its shape.
#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "checkpoint/compressed_tensors.h"
#include "checkpoint/quantized_reader.h"
#include "core/error.h"

namespace advisor {
namespace {

using json::Json;

/// "config_groups", by what they name.
struct Groups {
  std::map<std::string, QuantScheme> by_module;
  std::optional<QuantScheme> linear;  ///< of "Linear": every module that is not named
};

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

void add_targets(const Json& group, const QuantScheme& scheme, bool only, Groups& groups, const std::string& where) {
  const Json* targets = json::find(group, "targets");
  if (only) {  // whatever it names, nothing else can be meant by the codes in the file
    groups.linear = scheme;
    return;
  }
  if (targets == nullptr || !targets->is_array()) bad_file(where, "\"targets\" of a group must be a list");
  for (const Json& target : *targets) {
    if (!target.is_string()) bad_file(where, "\"targets\" must be a list of names");
    const std::string name = target.get<std::string>();
    if (name.starts_with("re:")) {
      cannot_read(where, "several groups with the pattern \"" + name + "\" among their targets cannot be read");
    }
    if (name == "Linear") {
      if (groups.linear && *groups.linear != scheme) cannot_read(where, "two groups have the target \"Linear\"");
      groups.linear = scheme;
    } else if (!groups.by_module.emplace(name, scheme).second) {
      bad_file(where, "two groups have the target \"" + name + "\"");
    }
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
  for (const auto& [id, group] : list->items()) {
    if (!group.is_object()) cannot_read(where, "the group \"" + id + "\" names a preset, which cannot be read");
    if (json::find(group, "format") != nullptr) read_format(group, where);
    add_targets(group, compressed_tensors::scheme_from_json(group, where), list->size() == 1, groups, where);
  }
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
