// formats/gguf.cpp, read back by gguf_reader.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <ranges>
#include <thread>

#include "checkpoint/gguf_fixture.h"
#include "core/error.h"

namespace advisor {
namespace {

using namespace gguf_fixture;
using kernels::BlockType;
using testing::HasSubstr;

const std::vector<std::string> types{"F32",  "F16",    "BF16",   "Q8_0",   "Q4_0", "Q4_1",   "Q5_0",   "Q5_1",
                                     "Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_S", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4_MOE"};

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

std::string stored(const Checkpoint& checkpoint, const std::string& name) { return checkpoint.find(name)->stored_as; }

TEST(GgufWriter, EveryTypeReadsBackAsWhatItsBlocksHold) {
  for (const std::string& type : types) {
    const Folder folder;
    const OutputPlan p = plan(type);
    ASSERT_EQ(gguf_format.refuses(p), std::nullopt);
    const auto path = write(p, folder.path());
    EXPECT_EQ(static_cast<std::int64_t>(std::filesystem::file_size(path)), gguf_format.bytes(p));
    const auto checkpoint = open_gguf(path);
    ASSERT_EQ(checkpoint->tensors().size(), p.tensors.size());
    for (std::size_t i = 0; i < p.tensors.size(); ++i) {
      const TensorInfo& info = checkpoint->tensors()[i];
      EXPECT_EQ(info.name, p.tensors[i].source.name);
      EXPECT_EQ(info.shape, p.tensors[i].source.shape);
      const std::vector<float> x = weights(p, i);
      const BlockType block = *kernels::block_type_named(info.stored_as);
      const std::int64_t n = static_cast<std::int64_t>(x.size());
      std::vector<std::byte> bytes(static_cast<std::size_t>(kernels::row_bytes(block, n)));
      ASSERT_TRUE(kernels::encode_blocks(block, x, {}, bytes));
      EXPECT_EQ(info.bytes, static_cast<std::int64_t>(bytes.size()));
      std::vector<float> expected(x.size()), actual(x.size());
      kernels::decode_blocks(block, bytes, expected);
      checkpoint->read_rows(info, 0, info.shape[0], actual);
      EXPECT_EQ(actual, expected) << type << " " << info.name;
    }
  }
}

TEST(GgufWriter, ConfigAndTokenizerSurvive) {
  for (const bool tied : {true, false}) {
    const Folder folder;
    const OutputPlan p = plan("F16", {.tied = tied});
    const auto checkpoint = open_gguf(write(p, folder.path()));
    EXPECT_EQ(checkpoint->format(), "gguf");
    const ModelConfig& c = checkpoint->config();
    EXPECT_EQ(c.architecture, "LlamaForCausalLM");
    EXPECT_EQ(c.name, "tiny");
    EXPECT_EQ(std::tuple(c.hidden, c.intermediate, c.layers, c.heads, c.kv_heads, c.head_dim, c.vocab, c.max_context),
              std::tuple(64, 96, 2, 4, 2, 16, 40, 128));
    EXPECT_EQ(c.rms_norm_eps, 1e-5);  // stored as float, read as the decimal that it stands for
    EXPECT_EQ(c.rope_theta, 500000);
    EXPECT_EQ(c.activation, "silu");
    EXPECT_EQ(c.torch_dtype, "float16");
    EXPECT_EQ(c.tie_embeddings, tied);
    EXPECT_EQ(std::tuple(c.bos, c.eos, c.pad), std::tuple(0, 1, 2));
    const TokenizerData t = checkpoint->tokenizer();
    EXPECT_EQ(t.model, p.tokenizer.model);
    EXPECT_EQ(t.tokens, p.tokenizer.tokens);
    EXPECT_EQ(t.merges, p.tokenizer.merges);
    EXPECT_EQ(t.added, p.tokenizer.added);
    EXPECT_EQ(t.pre, "gpt2");
    EXPECT_TRUE(t.add_bos);
    EXPECT_FALSE(t.ignore_merges);
    EXPECT_EQ(std::tuple(t.bos, t.eos, t.pad), std::tuple(0, 1, 2));
  }
}

TEST(GgufWriter, AnyRangeOfRowsReadsTheSame) {
  const Folder folder;
  const auto checkpoint = open_gguf(write(plan("Q4_0"), folder.path()));
  for (const TensorInfo& info : checkpoint->tensors()) {
    const Tensor whole = checkpoint->load(info.name);
    const std::int64_t cols = whole.cols();
    for (const auto& [begin, end] : {std::pair<std::int64_t, std::int64_t>{0, 0},
                                     {0, 1},
                                     {3, 4},
                                     {7, 21},
                                     {15, 17},
                                     {5, info.shape[0]},
                                     {info.shape[0], info.shape[0]}}) {
      std::vector<float> part(static_cast<std::size_t>((end - begin) * cols));
      checkpoint->read_rows(info, begin, end, part);
      EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.data() + begin * cols)) << info.name << " " << begin;
    }
  }
}

TEST(GgufWriter, StoredRowsAreThoseThatWereWrittenAndDecodeToTheRows) {
  for (const std::string type : {"F16", "Q4_0", "Q8_0"}) {
    const Folder folder;
    const OutputPlan p = plan(type, {.tied = false});
    std::vector<std::vector<std::byte>> written;
    {
      const auto writer = gguf_format.create(p, folder.path());
      for (std::size_t i = 0; i < p.tensors.size(); ++i) written.push_back(writer->write_rows(i, 0, weights(p, i)));
      writer->finish();
    }
    const auto checkpoint = open_gguf(folder.path() / ("tiny-" + type + ".gguf"));
    for (std::size_t i = 0; i < p.tensors.size(); ++i) {
      const TensorInfo& info = *checkpoint->find(p.tensors[i].source.name);
      EXPECT_EQ(checkpoint->read_stored(info, 0, info.shape[0]), written[i]) << info.name;
      const auto some = checkpoint->read_stored(info, info.shape[0] / 2, info.shape[0]);  // query rows are interleaved
      EXPECT_TRUE(std::equal(some.rbegin(), some.rend(), written[i].rbegin())) << info.name;
      const Tensor rows = checkpoint->load(info.name);
      std::vector<float> decoded(rows.span().size());
      kernels::decode_blocks(*kernels::block_type_named(info.stored_as), written[i], decoded);
      EXPECT_TRUE(std::ranges::equal(decoded, rows.span())) << info.name;
    }
    const TensorInfo& info = checkpoint->tensors()[0];
    expect_error(ErrorCode::invalid_argument, "rows 0 to",
                 [&] { checkpoint->read_stored(info, 0, info.shape[0] + 1); });
  }
}

TEST(GgufWriter, OrderAndThreadsDoNotChangeTheFile) {
  for (const std::string type : {"F16", "Q4_1"}) {
    const Folder one, other;
    const OutputPlan p = plan(type, {.tied = false});
    const auto straight = read_file(write(p, one.path()));
    struct Piece {
      std::size_t tensor;
      std::int64_t begin, end;
    };
    std::vector<Piece> pieces;
    for (std::size_t i = 0; i < p.tensors.size(); ++i) {
      const std::int64_t rows = p.tensors[i].source.shape[0];
      for (std::int64_t begin = 0; begin < rows; begin += 5) pieces.push_back({i, begin, std::min(rows, begin + 5)});
    }
    std::mt19937 random(1);
    std::shuffle(pieces.begin(), pieces.end(), random);
    const auto writer = gguf_format.create(p, other.path());
    const auto work = [&](std::size_t first) {
      for (std::size_t k = first; k < pieces.size(); k += 4) {
        const auto& [tensor, begin, end] = pieces[k];
        const auto& shape = p.tensors[tensor].source.shape;
        const auto cols = static_cast<std::size_t>(shape.size() == 1 ? 1 : shape[1]);
        const std::vector<float> x = weights(p, tensor);
        writer->write_rows(
            tensor, begin,
            std::span(x).subspan(static_cast<std::size_t>(begin) * cols, static_cast<std::size_t>(end - begin) * cols));
      }
    };
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < 4; ++t) threads.emplace_back(work, t);
    for (std::thread& thread : threads) thread.join();
    writer->finish();
    EXPECT_EQ(read_file(other.path() / ("tiny-" + type + ".gguf")), straight);
  }
}

TEST(GgufWriter, QueryRowsLieInterleavedWithinEachHead) {
  const Folder folder;
  const OutputPlan p = plan("F32");
  const auto path = write(p, folder.path());
  const auto file = read_file(path);
  const gguf::Header header = gguf::parse_header(
      [&](std::int64_t offset, std::span<std::byte> out) { std::memcpy(out.data(), file.data() + offset, out.size()); },
      static_cast<std::int64_t>(file.size()), "file");
  const gguf::TensorEntry& q = header.tensors[2];
  ASSERT_EQ(q.name, "blk.0.attn_q.weight");
  const std::vector<float> x = weights(p, 2);
  // rows 0, 1, 2, 3 of head 1 in the file are rows 0, 8, 1, 9 of that head
  for (const auto& [in_file, row] : {std::pair<std::int64_t, std::int64_t>{16, 16}, {17, 24}, {18, 17}, {19, 25}}) {
    EXPECT_EQ(std::memcmp(file.data() + q.offset + in_file * 64 * 4, x.data() + row * 64, 64 * 4), 0) << row;
  }
}

TEST(GgufWriter, HeadAndOddShapesKeepMorePrecision) {
  const Folder tied, untied, odd;
  auto checkpoint = open_gguf(write(plan("Q4_0"), tied.path()));
  EXPECT_EQ(stored(*checkpoint, "model.embed_tokens.weight"), "Q8_0");
  EXPECT_EQ(stored(*checkpoint, "model.layers.0.mlp.up_proj.weight"), "Q4_0");
  EXPECT_EQ(stored(*checkpoint, "model.layers.0.input_layernorm.weight"), "f32");
  checkpoint = open_gguf(write(plan("Q4_1", {.tied = false}), untied.path()));
  EXPECT_EQ(stored(*checkpoint, "model.embed_tokens.weight"), "Q4_1");
  EXPECT_EQ(stored(*checkpoint, "lm_head.weight"), "Q8_0");
  checkpoint = open_gguf(write(plan("Q8_0", {.intermediate = 80}), odd.path()));
  EXPECT_EQ(stored(*checkpoint, "model.layers.1.mlp.down_proj.weight"), "f16");
  EXPECT_EQ(stored(*checkpoint, "model.layers.1.mlp.up_proj.weight"), "Q8_0");
  EXPECT_EQ(checkpoint->config().torch_dtype, "float16");
}

TEST(GgufWriter, FillsTheVocabularyAndLeavesOutWhatReadersCompute) {
  const Folder folder;
  OutputPlan p = plan("F16");
  p.tokenizer = tokenizer(37);
  p.tensors.push_back({TensorInfo{"model.layers.0.self_attn.rotary_emb.inv_freq", {8}, "f32", 0}, std::nullopt});
  const auto checkpoint = open_gguf(write(p, folder.path()));
  EXPECT_EQ(checkpoint->tensors().size(), p.tensors.size() - 1);
  EXPECT_EQ(checkpoint->tokenizer().tokens.back(), "[PAD39]");
  EXPECT_EQ(checkpoint->tokenizer().added, p.tokenizer.added);
}

TEST(GgufWriter, CarriesTheChatTemplate) {
  const Folder source, folder;
  std::ofstream(source.path() / "tokenizer_config.json") << R"({"chat_template": "{{ messages }}"})";
  OutputPlan p = plan("F16");
  const std::int64_t without = gguf_format.bytes(p);
  p.source = source.path();
  EXPECT_GT(gguf_format.bytes(p), without);
  const auto file = read_file(write(p, folder.path()));
  EXPECT_THAT(std::string(file.begin(), file.end()), HasSubstr("{{ messages }}"));
  EXPECT_EQ(static_cast<std::int64_t>(file.size()), gguf_format.bytes(p));
}

TEST(GgufWriter, NamesTheFileAfterTheModelOrItsFolder) {
  const Folder folder;
  OutputPlan p = plan("f16");
  p.config.name = "org/model";
  gguf_format.create(p, folder.path());
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "org-model-F16.gguf"));
  p.config.name.clear();
  p.source = "/models/llama";
  gguf_format.create(p, folder.path());
  EXPECT_TRUE(std::filesystem::exists(folder.path() / "llama-F16.gguf"));
}

TEST(GgufWriter, RefusesPlansThatItCannotHold) {
  const auto refusal = [](auto change) {
    OutputPlan p = plan("Q4_0");
    change(p);
    const auto reason = gguf_format.refuses(p);
    if (reason) {
      const Folder folder;
      expect_error(ErrorCode::unsupported, *reason, [&] { gguf_format.create(p, folder.path()); });
      EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
    }
    return reason.value_or("accepted");
  };
  EXPECT_THAT(refusal([](OutputPlan& p) { p.type = "Q4_2"; }), HasSubstr("Q4_K_S, Q4_K_M"));
  EXPECT_THAT(refusal([](OutputPlan& p) {
                p.type = "IQ2_XS";
                p.config.tie_embeddings = false;
                p.tensors[7].source.shape = {96, 256};
              }),
              HasSubstr("as IQ2_XS, which cannot be written"));
  EXPECT_THAT(refusal([](OutputPlan& p) { p.type = ""; }), HasSubstr("cannot be written"));
  EXPECT_THAT(refusal([](OutputPlan& p) { p.config.architecture = "OPTForCausalLM"; }), HasSubstr("OPTForCausalLM"));
  EXPECT_THAT(refusal([](OutputPlan& p) { p.config.activation = "gelu"; }), HasSubstr("gelu"));
  EXPECT_THAT(refusal([](OutputPlan& p) { p.config.heads = 0; }), HasSubstr("geometry"));
  EXPECT_THAT(refusal([](OutputPlan& p) { p.config.vocab = std::int64_t{1} << 40; }), HasSubstr("geometry"));
  EXPECT_THAT(refusal([](OutputPlan& p) { p.config.head_dim = 15; }), HasSubstr("even"));
  EXPECT_THAT(refusal([](OutputPlan& p) { p.tokenizer.model = "unigram"; }), HasSubstr("unigram"));
  EXPECT_THAT(refusal([](OutputPlan& p) { p.tokenizer.tokens.resize(41); }), HasSubstr("41 tokens"));
  EXPECT_THAT(refusal([](OutputPlan& p) { p.tokenizer.added = {AddedToken{40}}; }), HasSubstr("special token 40"));
  EXPECT_THAT(refusal([](OutputPlan& p) { p.tokenizer.pre = "[a-z]+"; }), HasSubstr("[a-z]+"));
  EXPECT_THAT(refusal([](OutputPlan& p) { p.tokenizer.ignore_merges = true; }), HasSubstr("ignore_merges"));
  EXPECT_THAT(refusal([](OutputPlan& p) { p.tokenizer.add_prefix_space = true; }), HasSubstr("prefix space"));
  EXPECT_THAT(refusal([](OutputPlan& p) { p.tensors[1].source.name = "model.odd.weight"; }), HasSubstr("model.odd"));
  EXPECT_THAT(refusal([](OutputPlan& p) { p.tensors[2].source.shape = {60, 64}; }), HasSubstr("head dimension"));
  EXPECT_THAT(refusal([](OutputPlan& p) {
                p.tensors[2].source.shape = {4, 16, 64};
              }),
              HasSubstr("no vector or matrix"));
  EXPECT_THAT(refusal([](OutputPlan& p) {
                p.tensors[7].source.shape = {std::int64_t{1} << 45, 64};
              }),
              HasSubstr("too large"));
}

TEST(GgufWriter, RefusesValuesOutsideTheRangeOfTheType) {
  for (const auto& [type, value] : {std::pair{"F16", 70000.0f}, {"F16", std::nanf("")}, {"Q4_0", 1e6f}}) {
    const Folder folder;
    const OutputPlan p = plan(type);
    const auto writer = gguf_format.create(p, folder.path());
    std::vector<float> x = weights(p, 7);
    x[5 * 64 + 3] = value;
    expect_error(ErrorCode::unsupported, "'model.layers.0.mlp.gate_proj.weight', row 15",
                 [&] { writer->write_rows(7, 10, std::span(x).first(64 * 20)); });
  }
  const Folder folder;  // what F16 cannot hold, BF16 can
  const OutputPlan p = plan("BF16");
  gguf_format.create(p, folder.path())->write_rows(7, 0, std::vector<float>(64, 70000.0f));
}

TEST(GgufWriter, RefusesMisuse) {
  const Folder folder;
  const OutputPlan p = plan("F16");
  const auto writer = gguf_format.create(p, folder.path());
  const std::vector<float> row(64), part(63);
  expect_error(ErrorCode::internal, "outside", [&] { writer->write_rows(0, 40, row); });
  expect_error(ErrorCode::internal, "outside", [&] { writer->write_rows(0, -1, row); });
  expect_error(ErrorCode::internal, "outside", [&] { writer->write_rows(0, 0, part); });
  expect_error(ErrorCode::internal, "floats", [&] { writer->write_quantized(0, 0, {}); });
  expect_error(ErrorCode::internal, "not written completely", [&] { writer->finish(); });
}

TEST(GgufWriter, RefusesPlacesThatItCannotWrite) {
  const Folder folder;
  const OutputPlan p = plan("F16");
  expect_error(ErrorCode::io_error, "No such file", [&] { gguf_format.create(p, folder.path() / "missing"); });
  gguf_format.create(p, folder.path());
  expect_error(ErrorCode::io_error, "tiny-F16.gguf", [&] { gguf_format.create(p, folder.path()); });
  const Folder empty;  // more than any disk has
  OutputPlan huge = plan("F32");
  huge.tensors[7].source.shape = {std::int64_t{1} << 40, 64};
  expect_error(ErrorCode::io_error, "tiny-F32.gguf", [&] { gguf_format.create(huge, empty.path()); });
  EXPECT_TRUE(std::filesystem::is_empty(empty.path()));
}

}  // namespace
}  // namespace advisor
