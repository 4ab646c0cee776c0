// formats/safetensors.cpp and dense.cpp: out and in again.
#include <cmath>

#include "checkpoint/format.h"
#include "folder_fixture.h"

namespace advisor {
namespace {

using namespace testing_support;

OutputPlan make_plan(const TempFolder& source, const std::string& type) {
  write_file(source / "config.json", config_text);
  OutputPlan plan;
  plan.source = source.path();
  plan.type = type;
  plan.tensors.push_back({{"w", {3, 2}, "", 0}, std::nullopt});
  plan.tensors.push_back({{"s", {}, "", 0}, std::nullopt});
  return plan;
}

TEST(DenseFormat, RoundsToItsTypeAndReadsBack) {
  for (const std::string type : {"bf16", "f16", "f32"}) {
    const TempFolder source, out;
    const OutputPlan plan = make_plan(source, type);
    const FormatImpl& format = find_format("safetensors");
    ASSERT_EQ(format.refuses(plan), std::nullopt);
    const auto writer = format.create(plan, out.path());
    const std::vector<float> last{-0.5F, 1.0F + 0x1p-20F}, first{1, 2, 3, 4}, scalar{7};
    const auto stored = writer->write_rows(0, 2, last);
    writer->write_rows(0, 0, first);
    writer->write_rows(1, 0, scalar);
    writer->finish();
    std::int64_t bytes = 0;
    for (const auto& item : std::filesystem::directory_iterator(out.path())) {
      bytes += static_cast<std::int64_t>(item.file_size());
    }
    EXPECT_EQ(bytes, format.bytes(plan));
    const auto model = open_checkpoint(out.path());
    EXPECT_EQ(model->tensors()[0].stored_as, type);
    EXPECT_EQ(model->read_stored(model->tensors()[0], 2, 3), stored);
    EXPECT_EQ(model->config().torch_dtype, type == "bf16" ? "bfloat16" : type == "f16" ? "float16" : "float32");
    const float exact = type == "f32" ? last[1] : 1.0F;
    EXPECT_THAT(model->load("w").span(), testing::ElementsAre(1, 2, 3, 4, -0.5F, exact));
    EXPECT_THAT(model->load("s").span(), testing::ElementsAre(7));
  }
}

TEST(DenseFormat, RefusesCodesAndUnknownTypes) {
  const TempFolder source, out;
  OutputPlan plan = make_plan(source, "Q4_0");
  const FormatImpl& format = find_format("safetensors");
  EXPECT_THAT(format.refuses(plan).value_or(""), testing::HasSubstr("'Q4_0'"));
  plan = make_plan(source, "bf16");
  plan.tensors[0].scheme = parse_quant_scheme("W8A16");
  EXPECT_THAT(format.refuses(plan).value_or(""),
              testing::AllOf(testing::HasSubstr("\"w\""), testing::HasSubstr("W8A16-channel")));
  expect_error([&] { format.create(plan, out.path()); }, ErrorCode::unsupported, {"\"w\""});
  plan = make_plan(source, "bf16");
  const auto writer = format.create(plan, out.path());
  expect_error([&] { writer->write_quantized(0, 0, {}); }, ErrorCode::internal, {"\"w\""});
}

}  // namespace
}  // namespace advisor
