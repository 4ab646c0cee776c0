// Importance matrices: written from a calibration, read from both forms of llama.cpp, used.
#include "checkpoint/imatrix.h"

#include <sys/wait.h>

#include <cmath>

#include "checkpoint/gguf.h"
#include "checkpoint/gguf_values.h"
#include "compress/fixture.h"
#include "compress/output.h"
#include "gmock/gmock.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;
using testing::refusal;
namespace fs = std::filesystem;

using Importance = std::map<std::string, std::vector<float>>;

void write_bytes(const fs::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

template <typename T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// The binary form that llama.cpp wrote until 2025, sums over `calls`.
std::string legacy(const Importance& entries, std::int32_t calls) {
  std::string bytes;
  append(bytes, static_cast<std::int32_t>(entries.size()));
  for (const auto& [name, values] : entries) {
    append(bytes, static_cast<std::int32_t>(name.size()));
    bytes += name;
    append(bytes, calls);
    append(bytes, static_cast<std::int32_t>(values.size()));
    for (const float value : values) append(bytes, value * static_cast<float>(calls));
  }
  append(bytes, std::int32_t{3});  // chunks
  append(bytes, std::int32_t{4});
  return bytes + "text";
}

/// The GGUF form, of one part each.
std::string gguf_form(const Importance& entries, float count) {
  std::vector<gguf::TensorEntry> tensors;
  std::string data;
  const auto add = [&](const std::string& name, const std::vector<float>& values) {
    const auto n = static_cast<std::int64_t>(values.size());
    tensors.push_back({name, {1, n}, kernels::BlockType::f32, static_cast<std::int64_t>(data.size()), 4 * n});
    for (const float value : values) append(data, value);
    data.resize((data.size() + 31) / 32 * 32);
  };
  for (const auto& [name, values] : entries) {
    std::vector<float> sums = values;
    for (float& value : sums) value *= count;
    add(name + ".in_sum2", sums);
    add(name + ".counts", {count});
  }
  const auto header = gguf::write_header({{"general.type", gguf::text("imatrix")}}, tensors);
  return std::string(reinterpret_cast<const char*>(header.data()), header.size()) + data;
}

class Imatrix : public ::testing::Test {
 protected:
  static CompressRequest to_gguf(const fs::path& out, const std::string& type = "Q4_0") {
    return testing::request(testing::tiny(), out, "W4A16-g32", {{"gguf", type}});
  }
  static CompressRequest calibrated(const fs::path& out) {
    CompressRequest r = to_gguf(out);
    r.calibration.texts = {fs::path(ADVISOR_SOURCE_DIR) / "examples/calibration/tiny.txt"};
    r.calibration.samples = 4;
    r.calibration.sequence_length = 64;
    r.save_imatrix = true;
    r.save_interval = std::chrono::milliseconds(0);
    return r;
  }
  /// Importance by names of GGUF, for matrices of the first block.
  Importance first_block() const {
    const auto model = open_checkpoint(testing::tiny());
    const auto hidden = static_cast<std::size_t>(model->config().hidden);
    Importance entries;
    for (const char* name : {"blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.ffn_up.weight"}) {
      auto& values = entries[name];
      for (std::size_t i = 0; i < hidden; ++i) values.push_back(static_cast<float>(1 + i * i % 7));
    }
    return entries;
  }
  fs::path file(const std::string& name, const std::string& bytes) const {
    write_bytes(temp_ / name, bytes);
    return temp_ / name;
  }

  testing::TempFolder temp_;
  const std::unique_ptr<Checkpoint> model_ = open_checkpoint(testing::tiny());
};

TEST_F(Imatrix, CalibrationWritesOneThatReadsBackForEveryMatrix) {
  const CompressReport report = run_compression(calibrated(temp_ / "out"), {});
  const Importance read = read_imatrix(temp_ / "out" / imatrix_file_name, *model_);
  EXPECT_EQ(read.size(), imatrix_tensors(*model_).size());
  for (const TensorInfo& tensor : imatrix_tensors(*model_)) {
    ASSERT_TRUE(read.contains(tensor.name)) << tensor.name;
    EXPECT_EQ(static_cast<std::int64_t>(read.at(tensor.name).size()), tensor.shape[1]);
    EXPECT_TRUE(std::ranges::any_of(read.at(tensor.name), [](float v) { return v > 0; })) << tensor.name;
  }
  EXPECT_EQ(read.at("model.layers.0.self_attn.q_proj.weight"), read.at("model.layers.0.self_attn.v_proj.weight"));
  EXPECT_EQ(report.plan.output_bytes,
            folder_bytes(temp_ / "out") - static_cast<std::int64_t>(fs::file_size(temp_ / "out" / report_file_name)));
  EXPECT_EQ(open_checkpoint(temp_ / "out")->format(), "gguf") << "the folder still holds one model";

  CompressRequest threads = calibrated(temp_ / "threads");
  threads.threads = 2;
  run_compression(threads, {});
  EXPECT_TRUE(testing::contents(temp_ / "threads") == testing::contents(temp_ / "out"));
}

TEST_F(Imatrix, AKilledJobWritesTheSameFile) {
  run_compression(calibrated(temp_ / "whole"), {});
  CompressRequest r = calibrated(temp_ / "killed");
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      run_compression(r, [](const Progress& p) {
        if (p.item.starts_with("block 2")) ::_exit(9);
        return true;
      });
    } catch (...) {
    }
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(WEXITSTATUS(status), 9);
  r.resume = true;
  run_compression(r, {});
  EXPECT_TRUE(testing::contents(temp_ / "whole") == testing::contents(temp_ / "killed"));
}

TEST_F(Imatrix, BothFormsSayTheSame) {
  const Importance entries = first_block();
  const Importance a = read_imatrix(file("a.gguf", gguf_form(entries, 8)), *model_);
  const Importance b = read_imatrix(file("b.dat", legacy(entries, 4)), *model_);
  EXPECT_EQ(a, b);
  EXPECT_EQ(a.size(), entries.size());
  EXPECT_EQ(a.at("model.layers.0.mlp.up_proj.weight"), entries.at("blk.0.ffn_up.weight"));
}

TEST_F(Imatrix, WeighsErrorsOfGgufAndOfRounding) {
  Importance entries = first_block();
  for (auto& [name, values] : entries)
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = i % 8 == 0 ? 100 : 0.01F;
  const fs::path imatrix = file("imatrix.dat", legacy(entries, 1));
  const std::string name = "model.layers.0.self_attn.q_proj.weight";
  const Tensor source = model_->load(name);
  const auto weighted_error = [&](const fs::path& out) {
    const Tensor stored = open_checkpoint(out)->load(name);
    double error = 0;
    for (std::int64_t i = 0; i < source.size(); ++i) {
      const double d = source.data()[i] - stored.data()[i];
      error += d * d * entries.at("blk.0.attn_q.weight")[static_cast<std::size_t>(i % source.cols())];
    }
    return error;
  };
  for (const bool gguf : {true, false}) {
    const std::string kind = gguf ? "gguf" : "rtn";
    CompressRequest r = gguf ? to_gguf(temp_ / (kind + "-plain"), "Q4_0")
                             : testing::request(testing::tiny(), temp_ / (kind + "-plain"), "W3A16-g32");
    if (!gguf) r.recipe.steps.front().params["clip"] = "mse";
    run_compression(r, {});
    r.imatrix = imatrix;
    r.out = temp_ / (kind + "-weighted");
    const CompressReport report = run_compression(r, {});
    EXPECT_THAT(report.plan.calibration, HasSubstr("3 of "));
    EXPECT_LT(weighted_error(r.out), 0.95 * weighted_error(temp_ / (kind + "-plain"))) << kind;
  }
}

TEST_F(Imatrix, MatricesThatAreSolvedWholeAreWeighedToo) {
  CompressRequest r = testing::request(testing::tiny(), temp_ / "plain", "W4A16-nvfp4");
  r.recipe.steps.front().params["clip"] = "mse";
  run_compression(r, {});
  r.out = temp_ / "weighted";
  r.imatrix = file("imatrix.dat", legacy(first_block(), 1));
  run_compression(r, {});
  const auto values = [](const fs::path& folder, const std::string& tensor) {
    const Tensor weights = open_checkpoint(folder)->load(tensor);
    return std::vector<float>(weights.data(), weights.data() + weights.size());
  };
  const std::string name = "model.layers.0.self_attn.q_proj.weight", other = "model.layers.1.mlp.down_proj.weight";
  EXPECT_NE(values(temp_ / "plain", name), values(r.out, name));
  EXPECT_EQ(values(temp_ / "plain", other), values(r.out, other));
}

TEST_F(Imatrix, WhatDoesNotFitIsRefused) {
  const auto refused = [&](ErrorCode code, const std::string& bytes) {
    const fs::path path = file("bad", bytes);
    return refusal(code, [&] { read_imatrix(path, *model_); });
  };
  const Importance good = first_block();
  Importance wrong = good;
  wrong["blk.0.attn_q.weight"].pop_back();
  EXPECT_THAT(refused(ErrorCode::invalid_argument, legacy(wrong, 1)), HasSubstr("another model"));
  EXPECT_THAT(refused(ErrorCode::invalid_argument, legacy({{"blk.99.attn_q.weight", {1}}}, 1)), HasSubstr("no matrix"));
  wrong = good;
  wrong["blk.0.attn_q.weight"][3] = -1;
  EXPECT_THAT(refused(ErrorCode::parse_error, legacy(wrong, 1)), HasSubstr("blk.0.attn_q.weight"));
  wrong["blk.0.attn_q.weight"][3] = NAN;
  EXPECT_THAT(refused(ErrorCode::parse_error, gguf_form(wrong, 1)), HasSubstr("not finite"));
  EXPECT_THAT(refused(ErrorCode::parse_error, legacy(good, 1).substr(0, 90)), HasSubstr("cut off"));
  EXPECT_THAT(refused(ErrorCode::parse_error, "text"), HasSubstr("cut off"));
  EXPECT_THAT(refused(ErrorCode::parse_error, gguf_form({}, 1)), HasSubstr("in_sum2"));

  CompressRequest r = to_gguf(temp_ / "out");
  r.save_imatrix = true;
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { run_compression(r, {}); }), HasSubstr("--calibration"));
  r = calibrated(temp_ / "out");
  r.imatrix = file("good.dat", legacy(good, 1));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { run_compression(r, {}); }), HasSubstr("leave out one"));
  r = to_gguf(temp_ / "out");
  r.imatrix = temp_ / "nowhere";
  refusal(ErrorCode::not_found, [&] { run_compression(r, {}); });
  EXPECT_FALSE(fs::exists(temp_ / "out"));
}

}  // namespace
}  // namespace advisor
