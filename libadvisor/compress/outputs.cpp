#include "compress/outputs.h"

#include <xxhash.h>

#include <algorithm>

#include "compress/budget.h"
#include "core/error.h"
#include "tensor/kernels/kernels.h"

namespace advisor {

std::uint64_t fingerprint(std::span<const float> values) { return XXH3_64bits(values.data(), values.size_bytes()); }
std::uint64_t fingerprint(std::span<const std::byte> stored) { return XXH3_64bits(stored.data(), stored.size()); }

void add_squares(std::span<const float> source, std::span<const float> decoded, Distance& distance) {
  const kernels::SquaredDistance piece = kernels::squared_distance(source, decoded);
  distance.error += piece.error;
  distance.norm += piece.norm;
}

Outputs::Outputs(const PreparedJob& job, const std::filesystem::path& folder, Journal& journal)
    : job_(job), journal_(journal), finished_(job.source->tensors().size(), false) {
  for (const OutputJob& output : job.outputs) {
    const auto place = folder / output.subfolder;
    std::error_code error;
    std::filesystem::create_directory(place, error);  // exists already when there is no subfolder
    if (error) throw Error(ErrorCode::io_error, "cannot create " + place.string() + ": " + error.message());
    writers_.push_back(output.format->create(output.plan, place));
  }
  if (job.imatrix)
    imatrix_.emplace(*job.source, *job.imatrix, folder,
                     std::ranges::any_of(job.outputs, [](const OutputJob& output) { return output.plan.resume; }));
  const std::size_t tensors = job.source->tensors().size();
  tiles_.assign(job.outputs.size(), std::vector<std::vector<TileRecord>>(tensors));
  expected_.assign(job.outputs.size(), std::vector<Expected>(tensors));
  for (const Finished::Piece& piece : journal.finished().tensors) take_over(piece);
}

void Outputs::take_over(const Finished::Piece& piece) {
  const TensorInfo* tensor = job_.source->find(piece.tensor);
  if (tensor == nullptr || piece.expected.size() != writers_.size())
    throw Error(ErrorCode::internal, "the journal of the interrupted run names " + piece.tensor +
                                         ", which is not written here; start anew without resuming");
  const auto index = static_cast<std::size_t>(tensor - job_.source->tensors().data());
  finished_[index] = true;
  for (std::size_t output = 0; output < writers_.size(); ++output) {
    expected_[output][index] = piece.expected[output];
    writers_[output]->skip(index);
  }
}

void Outputs::write_rows(std::size_t output, std::size_t tensor, std::int64_t begin, std::span<const float> rows,
                         std::span<const float> importance, bool changed) {
  const OutputJob& job = job_.outputs[output];
  if (job.format->leaves_out != nullptr && job.format->leaves_out(job.plan.tensors[tensor].source)) return;
  const TileBuffer stored(rows.size());
  const auto bytes = writers_[output]->write_rows(tensor, begin, rows, importance, stored.span());
  if (changed) return keep(output, tensor, begin, stored.span(), {}, {}, 0);
  const kernels::BlockType type = job.format->stored_type(job.plan, job.plan.tensors[tensor]);
  keep(output, tensor, begin, stored.span(), bytes, rows, storage_error_bound(rows, type, job.plan.importance));
}

void Outputs::write_codes(std::size_t output, std::size_t tensor, std::int64_t begin, const QuantizedTensor& codes,
                          std::span<const float> source) {
  writers_[output]->write_quantized(tensor, begin, codes);
  const TileBuffer decoded(codes.codes.size());
  dequantize(codes, decoded.span());
  double bound = 0;
  // Codes that were taken over have no step, and the values that the source has.
  if (const PreparedStep* found = job_.steps.find(tensor); !source.empty() && found != nullptr) {
    const PreparedStep& step = *found;
    bound = step.technique->error_bound(source, codes.cols, step.scheme, step.params, job_.outputs[output].scale_dtype);
  }
  keep(output, tensor, begin, decoded.span(), {}, source, bound);
}

void Outputs::write_kv_scales(std::int64_t layer, KvScales scales) {
  for (std::size_t i = 0; i < writers_.size(); ++i)
    if (job_.outputs[i].plan.kv_scales) writers_[i]->write_kv_scales(layer, scales);
}

void Outputs::write_importance(const std::string& tensor, const LayerStats& stats) {
  if (imatrix_) imatrix_->write(tensor, stats.tokens, stats.mean_square);
}

void Outputs::keep(std::size_t output, std::size_t tensor, std::int64_t begin, std::span<const float> decoded,
                   std::span<const std::byte> bytes, std::span<const float> source, double bound) {
  const Matrix matrix = as_matrix(job_.source->tensors()[tensor]);
  const std::int64_t height = tile_rows(matrix);
  const auto step = static_cast<std::size_t>(height * matrix.cols);
  std::vector<TileRecord> records;
  for (std::size_t at = 0; at < decoded.size(); at += step) {
    const std::size_t size = std::min(step, decoded.size() - at);
    const auto columns = static_cast<std::size_t>(matrix.cols);
    const std::size_t row = bytes.size() / (decoded.size() / columns);  // bytes
    const auto print = bytes.empty() ? fingerprint(decoded.subspan(at, size))
                                     : fingerprint(bytes.subspan(at / columns * row, size / columns * row));
    TileRecord& record = records.emplace_back(TileRecord{print, {}});
    if (!source.empty()) add_squares(source.subspan(at, size), decoded.subspan(at, size), record.distance);
  }
  if (records.empty()) return;
  records.front().distance.bound = bound;
  const auto first = static_cast<std::size_t>(begin / height);
  const std::lock_guard lock(mutex_);
  auto& tiles = tiles_[output][tensor];
  if (tiles.size() < first + records.size()) tiles.resize(first + records.size());
  std::ranges::copy(records, tiles.begin() + static_cast<std::ptrdiff_t>(first));
  expected_[output][tensor].measured = !source.empty();
}

void Outputs::finish_tensor(std::size_t tensor) {
  for (std::size_t output = 0; output < tiles_.size(); ++output) {
    Expected& expected = expected_[output][tensor];
    for (const TileRecord& tile : tiles_[output][tensor]) {
      expected.print = fold(expected.print, tile.print);
      expected.distance.error += tile.distance.error;
      expected.distance.norm += tile.distance.norm;
      expected.distance.bound += tile.distance.bound;
    }
    std::vector<TileRecord>().swap(tiles_[output][tensor]);
  }
  finished_[tensor] = true;
  unsaved_.push_back(tensor);
}

void Outputs::save(std::int64_t blocks, std::uint64_t activations, std::span<const std::string> notes) {
  for (const auto& writer : writers_) writer->flush();
  if (imatrix_) imatrix_->flush();
  Finished piece{{}, blocks, activations, {notes.begin(), notes.end()}};
  for (const std::size_t tensor : unsaved_) {
    Finished::Piece& entry = piece.tensors.emplace_back(Finished::Piece{job_.source->tensors()[tensor].name, {}});
    for (const auto& expected : expected_) entry.expected.push_back(expected[tensor]);
  }
  journal_.add(piece);
  unsaved_.clear();
  saved_ = Clock::now();
}

void Outputs::save_rest() {
  if (!unsaved_.empty()) save(journal_.finished().blocks, journal_.finished().activations, {});
}

void Outputs::save_when_due() {
  if (Clock::now() - saved_ >= job_.save_interval) save_rest();
}

Expectations Outputs::finish() {
  for (const auto& writer : writers_) writer->finish();
  if (imatrix_) imatrix_->close();
  return std::move(expected_);
}

}  // namespace advisor
