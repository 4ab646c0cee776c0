// The facade over evidence of one's own: recording results, and scoring predictions against measurements.
#include <algorithm>
#include <iterator>
#include <utility>

#include "core/error.h"
#include "facade_resolve.h"
#include "io/local_database.h"
#include "io/measurement_file.h"

namespace advisor {

namespace fs = std::filesystem;

BacktestReport Advisor::backtest(const std::vector<fs::path>& files, LeftOut left_out, int threads,
                                 const BacktestProgress& progress) const {
  BacktestRequest request;
  request.left_out = left_out;
  request.threads = threads;
  const auto is_shipped = [](const auto& row) { return row.recorded.empty(); };
  if (files.empty()) {
    std::copy_if(knowledge().quality.begin(), knowledge().quality.end(), std::back_inserter(request.quality),
                 is_shipped);
    std::copy_if(knowledge().speed.begin(), knowledge().speed.end(), std::back_inserter(request.speed), is_shipped);
    return advisor::backtest(knowledge(), request, progress);
  }
  const NameTables names = load_names(find_data(state_->data_dir) / "advisor.db");
  std::map<std::string, std::int64_t> unmapped;
  for (const fs::path& file : files) {
    MeasurementFile read = read_measurements(file, names, knowledge());
    std::move(read.quality.begin(), read.quality.end(), std::back_inserter(request.quality));
    std::move(read.speed.begin(), read.speed.end(), std::back_inserter(request.speed));
    for (const auto& [why, rows] : read.unmapped) unmapped[why] += rows;
  }
  BacktestReport report = advisor::backtest(knowledge(), request, progress);
  for (const auto& [why, rows] : unmapped) {
    report.rows += rows;
    report.unscored[why] += rows;
  }
  return report;
}

fs::path Advisor::local_database() const { return state_->local; }

namespace {

LocalDatabase open_local(const fs::path& path) {
  if (path.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "there is no place for recorded results: name one with --local FILE, or set ADVISOR_LOCAL or HOME");
  }
  return LocalDatabase(path);
}

std::vector<ImportedFile> read_all(const std::vector<fs::path>& paths) {
  std::vector<ImportedFile> files;
  for (const fs::path& path : paths) files.push_back(read_results_file(path));
  return files;
}

}  // namespace

Recording Advisor::record(const RecordRequest& request) const {
  LocalDatabase local = open_local(state_->local);
  const std::vector<ImportedFile> files = read_all(request.files), baselines = read_all(request.baselines);
  const NameTables names = load_names(find_data(state_->data_dir) / "advisor.db");
  Recording recording = match_results(files, baselines, request.options, names, local.scores());
  recording.date = today();
  return request.dry_run ? local.check(std::move(recording)) : local.store(std::move(recording));
}

std::vector<Recording> Advisor::recordings() const { return open_local(state_->local).recordings(); }

Recording Advisor::undo_recording(std::int64_t id) const { return open_local(state_->local).undo(id); }

}  // namespace advisor
