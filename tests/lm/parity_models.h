// The tiny models of every architecture that make_parity.py made.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>

#include "checkpoint/checkpoint.h"

namespace advisor::testing {

inline constexpr std::array parity_models = {
    "llama2", "llama3",    "llama-linear-bias",      "mistral", "mixtral", "qwen2", "qwen2-yarn",
    "qwen3",  "qwen3-moe", "qwen3-moe-unnormalized", "gemma2",  "gemma3",  "phi3",  "phi3-longrope"};

inline std::filesystem::path parity_folder(const std::string& name) {
  return std::filesystem::path(ADVISOR_SOURCE_DIR) / "tests/lm/parity" / name;
}

}  // namespace advisor::testing
