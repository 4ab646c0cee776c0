#include "compress/activations.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "compress/fixture.h"

namespace advisor {
namespace {

Tensor sequence(std::int64_t rows, std::int64_t width, float first) {
  Tensor x({rows, width});
  for (float& v : x.span()) v = first++;
  return x;
}

TEST(Activations, ComeBackFromMemoryAndFromAFile) {
  const testing::TempFolder temp;
  for (const std::int64_t budget : {std::int64_t{1} << 20, std::int64_t{0}}) {
    Activations store({3, 1, 5}, 8, budget, temp.path());
    EXPECT_EQ(store.size(), 3);
    EXPECT_EQ(store.bytes(), 9 * 8 * 4);
    EXPECT_EQ(store.on_disk(), budget == 0);
    EXPECT_TRUE(testing::names_in(temp.path()).empty()) << "nobody sees the file";
    for (const std::int64_t i : {2, 0, 1}) store.write(i, sequence(i == 0 ? 3 : i == 1 ? 1 : 5, 8, 100.0F * float(i)));
    store.write(0, sequence(3, 8, 7));
    for (const std::int64_t i : {0, 1, 2}) {
      const Tensor x = store.read(i), expected = sequence(x.rows(), 8, i == 0 ? 7 : 100.0F * float(i));
      EXPECT_TRUE(std::ranges::equal(x.span(), expected.span())) << i;
    }
  }
}

TEST(Activations, AFolderThatCannotBeWrittenIsSaidSo) {
  testing::refusal(ErrorCode::io_error, [] { Activations({10}, 8, 0, "/proc/no/such/folder"); });
}

}  // namespace
}  // namespace advisor
