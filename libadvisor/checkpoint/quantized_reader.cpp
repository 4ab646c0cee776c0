#include "checkpoint/quantized_reader.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "core/error.h"

namespace advisor {
namespace {

bool is_float(DType dtype) { return dtype == DType::bf16 || dtype == DType::f16 || dtype == DType::f32; }

std::vector<std::int64_t> without_ones(const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> rest;
  std::copy_if(shape.begin(), shape.end(), std::back_inserter(rest), [](std::int64_t d) { return d != 1; });
  return rest;
}

/// A weight and where its parts are.
struct Weight {
  WeightLayout layout;
  const ShardSet::Tensor *codes = nullptr, *zeros = nullptr, *scales = nullptr;
  float tensor_scale = 1, input_scale = 0;
  std::vector<std::int32_t> column_groups{};  ///< empty: column / group
  std::int64_t bytes = 0;
};

class QuantizedCheckpoint final : public Checkpoint {
 public:
  explicit QuantizedCheckpoint(QuantizedFolder folder) : folder_(std::move(folder)) {
    std::unordered_map<std::string, std::size_t> first_part;
    std::unordered_set<std::string> parts;
    for (const WeightLayout& layout : folder_.weights) {
      Weight weight = make_weight(layout);
      for (const StoredTensor& part : layout.parts()) parts.insert(part.name);
      first_part.emplace(layout.codes.name, weights_.size());
      weights_.push_back(std::move(weight));
    }
    read_kv_scales(parts);
    for (const ShardSet::Tensor& tensor : folder_.shards.tensors()) {
      const SafetensorsEntry& entry = tensor.entry;
      if (const auto it = first_part.find(entry.name); it != first_part.end()) {
        const Weight& weight = weights_[it->second];
        infos_.push_back(
            {weight.layout.weight, {weight.layout.rows, weight.layout.cols}, weight.layout.scheme.id(), weight.bytes});
        by_name_.emplace(weight.layout.weight, it->second);
      } else if (!parts.contains(entry.name)) {
        infos_.push_back({entry.name, entry.shape, std::string(name(entry.dtype)), entry.end - entry.begin});
      }
    }
  }

  std::string_view format() const override { return folder_.format; }
  const ModelConfig& config() const override { return folder_.config; }
  const std::vector<TensorInfo>& tensors() const override { return infos_; }
  std::vector<KvScales> kv_scales() const override { return kv_scales_; }
  TokenizerData tokenizer() const override { return read_tokenizer(folder_.folder, folder_.config); }

  void read_rows(const TensorInfo& info, std::int64_t begin, std::int64_t end, std::span<float> out) const override {
    const Weight* weight = find_weight(info);
    if (weight == nullptr) return read_dense_rows(folder_.shards, info, begin, end, out);
    const WeightLayout& layout = weight->layout;
    check_rows({info.name, {layout.rows, layout.cols}, {}, 0}, begin, end, out.size());
    if (out.empty()) return;
    // Pieces of about a MiB of weights that begin where rows can be told apart, so that memory does not grow with the
    // request; a scale per tensor does not bind rows together when they are only read.
    const std::int64_t unit = layout.scheme.block_rows == 0 ? layout.codes.matrix.row_step() : layout.row_step();
    const std::int64_t step =
        std::max(unit, (std::int64_t{1} << 18) / std::max<std::int64_t>(1, layout.cols) / unit * unit);
    for (std::int64_t at = begin / unit * unit; at < end; at += step) {
      const std::int64_t last = std::min(at + step, layout.rows);
      const std::vector<float> piece =
          decode(*weight, read_range(*weight, at, std::min(last, ceil_to(end, unit, layout.rows))));
      const std::int64_t from = std::max(at, begin), to = std::min(last, end);
      std::copy_n(piece.begin() + (from - at) * layout.cols, (to - from) * layout.cols,
                  out.begin() + (from - begin) * layout.cols);
    }
  }

  std::optional<QuantizedTensor> read_codes(const TensorInfo& info, std::int64_t begin,
                                            std::int64_t end) const override {
    const Weight* weight = find_weight(info);
    if (weight == nullptr || !weight->column_groups.empty()) return std::nullopt;
    const WeightLayout& layout = weight->layout;
    const std::int64_t step = layout.row_step();
    if (begin < 0 || begin > end || end > layout.rows || begin % step != 0 || (end % step != 0 && end != layout.rows)) {
      throw Error(ErrorCode::invalid_argument, "tensor \"" + info.name + "\": rows " + std::to_string(begin) + " to " +
                                                   std::to_string(end) + " of " + std::to_string(layout.rows) +
                                                   " do not begin and end at multiples of " + std::to_string(step));
    }
    return read_range(*weight, begin, end);
  }

 private:
  /// Scales of the cache are no tensors of the model: kept, and added to `parts`. All layers have them, or none.
  void read_kv_scales(std::unordered_set<std::string>& parts) {
    for (const auto& [key, value] : {std::pair{"self_attn.k_scale", "self_attn.v_scale"},
                                     std::pair{"self_attn.k_proj.k_scale", "self_attn.v_proj.v_scale"}}) {
      if (folder_.shards.find(kv_scale_name(0, key)) == nullptr) continue;
      for (std::int64_t layer = 0; layer < folder_.config.layers; ++layer) {
        const std::string key_name = kv_scale_name(layer, key), value_name = kv_scale_name(layer, value);
        for (const std::string& name : {key_name, value_name}) need({name, DType::f32, {1}}, true);
        kv_scales_.push_back({read_scalar({key_name}), read_scalar({value_name})});
        parts.insert({key_name, value_name});
      }
      return;
    }
  }

  static std::int64_t ceil_to(std::int64_t value, std::int64_t unit, std::int64_t limit) {
    return std::min((value + unit - 1) / unit * unit, limit);
  }

  const Weight* find_weight(const TensorInfo& info) const {
    const auto it = by_name_.find(info.name);
    return it == by_name_.end() ? nullptr : &weights_[it->second];
  }

  const ShardSet::Tensor& need(const StoredTensor& part, bool any_float) const {
    const ShardSet::Tensor* tensor = folder_.shards.find(part.name);
    if (tensor == nullptr) bad_file(folder_.folder.string(), "tensor \"" + part.name + "\" is missing");
    const SafetensorsEntry& entry = tensor->entry;
    const bool type = entry.dtype == part.dtype || (any_float && is_float(entry.dtype) && is_float(part.dtype));
    const bool shape = any_float ? without_ones(entry.shape) == without_ones(part.shape) : entry.shape == part.shape;
    if (!type || !shape) {
      std::string expected;
      for (const std::int64_t d : part.shape) expected += (expected.empty() ? "" : ", ") + std::to_string(d);
      bad_file(folder_.shards.path_of(*tensor),
               "tensor \"" + part.name + "\" must be " + safetensors_name(part.dtype) + " [" + expected + "]");
    }
    return *tensor;
  }

  float read_scalar(const WeightLayout::Scalar& scalar) const {
    const ShardSet::Tensor& tensor = *folder_.shards.find(scalar.name);
    std::vector<std::byte> bytes(static_cast<std::size_t>(tensor.entry.end - tensor.entry.begin));
    folder_.shards.read(tensor, 0, bytes);
    std::array<float, 1> value{};
    kernels::to_f32(tensor.entry.dtype, bytes, value);
    if (!(std::isfinite(value[0]) && value[0] > 0)) {
      bad_file(folder_.shards.path_of(tensor), "tensor \"" + scalar.name + "\" is no positive number");
    }
    return scalar.reciprocal ? 1 / value[0] : value[0];
  }

  /// Group of each column; empty when they are in order.
  std::vector<std::int32_t> read_column_groups(const WeightLayout& layout) const {
    const ShardSet::Tensor& tensor = *folder_.shards.find(layout.column_name);
    std::vector<std::int32_t> groups(static_cast<std::size_t>(layout.cols));
    folder_.shards.read(tensor, 0, std::as_writable_bytes(std::span(groups)));
    bool ordered = true;
    const std::int64_t width = layout.scheme.group == 0 ? layout.cols : layout.scheme.group;
    for (std::int64_t c = 0; c < layout.cols; ++c) {
      const std::int64_t group = groups[static_cast<std::size_t>(c)];
      if (group < 0 || group >= layout.groups()) {
        bad_file(folder_.shards.path_of(tensor), "tensor \"" + layout.column_name + "\" names the group " +
                                                     std::to_string(group) + " of " + std::to_string(layout.groups()));
      }
      ordered = ordered && group == c / width;
    }
    if (ordered) groups.clear();
    return groups;
  }

  Weight make_weight(const WeightLayout& layout) const {
    Weight weight{.layout = layout};
    for (const StoredTensor& part : layout.parts()) {
      const bool scale = part.name == layout.scales.name || part.name == layout.tensor_scale.name ||
                         part.name == layout.input_scale.name;
      const ShardSet::Tensor& tensor = need(part, scale);
      weight.bytes += tensor.entry.end - tensor.entry.begin;
    }
    const ShardSet& shards = folder_.shards;
    weight.codes = shards.find(layout.codes.name);
    weight.scales = shards.find(layout.scales.name);
    if (!layout.zeros.name.empty()) weight.zeros = shards.find(layout.zeros.name);
    if (!layout.tensor_scale.name.empty()) weight.tensor_scale = read_scalar(layout.tensor_scale);
    if (!layout.input_scale.name.empty()) weight.input_scale = read_scalar(layout.input_scale);
    if (!layout.column_name.empty()) weight.column_groups = read_column_groups(layout);
    return weight;
  }

  std::vector<std::byte> read(const ShardSet::Tensor& tensor, const ByteRectangle& place) const {
    std::vector<std::byte> bytes(static_cast<std::size_t>(place.count * place.bytes));
    if (bytes.empty()) return bytes;
    if (place.bytes == place.stride) {
      folder_.shards.read(tensor, place.first * place.stride, bytes);
      return bytes;
    }
    for (std::int64_t i = 0; i < place.count; ++i) {
      folder_.shards.read(
          tensor, (place.first + i) * place.stride + place.offset,
          std::span(bytes).subspan(static_cast<std::size_t>(i * place.bytes), static_cast<std::size_t>(place.bytes)));
    }
    return bytes;
  }

  /// Rows [begin, end), which begin and end at row steps.
  QuantizedTensor read_range(const Weight& weight, std::int64_t begin, std::int64_t end) const {
    const WeightLayout& layout = weight.layout;
    const QuantScheme& scheme = layout.scheme;
    QuantizedTensor q{.rows = end - begin, .cols = layout.cols, .scheme = scheme};
    q.tensor_scale = weight.tensor_scale;
    q.input_scale = weight.input_scale;
    const PackedMatrix& codes = layout.codes.matrix;
    q.codes = unpack_rows(codes, read(*weight.codes, place_of(codes, begin, q.rows)), q.rows);
    const std::int64_t block = scheme.block_rows == 0 ? 0 : begin / scheme.block_rows;
    const DType dtype = weight.scales->entry.dtype;
    q.scales = unpack_scales(layout, dtype,
                             read(*weight.scales, place_of_scales(layout, dtype, block, scheme.blocks(q.rows))));
    if (weight.zeros != nullptr) {
      const PackedMatrix& zeros = layout.zeros.matrix;
      q.zeros = unpack_rows(zeros, read(*weight.zeros, place_of(zeros, begin, q.rows)), q.rows);
    }
    if (!scheme.symmetric) return q;
    if (std::any_of(q.zeros.begin(), q.zeros.end(), [](std::int8_t z) { return z != 0; })) {
      bad_file(folder_.shards.path_of(*weight.zeros),
               "tensor \"" + layout.zeros.name + "\" has zero points although its config says symmetric");
    }
    q.zeros.clear();
    return q;
  }

  static std::vector<float> decode(const Weight& weight, const QuantizedTensor& q) {
    std::vector<float> out(q.codes.size());
    if (weight.column_groups.empty()) {
      dequantize(q, out);
      return out;
    }
    const auto groups = static_cast<std::size_t>(weight.layout.groups()), cols = static_cast<std::size_t>(q.cols);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::size_t at = i / cols * groups + static_cast<std::size_t>(weight.column_groups[i % cols]);
      out[i] = static_cast<float>(q.codes[i] - (q.zeros.empty() ? 0 : q.zeros[at])) * q.scales[at];
    }
    return out;
  }

  QuantizedFolder folder_;
  std::vector<Weight> weights_;
  std::vector<TensorInfo> infos_;
  std::vector<KvScales> kv_scales_;
  std::unordered_map<std::string, std::size_t> by_name_;
};

}  // namespace

void bad_file(const std::string& where, const std::string& why) {
  throw Error(ErrorCode::parse_error, where + ": " + why);
}

void cannot_read(const std::string& where, const std::string& why) {
  throw Error(ErrorCode::unsupported, where + ": " + why);
}

std::unique_ptr<Checkpoint> make_quantized_checkpoint(QuantizedFolder folder) {
  return std::make_unique<QuantizedCheckpoint>(std::move(folder));
}

}  // namespace advisor
