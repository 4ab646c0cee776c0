// A checkpoint held in memory, to be changed at will before it is run; and the bundled model.
#pragma once

#include <algorithm>
#include <map>
#include <memory>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "gtest/gtest.h"

namespace advisor::testing {

inline std::filesystem::path tiny_folder() {
  return std::filesystem::path(ADVISOR_SOURCE_DIR) / "examples/models/tiny";
}

/// Loads every tensor of another checkpoint. `config` and `data` are open to change; `refresh` after adding tensors.
class MemoryCheckpoint : public Checkpoint {
 public:
  explicit MemoryCheckpoint(const Checkpoint& source) : MemoryCheckpoint(source, source.tokenizer()) {}
  MemoryCheckpoint(const Checkpoint& source, TokenizerData tokenizer)
      : config_(source.config()), tokenizer_(std::move(tokenizer)) {
    for (const TensorInfo& tensor : source.tensors()) {
      Tensor values = source.load(tensor.name);
      data[tensor.name] = {tensor.shape, {values.span().begin(), values.span().end()}};
    }
    refresh();
  }

  struct Entry {
    std::vector<std::int64_t> shape;
    std::vector<float> values;
  };
  std::map<std::string, Entry> data;

  ModelConfig& change() { return config_; }
  void refresh() {
    tensors_.clear();
    for (const auto& [name, entry] : data) {
      tensors_.push_back({name, entry.shape, "f32", static_cast<std::int64_t>(entry.values.size() * 4)});
    }
  }

  std::string_view format() const override { return "memory"; }
  const ModelConfig& config() const override { return config_; }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  TokenizerData tokenizer() const override { return tokenizer_; }
  void read_rows(const TensorInfo& tensor, std::int64_t begin, std::int64_t end, std::span<float> out) const override {
    const Entry& entry = data.at(tensor.name);
    std::int64_t width = static_cast<std::int64_t>(entry.values.size()) / entry.shape[0];
    std::copy(entry.values.begin() + begin * width, entry.values.begin() + end * width, out.begin());
  }

 private:
  ModelConfig config_;
  TokenizerData tokenizer_;
  std::vector<TensorInfo> tensors_;
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
