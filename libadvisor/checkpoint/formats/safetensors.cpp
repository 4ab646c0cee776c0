// Dense safetensors: every tensor as bf16, f16 or f32 (plan.type).
#include <filesystem>
#include <utility>

#include "checkpoint/folder.h"
#include "checkpoint/format.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/side_files.h"
#include "core/error.h"
#include "tensor/kernels/kernels.h"

namespace advisor {

extern const FormatImpl safetensors_format;

namespace {

std::vector<StoredTensor> stored(const OutputPlan& plan) {
  std::vector<StoredTensor> tensors;
  for (const PlannedTensor& t : plan.tensors) tensors.push_back({t.source.name, dense_type(plan), t.source.shape});
  return tensors;
}

class DenseWriter final : public FormatWriter {
 public:
  DenseWriter(const OutputPlan& plan, const std::filesystem::path& folder)
      : plan_(plan), dtype_(dense_type(plan)), data_(stored(plan), folder, shard_limit, plan.resume) {
    write_side_files(side_files(plan, ""), folder, plan.resume);
  }

  std::vector<std::byte> write_rows(std::size_t tensor, std::int64_t begin, std::span<const float> rows,
                                    std::span<const float>, std::span<float> stored) override {
    std::vector<std::byte> bytes(rows.size() * static_cast<std::size_t>(size_of(dtype_)));
    kernels::from_f32(dtype_, rows, bytes);
    if (!stored.empty()) kernels::to_f32(dtype_, bytes, stored);
    const std::int64_t columns = row_shape(plan_.tensors.at(tensor).source.shape).columns;
    data_.write(tensor, begin * columns * size_of(dtype_), bytes);
    return bytes;
  }

  void write_quantized(std::size_t tensor, std::int64_t, const QuantizedTensor&) override {
    throw Error(ErrorCode::internal, "dense safetensors hold no codes, but tensor \"" +
                                         plan_.tensors.at(tensor).source.name + "\" came as such");
  }

  void flush() override { data_.flush(); }

  void finish() override { data_.finish(); }

 private:
  OutputPlan plan_;
  DType dtype_;
  SafetensorsWriter data_;
};

std::optional<std::string> refuses(const OutputPlan& plan) {
  try {
    dense_type(plan);
  } catch (const Error& e) {
    return e.what();
  }
  for (const PlannedTensor& t : plan.tensors) {
    if (t.scheme) {
      return "tensor \"" + t.source.name + "\" is to be quantized to " + t.scheme->id() +
             ", and the format safetensors stores dense weights only; use compressed-tensors";
    }
  }
  return std::nullopt;
}

std::int64_t bytes(const OutputPlan& plan) {
  std::int64_t total = lay_out_safetensors(stored(plan)).bytes;
  for (const SideFile& file : side_files(plan, "")) total += file.bytes();
  return total;
}

std::unique_ptr<FormatWriter> create(const OutputPlan& plan, const std::filesystem::path& folder) {
  if (const auto reason = refuses(plan)) throw Error(ErrorCode::unsupported, *reason);
  return std::make_unique<DenseWriter>(plan, folder);
}

}  // namespace

const FormatImpl safetensors_format{
    .id = "safetensors",
    .refuses = refuses,
    .takes_codes = false,
    .stored_type = dense_stored_type,
    .bytes = bytes,
    .create = create,
    .scale_dtype = dense_type,
};

}  // namespace advisor
