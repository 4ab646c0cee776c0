// Plans, random codes and hand-made folders for the tests of quantized formats.
#pragma once

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "checkpoint/format.h"
#include "folder_fixture.h"
#include "tensor/kernels/kernels.h"
#include "tensor/parallel.h"

namespace advisor::testing_support {

inline const std::string weight_name = "model.layers.0.mlp.up_proj.weight";

/// A source folder and a plan of one quantized [rows, cols] weight and one dense norm.
struct QuantizedPlan {
  TempFolder source, out;
  OutputPlan plan;

  QuantizedPlan(const std::string& scheme, std::int64_t rows, std::int64_t cols, const std::string& type = "bf16") {
    write_file(source / "config.json", config_text);
    write_file(source / "tokenizer.json", R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}})");
    plan.source = source.path();
    plan.type = type;
    plan.scheme_id = scheme;
    plan.tensors.push_back({{weight_name, {rows, cols}, "", 0}, parse_quant_scheme(scheme)});
    plan.tensors.push_back({{"model.norm.weight", {8}, "", 0}, std::nullopt});
  }
  const QuantScheme& scheme() const { return *plan.tensors[0].scheme; }
};

/// Any codes that are numbers, any scales that their type can hold.
inline QuantizedTensor random_codes(const QuantScheme& scheme, std::int64_t rows, std::int64_t cols, DType dense) {
  std::mt19937 random(static_cast<unsigned>(rows * 1000 + cols));
  const auto integer = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  QuantizedTensor q{.rows = rows, .cols = cols, .scheme = scheme};
  q.codes.resize(static_cast<std::size_t>(rows * cols));
  for (auto& c : q.codes) {
    int code = scheme.code ? integer(0, (1 << scheme.bits) - 1) : integer(scheme.qmin(), scheme.qmax());
    if (scheme.code == kernels::FloatCode::e4m3 && (code & 127) == 127) code = 0;  // not a number
    c = static_cast<std::int8_t>(code);
  }
  q.scales.resize(static_cast<std::size_t>(scheme.blocks(rows) * scheme.groups(cols)));
  for (auto& s : q.scales) {
    if (scheme.scale == ScaleType::e8m0) s = std::ldexp(1.0F, integer(-127, 100));
    if (scheme.scale == ScaleType::e4m3) {
      s = kernels::value_of(kernels::FloatCode::e4m3, static_cast<std::uint8_t>(integer(1, 126)));
    }
    if (scheme.scale == ScaleType::dense) s = std::uniform_real_distribution<float>(0.01F, 2.0F)(random);
  }
  if (scheme.scale == ScaleType::dense) kernels::round_to(dense, q.scales);
  if (scheme.scale == ScaleType::e4m3) q.tensor_scale = 1 / 2740.5F;  // the reciprocal of a float, as solvers choose it
  if (scheme.static_activations || (scheme.scale == ScaleType::e4m3 && scheme.activation_bits == 4)) {
    q.input_scale = 1 / 96.25F;
  }
  if (!scheme.symmetric) {
    q.zeros.resize(q.scales.size());
    for (auto& z : q.zeros) z = static_cast<std::int8_t>(integer(scheme.qmin(), scheme.qmax()));
  }
  return q;
}

inline QuantizedTensor rows_of(const QuantizedTensor& q, std::int64_t begin, std::int64_t end) {
  QuantizedTensor part{.rows = end - begin, .cols = q.cols, .scheme = q.scheme};
  part.tensor_scale = q.tensor_scale;
  part.input_scale = q.input_scale;
  const std::int64_t groups = q.scheme.groups(q.cols), unit = q.scheme.block_rows == 0 ? q.rows : q.scheme.block_rows;
  const std::int64_t first = begin / unit, last = first + q.scheme.blocks(end - begin);
  part.codes.assign(q.codes.begin() + begin * q.cols, q.codes.begin() + end * q.cols);
  part.scales.assign(q.scales.begin() + first * groups, q.scales.begin() + last * groups);
  if (!q.zeros.empty()) part.zeros.assign(q.zeros.begin() + first * groups, q.zeros.begin() + last * groups);
  return part;
}

/// Writes q in tiles of 32 rows (of blocks, or whole, where scales bind rows), last tile first when `backwards`.
inline void write_model(const FormatImpl& format, const OutputPlan& plan, const QuantizedTensor& q,
                        const std::filesystem::path& folder, int threads, bool backwards) {
  const auto writer = format.create(plan, folder);
  const std::int64_t step = q.scheme.block_rows == 0 ? q.rows : std::max<std::int64_t>(32, q.scheme.block_rows);
  const std::int64_t tiles = (q.rows + step - 1) / step;
  parallel_for(tiles, threads, [&](std::int64_t i) {
    const std::int64_t begin = step * (backwards ? tiles - 1 - i : i);
    writer->write_quantized(0, begin, rows_of(q, begin, std::min(begin + step, q.rows)));
  });
  const std::vector<float> norm(8, 0.5F);
  writer->write_rows(1, 0, norm);
  writer->finish();
}

/// One stored tensor of a hand-made file.
struct StoredPart {
  std::string name, dtype, shape, data;
};

inline void write_folder(const std::filesystem::path& folder, const std::vector<StoredPart>& parts,
                         const std::string& quantization) {
  std::string config = config_text;
  config.pop_back();
  if (quantization.empty()) {
    write_file(folder / "config.json", config_text);
  } else {
    write_file(folder / "config.json", config + ", \"quantization_config\": " + quantization + "}");
  }
  std::string header, data;
  for (const StoredPart& p : parts) {
    header += (header.empty() ? "{\"" : ", \"") + p.name + R"(": {"dtype": ")" + p.dtype + R"(", "shape": )" + p.shape +
              R"(, "data_offsets": [)" + std::to_string(data.size()) + ", " +
              std::to_string(data.size() + p.data.size()) + "]}";
    data += p.data;
  }
  write_file(folder / "model.safetensors", safetensors(header + "}", data));
}

}  // namespace advisor::testing_support
