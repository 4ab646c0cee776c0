#include "compress/calibration.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

#include "checkpoint/files.h"
#include "core/error.h"
#include "lm/tokenizer.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t max_text = std::int64_t{1} << 30;  // bytes of one file
constexpr std::int64_t default_length = 2048;

std::vector<fs::path> files_of(const std::vector<fs::path>& texts) {
  std::vector<fs::path> files;
  for (const fs::path& path : texts) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    std::vector<fs::path> inside;
    for (const auto& entry : fs::directory_iterator(path, error))
      if (entry.path().extension() == ".txt" || entry.path().extension() == ".jsonl") inside.push_back(entry.path());
    if (error) throw Error(ErrorCode::io_error, "cannot list " + path.string() + ": " + error.message());
    if (inside.empty())
      throw Error(ErrorCode::not_found, path.string() + " holds no *.txt or *.jsonl to calibrate with");
    std::ranges::sort(inside);
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

/// The "text" of every line, separated by empty lines.
std::string texts_of_lines(const std::string& content, const fs::path& file) {
  std::string joined;
  std::size_t line = 0;
  for (std::size_t at = 0; at < content.size();) {
    const std::size_t end = std::min(content.find('\n', at), content.size());
    const std::string_view text = std::string_view(content).substr(at, end - at);
    at = end + 1;
    ++line;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const auto json = nlohmann::json::parse(text, nullptr, false);
    const auto member = json.is_object() ? json.find("text") : json.end();
    if (!json.is_object() || member == json.end() || !member->is_string())
      throw Error(ErrorCode::parse_error,
                  file.string() + ":" + std::to_string(line) + ": expected an object with a string \"text\"");
    joined += (joined.empty() ? "" : "\n\n") + member->get<std::string>();
  }
  return joined;
}

std::int64_t length_of(const ModelConfig& config, const CalibrationRequest& request) {
  const std::int64_t most = config.max_context > 0 ? config.max_context : default_length;
  const std::int64_t length = request.sequence_length == 0 ? std::min(default_length, most) : request.sequence_length;
  if (length < 2 || length > most)
    throw Error(ErrorCode::invalid_argument,
                "sequences of " + std::to_string(length) + " tokens: the model takes 2 to " + std::to_string(most));
  return length;
}

/// Indices of the windows that are used, in increasing order.
std::vector<std::size_t> choose(std::size_t windows, std::size_t samples, std::uint64_t seed) {
  std::vector<std::size_t> chosen(windows);
  std::iota(chosen.begin(), chosen.end(), std::size_t{0});
  if (seed != 0) {
    // Fisher and Yates with a generator that is the same everywhere; std::shuffle is not.
    std::mt19937_64 random(seed);
    for (std::size_t i = windows; i > 1; --i) std::swap(chosen[i - 1], chosen[random() % i]);
  }
  chosen.resize(std::min(windows, samples));
  std::ranges::sort(chosen);
  return chosen;
}

}  // namespace

Calibration read_calibration(const Checkpoint& model, const CalibrationRequest& request) {
  if (request.samples < 1)
    throw Error(ErrorCode::invalid_argument, std::to_string(request.samples) + " calibration samples; use 1 or more");
  const std::int64_t length = length_of(model.config(), request);
  std::string text, names;
  for (const fs::path& file : files_of(request.texts)) {
    std::string content = files::read_text(file, max_text);
    if (file.extension() == ".jsonl") content = texts_of_lines(content, file);
    text += (text.empty() ? "" : "\n\n") + content;
    names += (names.empty() ? "" : ", ") + file.filename().string();
  }
  const Tokenizer tokenizer(model.tokenizer());
  const std::vector<std::int32_t> ids = tokenizer.encode(text);
  const auto bos = tokenizer.bos();
  const auto width = static_cast<std::size_t>(length - (bos ? 1 : 0));
  if (ids.size() < 2) throw Error(ErrorCode::invalid_argument, names + " holds no text to calibrate with");
  const std::size_t windows = std::max<std::size_t>(1, ids.size() / width);
  Calibration calibration;
  for (const std::size_t window : choose(windows, static_cast<std::size_t>(request.samples), request.seed)) {
    auto& sequence = calibration.sequences.emplace_back();
    if (bos) sequence.push_back(*bos);
    const std::size_t begin = window * width, end = std::min(begin + width, ids.size());
    for (std::size_t i = begin; i < end; ++i) sequence.push_back(ids[i]);
    calibration.tokens += static_cast<std::int64_t>(sequence.size());
  }
  calibration.summary = std::to_string(calibration.sequences.size()) + " sequences of up to " + std::to_string(length) +
                        " tokens (" + std::to_string(calibration.tokens) + " in all) from " + names;
  return calibration;
}

}  // namespace advisor
