#include "checkpoint/formats/quantized_writer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "checkpoint/folder.h"
#include "checkpoint/safetensors_writer.h"
#include "core/error.h"
#include "tensor/kernels/kernels.h"

namespace advisor {
namespace {

constexpr std::int64_t row_unit = 32;  // see FormatWriter::write_quantized

/// One planned tensor among the stored ones: `first` is its only part, or that of the layout's parts().
struct Placed {
  std::optional<WeightLayout> layout{};
  std::size_t first = 0;
};

struct Stored {
  std::vector<StoredTensor> tensors;
  std::vector<Placed> placed;  ///< parallel to the plan
  std::size_t kv = 0;          ///< scale of the first layer's keys; values and the other layers follow
};

Stored store(const OutputPlan& plan, const LayoutOf& layout_of, const KvScaleNames* kv) {
  Stored stored;
  for (const PlannedTensor& planned : plan.tensors) {
    Placed& placed = stored.placed.emplace_back();
    placed.first = stored.tensors.size();
    if (!planned.scheme) {
      stored.tensors.push_back({planned.source.name, dense_type(plan), planned.source.shape});
      continue;
    }
    placed.layout = layout_of(planned);
    const std::vector<StoredTensor> parts = placed.layout->parts();
    stored.tensors.insert(stored.tensors.end(), parts.begin(), parts.end());
  }
  stored.kv = stored.tensors.size();
  for (std::int64_t layer = 0; kv != nullptr && plan.kv_scales && layer < plan.config.layers; ++layer)
    for (const std::string_view name : {kv->key, kv->value})
      stored.tensors.push_back({kv_scale_name(layer, name), DType::f32, kv->shape});
  return stored;
}

class QuantizedWriter final : public FormatWriter {
 public:
  QuantizedWriter(const OutputPlan& plan, const LayoutOf& layout_of, const std::vector<SideFile>& side,
                  const std::filesystem::path& folder, const KvScaleNames* kv)
      : plan_(plan),
        dense_(dense_type(plan)),
        stored_(store(plan, layout_of, kv)),
        data_(stored_.tensors, folder, shard_limit, plan.resume) {
    for (const Placed& placed : stored_.placed) {
      if (placed.layout) write_constants(placed);
    }
    write_side_files(side, folder, plan.resume);
  }

  std::vector<std::byte> write_rows(std::size_t tensor, std::int64_t begin, std::span<const float> rows,
                                    std::span<const float>, std::span<float> stored) override {
    const PlannedTensor& planned = plan_.tensors.at(tensor);
    if (planned.scheme) misuse(planned, "is quantized, but came as floats");
    std::vector<std::byte> bytes(rows.size() * static_cast<std::size_t>(size_of(dense_)));
    kernels::from_f32(dense_, rows, bytes);
    if (!stored.empty()) kernels::to_f32(dense_, bytes, stored);
    data_.write(stored_.placed[tensor].first, begin * row_shape(planned.source.shape).columns * size_of(dense_), bytes);
    return {};  // readers of these formats look at a tensor as a whole
  }

  void write_quantized(std::size_t tensor, std::int64_t begin, const QuantizedTensor& q) override {
    const PlannedTensor& planned = plan_.tensors.at(tensor);
    if (!planned.scheme) misuse(planned, "is dense, but came as codes");
    const Placed& placed = stored_.placed[tensor];
    const WeightLayout& layout = *placed.layout;
    check(planned, layout, begin, q);
    write(part(placed, layout.codes.name), place_of(layout.codes.matrix, begin, q.rows),
          pack_rows(layout.codes.matrix, q.codes));
    if (!layout.zeros.name.empty()) {
      const std::vector<std::int8_t> middle(q.zeros.empty() ? q.scales.size() : 0);
      write(part(placed, layout.zeros.name), place_of(layout.zeros.matrix, begin, q.rows),
            pack_rows(layout.zeros.matrix, q.zeros.empty() ? middle : q.zeros));
    }
    const std::int64_t block = q.scheme.block_rows == 0 ? 0 : begin / q.scheme.block_rows;
    write(part(placed, layout.scales.name),
          place_of_scales(layout, layout.scales.dtype, block, q.scheme.blocks(q.rows)), pack_scales(layout, q.scales));
    if (begin != 0) return;  // scalars come with every call and are the same
    write_scalar(planned, placed, layout.tensor_scale, q.tensor_scale);
    write_scalar(planned, placed, layout.input_scale, q.input_scale);
  }

  void write_kv_scales(std::int64_t layer, KvScales scales) override {
    const std::size_t first = stored_.kv + 2 * static_cast<std::size_t>(layer);
    if (layer < 0 || first + 2 > stored_.tensors.size())
      throw Error(ErrorCode::internal, "layer " + std::to_string(layer) + " has no place for scales of the cache");
    for (const float scale : {scales.key, scales.value})
      if (!(scale > 0) || !std::isfinite(scale))
        throw Error(ErrorCode::invalid_argument,
                    "layer " + std::to_string(layer) + ": the scale of the cache is " + std::to_string(scale));
    data_.write(first, 0, std::as_bytes(std::span(&scales.key, 1)));
    data_.write(first + 1, 0, std::as_bytes(std::span(&scales.value, 1)));
  }

  void flush() override { data_.flush(); }

  void finish() override { data_.finish(); }

 private:
  [[noreturn]] static void misuse(const PlannedTensor& planned, const std::string& why) {
    throw Error(ErrorCode::internal, "tensor \"" + planned.source.name + "\" " + why);
  }

  static void check(const PlannedTensor& planned, const WeightLayout& layout, std::int64_t begin,
                    const QuantizedTensor& q) {
    const std::int64_t step = std::max(row_unit, layout.row_step()), end = begin + q.rows;
    const std::int64_t scales = q.scheme.blocks(q.rows) * q.scheme.groups(q.cols);
    const auto count = [](const auto& list) { return static_cast<std::int64_t>(list.size()); };
    const bool whole = q.scheme.block_rows != 0 || (begin == 0 && end == layout.rows);
    if (q.scheme != *planned.scheme || q.cols != layout.cols || begin < 0 || end > layout.rows || !whole ||
        (q.scheme.block_rows != 0 && (begin % step != 0 || (q.rows % step != 0 && end != layout.rows))) ||
        count(q.codes) != q.rows * q.cols || count(q.scales) != scales ||
        count(q.zeros) != (q.scheme.symmetric ? 0 : scales)) {
      misuse(planned, "came as codes that do not fit the plan");
    }
  }

  /// Index among the stored tensors of a part that the layout has.
  std::size_t part(const Placed& placed, const std::string& name) const {
    std::size_t at = placed.first;
    while (stored_.tensors[at].name != name) ++at;
    return at;
  }

  void write(std::size_t part, const ByteRectangle& place, std::span<const std::byte> bytes) const {
    if (place.bytes == place.stride) return data_.write(part, place.first * place.stride, bytes);
    for (std::int64_t i = 0; i < place.count; ++i) {
      data_.write(part, (place.first + i) * place.stride + place.offset,
                  bytes.subspan(static_cast<std::size_t>(i * place.bytes), static_cast<std::size_t>(place.bytes)));
    }
  }

  void write_scalar(const PlannedTensor& planned, const Placed& placed, const WeightLayout::Scalar& scalar,
                    float value) const {
    if (scalar.name.empty()) return;
    const std::array<float, 1> stored{scalar.reciprocal ? 1 / value : value};
    if (!(value > 0) || !std::isfinite(value) || !std::isfinite(stored[0])) {
      throw Error(ErrorCode::invalid_argument,
                  "tensor \"" + planned.source.name + "\": " + planned.scheme->id() + " stores " +
                      module_of(scalar.name + ".weight") + ", but it is " + std::to_string(value) +
                      "; scales of activations come from calibration, use a technique that has it");
    }
    data_.write(part(placed, scalar.name), 0, std::as_bytes(std::span(stored)));
  }

  /// What is known before any weight.
  void write_constants(const Placed& placed) const {
    const WeightLayout& layout = *placed.layout;
    if (!layout.shape_name.empty()) {
      const std::array<std::int64_t, 2> shape{layout.rows, layout.cols};
      data_.write(part(placed, layout.shape_name), 0, std::as_bytes(std::span(shape)));
    }
    if (!layout.column_name.empty()) {
      std::vector<std::int32_t> groups(static_cast<std::size_t>(layout.cols));
      const std::size_t width =
          layout.scheme.group == 0 ? groups.size() : static_cast<std::size_t>(layout.scheme.group);
      for (std::size_t c = 0; c < groups.size(); ++c) groups[c] = static_cast<std::int32_t>(c / width);
      data_.write(part(placed, layout.column_name), 0, std::as_bytes(std::span(groups)));
    }
  }

  OutputPlan plan_;
  DType dense_;
  Stored stored_;
  SafetensorsWriter data_;
};

}  // namespace

std::int64_t quantized_folder_bytes(const OutputPlan& plan, const LayoutOf& layout_of,
                                    const std::vector<SideFile>& side, const KvScaleNames* kv) {
  std::int64_t total = lay_out_safetensors(store(plan, layout_of, kv).tensors).bytes;
  for (const SideFile& file : side) total += file.bytes();
  return total;
}

std::unique_ptr<FormatWriter> make_quantized_writer(const OutputPlan& plan, const LayoutOf& layout_of,
                                                    const std::vector<SideFile>& side,
                                                    const std::filesystem::path& folder, const KvScaleNames* kv) {
  return std::make_unique<QuantizedWriter>(plan, layout_of, side, folder, kv);
}

std::int64_t quantized_tensor_bytes(const OutputPlan& plan, const LayoutOf& layout_of, std::size_t tensor) {
  const PlannedTensor& planned = plan.tensors.at(tensor);
  if (!planned.scheme) return StoredTensor{"", dense_type(plan), planned.source.shape}.bytes();
  std::int64_t total = 0;
  for (const StoredTensor& part : layout_of(planned).parts()) total += part.bytes();
  return total;
}

std::optional<std::string> refuses_quantized(
    const OutputPlan& plan, const std::function<std::optional<std::string>(const PlannedTensor&)>& own) {
  try {
    dense_type(plan);
  } catch (const Error& e) {
    return e.what();
  }
  bool any = false;
  for (const PlannedTensor& planned : plan.tensors) {
    if (!planned.scheme) continue;
    any = true;
    const std::string what = "tensor \"" + planned.source.name + "\"";
    if (planned.source.shape.size() != 2 || !planned.source.name.ends_with(".weight")) {
      return what + " is not the weight of a linear module; only those can be quantized";
    }
    if (auto reason = own(planned)) return reason;
    if (const std::string why = misfit(*planned.scheme, planned.source.shape[1]); !why.empty()) return what + " " + why;
  }
  if (!any) return "no tensor is quantized; use the format safetensors for a dense copy";
  return std::nullopt;
}

std::vector<QuantScheme> schemes_of(const OutputPlan& plan) {
  std::vector<QuantScheme> schemes;
  for (const PlannedTensor& planned : plan.tensors) {
    if (planned.scheme && std::find(schemes.begin(), schemes.end(), *planned.scheme) == schemes.end()) {
      schemes.push_back(*planned.scheme);
    }
  }
  return schemes;
}

std::optional<std::string> refuses_mixture(const OutputPlan& plan) {
  const std::vector<QuantScheme> schemes = schemes_of(plan);
  if (schemes.size() < 2) return std::nullopt;
  return "one file holds one scheme, but the plan has " + schemes[0].id() + " and " + schemes[1].id() +
         "; compressed-tensors holds several";
}

std::set<std::string> dense_modules(const OutputPlan& plan) {
  std::set<std::string> dense{"lm_head"};
  for (const PlannedTensor& t : plan.tensors) {
    const std::string& name = t.source.name;
    if (name == "lm_head.weight" && t.scheme) dense.erase("lm_head");
    if (!t.scheme && t.source.shape.size() == 2 && name.ends_with(".weight") &&
        !name.ends_with("embed_tokens.weight")) {
      dense.insert(module_of(name));
    }
  }
  return dense;
}

}  // namespace advisor
