#include <set>

#include "checkpoint/format.h"
#include "folder_fixture.h"

namespace advisor {
namespace {

TEST(Formats, AreListedOnceAndComplete) {
  std::set<std::string_view> ids;
  for (const FormatImpl* format : formats()) {
    EXPECT_TRUE(ids.insert(format->id).second) << format->id;
    EXPECT_EQ(&find_format(format->id), format);
    EXPECT_NE(format->refuses, nullptr);
    EXPECT_NE(format->bytes, nullptr);
    EXPECT_NE(format->create, nullptr);
    EXPECT_NE(format->scale_dtype, nullptr);
  }
  EXPECT_THAT(ids, testing::ElementsAre("autoawq", "compressed-tensors", "gguf", "gptq", "modelopt", "safetensors"));
}

TEST(Formats, AnUnknownOneIsRefusedWithTheList) {
  testing_support::expect_error([] { find_format("onnx"); }, ErrorCode::not_found,
                                {"'onnx'", "compressed-tensors", "gguf", "safetensors"});
}

}  // namespace
}  // namespace advisor
