#include "compress/outputs.h"

#include <algorithm>
#include <array>
#include <bit>

#include "core/error.h"
#include "tensor/kernels/kernels.h"

namespace advisor {

std::uint64_t fingerprint(std::span<const float> values) {
  // FNV-1a on 32-bit words in four lanes, to run at memory speed; it guards against mistakes, not against attackers.
  constexpr std::uint64_t prime = 0x100000001b3u;
  std::array<std::uint64_t, 4> lanes{0xcbf29ce484222325u, 0x9ae16a3b2f90404fu, 0xc3a5c85c97cb3127u,
                                     0xb492b66fbe98f273u};
  std::size_t i = 0;
  for (; i + 4 <= values.size(); i += 4)
    for (std::size_t lane = 0; lane < 4; ++lane)
      lanes[lane] = (lanes[lane] ^ std::bit_cast<std::uint32_t>(values[i + lane])) * prime;
  for (; i < values.size(); ++i) lanes[0] = (lanes[0] ^ std::bit_cast<std::uint32_t>(values[i])) * prime;
  std::uint64_t sum = values.size();
  for (const std::uint64_t lane : lanes) sum = fold(sum, lane ^ (lane >> 32));
  return sum;
}

Outputs::Outputs(const PreparedJob& job, const std::filesystem::path& folder) : job_(job) {
  for (const OutputJob& output : job.outputs) {
    const auto place = folder / output.subfolder;
    std::error_code error;
    std::filesystem::create_directory(place, error);  // exists already when there is no subfolder
    if (error) throw Error(ErrorCode::io_error, "cannot create " + place.string() + ": " + error.message());
    writers_.push_back(output.format->create(output.plan, place));
  }
  const std::size_t tensors = job.source->tensors().size();
  tiles_.assign(job.outputs.size(), std::vector<std::vector<std::uint64_t>>(tensors));
  expected_.assign(job.outputs.size(), std::vector<Expected>(tensors));
}

void Outputs::write_rows(std::size_t output, std::size_t tensor, std::int64_t begin, std::span<const float> rows,
                         std::span<const float> importance, bool changed) {
  const bool encodes = !job_.outputs[output].format->takes_codes;
  std::vector<float> stored;
  if (encodes) stored.resize(rows.size());
  writers_[output]->write_rows(tensor, begin, rows, importance, stored);
  if (encodes) return keep(output, tensor, begin, stored, !changed);
  if (!changed) return;  // a dense copy of the source is checked against the source
  stored.assign(rows.begin(), rows.end());
  kernels::round_to(job_.outputs[output].scale_dtype, stored);
  keep(output, tensor, begin, stored, false);
}

void Outputs::write_codes(std::size_t output, std::size_t tensor, std::int64_t begin, const QuantizedTensor& codes,
                          bool bounded) {
  writers_[output]->write_quantized(tensor, begin, codes);
  std::vector<float> decoded(codes.codes.size());
  dequantize(codes, decoded);
  keep(output, tensor, begin, decoded, bounded);
}

void Outputs::keep(std::size_t output, std::size_t tensor, std::int64_t begin, std::span<const float> decoded,
                   bool bounded) {
  const Matrix matrix = as_matrix(job_.source->tensors()[tensor]);
  const std::int64_t height = tile_rows(matrix);
  const auto step = static_cast<std::size_t>(height * matrix.cols);
  std::vector<std::uint64_t> prints;
  for (std::size_t at = 0; at < decoded.size(); at += step)
    prints.push_back(fingerprint(decoded.subspan(at, std::min(step, decoded.size() - at))));
  const auto first = static_cast<std::size_t>(begin / height);
  const std::lock_guard lock(mutex_);
  auto& tiles = tiles_[output][tensor];
  if (tiles.size() < first + prints.size()) tiles.resize(first + prints.size());
  std::ranges::copy(prints, tiles.begin() + static_cast<std::ptrdiff_t>(first));
  expected_[output][tensor].printed = true;
  expected_[output][tensor].bounded = bounded;
}

void Outputs::finish_tensor(std::size_t tensor) {
  for (std::size_t output = 0; output < tiles_.size(); ++output) {
    std::uint64_t& print = expected_[output][tensor].print;
    for (const std::uint64_t tile : tiles_[output][tensor]) print = fold(print, tile);
    std::vector<std::uint64_t>().swap(tiles_[output][tensor]);
  }
}

Expectations Outputs::finish() {
  for (const auto& writer : writers_) writer->finish();
  return std::move(expected_);
}

}  // namespace advisor
