// Reads compressed-tensors folders as an engine would: w' = (q - z) * s in float32, scales as stored.
#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "checkpoint/compressed_tensors.h"
#include "checkpoint/folder.h"
#include "checkpoint/json.h"
#include "core/error.h"
#include "tensor/kernels/kernels.h"

namespace advisor {
namespace {

using namespace compressed_tensors;
using json::Json;

[[noreturn]] void bad(const std::string& where, const std::string& why) {
  throw Error(ErrorCode::parse_error, where + ": " + why);
}
[[noreturn]] void cannot(const std::string& where, const std::string& why) {
  throw Error(ErrorCode::unsupported, where + ": " + why);
}

/// The parts of one module's weight, checked against each other.
struct Weight {
  QuantScheme scheme;
  std::int64_t rows = 0, cols = 0, groups = 0;
  const ShardSet::Tensor *codes = nullptr, *scale = nullptr, *zero = nullptr;  ///< zero: null when symmetric
  bool packed = false;
};

QuantScheme parse_weights_args(const Json& group, const std::string& where) {
  const Json* weights = json::find(group, "weights");
  if (weights == nullptr || !weights->is_object()) bad(where, "a group of \"config_groups\" has no \"weights\"");
  if (json::find_string(*weights, "type", where).value_or("int") != "int")
    cannot(where, "only integer weights can be read");
  QuantScheme scheme;
  const std::int64_t bits = json::find_integer(*weights, "num_bits", where).value_or(8);
  if (bits < 2 || bits > 8) cannot(where, "weights of " + std::to_string(bits) + " bits cannot be read");
  scheme.bits = static_cast<int>(bits);
  scheme.symmetric = json::find_bool(*weights, "symmetric", where).value_or(true);
  const auto group_size = json::find_integer(*weights, "group_size", where);
  const std::string strategy =
      json::find_string(*weights, "strategy", where).value_or(group_size.value_or(-1) > 0 ? "group" : "channel");
  if (strategy == "group") {
    if (group_size.value_or(0) <= 0) bad(where, "the strategy \"group\" needs a positive \"group_size\"");
    scheme.group = *group_size;
  } else if (strategy != "channel") {
    cannot(where, "the strategy \"" + strategy + "\" cannot be read; only \"group\" and \"channel\"");
  }
  const Json* order = json::find(*weights, "actorder");
  if (order != nullptr && *order == "group") cannot(where, "\"actorder\": \"group\" cannot be read");

  if (const Json* inputs = json::find(group, "input_activations"); inputs != nullptr) {
    if (!inputs->is_object()) bad(where, "\"input_activations\" must be an object or null");
    if (json::find_integer(*inputs, "num_bits", where).value_or(8) != 8 ||
        json::find_string(*inputs, "type", where).value_or("int") != "int") {
      cannot(where, "only int8 activations can be read");
    }
    const Json* dynamic = json::find(*inputs, "dynamic");
    if (dynamic == nullptr || *dynamic != true) cannot(where, "static activation scales cannot be read");
    scheme.activation_bits = 8;
  }
  return scheme;
}

/// The one scheme of the file, and its storage format.
std::pair<QuantScheme, std::string> parse_quantization(const std::string& text, const std::string& where) {
  const Json root = json::parse(text, where);
  const std::string method = json::find_string(root, "quant_method", where).value_or("");
  if (method != "compressed-tensors") {
    cannot(where, "\"quant_method\" is \"" + method + "\"; only compressed-tensors can be read");
  }
  const std::string format = json::find_string(root, "format", where).value_or("");
  if (format != pack_format && format != int_format) {
    cannot(where, "\"format\" is \"" + format + "\"; only pack-quantized and int-quantized can be read");
  }
  const Json* groups = json::find(root, "config_groups");
  if (groups == nullptr || !groups->is_object() || groups->empty()) bad(where, "\"config_groups\" is missing or empty");
  std::optional<QuantScheme> scheme;
  for (const auto& [id, group] : groups->items()) {
    if (!group.is_object()) cannot(where, "the group \"" + id + "\" names a preset, which cannot be read");
    const QuantScheme parsed = parse_weights_args(group, where);
    if (scheme && scheme->id() != parsed.id()) cannot(where, "\"config_groups\" with different schemes cannot be read");
    scheme = parsed;
  }
  return {*scheme, format};
}

class CompressedTensorsCheckpoint final : public Checkpoint {
 public:
  CompressedTensorsCheckpoint(const std::filesystem::path& folder, ModelConfig config, const std::string& text)
      : folder_(folder), config_(std::move(config)), shards_(folder) {
    const auto [scheme, format] = parse_quantization(text, (folder / "config.json").string() + ": quantization_config");
    list_tensors(scheme, format == pack_format);
  }

  std::string_view format() const override { return "compressed-tensors"; }
  const ModelConfig& config() const override { return config_; }
  const std::vector<TensorInfo>& tensors() const override { return infos_; }
  TokenizerData tokenizer() const override { return read_tokenizer(folder_, config_); }

  void read_rows(const TensorInfo& info, std::int64_t begin, std::int64_t end, std::span<float> out) const override {
    const auto it = weights_.find(info.name);
    if (it == weights_.end()) return read_dense_rows(shards_, info, begin, end, out);
    const Weight& weight = it->second;
    check_rows({info.name, {weight.rows, weight.cols}, {}, 0}, begin, end, out.size());
    // Pieces of about a quarter MiB of codes, so that memory does not grow with the request.
    const std::int64_t step = std::max<std::int64_t>(1, (256 << 10) / std::max<std::int64_t>(1, weight.cols));
    for (std::int64_t r = begin; r < end; r += step) {
      const std::int64_t n = std::min(step, end - r);
      read_piece(
          weight, r, n,
          out.subspan(static_cast<std::size_t>((r - begin) * weight.cols), static_cast<std::size_t>(n * weight.cols)));
    }
  }

 private:
  void list_tensors(const QuantScheme& scheme, bool packed);
  Weight make_weight(const std::string& module, const QuantScheme& scheme, bool packed) const;
  const ShardSet::Tensor& need(const std::string& name, DType dtype, std::vector<std::int64_t> shape) const;
  void read_piece(const Weight& weight, std::int64_t begin, std::int64_t rows, std::span<float> out) const;
  std::vector<std::int8_t> read_codes(const Weight& weight, std::int64_t begin, std::int64_t rows) const;
  std::vector<std::int8_t> read_zeros(const Weight& weight, std::int64_t begin, std::int64_t rows) const;

  std::filesystem::path folder_;
  ModelConfig config_;
  ShardSet shards_;
  std::vector<TensorInfo> infos_;
  std::unordered_map<std::string, Weight> weights_;
};

const ShardSet::Tensor& CompressedTensorsCheckpoint::need(const std::string& name, DType dtype,
                                                          std::vector<std::int64_t> shape) const {
  const ShardSet::Tensor* tensor = shards_.find(name);
  if (tensor == nullptr) bad(folder_.string(), "tensor \"" + name + "\" is missing");
  if (tensor->entry.dtype != dtype || tensor->entry.shape != shape) {
    std::string expected;
    for (const std::int64_t d : shape) expected += (expected.empty() ? "[" : ", ") + std::to_string(d);
    bad(shards_.path_of(*tensor), "tensor \"" + name + "\" must be " + safetensors_name(dtype) + " " + expected + "]");
  }
  return *tensor;
}

Weight CompressedTensorsCheckpoint::make_weight(const std::string& module, const QuantScheme& scheme,
                                                bool packed) const {
  Weight weight{.scheme = scheme, .packed = packed};
  const std::string codes_name = module + (packed ? ".weight_packed" : ".weight");
  weight.codes = shards_.find(codes_name);
  const SafetensorsEntry& entry = weight.codes->entry;
  const std::string where = shards_.path_of(*weight.codes) + ": tensor \"" + codes_name + "\"";
  if (shards_.find(module + ".weight_g_idx") != nullptr) cannot(where, "comes with weight_g_idx, which cannot be read");
  if (entry.shape.size() != 2) bad(where, "must have two dimensions");
  weight.rows = entry.shape[0];
  weight.cols = entry.shape[1];
  if (packed) {
    const ShardSet::Tensor& shape = need(module + ".weight_shape", DType::i64, {2});
    std::array<std::int64_t, 2> stored{};
    shards_.read(shape, 0, std::as_writable_bytes(std::span(stored)));
    weight.cols = stored[1];
    constexpr std::int64_t limit = std::int64_t{1} << 40;  // keeps cols * bits far from overflow
    if (stored[0] != weight.rows || weight.cols < 0 || weight.cols > limit) {
      bad(where, "does not fit the shape [" + std::to_string(stored[0]) + ", " + std::to_string(stored[1]) +
                     "] in its weight_shape");
    }
  }
  if (scheme.group != 0 && weight.cols % scheme.group != 0) {
    bad(where, "has " + std::to_string(weight.cols) + " inputs, no multiple of the group size " +
                   std::to_string(scheme.group));
  }
  weight.groups = scheme.groups(weight.cols);
  need(codes_name, packed ? DType::i32 : DType::i8,
       {weight.rows, packed ? words(weight.cols, scheme.bits) : weight.cols});
  weight.scale = shards_.find(module + ".weight_scale");
  const DType scale_type = weight.scale == nullptr ? DType::bf16 : weight.scale->entry.dtype;
  if (scale_type != DType::bf16 && scale_type != DType::f16 && scale_type != DType::f32) {
    cannot(where, "its scales are " + std::string(name(scale_type)));
  }
  need(module + ".weight_scale", scale_type, {weight.rows, weight.groups});
  if (!scheme.symmetric) {
    const std::int64_t zero_rows = packed ? words(weight.rows, scheme.bits) : weight.rows;
    weight.zero = &need(module + ".weight_zero_point", packed ? DType::i32 : DType::i8, {zero_rows, weight.groups});
  }
  return weight;
}

void CompressedTensorsCheckpoint::list_tensors(const QuantScheme& scheme, bool packed) {
  const std::string_view code_suffix = packed ? ".weight_packed" : ".weight";
  static constexpr std::array<std::string_view, 4> part_suffixes{".weight_scale", ".weight_shape", ".weight_zero_point",
                                                                 ".weight_packed"};
  for (const ShardSet::Tensor& tensor : shards_.tensors()) {
    const SafetensorsEntry& entry = tensor.entry;
    if (entry.name.ends_with(code_suffix) && (packed || entry.dtype == DType::i8)) {
      const std::string module = entry.name.substr(0, entry.name.size() - code_suffix.size());
      const Weight weight = make_weight(module, scheme, packed);
      std::int64_t bytes = 0;
      for (const ShardSet::Tensor* part :
           {weight.codes, weight.scale, weight.zero, shards_.find(module + ".weight_shape")}) {
        if (part != nullptr) bytes += part->entry.end - part->entry.begin;
      }
      infos_.push_back({module + ".weight", {weight.rows, weight.cols}, scheme.id(), bytes});
      weights_.emplace(module + ".weight", weight);
    } else if (std::none_of(part_suffixes.begin(), part_suffixes.end(),
                            [&](std::string_view suffix) { return entry.name.ends_with(suffix); })) {
      infos_.push_back({entry.name, entry.shape, std::string(name(entry.dtype)), entry.end - entry.begin});
    }
  }
}

std::vector<std::int8_t> CompressedTensorsCheckpoint::read_codes(const Weight& weight, std::int64_t begin,
                                                                 std::int64_t rows) const {
  const auto columns = static_cast<std::size_t>(weight.cols);
  std::vector<std::int8_t> codes(static_cast<std::size_t>(rows) * columns);
  if (!weight.packed) {
    shards_.read(*weight.codes, begin * weight.cols, std::as_writable_bytes(std::span(codes)));
    return codes;
  }
  const auto row_words = static_cast<std::size_t>(words(weight.cols, weight.scheme.bits));
  std::vector<std::uint32_t> packed(static_cast<std::size_t>(rows) * row_words);
  shards_.read(*weight.codes, begin * static_cast<std::int64_t>(row_words * 4),
               std::as_writable_bytes(std::span(packed)));
  std::vector<std::uint8_t> row(columns);
  const int offset = 1 << (weight.scheme.bits - 1);
  for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
    kernels::unpack(std::span(packed).subspan(r * row_words, row_words), weight.scheme.bits, row);
    std::transform(row.begin(), row.end(), codes.begin() + static_cast<std::ptrdiff_t>(r * columns),
                   [&](std::uint8_t u) { return static_cast<std::int8_t>(u - offset); });
  }
  return codes;
}

/// [rows, groups]; all zero when symmetric.
std::vector<std::int8_t> CompressedTensorsCheckpoint::read_zeros(const Weight& weight, std::int64_t begin,
                                                                 std::int64_t rows) const {
  const auto groups = static_cast<std::size_t>(weight.groups);
  std::vector<std::int8_t> zeros(static_cast<std::size_t>(rows) * groups);
  if (weight.zero == nullptr) return zeros;
  if (!weight.packed) {
    shards_.read(*weight.zero, begin * weight.groups, std::as_writable_bytes(std::span(zeros)));
    return zeros;
  }
  // Packed along `out`: row r of a column is in bits [b*r, b*(r+1)) of that column's stream.
  const int bits = weight.scheme.bits;
  const std::int64_t first = begin * bits / 32, last = words(begin + rows, bits);
  std::vector<std::uint32_t> packed(static_cast<std::size_t>(last - first) * groups);
  shards_.read(*weight.zero, first * weight.groups * 4, std::as_writable_bytes(std::span(packed)));
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t position = (begin + r) * bits - first * 32;
    const auto word = static_cast<std::size_t>(position / 32);
    const auto shift = static_cast<unsigned>(position % 32);
    for (std::size_t g = 0; g < groups; ++g) {
      std::uint64_t window = packed[word * groups + g];
      if (shift + static_cast<unsigned>(bits) > 32) window |= std::uint64_t{packed[(word + 1) * groups + g]} << 32;
      const auto u = static_cast<int>((window >> shift) & ((1U << bits) - 1U));
      zeros[static_cast<std::size_t>(r) * groups + g] = static_cast<std::int8_t>(u - (1 << (bits - 1)));
    }
  }
  return zeros;
}

void CompressedTensorsCheckpoint::read_piece(const Weight& weight, std::int64_t begin, std::int64_t rows,
                                             std::span<float> out) const {
  const std::vector<std::int8_t> codes = read_codes(weight, begin, rows), zeros = read_zeros(weight, begin, rows);
  const DType type = weight.scale->entry.dtype;
  std::vector<std::byte> stored(static_cast<std::size_t>(rows * weight.groups * size_of(type)));
  shards_.read(*weight.scale, begin * weight.groups * size_of(type), stored);
  std::vector<float> scales(static_cast<std::size_t>(rows * weight.groups));
  kernels::to_f32(type, stored, scales);
  if (codes.empty()) return;
  const std::size_t width = static_cast<std::size_t>(weight.cols / weight.groups);
  for (std::size_t i = 0; i < scales.size(); ++i) {
    kernels::dequantize(std::span(codes).subspan(i * width, width), scales[i], zeros[i], out.subspan(i * width, width));
  }
}

}  // namespace

std::unique_ptr<Checkpoint> open_compressed_tensors(const std::filesystem::path& folder, ModelConfig config,
                                                    const std::string& quantization_config) {
  return std::make_unique<CompressedTensorsCheckpoint>(folder, std::move(config), quantization_config);
}

}  // namespace advisor
