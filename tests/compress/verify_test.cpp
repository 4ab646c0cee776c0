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
  EXPECT_NE(fingerprint(std::vector<float>{}), fingerprint(std::vector<float>{0.0f}));
}

/// An output whose file someone changes between writing and verification.
class Verify : public ::testing::Test {
 protected:
  std::string verdict(const std::string& scheme, const RecipeFormat& format, double at) {
    const PreparedJob job = prepare(request(testing::tiny(), temp_ / "out", scheme, {format}));
    const auto folder = temp_ / "written";
    std::filesystem::create_directory(folder);
    const std::vector<Expected> expected = write(job, folder);
    EXPECT_NO_THROW(verify_output(job, 0, folder, expected, [](const Tile&) {}));
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const auto extension = entry.path().extension();
      if (extension != ".safetensors" && extension != ".gguf") continue;
      const auto offset = static_cast<std::streamoff>(at * static_cast<double>(entry.file_size()));
      std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(offset);
      const int byte = file.get();
      file.seekp(offset);
      file.put(static_cast<char>(byte ^ 0x41));
    }
    std::string text =
        refusal(ErrorCode::internal, [&] { verify_output(job, 0, folder, expected, [](const Tile&) {}); });
    std::filesystem::remove_all(folder);
    return text;
  }

  static std::vector<Expected> write(const PreparedJob& job, const std::filesystem::path& folder) {
    Journal journal = Journal::create(folder, {});
    Outputs outputs(job, folder, journal);
    const auto& tensors = job.source->tensors();
    const auto write = [&](const Tile& tile) {
      std::vector<float> rows(tile.size());
      job.source->read_rows(tensors[tile.tensor], tile.begin, tile.end, rows);
      if (job.outputs[0].plan.tensors[tile.tensor].scheme) {
        const PreparedStep& step = *job.steps.find(tile.tensor);
        outputs.write_codes(0, tile.tensor, tile.begin,
                            step.technique->quantize(rows, tile.cols, step.scheme, step.params, DType::bf16), rows);
      } else {
        outputs.write_rows(0, tile.tensor, tile.begin, rows, {}, false);
      }
    };
    for_each_tile(tensors, 1, write, [&](std::size_t tensor) { outputs.finish_tensor(tensor); });
    return outputs.finish()[0];
  }

  testing::TempFolder temp_;
};

TEST_F(Verify, OneChangedByteOfADenseTensorIsSeen) {
  for (const std::string type : {"F16", "Q4_0"})
    EXPECT_THAT(verdict("W4A16-g32", {"gguf", type}, 0.9), HasSubstr("does not decode to the values")) << type;
}

TEST_F(Verify, BlocksUnderAnotherTypeAreSeen) {
  // Q4_0 and IQ4_NL take the same bytes, which mean other weights
  const PreparedJob job = prepare(request(testing::tiny(), temp_ / "out", "W4A16-g32", {{"gguf", "Q4_0"}}));
  const auto folder = temp_ / "written";
  std::filesystem::create_directory(folder);
  const std::vector<Expected> expected = write(job, folder);
  const auto path = std::filesystem::directory_iterator(folder)->path();
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  std::string header(1 << 20, '\0');
  file.read(header.data(), static_cast<std::streamsize>(header.size()));
  file.clear();
  const std::string name = "blk.0.ffn_up.weight";
  const auto type = header.find(name) + name.size() + 4 + 2 * 8;  // behind the number of dimensions and two of them
  ASSERT_EQ(header[type], 2) << "Q4_0";
  file.seekp(static_cast<std::streamoff>(type));
  file.put(20);  // IQ4_NL
  file.close();
  EXPECT_THAT(refusal(ErrorCode::internal, [&] { verify_output(job, 0, folder, expected, [](const Tile&) {}); }),
              HasSubstr("is stored as IQ4_NL"));
}

TEST_F(Verify, CodesThatAreNotTheOnesWrittenAreSeen) {
  EXPECT_THAT(verdict("W4A16-g32", {"compressed-tensors", ""}, 0.99),
              HasSubstr("verification of the compressed-tensors"));
}

}  // namespace
}  // namespace advisor
