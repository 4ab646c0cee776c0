// Opens GPTQ and AutoAWQ folders: modules with qweight, qzeros and scales.
#include <algorithm>
#include <array>
#include <utility>

#include "checkpoint/autoawq.h"
#include "checkpoint/gptq.h"
#include "checkpoint/json.h"
#include "checkpoint/quantized_reader.h"
#include "core/error.h"
#include "tensor/kernels/kernels.h"

namespace advisor {
namespace {

using json::Json;

constexpr std::string_view code_suffix = ".qweight";
constexpr std::int64_t size_limit = std::int64_t{1} << 40;  // keeps sizes in bits far from overflow

/// bits and group_size, the same in both.
QuantScheme read_integers(const Json& root, const std::string& where, std::span<const std::int64_t> known_bits) {
  const std::int64_t bits = json::find_integer(root, "bits", where).value_or(0);
  if (std::find(known_bits.begin(), known_bits.end(), bits) == known_bits.end()) {
    cannot_read(where, "weights of " + std::to_string(bits) + " bits cannot be read");
  }
  const std::int64_t group = json::find_integer(root, "group_size", where).value_or(-1);
  if (group == 0 || group < -1) bad_file(where, "\"group_size\" must be positive, or -1 for one group per row");
  return {.bits = static_cast<int>(bits), .group = group == -1 ? 0 : group};
}

/// Stored rows and columns of the codes.
std::pair<std::int64_t, std::int64_t> stored_shape(const SafetensorsEntry& entry, const std::string& where) {
  if (entry.shape.size() != 2) bad_file(where, "must have two dimensions");
  if (entry.shape[0] > size_limit || entry.shape[1] > size_limit) bad_file(where, "is too large");
  return {entry.shape[0], entry.shape[1]};
}

/// Calls make(module, stored rows, stored columns, where) for every qweight.
template <typename Make>
std::unique_ptr<Checkpoint> open(std::string_view format, const std::filesystem::path& folder, ModelConfig config,
                                 const Make& make) {
  QuantizedFolder files{format, folder, std::move(config), ShardSet(folder)};
  for (const ShardSet::Tensor& tensor : files.shards.tensors()) {
    const std::string& name = tensor.entry.name;
    if (!name.ends_with(code_suffix)) continue;
    const std::string where = files.shards.path_of(tensor) + ": tensor \"" + name + "\"";
    const auto [rows, cols] = stored_shape(tensor.entry, where);
    WeightLayout layout = make(files.shards, name.substr(0, name.size() - code_suffix.size()), rows, cols);
    if (const std::string why = misfit(layout.scheme, layout.cols); !why.empty()) bad_file(where, why);
    files.weights.push_back(std::move(layout));
  }
  return make_quantized_checkpoint(std::move(files));
}

/// The first word of a stream of one value.
std::uint32_t word_of(int value, int bits) {
  const std::array<std::uint8_t, 32> values = [&] {
    std::array<std::uint8_t, 32> same{};
    same.fill(static_cast<std::uint8_t>(value));
    return same;
  }();
  std::array<std::uint32_t, 8> packed{};
  kernels::pack(values, bits, std::span(packed).first(static_cast<std::size_t>(bits)));
  return packed[0];
}

/// Symmetric files hold one word again and again, which tells the version whatever the config says: published files
/// exist whose "checkpoint_format" is wrong.
bool symmetric_version_1(const ShardSet& shards, const std::string& module, int bits, bool declared) {
  const ShardSet::Tensor* zeros = shards.find(module + ".qzeros");
  if (zeros == nullptr || zeros->entry.end - zeros->entry.begin < 4) return declared;
  std::array<std::uint32_t, 1> word{};
  shards.read(*zeros, 0, std::as_writable_bytes(std::span(word)));
  const int middle = 1 << (bits - 1);
  if (word[0] == word_of(middle, bits)) return false;
  if (word[0] == word_of(middle - 1, bits)) return true;
  return declared;
}

}  // namespace

std::unique_ptr<Checkpoint> open_gptq(const std::filesystem::path& folder, ModelConfig config,
                                      const std::string& quantization) {
  const std::string where = folder.string() + ": GPTQ config";
  const Json root = json::parse(quantization, where);
  if (!root.is_object()) bad_file(where, "must be an object");
  QuantScheme scheme = read_integers(root, where, std::array<std::int64_t, 4>{2, 3, 4, 8});
  scheme.symmetric = json::find_bool(root, "sym", where).value_or(true);
  std::string version = json::find_string(root, "checkpoint_format", where).value_or("");
  if (version.empty()) version = json::find_string(root, "format", where).value_or("gptq");
  if (version != "gptq" && version != "gptq_v2") {
    cannot_read(where, "\"checkpoint_format\" is \"" + version + "\"; only gptq and gptq_v2 can be read");
  }
  if (!scheme.symmetric && version == "gptq" && scheme.bits == 3) {
    cannot_read(where, "asymmetric 3-bit weights of version 1 cannot be read: their writers disagree on zero points");
  }
  return open("gptq", folder, std::move(config),
              [&](const ShardSet& shards, const std::string& module, std::int64_t rows, std::int64_t cols) {
                const bool first = scheme.symmetric
                                       ? symmetric_version_1(shards, module, scheme.bits, version == "gptq")
                                       : version == "gptq";
                WeightLayout layout = gptq::layout(module, scheme, cols, rows * 32 / scheme.bits, first);
                if (shards.find(layout.column_name) == nullptr) layout.column_name.clear();  // some writers omit it
                return layout;
              });
}

std::unique_ptr<Checkpoint> open_autoawq(const std::filesystem::path& folder, ModelConfig config,
                                         const std::string& quantization) {
  const std::string where = folder.string() + ": AWQ config";
  const Json root = json::parse(quantization, where);
  QuantScheme scheme = read_integers(root, where, std::array<std::int64_t, 1>{autoawq::bits});
  const std::string version = json::find_string(root, "version", where).value_or("gemm");
  if (version != "gemm" && version != "GEMM") {
    cannot_read(where, "\"version\" is \"" + version + "\"; only gemm can be read");
  }
  const bool zero_point = json::find_bool(root, "zero_point", where).value_or(true);
  scheme.symmetric = json::find_bool(root, "sym", where).value_or(!zero_point);
  return open("autoawq", folder, std::move(config),
              [&](const ShardSet&, const std::string& module, std::int64_t rows, std::int64_t cols) {
                return autoawq::layout(module, scheme, cols * autoawq::rows_per_word, rows);
              });
}

}  // namespace advisor
