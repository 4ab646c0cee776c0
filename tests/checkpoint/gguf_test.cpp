// The header parser on good and bad bytes, and what the reader refuses.
#include "checkpoint/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>
#include <set>

#include "checkpoint/gguf_fixture.h"
#include "core/error.h"

namespace advisor {
namespace {

using namespace gguf_fixture;
using gguf::Header;
using gguf::Metadata;
using gguf::TensorEntry;
using gguf::Value;
using gguf::ValueType;
using kernels::BlockType;
using testing::HasSubstr;
using Bytes = std::vector<std::byte>;

Header parse(std::span<const std::byte> bytes) {
  return gguf::parse_header(
      [bytes](std::int64_t offset, std::span<std::byte> out) {
        ASSERT_LE(static_cast<std::size_t>(offset) + out.size(), bytes.size()) << "read beyond the end";
        std::memcpy(out.data(), bytes.data() + offset, out.size());
      },
      static_cast<std::int64_t>(bytes.size()), "x.gguf");
}

template <typename Body>
void expect_error(ErrorCode code, const std::string& text, Body body) {
  try {
    body();
    ADD_FAILURE() << "accepted; expected: " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(text));
  }
}

void expect_parse_error(const std::string& text, std::span<const std::byte> bytes) {
  expect_error(ErrorCode::parse_error, text, [&] { parse(bytes); });
}

Value integer(std::int64_t value) { return {ValueType::u32, value}; }
Value string(std::string value) { return {ValueType::string, std::move(value)}; }

/// Bytes written one number after the other, for files that write_header would not write.
class Raw {
 public:
  template <typename T>
  Raw& put(T value) {
    const auto* from = reinterpret_cast<const std::byte*>(&value);
    bytes.insert(bytes.end(), from, from + sizeof value);
    return *this;
  }
  Raw& u32(std::uint32_t value) { return put(value); }
  Raw& u64(std::uint64_t value) { return put(value); }
  Raw& text(const std::string& value) {
    u64(value.size());
    for (const char c : value) put(c);
    return *this;
  }
  /// magic, version, tensors, values
  static Raw header(std::uint64_t tensors, std::uint64_t values) {
    return Raw().u32(0x46554747).u32(3).u64(tensors).u64(values);
  }
  Bytes bytes;
};

Metadata sample_metadata() {
  return {{"general.architecture", string("llama")},
          {"u8", {ValueType::u8, std::int64_t{255}}},
          {"i8", {ValueType::i8, std::int64_t{-128}}},
          {"u16", {ValueType::u16, std::int64_t{65535}}},
          {"i16", {ValueType::i16, std::int64_t{-5}}},
          {"i32", {ValueType::i32, std::int64_t{-7}}},
          {"u64", {ValueType::u64, std::numeric_limits<std::int64_t>::max()}},
          {"i64", {ValueType::i64, std::numeric_limits<std::int64_t>::min()}},
          {"yes", {ValueType::boolean, std::int64_t{1}}},
          {"f32", {ValueType::f32, 0.5}},
          {"f64", {ValueType::f64, 0.1}},
          {"empty", string("")},
          {"words", {ValueType::string, std::vector<std::string>{"a", "", "\xc4\xa0 b"}}},
          {"numbers", {ValueType::i32, std::vector<std::int64_t>{1, -2, 3}}},
          {"reals", {ValueType::f32, std::vector<double>{0.25, -1.5}}},
          {"none", {ValueType::u8, std::vector<std::int64_t>{}}}};
}

/// A header with one 32 x 4 Q8_0 and one F32 tensor, and their data.
Bytes sample(const std::function<void(Metadata&, std::vector<TensorEntry>&)>& change = {},
             std::size_t data = 160 + 16) {
  Metadata metadata = sample_metadata();
  std::vector<TensorEntry> tensors{{"a", {4, 32}, BlockType::q8_0, 0, 136}, {"b", {4}, BlockType::f32, 160, 16}};
  if (change) change(metadata, tensors);
  Bytes bytes = gguf::write_header(metadata, tensors);
  bytes.resize(bytes.size() + data);
  return bytes;
}

TEST(GgufHeader, ReadsWhatIsWritten) {
  const Bytes bytes = sample();
  const Header header = parse(bytes);
  EXPECT_EQ(header.metadata, sample_metadata());
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.tensors[0].shape, (std::vector<std::int64_t>{4, 32}));
  EXPECT_EQ(header.tensors[0].bytes, 4 * 34);
  EXPECT_EQ(header.tensors[0].offset, header.data_begin);
  EXPECT_EQ(header.tensors[1].offset, header.data_begin + 160);
  EXPECT_EQ(header.data_begin % gguf::alignment, 0);
  EXPECT_EQ(header.find("i8")->data, Value(ValueType::i8, std::int64_t{-128}).data);
  EXPECT_EQ(header.find("absent"), nullptr);
}

TEST(GgufHeader, EveryPrefixIsRefused) {
  const Bytes bytes = sample();
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_THROW(parse(std::span(bytes).first(n)), Error) << n << " of " << bytes.size();
  }
}

TEST(GgufHeader, AnyChangedByteIsReadOrRefused) {
  const Bytes good = sample();
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const unsigned value : {0u, 1u, 0x7fu, 0x80u, 0xffu}) {
      Bytes bytes = good;
      bytes[at] = static_cast<std::byte>(value);
      try {
        for (const TensorEntry& t : parse(bytes).tensors) {
          EXPECT_LE(t.offset + t.bytes, static_cast<std::int64_t>(bytes.size()));
        }
      } catch (const Error& error) {
        EXPECT_NE(error.code(), ErrorCode::internal);
      }
    }
  }
}

TEST(GgufHeader, HonoursTheAlignment) {
  const Bytes bytes = sample(
      [](Metadata& m, auto& tensors) {
        m.emplace_back("general.alignment", integer(64));
        tensors[1].offset = 192;
      },
      64 + 192 + 16);
  const Header header = parse(bytes);
  EXPECT_EQ(header.data_begin % 64, 0);
  for (const std::int64_t bad : {0, 1, 12, -64, 1 << 30}) {
    expect_parse_error("general.alignment", sample([bad](Metadata& m, auto&) {
                         m.emplace_back("general.alignment", Value{ValueType::i32, bad});
                       }));
  }
  expect_parse_error("general.alignment",
                     sample([](Metadata& m, auto&) { m.emplace_back("general.alignment", string("32")); }));
}

TEST(GgufHeader, RefusesWhatIsNotGguf) {
  expect_parse_error("ends inside the magic number", {});
  expect_parse_error("does not begin with 'GGUF'", Raw().u32(0x46464952).u32(3).u64(0).u64(0).bytes);
  expect_error(ErrorCode::unsupported, "version 2", [] { parse(Raw().u32(0x46554747).u32(2).u64(0).u64(0).bytes); });
  EXPECT_TRUE(parse(Raw::header(0, 0).bytes).tensors.empty());
}

TEST(GgufHeader, RefusesAbsurdLengths) {
  const std::uint64_t absurd = std::uint64_t{1} << 62;
  expect_parse_error("number of tensors", Raw::header(absurd, 0).bytes);
  expect_parse_error("number of metadata values", Raw::header(0, absurd).bytes);
  expect_parse_error("length of a metadata key", Raw::header(0, 1).u64(absurd).u64(0).bytes);
  expect_parse_error("length of a metadata key", Raw::header(0, 1).u64(~std::uint64_t{0}).u64(0).bytes);
  expect_parse_error("length of a string", Raw::header(0, 1).text("k").u32(8).u64(absurd).bytes);
  for (const std::uint32_t type : {0u, 4u, 8u, 12u}) {
    expect_parse_error("array elements", Raw::header(0, 1).text("k").u32(9).u32(type).u64(absurd).bytes);
  }
  expect_parse_error("length of a tensor name",
                     Raw::header(1, 0).text(std::string(64, 'n')).u32(1).u64(1).u32(0).u64(0).bytes);
}

TEST(GgufHeader, RefusesBadValues) {
  expect_parse_error("unknown value type 13", Raw::header(0, 1).text("key").u32(13).u64(0).bytes);
  expect_parse_error("array of arrays", Raw::header(0, 1).text("key").u32(9).u32(9).u64(0).bytes);
  expect_parse_error("a boolean is 2", Raw::header(0, 1).text("key").u32(7).put(std::uint8_t{2}).bytes);
  expect_parse_error("'u8' appears twice", sample([](Metadata& m, auto&) { m.push_back(m[1]); }));
}

TEST(GgufHeader, RefusesBadTensors) {
  const auto with = [](auto change) { return sample([change](Metadata&, std::vector<TensorEntry>& t) { change(t); }); };
  expect_parse_error("tensor 'a' appears twice", with([](auto& t) { t[1].name = "a"; }));
  expect_parse_error("tensor 'b' has no dimensions", with([](auto& t) { t[1].shape.clear(); }));
  expect_parse_error("tensor 'b' has 5 dimensions", with([](auto& t) { t[1].shape = {1, 1, 1, 1, 4}; }));
  expect_parse_error("tensor 'b' has an impossible shape", with([](auto& t) { t[1].shape = {-4}; }));
  expect_parse_error("tensor 'b' has an impossible shape", with([](auto& t) {
                       t[1].shape = {std::int64_t{1} << 40, std::int64_t{1} << 40};
                     }));
  expect_parse_error("tensor 'b' has an impossible size", with([](auto& t) { t[1].shape = {std::int64_t{1} << 62}; }));
  expect_parse_error("tensor 'a' is Q8_0 with rows of 33", with([](auto& t) { t[0].shape = {4, 33}; }));
  expect_parse_error("tensor 'b' is not aligned", with([](auto& t) { t[1].offset = 144; }));
  expect_parse_error("tensors 'a' and 'b' overlap", with([](auto& t) { t[1].offset = 128; }));
  expect_parse_error("'b' ends beyond the end", with([](auto& t) { t[1].offset = 192; }));
  expect_parse_error("'b' ends beyond the end", with([](auto& t) { t[1].offset = std::int64_t{1} << 61; }));
  expect_parse_error("'b' ends beyond the end", with([](auto& t) { t[1].shape = {5}; }));
  expect_parse_error("'b' starts beyond any file", with([](auto& t) { t[1].offset = -32; }));
  expect_error(ErrorCode::unsupported, "tensor 'b' has ggml type 16",
               [&] { parse(with([](auto& t) { t[1].type = static_cast<BlockType>(16); })); });
}

TEST(GgufNames, MapBothWays) {
  OutputPlan p = plan("F16", {.layers = 12, .tied = false});
  std::set<std::string> seen;
  for (const PlannedTensor& planned : p.tensors) {
    const auto place = gguf::place_of(planned.source.name, p.config);
    ASSERT_TRUE(place) << planned.source.name;
    EXPECT_TRUE(seen.insert(place->tensor).second);
    EXPECT_EQ(gguf::hugging_face_names(place->tensor, p.config), std::vector{planned.source.name});
  }
  EXPECT_EQ(gguf::place_of("model.layers.11.mlp.down_proj.weight", p.config)->tensor, "blk.11.ffn_down.weight");
  EXPECT_EQ(gguf::place_of("model.layers.0.self_attn.q_proj.bias", p.config)->tensor, "blk.0.attn_q.bias");
  for (const char* name :
       {"", ".", "weight", "model.embed_tokens", "model.layers.0.mlp.up_proj.scale",
        "model.layers.x.mlp.up_proj.weight", "model.layers.01.mlp.up_proj.weight", "model.layers.-1.mlp.up_proj.weight",
        "model.layers.1.mlp.side_proj.weight", "model.layers..mlp.up_proj.weight",
        "model.layers.99999999999.mlp.up_proj.weight", "model.layers.1.weight"}) {
    EXPECT_FALSE(gguf::place_of(name, p.config)) << name;
  }
  EXPECT_TRUE(gguf::hugging_face_names("rope_freqs.weight", p.config).empty());
  EXPECT_TRUE(gguf::hugging_face_names("blk.0.ffn_gate_inp.weight", p.config).empty());
  EXPECT_TRUE(gguf::hugging_face_names("blk.0.ffn_up_exps.weight", p.config).empty());
}

TEST(GgufRowOrder, PermutesWithinEachHead) {
  for (const std::int64_t head_dim : {2, 16, 128}) {
    const gguf::RowOrder order{head_dim};
    std::set<std::int64_t> places;
    for (std::int64_t row = 0; row < 3 * head_dim; ++row) {
      const std::int64_t place = order.in_file(row);
      EXPECT_EQ(place / head_dim, row / head_dim);
      EXPECT_TRUE(places.insert(place).second);
      const std::int64_t other = row % head_dim < head_dim / 2 ? row + head_dim / 2 : row - head_dim / 2;
      EXPECT_EQ(order.in_file(other), place ^ 1) << "what is rotated together lies together";
    }
  }
  EXPECT_EQ(gguf::RowOrder{}.in_file(5), 5);
  EXPECT_EQ(gguf::place_of("model.layers.0.self_attn.k_proj.weight", config())->order.head_dim, 16);
  EXPECT_EQ(gguf::place_of("model.layers.0.self_attn.v_proj.weight", config())->order.head_dim, 0);
}

// --- reader ------------------------------------------------------------------------------------------------------

/// A whole small model in a file, its metadata and tensors changed before it is written; the data are zeros.
class ChangedModel {
 public:
  using Change = std::function<void(Metadata&, std::vector<TensorEntry>&)>;
  explicit ChangedModel(const Change& change) {
    const OutputPlan p = plan("F16");
    Metadata metadata = gguf::to_metadata(p.config, p.tokenizer, *gguf_mix_named("F16"));
    std::vector<TensorEntry> tensors;
    for (const PlannedTensor& planned : p.tensors) {
      tensors.push_back(
          {gguf::place_of(planned.source.name, p.config)->tensor, planned.source.shape, BlockType::f16, 0, 0});
    }
    change(metadata, tensors);
    std::int64_t end = 0;
    for (TensorEntry& tensor : tensors) {
      tensor.offset = end;
      const std::int64_t rows = element_count(tensor.shape) / std::max<std::int64_t>(1, tensor.shape.back());
      end += (rows * kernels::row_bytes(tensor.type, tensor.shape.back()) + 31) / 32 * 32;
    }
    Bytes bytes = gguf::write_header(metadata, tensors);
    bytes.resize(bytes.size() + static_cast<std::size_t>(end));
    write_file(path(), bytes);
  }
  std::filesystem::path path() const { return folder_.path() / "model.gguf"; }

 private:
  Folder folder_;
};

void set(Metadata& metadata, const std::string& key, std::optional<Value> value) {
  std::erase_if(metadata, [&](const auto& entry) { return entry.first == key; });
  if (value) metadata.emplace_back(key, *value);
}

void expect_refused(ErrorCode code, const std::string& text, const ChangedModel::Change& change) {
  const ChangedModel model(change);
  expect_error(code, text, [&] { open_gguf(model.path()); });
  expect_error(code, model.path().string(), [&] { open_gguf(model.path()); });
}

void expect_key_refused(ErrorCode code, const std::string& key, std::optional<Value> value) {
  expect_refused(code, "", [&](Metadata& m, auto&) { set(m, key, value); });
}

TEST(GgufReader, TakesDefaultsOfLlamaCpp) {
  const ChangedModel model([](Metadata& m, auto&) {
    for (const char* key :
         {"llama.attention.head_count_kv", "llama.attention.key_length", "llama.attention.value_length",
          "llama.rope.dimension_count", "llama.rope.freq_base", "llama.vocab_size", "general.name",
          "tokenizer.ggml.add_bos_token", "tokenizer.ggml.token_type", "tokenizer.ggml.padding_token_id"}) {
      set(m, key, std::nullopt);
    }
  });
  const auto checkpoint = open_gguf(model.path());
  EXPECT_EQ(checkpoint->config().kv_heads, 4);
  EXPECT_EQ(checkpoint->config().head_dim, 16);
  EXPECT_EQ(checkpoint->config().rope_theta, 10000);
  EXPECT_EQ(checkpoint->config().vocab, 40);
  EXPECT_EQ(checkpoint->config().pad, std::nullopt);
  EXPECT_FALSE(checkpoint->tokenizer().add_bos);
  EXPECT_TRUE(checkpoint->tokenizer().added.empty());
}

TEST(GgufReader, RefusesModelsThatItCannotRun) {
  expect_refused(ErrorCode::unsupported, "architecture 'mamba'",
                 [](Metadata& m, auto&) { set(m, "general.architecture", string("mamba")); });
  expect_refused(ErrorCode::parse_error, "llama.expert_used_count",
                 [](Metadata& m, auto&) { set(m, "llama.expert_count", integer(8)); });
  const auto experts = [](std::int64_t count, std::int64_t used) {
    return [=](Metadata& m, auto& t) {
      set(m, "llama.expert_count", integer(count));
      set(m, "llama.expert_used_count", integer(used));
      t.push_back({"blk.0.ffn_up_exps.weight", {3, 96, 64}, BlockType::f16, 0, 0});
    };
  };
  expect_refused(ErrorCode::parse_error, "experts make no sense", experts(2, 3));
  expect_refused(ErrorCode::parse_error, "experts make no sense", experts(1 << 20, 3));
  expect_refused(ErrorCode::parse_error, "not a stack of 4", experts(4, 2));
  expect_refused(ErrorCode::unsupported, "RoPE scaling 'dynamic'",
                 [](Metadata& m, auto&) { set(m, "llama.rope.scaling.type", string("dynamic")); });
  const auto factors = [](BlockType type, std::int64_t count) {
    return [=](auto&, auto& t) { t.push_back({"rope_freqs.weight", {count}, type, 0, 0}); };
  };
  expect_refused(ErrorCode::parse_error, "not positive", factors(BlockType::f32, 8));  // the data are zeros
  expect_refused(ErrorCode::parse_error, "one float32 factor", factors(BlockType::f32, 9));
  expect_refused(ErrorCode::parse_error, "one float32 factor", factors(BlockType::f16, 8));
  expect_refused(ErrorCode::unsupported, "'blk.0.attn_q_a.weight'", [](auto&, auto& t) {
    t.push_back({"blk.0.attn_q_a.weight", {8, 64}, BlockType::f16, 0, 0});
  });
  expect_refused(ErrorCode::unsupported, "vector in blocks", [](auto&, auto& t) { t[1].type = BlockType::q8_0; });
  expect_key_refused(ErrorCode::unsupported, "llama.rope.dimension_count", integer(8));
  expect_key_refused(ErrorCode::unsupported, "llama.attention.head_count_kv", integer(3));
}

TEST(GgufReader, RefusesIncompleteOrWrongMetadata) {
  for (const std::string key :
       {"general.architecture", "llama.embedding_length", "llama.feed_forward_length", "llama.block_count",
        "llama.attention.head_count", "llama.context_length", "llama.attention.layer_norm_rms_epsilon"}) {
    expect_key_refused(ErrorCode::parse_error, key, std::nullopt);
    expect_key_refused(ErrorCode::parse_error, key, Value{ValueType::u8, std::vector<std::int64_t>{1}});
  }
  expect_key_refused(ErrorCode::parse_error, "llama.block_count", integer(0));
  expect_key_refused(ErrorCode::parse_error, "llama.block_count", Value{ValueType::i64, std::int64_t{-1}});
  expect_key_refused(ErrorCode::parse_error, "llama.embedding_length", Value{ValueType::u64, std::int64_t{1} << 40});
  expect_key_refused(ErrorCode::parse_error, "tokenizer.ggml.bos_token_id", integer(40));
  expect_key_refused(ErrorCode::parse_error, "llama.vocab_size", integer(41));
  expect_refused(ErrorCode::parse_error, "no token_embd.weight", [](auto&, auto& t) { t.erase(t.begin()); });
  expect_refused(ErrorCode::parse_error, "attn_q.weight' has 60 rows", [](auto&, auto& t) { t[2].shape = {60, 64}; });
}

TEST(GgufReader, RefusesTokenizersThatItCannotRun) {
  const auto refused = [](ErrorCode code, const std::string& text, const std::string& key, std::optional<Value> value) {
    const ChangedModel model([&](Metadata& m, auto&) { set(m, key, value); });
    const auto checkpoint = open_gguf(model.path());
    expect_error(code, text, [&] { checkpoint->tokenizer(); });
  };
  refused(ErrorCode::not_found, "no tokenizer", "tokenizer.ggml.model", std::nullopt);
  refused(ErrorCode::unsupported, "'bert'", "tokenizer.ggml.model", string("bert"));
  refused(ErrorCode::parse_error, "tokenizer.ggml.scores", "tokenizer.ggml.model", string("llama"));
  refused(ErrorCode::unsupported, "'starcoder'", "tokenizer.ggml.pre", string("starcoder"));
  refused(ErrorCode::unsupported, "'default'", "tokenizer.ggml.pre", std::nullopt);
  refused(ErrorCode::parse_error, "merges", "tokenizer.ggml.merges", std::nullopt);
  refused(ErrorCode::parse_error, "tokens", "tokenizer.ggml.tokens", std::nullopt);
  refused(ErrorCode::parse_error, "differ in length", "tokenizer.ggml.token_type",
          Value{ValueType::i32, std::vector<std::int64_t>{1, 1}});
}

TEST(GgufReader, KnowsThePreTokenizersThatItWrites) {
  const ChangedModel model([](Metadata& m, auto&) {
    set(m, "tokenizer.ggml.pre", string("llama-bpe"));
    set(m, "tokenizer.ggml.add_bos_token", std::nullopt);
  });
  TokenizerData t = open_gguf(model.path())->tokenizer();
  EXPECT_TRUE(t.ignore_merges);
  EXPECT_TRUE(t.add_bos);
  EXPECT_THAT(t.pre, HasSubstr("\\p{N}{1,3}"));
  EXPECT_EQ(gguf::metadata_refuses(config(), t), std::nullopt);
}

TEST(GgufReader, RefusesMisuseAndFilesThatShrink) {
  expect_error(ErrorCode::not_found, "absent.gguf", [] { open_gguf("/nonexistent/absent.gguf"); });
  const ChangedModel model([](auto&, auto&) {});
  const auto checkpoint = open_gguf(model.path());
  const TensorInfo info = checkpoint->tensors()[2];
  std::vector<float> row(64);
  expect_error(ErrorCode::invalid_argument, info.name, [&] { checkpoint->read_rows(info, 64, 65, row); });
  expect_error(ErrorCode::invalid_argument, info.name, [&] { checkpoint->read_rows(info, -1, 0, row); });
  expect_error(ErrorCode::invalid_argument, info.name, [&] { checkpoint->read_rows(info, 0, 2, row); });
  TensorInfo other = info;
  other.name = "other";
  expect_error(ErrorCode::not_found, "'other'", [&] { checkpoint->read_rows(other, 0, 1, row); });
  std::filesystem::resize_file(model.path(), 4096);
  const TensorInfo last = checkpoint->tensors().back();
  expect_error(ErrorCode::io_error, "ends", [&] { checkpoint->read_rows(last, 0, 64, row); });
}

}  // namespace
}  // namespace advisor
