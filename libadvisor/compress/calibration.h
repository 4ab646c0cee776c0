// Which tokens a calibrated job shows to the model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace advisor {

struct CalibrationRequest {
  std::vector<std::filesystem::path> texts;  ///< files, or folders of which every *.txt and *.jsonl is taken, by name
  std::int64_t samples = 128;                ///< sequences
  std::int64_t sequence_length = 0;          ///< tokens, BOS included; 0 = min(2048, context of the model)
  std::uint64_t seed = 0;                    ///< 0 = the first sequences of the text, else a random choice of them
};

struct Calibration {
  std::vector<std::vector<std::int32_t>> sequences;
  std::int64_t tokens = 0;
  std::string summary;  ///< "128 sequences of 256 tokens from calibration.txt"
};

/// The texts are joined, tokenised as one string and cut into consecutive windows, each with BOS in front where the
/// model has one; the last, shorter one is left out unless it is the only one. A line of a *.jsonl file gives its
/// "text". Throws not_found, parse_error with file:line, invalid_argument for settings that make no sense and for texts
/// that do not fill one window.
Calibration read_calibration(const Checkpoint& model, const CalibrationRequest& request);

}  // namespace advisor
