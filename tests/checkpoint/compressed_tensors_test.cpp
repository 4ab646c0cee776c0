// Writer and reader of compressed-tensors, each against facts computed by hand and against each other.
#include "checkpoint/compressed_tensors.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "checkpoint/format.h"
#include "checkpoint/safetensors.h"
#include "folder_fixture.h"
#include "tensor/kernels/kernels.h"
#include "tensor/parallel.h"

namespace advisor {
namespace {

using namespace testing_support;

constexpr const char* weight_name = "model.layers.0.mlp.up_proj.weight";

/// A source folder and a plan of one quantized [rows, cols] weight and one dense norm of `cols`.
struct Fixture {
  TempFolder source, out;
  OutputPlan plan;

  Fixture(const std::string& scheme, std::int64_t rows, std::int64_t cols, const std::string& type = "bf16") {
    write_file(source / "config.json", config_text);
    write_file(source / "tokenizer.json", R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}})");
    write_file(source / "LICENSE", "do as you like\n");
    plan.source = source.path();
    plan.type = type;
    plan.scheme_id = scheme;
    plan.tensors.push_back({{weight_name, {rows, cols}, "", 0}, parse_quant_scheme(scheme)});
    plan.tensors.push_back({{"model.norm.weight", {cols}, "", 0}, std::nullopt});
  }
  const FormatImpl& format() const { return find_format("compressed-tensors"); }
};

/// Random codes, scales that the dtype can hold, and zero points.
QuantizedTensor random_tensor(const QuantScheme& scheme, std::int64_t rows, std::int64_t cols, DType scale_type) {
  std::mt19937 random(static_cast<unsigned>(rows * 1000 + cols));
  std::uniform_int_distribution<int> code(scheme.qmin(), scheme.qmax());
  std::uniform_real_distribution<float> scale(0.01F, 2.0F);
  QuantizedTensor q{.rows = rows, .cols = cols, .scheme = scheme, .codes = {}, .scales = {}, .zeros = {}};
  q.codes.resize(static_cast<std::size_t>(rows * cols));
  q.scales.resize(static_cast<std::size_t>(rows * scheme.groups(cols)));
  for (auto& c : q.codes) c = static_cast<std::int8_t>(code(random));
  for (auto& s : q.scales) s = scale(random);
  kernels::round_to(scale_type, q.scales);
  if (!scheme.symmetric) {
    q.zeros.resize(q.scales.size());
    for (auto& z : q.zeros) z = static_cast<std::int8_t>(code(random));
  }
  return q;
}

QuantizedTensor rows_of(const QuantizedTensor& q, std::int64_t begin, std::int64_t end) {
  QuantizedTensor part{.rows = end - begin, .cols = q.cols, .scheme = q.scheme, .codes = {}, .scales = {}, .zeros = {}};
  const auto groups = q.scheme.groups(q.cols);
  part.codes.assign(q.codes.begin() + begin * q.cols, q.codes.begin() + end * q.cols);
  part.scales.assign(q.scales.begin() + begin * groups, q.scales.begin() + end * groups);
  if (!q.zeros.empty()) part.zeros.assign(q.zeros.begin() + begin * groups, q.zeros.begin() + end * groups);
  return part;
}

/// Writes q in tiles of 32 rows, last tile first when `backwards`, on `threads` threads.
void write_model(const Fixture& f, const QuantizedTensor& q, const std::filesystem::path& folder, int threads,
                 bool backwards) {
  const auto writer = f.format().create(f.plan, folder);
  const std::int64_t tiles = (q.rows + 31) / 32;
  parallel_for(tiles, threads, [&](std::int64_t i) {
    const std::int64_t begin = 32 * (backwards ? tiles - 1 - i : i);
    writer->write_quantized(0, begin, rows_of(q, begin, std::min(begin + 32, q.rows)));
  });
  const std::vector<float> norm(static_cast<std::size_t>(q.cols), 0.5F);
  writer->write_rows(1, 0, norm);
  writer->finish();
}

std::int64_t folder_bytes(const std::filesystem::path& folder) {
  std::int64_t total = 0;
  for (const auto& item : std::filesystem::directory_iterator(folder))
    total += static_cast<std::int64_t>(item.file_size());
  return total;
}

/// The data of one stored tensor as words of T.
template <typename T>
std::vector<T> stored(const std::filesystem::path& folder, const std::string& name) {
  const SafetensorsFile file(folder / "model.safetensors");
  for (const auto& entry : file.header().entries) {
    if (entry.name != name) continue;
    EXPECT_EQ(entry.begin % static_cast<std::int64_t>(sizeof(T)), 0) << name << " is not aligned";
    std::vector<T> values(static_cast<std::size_t>(entry.end - entry.begin) / sizeof(T));
    file.file().read(entry.begin, std::as_writable_bytes(std::span(values)));
    return values;
  }
  ADD_FAILURE() << name << " is not stored";
  return {};
}

struct Case {
  std::string scheme;
  std::int64_t rows, cols;
};

TEST(CompressedTensors, WhatIsWrittenIsReadBackBitForBit) {
  const std::vector<Case> cases{{"W4A16-g32", 64, 64},      {"W4A16-g32-asym", 64, 64},   {"W4A16-g8-asym", 33, 40},
                                {"W4A16-channel", 70, 13},  {"W4A16-channel-asym", 1, 7}, {"W8A16-channel", 32, 32},
                                {"W8A16-g32-asym", 95, 96}, {"W8A8-channel", 40, 24},     {"W8A8-channel-asym", 37, 5},
                                {"W4A16-g128", 129, 256},   {"W8A8-g32", 31, 64}};
  for (const Case& c : cases) {
    for (const std::string type : {"bf16", "f16", "f32"}) {
      SCOPED_TRACE(c.scheme + " " + type);
      const Fixture f(c.scheme, c.rows, c.cols, type);
      ASSERT_EQ(f.format().refuses(f.plan), std::nullopt);
      const QuantizedTensor q =
          random_tensor(*f.plan.tensors[0].scheme, c.rows, c.cols, f.format().scale_dtype(f.plan));
      write_model(f, q, f.out.path(), 2, true);
      EXPECT_EQ(folder_bytes(f.out.path()), f.format().bytes(f.plan));

      const auto model = open_checkpoint(f.out.path());
      EXPECT_EQ(model->format(), "compressed-tensors");
      ASSERT_EQ(model->tensors().size(), 2U);
      const TensorInfo* info = model->find(weight_name);
      ASSERT_NE(info, nullptr);
      EXPECT_EQ(info->stored_as, q.scheme.id());
      EXPECT_THAT(info->shape, testing::ElementsAre(c.rows, c.cols));
      const Tensor w = model->load(weight_name);
      const std::int64_t groups = q.scheme.groups(c.cols), width = c.cols / groups;
      for (std::int64_t r = 0; r < c.rows; ++r) {
        for (std::int64_t k = 0; k < c.cols; ++k) {
          const auto g = static_cast<std::size_t>(r * groups + k / width);
          const int zero = q.zeros.empty() ? 0 : q.zeros[g];
          const float expected =
              static_cast<float>(q.codes[static_cast<std::size_t>(r * c.cols + k)] - zero) * q.scales[g];
          ASSERT_EQ(w.row(r)[static_cast<std::size_t>(k)], expected) << r << " " << k;
        }
      }
      // any range of rows is that part of the whole
      const std::int64_t begin = c.rows / 3, end = c.rows - c.rows / 4;
      std::vector<float> part(static_cast<std::size_t>((end - begin) * c.cols));
      model->read_rows(*info, begin, end, part);
      EXPECT_EQ(std::memcmp(part.data(), w.data() + begin * c.cols, part.size() * sizeof(float)), 0);
      EXPECT_THAT(model->load("model.norm.weight").span(), testing::Each(0.5F));
      EXPECT_EQ(model->tokenizer().tokens.size(), 1U);
    }
  }
}

TEST(CompressedTensors, TheFileDoesNotDependOnThreadsOrOrder) {
  const Fixture f("W4A16-g32-asym", 300, 64);
  const QuantizedTensor q = random_tensor(*f.plan.tensors[0].scheme, 300, 64, DType::bf16);
  write_model(f, q, f.out.path(), 1, false);
  const TempFolder other;
  write_model(f, q, other.path(), 4, true);
  EXPECT_EQ(read_file(f.out / "model.safetensors"), read_file(other / "model.safetensors"));
}

// Words worked out by hand from the published layout: u = q + 8, first value in the lowest bits.
TEST(CompressedTensors, PackedWordsAreThePublishedOnes) {
  const Fixture f("W4A16-g8-asym", 9, 8);
  QuantizedTensor q{.rows = 9, .cols = 8, .scheme = *f.plan.tensors[0].scheme, .codes = {}, .scales = {}, .zeros = {}};
  for (int r = 0; r < 9; ++r) {
    for (int c = 0; c < 8; ++c) q.codes.push_back(static_cast<std::int8_t>(r == 8 ? -8 + c : -1));
    q.zeros.push_back(static_cast<std::int8_t>(r - 4));
    q.scales.push_back(0.5F);
  }
  write_model(f, q, f.out.path(), 1, false);
  const std::string module = "model.layers.0.mlp.up_proj.";
  // -1 + 8 = 7 in every nibble; the last row counts 0..7
  EXPECT_THAT(stored<std::uint32_t>(f.out.path(), module + "weight_packed"),
              testing::ElementsAre(0x77777777U, 0x77777777U, 0x77777777U, 0x77777777U, 0x77777777U, 0x77777777U,
                                   0x77777777U, 0x77777777U, 0x76543210U));
  // zero points run along the output rows: -4 + 8 = 4 first, 12 for the ninth row in a word of its own
  EXPECT_THAT(stored<std::uint32_t>(f.out.path(), module + "weight_zero_point"),
              testing::ElementsAre(0xba987654U, 0xcU));
  EXPECT_THAT(stored<std::int64_t>(f.out.path(), module + "weight_shape"), testing::ElementsAre(9, 8));
  EXPECT_THAT(stored<std::uint16_t>(f.out.path(), module + "weight_scale"), testing::Each(0x3f00));  // bf16 of 0.5
}

TEST(CompressedTensors, Int8CodesAreStoredAsTheyAre) {
  const Fixture f("W8A8", 2, 3, "f16");
  const QuantizedTensor q{.rows = 2,
                          .cols = 3,
                          .scheme = *f.plan.tensors[0].scheme,
                          .codes = {-128, -1, 0, 1, 2, 127},
                          .scales = {1.0F, 2.0F},
                          .zeros = {}};
  write_model(f, q, f.out.path(), 1, false);
  const std::string module = "model.layers.0.mlp.up_proj.";
  EXPECT_THAT(stored<std::int8_t>(f.out.path(), module + "weight"), testing::ElementsAre(-128, -1, 0, 1, 2, 127));
  EXPECT_THAT(stored<std::uint16_t>(f.out.path(), module + "weight_scale"), testing::ElementsAre(0x3c00, 0x4000));
}

TEST(CompressedTensors, ConfigSaysWhatEnginesNeed) {
  const auto quantization = [](const std::string& scheme) {
    const Fixture f(scheme, 32, 32);
    write_model(f, random_tensor(*f.plan.tensors[0].scheme, 32, 32, DType::bf16), f.out.path(), 1, false);
    const auto root = nlohmann::json::parse(read_file(f.out / "config.json"));
    EXPECT_EQ(root["hidden_size"], 4);           // the source's own fields stay
    EXPECT_EQ(root["torch_dtype"], "bfloat16");  // and the dtype is the one written
    EXPECT_EQ(read_file(f.out / "LICENSE"), "do as you like\n");
    EXPECT_EQ(read_file(f.out / "tokenizer.json"), read_file(f.source / "tokenizer.json"));
    return root["quantization_config"];
  };
  const auto packed = quantization("W4A16-g32-asym");
  EXPECT_EQ(packed["quant_method"], "compressed-tensors");
  EXPECT_EQ(packed["format"], "pack-quantized");
  EXPECT_EQ(packed["quantization_status"], "compressed");
  EXPECT_EQ(packed["ignore"], nlohmann::json::array({"lm_head"}));
  const auto weights = packed["config_groups"]["group_0"]["weights"];
  EXPECT_EQ(packed["config_groups"]["group_0"]["targets"], nlohmann::json::array({"Linear"}));
  EXPECT_EQ(weights["num_bits"], 4);
  EXPECT_EQ(weights["type"], "int");
  EXPECT_EQ(weights["symmetric"], false);
  EXPECT_EQ(weights["strategy"], "group");
  EXPECT_EQ(weights["group_size"], 32);
  EXPECT_EQ(weights["dynamic"], false);
  EXPECT_TRUE(packed["config_groups"]["group_0"]["input_activations"].is_null());

  const auto plain = quantization("W8A8");
  EXPECT_EQ(plain["format"], "int-quantized");
  EXPECT_EQ(plain["config_groups"]["group_0"]["weights"]["strategy"], "channel");
  EXPECT_TRUE(plain["config_groups"]["group_0"]["weights"]["group_size"].is_null());
  const auto inputs = plain["config_groups"]["group_0"]["input_activations"];
  EXPECT_EQ(inputs["num_bits"], 8);
  EXPECT_EQ(inputs["strategy"], "token");
  EXPECT_EQ(inputs["dynamic"], true);
}

TEST(CompressedTensors, DenseLinearModulesAreListedAsIgnored) {
  Fixture f("W4A16-g32", 32, 32);
  f.plan.tensors.push_back({{"model.embed_tokens.weight", {3, 32}, "", 0}, std::nullopt});
  f.plan.tensors.push_back({{"model.layers.0.mlp.gate.weight", {4, 32}, "", 0}, std::nullopt});
  write_model(f, random_tensor(*f.plan.tensors[0].scheme, 32, 32, DType::bf16), f.out.path(), 1, false);
  const auto root = nlohmann::json::parse(read_file(f.out / "config.json"));
  EXPECT_EQ(root["quantization_config"]["ignore"], nlohmann::json::array({"lm_head", "model.layers.0.mlp.gate"}));
}

TEST(CompressedTensors, PlansThatTheFormatCannotHoldAreRefusedBeforeAnythingIsWritten) {
  const auto refused = [](const Fixture& f, const std::string& word) {
    const auto reason = f.format().refuses(f.plan);
    ASSERT_TRUE(reason.has_value()) << word;
    EXPECT_THAT(*reason, testing::HasSubstr(word));
    expect_error([&] { f.format().create(f.plan, f.out.path()); }, ErrorCode::unsupported, {word});
    EXPECT_TRUE(std::filesystem::is_empty(f.out.path()));
  };
  refused(Fixture("W4A16-g32", 32, 40), "multiple of the group size 32");
  refused(Fixture("W4A16-nf4", 64, 64), "no NF4");
  refused(Fixture("W8A8-fp8-block128", 128, 192), "block size 128");
  refused(Fixture("W4A16-nvfp4", 32, 24), "multiple of the group size 16");
  refused(Fixture("W4A16-g32", 32, 32, "f64"), "'f64'");
  Fixture bias("W4A16-g32", 32, 32);
  bias.plan.tensors[0].source.name = "model.layers.0.bias";
  refused(bias, "model.layers.0.bias");
  Fixture cube("W4A16-g32", 32, 32);
  cube.plan.tensors[0].source.shape = {2, 32, 32};
  refused(cube, "linear module");
  Fixture dense("W4A16-g32", 32, 32);
  dense.plan.tensors[0].scheme.reset();
  refused(dense, "no tensor is quantized");
}

TEST(CompressedTensors, CodesThatDoNotFitThePlanAreABug) {
  const Fixture f("W4A16-g32", 64, 32);
  const auto writer = f.format().create(f.plan, f.out.path());
  const QuantizedTensor q = random_tensor(*f.plan.tensors[0].scheme, 64, 32, DType::bf16);
  const auto bug = [&](const std::function<void()>& action) { expect_error(action, ErrorCode::internal, {"tensor"}); };
  bug([&] { writer->write_quantized(0, 16, rows_of(q, 16, 48)); });  // not a multiple of 32
  bug([&] { writer->write_quantized(0, 0, rows_of(q, 0, 20)); });    // not a multiple of 32 and not the last
  bug([&] { writer->write_quantized(0, 64, rows_of(q, 0, 32)); });   // beyond the end
  bug([&] { writer->write_quantized(1, 0, rows_of(q, 0, 32)); });    // a dense tensor
  QuantizedTensor short_of_scales = q;
  short_of_scales.scales.pop_back();
  bug([&] { writer->write_quantized(0, 0, short_of_scales); });
  const std::vector<float> rows(32);
  bug([&] { writer->write_rows(0, 0, rows); });  // a quantized tensor
  bug([&] { writer->write_rows(1, 16, rows); });
}

TEST(CompressedTensors, AnOutputThatCannotBeWrittenIsNamed) {
  const Fixture f("W4A16-g32", 32, 32);
  expect_error([&] { f.format().create(f.plan, f.out / "gone"); }, ErrorCode::io_error, {"gone", "cannot create"});
}

// --- reading what others may have written -------------------------------------------------------------------------

const std::string sound_config = R"({"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups":
  {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int", "symmetric": true, "strategy": "group",
   "group_size": 8}}}})";

class Reading : public testing::Test {
 protected:
  /// Tensors of one module "m": each {name, dtype, shape, bytes}.
  struct Part {
    std::string name, dtype, shape, data;
  };
  void SetUp() override {
    parts_ = {{"m.weight_packed", "I32", "[2, 1]", raw(std::vector<std::uint32_t>{0x76543210U, 0xfedcba98U})},
              {"m.weight_scale", "F32", "[2, 1]", raw(std::vector<float>{1, 2})},
              {"m.weight_shape", "I64", "[2]", raw(std::vector<std::int64_t>{2, 8})}};
  }
  std::unique_ptr<Checkpoint> open(const std::string& quantization = sound_config) {
    std::string config = config_text;
    config.pop_back();
    write_file(folder_ / "config.json", config + ", \"quantization_config\": " + quantization + "}");
    std::string header, data;
    for (const Part& p : parts_) {
      header += (header.empty() ? "{\"" : ", \"") + p.name + R"(": {"dtype": ")" + p.dtype + R"(", "shape": )" +
                p.shape + R"(, "data_offsets": [)" + std::to_string(data.size()) + ", " +
                std::to_string(data.size() + p.data.size()) + "]}";
      data += p.data;
    }
    write_file(folder_ / "model.safetensors", safetensors(header + "}", data));
    return open_checkpoint(folder_.path());
  }
  void expect_refused(ErrorCode code, const std::vector<std::string>& words,
                      const std::string& quantization = sound_config) {
    expect_error([&] { open(quantization); }, code, words);
  }
  static std::string with(const std::string& piece, const std::string& replacement) {
    std::string text = sound_config;
    const auto at = text.find(piece);
    EXPECT_NE(at, std::string::npos) << piece;
    return text.replace(at, piece.size(), replacement);
  }
  TempFolder folder_;
  std::vector<Part> parts_;
};

TEST_F(Reading, AHandMadeFile) {
  const auto model = open();
  ASSERT_EQ(model->tensors().size(), 1U);
  EXPECT_EQ(model->tensors()[0], (TensorInfo{"m.weight", {2, 8}, "W4A16-g8", 8 + 8 + 16}));
  EXPECT_THAT(model->load("m.weight").span(),
              testing::ElementsAre(-8, -7, -6, -5, -4, -3, -2, -1, 0, 2, 4, 6, 8, 10, 12, 14));
}

TEST_F(Reading, PartsThatAreMissingOrDoNotFitAreNamed) {
  const auto parse_error = ErrorCode::parse_error;
  const auto good = parts_;
  parts_.pop_back();
  expect_refused(parse_error, {"m.weight_shape", "missing"});
  parts_ = {good[0], good[2]};
  expect_refused(parse_error, {"m.weight_scale", "missing"});
  parts_ = good;
  parts_[1] = {"m.weight_scale", "F16", "[4, 1]", good[1].data};
  expect_refused(parse_error, {"m.weight_scale", "BF16 [2, 1]"});
  parts_ = good;
  parts_[1].dtype = "I32";
  expect_refused(parse_error, {"m.weight_scale", "BF16"});
  parts_ = good;
  parts_[0].dtype = "F32";
  expect_refused(parse_error, {"m.weight_packed", "I32 [2, 1]"});
  parts_ = good;
  parts_[0].shape = "[2]";
  expect_refused(parse_error, {"m.weight_packed", "two dimensions"});
  for (const auto& shape : {std::vector<std::int64_t>{3, 8}, {2, -8}, {2, std::int64_t{1} << 62}, {2, 16}, {2, 12}}) {
    parts_ = good;
    parts_[2].data = raw(shape);
    expect_refused(parse_error, {"m.weight_"});
  }
  parts_ = good;
  parts_.push_back({"m.weight_g_idx", "I32", "[8]", raw(std::vector<std::int32_t>{0, 0, 0, 0, 0, 0, 0, 1})});
  expect_refused(parse_error, {"weight_g_idx", "group 1 of 1"});
  parts_.back() = {"m.weight_g_idx", "I32", "[7]", std::string(28, '\0')};
  expect_refused(parse_error, {"weight_g_idx", "I32 [8]"});
  parts_ = good;
  expect_refused(parse_error, {"m.weight_zero_point", "missing"}, with("\"symmetric\": true", "\"symmetric\": false"));
}

TEST_F(Reading, ConfigsThatCannotBeReadSayWhy) {
  const auto unsupported = ErrorCode::unsupported, parse_error = ErrorCode::parse_error;
  expect_refused(parse_error, {"quantization_config", "object"}, "3");
  expect_refused(unsupported, {"\"bnb\""}, with("compressed-tensors", "bnb"));
  expect_refused(unsupported, {"marlin-24"}, with("pack-quantized", "marlin-24"));
  expect_refused(unsupported, {"9 bits"}, with("\"num_bits\": 4", "\"num_bits\": 9"));
  expect_refused(parse_error, {"num_bits"}, with("\"num_bits\": 4", "\"num_bits\": \"4\""));
  expect_refused(unsupported, {"NVFP4 and MXFP4 only"}, with("\"type\": \"int\"", "\"type\": \"float\""));
  expect_refused(parse_error, {"\"complex\""}, with("\"type\": \"int\"", "\"type\": \"complex\""));
  expect_refused(unsupported, {"\"tensor\""}, with("\"strategy\": \"group\"", "\"strategy\": \"tensor\""));
  expect_refused(unsupported, {"\"block\""}, with("\"strategy\": \"group\"", "\"strategy\": \"block\""));
  expect_refused(parse_error, {"group_size"}, with("\"group_size\": 8", "\"group_size\": -1"));
  expect_refused(parse_error, {"config_groups"}, with("config_groups", "groups"));
  expect_refused(parse_error, {"\"weights\""}, with("\"weights\"", "\"heavy\""));
  const std::string group = R"({"group_0": {"targets)";
  expect_refused(
      parse_error, {"\"targets\""},
      with(group, R"({"group_1": {"weights": {"num_bits": 8, "strategy": "channel"}}, "group_0": {"targets)"));
  expect_refused(unsupported, {"\"W3A5\"", "preset"}, with(group, R"({"W3A5": ["Linear"], "group_0": {"targets)"));
  expect_refused(parse_error, {"\"g\"", "object"}, with(group, R"({"g": "W4A16", "group_0": {"targets)"));
  expect_refused(unsupported, {"activations of 8 bits"},
                 with("{\"targets\"", "{\"input_activations\": {\"num_bits\": 8, \"dynamic\": false}, \"targets\""));
}

}  // namespace
}  // namespace advisor
