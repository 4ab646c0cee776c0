// Writes compressed-tensors folders. Layout: checkpoint/compressed_tensors.h.
#include "checkpoint/compressed_tensors.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include "checkpoint/folder.h"
#include "checkpoint/format.h"
#include "checkpoint/json.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/side_files.h"
#include "core/error.h"
#include "tensor/kernels/kernels.h"

namespace advisor {

extern const FormatImpl compressed_tensors_format;

namespace {

using namespace compressed_tensors;
using json::OrderedJson;

/// Where the parts of one planned tensor are among the stored ones; -1: it has no such part.
struct Parts {
  int weight = -1, scale = -1, shape = -1, zero = -1;
};

struct Stored {
  std::vector<StoredTensor> tensors;
  std::vector<Parts> parts;  ///< parallel to the plan
};

Stored store(const OutputPlan& plan) {
  Stored stored;
  const DType dense = dense_type(plan);
  const auto add = [&](std::string name, DType dtype, std::vector<std::int64_t> shape) {
    stored.tensors.push_back({std::move(name), dtype, std::move(shape)});
    return static_cast<int>(stored.tensors.size()) - 1;
  };
  for (const PlannedTensor& planned : plan.tensors) {
    Parts& parts = stored.parts.emplace_back();
    if (!planned.scheme) {
      parts.weight = add(planned.source.name, dense, planned.source.shape);
      continue;
    }
    const QuantScheme& scheme = *planned.scheme;
    const std::string module = module_of(planned.source.name);
    const std::int64_t out = planned.source.shape[0], in = planned.source.shape[1], groups = scheme.groups(in);
    if (format_of(scheme) == pack_format) {
      parts.weight = add(module + ".weight_packed", DType::i32, {out, words(in, scheme.bits)});
      parts.shape = add(module + ".weight_shape", DType::i64, {2});
      if (!scheme.symmetric) {
        parts.zero = add(module + ".weight_zero_point", DType::i32, {words(out, scheme.bits), groups});
      }
    } else {
      parts.weight = add(module + ".weight", DType::i8, {out, in});
      if (!scheme.symmetric) parts.zero = add(module + ".weight_zero_point", DType::i8, {out, groups});
    }
    parts.scale = add(module + ".weight_scale", dense, {out, groups});
  }
  return stored;
}

/// The scheme of the first quantized tensor; plans without one are refused.
const QuantScheme& scheme_of(const OutputPlan& plan) {
  const auto it =
      std::find_if(plan.tensors.begin(), plan.tensors.end(), [](const auto& t) { return t.scheme.has_value(); });
  return *it->scheme;
}

/// Names of linear modules that stay dense: lm_head even when it has no tensor of its own (tied to the embedding).
std::set<std::string> ignored_modules(const OutputPlan& plan) {
  std::set<std::string> ignored{"lm_head"};
  for (const PlannedTensor& t : plan.tensors) {
    const std::string& name = t.source.name;
    if (!t.scheme && t.source.shape.size() == 2 && name.ends_with(".weight") &&
        !name.ends_with("embed_tokens.weight")) {
      ignored.insert(module_of(name));
    }
  }
  return ignored;
}

/// The spelling of compressed-tensors' QuantizationArgs, which forbids keys that it does not know.
OrderedJson quantization_args(int bits, bool symmetric, const char* strategy, std::int64_t group, bool dynamic) {
  OrderedJson args;
  args["num_bits"] = bits;
  args["type"] = "int";
  args["symmetric"] = symmetric;
  args["strategy"] = strategy;
  args["group_size"] = group == 0 ? OrderedJson(nullptr) : OrderedJson(group);
  args["block_structure"] = nullptr;
  args["dynamic"] = dynamic;
  args["actorder"] = nullptr;
  args["observer"] = dynamic ? OrderedJson(nullptr) : OrderedJson("minmax");
  args["observer_kwargs"] = OrderedJson::object();
  return args;
}

std::string quantization_config(const OutputPlan& plan) {
  const QuantScheme& scheme = scheme_of(plan);
  OrderedJson group;
  group["targets"] = OrderedJson::array({"Linear"});
  group["weights"] =
      quantization_args(scheme.bits, scheme.symmetric, scheme.group == 0 ? "channel" : "group", scheme.group, false);
  group["input_activations"] = scheme.activation_bits == 16
                                   ? OrderedJson(nullptr)
                                   : quantization_args(scheme.activation_bits, true, "token", 0, true);
  group["output_activations"] = nullptr;

  OrderedJson root;
  root["quant_method"] = "compressed-tensors";
  root["format"] = format_of(scheme);
  root["quantization_status"] = "compressed";
  root["global_compression_ratio"] = nullptr;
  root["kv_cache_scheme"] = nullptr;
  root["ignore"] = ignored_modules(plan);
  root["config_groups"]["group_0"] = group;
  return root.dump();
}

class Writer final : public FormatWriter {
 public:
  Writer(const OutputPlan& plan, std::filesystem::path folder)
      : plan_(plan),
        folder_(std::move(folder)),
        dense_(dense_type(plan)),
        stored_(store(plan)),
        data_(stored_.tensors, folder_) {
    for (std::size_t i = 0; i < plan_.tensors.size(); ++i) {
      if (stored_.parts[i].shape >= 0) {
        write(stored_.parts[i].shape, 0, std::as_bytes(std::span(plan_.tensors[i].source.shape)));
      }
    }
    write_side_files(side_files(plan_, quantization_config(plan_)), folder_);
  }

  void write_rows(std::size_t tensor, std::int64_t begin, std::span<const float> rows, std::span<const float>,
                  std::span<float>) override {
    const PlannedTensor& planned = plan_.tensors.at(tensor);
    if (planned.scheme) misuse(planned, "is quantized, but came as floats");
    write_floats(stored_.parts[tensor].weight, begin * row_shape(planned.source.shape).columns, rows);
  }

  void write_quantized(std::size_t tensor, std::int64_t begin, const QuantizedTensor& q) override {
    const PlannedTensor& planned = plan_.tensors.at(tensor);
    check(planned, begin, q);
    const Parts& parts = stored_.parts[tensor];
    const std::int64_t groups = q.scheme.groups(q.cols);
    write_floats(parts.scale, begin * groups, q.scales);
    if (format_of(q.scheme) == int_format) {
      write(parts.weight, begin * q.cols, std::as_bytes(std::span(q.codes)));
      if (parts.zero >= 0) write(parts.zero, begin * groups, std::as_bytes(std::span(q.zeros)));
      return;
    }
    write_packed_codes(parts.weight, begin, q);
    if (parts.zero >= 0) write_packed_zeros(parts.zero, begin, groups, q);
  }

  void finish() override {
    data_.finish();
    files::sync_folder(folder_);
  }

 private:
  [[noreturn]] static void misuse(const PlannedTensor& planned, const std::string& why) {
    throw Error(ErrorCode::internal, "tensor \"" + planned.source.name + "\" " + why);
  }

  static void check(const PlannedTensor& planned, std::int64_t begin, const QuantizedTensor& q) {
    if (!planned.scheme) misuse(planned, "is dense, but came as codes");
    const std::int64_t groups = q.scheme.groups(q.cols);
    const auto count = [](const auto& list) { return static_cast<std::int64_t>(list.size()); };
    const bool last = begin + q.rows == planned.source.shape[0];
    if (q.scheme.id() != planned.scheme->id() || q.cols != planned.source.shape[1] || begin < 0 || begin % 32 != 0 ||
        begin + q.rows > planned.source.shape[0] || (q.rows % 32 != 0 && !last) || count(q.codes) != q.rows * q.cols ||
        count(q.scales) != q.rows * groups || count(q.zeros) != (q.scheme.symmetric ? 0 : q.rows * groups)) {
      misuse(planned, "came as codes that do not fit the plan");
    }
  }

  void write(int part, std::int64_t offset, std::span<const std::byte> bytes) const {
    data_.write(static_cast<std::size_t>(part), offset, bytes);
  }

  void write_floats(int part, std::int64_t element, std::span<const float> values) const {
    std::vector<std::byte> bytes(values.size() * static_cast<std::size_t>(size_of(dense_)));
    kernels::from_f32(dense_, values, bytes);
    write(part, element * size_of(dense_), bytes);
  }

  void write_packed_codes(int part, std::int64_t begin, const QuantizedTensor& q) const {
    const int bits = q.scheme.bits;
    const auto columns = static_cast<std::size_t>(q.cols), row_words = static_cast<std::size_t>(words(q.cols, bits));
    std::vector<std::uint8_t> unsigned_row(columns);
    std::vector<std::uint32_t> packed(static_cast<std::size_t>(q.rows) * row_words);
    for (std::size_t r = 0; r < static_cast<std::size_t>(q.rows); ++r) {
      const auto row = std::span(q.codes).subspan(r * columns, columns);
      std::transform(row.begin(), row.end(), unsigned_row.begin(),
                     [&](std::int8_t code) { return static_cast<std::uint8_t>(code + (1 << (bits - 1))); });
      kernels::pack(unsigned_row, bits, std::span(packed).subspan(r * row_words, row_words));
    }
    write(part, begin * static_cast<std::int64_t>(row_words * sizeof(std::uint32_t)), std::as_bytes(std::span(packed)));
  }

  /// 32 rows are a whole number of words, so each call owns the words of its rows.
  void write_packed_zeros(int part, std::int64_t begin, std::int64_t groups, const QuantizedTensor& q) const {
    const int bits = q.scheme.bits;
    const auto rows = static_cast<std::size_t>(q.rows), columns = static_cast<std::size_t>(groups);
    std::vector<std::uint8_t> column(rows);
    std::vector<std::uint32_t> column_words(static_cast<std::size_t>(words(q.rows, bits)));
    std::vector<std::uint32_t> packed(column_words.size() * columns);
    for (std::size_t g = 0; g < columns; ++g) {
      for (std::size_t r = 0; r < rows; ++r) {
        column[r] = static_cast<std::uint8_t>(q.zeros[r * columns + g] + (1 << (bits - 1)));
      }
      kernels::pack(column, bits, column_words);
      for (std::size_t w = 0; w < column_words.size(); ++w) packed[w * columns + g] = column_words[w];
    }
    write(part, begin * bits / 32 * groups * static_cast<std::int64_t>(sizeof(std::uint32_t)),
          std::as_bytes(std::span(packed)));
  }

  OutputPlan plan_;
  std::filesystem::path folder_;
  DType dense_;
  Stored stored_;
  SafetensorsWriter data_;
};

std::optional<std::string> refuse_tensor(const PlannedTensor& planned) {
  const QuantScheme& scheme = *planned.scheme;
  const std::string what = "tensor \"" + planned.source.name + "\"";
  if (planned.source.shape.size() != 2 || !planned.source.name.ends_with(".weight")) {
    return what + " is not the weight of a linear module; only those can be quantized";
  }
  if (scheme.code) return scheme.id() + " cannot be written as compressed-tensors by this build";
  if (scheme.bits != 4 && scheme.bits != 8) {
    return scheme.id() + ": engines read 4 and 8 bits from compressed-tensors, not " + std::to_string(scheme.bits);
  }
  const std::int64_t in = planned.source.shape[1];
  if (scheme.group != 0 && in % scheme.group != 0) {
    return what + " has " + std::to_string(in) + " inputs, which is not a multiple of the group size " +
           std::to_string(scheme.group) + "; choose a smaller group or -channel";
  }
  return std::nullopt;
}

std::optional<std::string> refuses(const OutputPlan& plan) {
  try {
    dense_type(plan);
  } catch (const Error& e) {
    return e.what();
  }
  const QuantScheme* first = nullptr;
  for (const PlannedTensor& planned : plan.tensors) {
    if (!planned.scheme) continue;
    if (auto reason = refuse_tensor(planned)) return reason;
    if (first == nullptr) first = &*planned.scheme;
    if (planned.scheme->id() != first->id()) {
      return "one file holds one scheme, but the plan has " + first->id() + " and " + planned.scheme->id();
    }
  }
  if (first == nullptr) return "no tensor is quantized; use the format safetensors for a dense copy";
  return std::nullopt;
}

std::int64_t bytes(const OutputPlan& plan) {
  std::int64_t total = lay_out_safetensors(store(plan).tensors).bytes;
  for (const SideFile& file : side_files(plan, quantization_config(plan))) total += file.bytes();
  return total;
}

std::unique_ptr<FormatWriter> create(const OutputPlan& plan, const std::filesystem::path& folder) {
  if (const auto reason = refuses(plan)) throw Error(ErrorCode::unsupported, *reason);
  return std::make_unique<Writer>(plan, folder);
}

}  // namespace

const FormatImpl compressed_tensors_format{
    .id = "compressed-tensors",
    .refuses = refuses,
    .takes_codes = true,
    .bytes = bytes,
    .create = create,
    .scale_dtype = dense_type,
};

}  // namespace advisor
