// The bundled model and its suite, a folder that cleans up after itself, and refusals.
#pragma once

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/error.h"
#include "gtest/gtest.h"

namespace advisor::testing {

inline const std::filesystem::path examples = std::filesystem::path(ADVISOR_SOURCE_DIR) / "examples";

class TempFolder {
 public:
  TempFolder() {
    static std::atomic<int> counter{0};
    path_ = std::filesystem::temp_directory_path() /
            ("advisor-evaluate-" + std::to_string(::getpid()) + "-" + std::to_string(counter++));
    std::filesystem::create_directories(path_);
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// Expects advisor::Error with this code and all of these parts in its message.
template <typename Body>
void expect_refusal(Body body, ErrorCode code, std::initializer_list<const char*> parts) {
  try {
    body();
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    for (const char* part : parts) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what() << "\nlacks: " << part;
    }
  }
}

}  // namespace advisor::testing
