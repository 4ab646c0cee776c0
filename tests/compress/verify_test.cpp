#include "compress/verify.h"

#include <fstream>

#include "compress/fixture.h"
#include "gmock/gmock.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;
using testing::refusal;
using testing::request;

TEST(Fingerprint, SeesEveryBitAndTheOrder) {
  std::vector<float> values = testing::normal(1003, 1);
  const std::uint64_t base = fingerprint(values);
  EXPECT_EQ(fingerprint(values), base);
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}, std::size_t{500}, std::size_t{1002}}) {
    std::vector<float> changed = values;
    changed[i] = std::nextafter(changed[i], 1.0f);
    EXPECT_NE(fingerprint(changed), base) << i;
  }
  std::swap(values[0], values[4]);
  EXPECT_NE(fingerprint(values), base);
  EXPECT_NE(fingerprint({}), fingerprint(std::vector<float>{0.0f}));
}

/// A finished output, looked at again after someone changed it.
class Verify : public ::testing::Test {
 protected:
  std::string verdict(const std::string& scheme, const RecipeFormat& format, double at) {
    const auto out = temp_ / "out";
    CompressRequest r = request(testing::tiny(), out, scheme, {format});
    r.overwrite = true;
    run_compression(r, {});
    for (const auto& entry : std::filesystem::directory_iterator(out)) {
      const auto extension = entry.path().extension();
      if (extension != ".safetensors" && extension != ".gguf") continue;
      const auto offset = static_cast<std::streamoff>(at * static_cast<double>(entry.file_size()));
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(offset);
      const int byte = file.get();
      file.seekp(offset);
      file.put(static_cast<char>(byte ^ 0x41));
    }
    r.out = temp_ / "other";
    const PreparedJob job = prepare(r);
    // Codes are expected to have a fingerprint that they do not have; the others are encoded again and compared.
    std::vector<Expected> expected(job.source->tensors().size());
    for (Expected& tensor : expected) tensor.printed = format.id == "compressed-tensors";
    return refusal(ErrorCode::internal, [&] { verify_output(job, 0, out, expected, [](const Tile&) {}); });
  }
  testing::TempFolder temp_;
};

TEST_F(Verify, OneChangedByteOfADenseTensorIsSeen) {
  EXPECT_THAT(verdict("W4A16-g32", {"gguf", "F16"}, 0.9), HasSubstr("does not decode to the values"));
  EXPECT_THAT(verdict("W4A16-g32", {"gguf", "Q4_0"}, 0.9), HasSubstr("does not decode to the values"));
}

TEST_F(Verify, CodesThatAreNotTheOnesWrittenAreSeen) {
  EXPECT_THAT(verdict("W4A16-g32", {"compressed-tensors", ""}, 0.99),
              HasSubstr("verification of the compressed-tensors"));
}

}  // namespace
}  // namespace advisor
