#include "checkpoint/folder.h"

#include <algorithm>
#include <map>
#include <set>

#include "checkpoint/json.h"
#include "core/error.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;

constexpr const char* index_name = "model.safetensors.index.json";
constexpr std::int64_t index_limit = 256 << 20;

/// tensor -> shard file name
std::map<std::string, std::string> read_index(const fs::path& path) {
  const std::string where = path.string();
  const json::Json root = json::parse(files::read_text(path, index_limit), where);
  const json::Json* map = root.is_object() ? json::find(root, "weight_map") : nullptr;
  if (map == nullptr || !map->is_object() || map->empty()) {
    throw Error(ErrorCode::parse_error, where + ": \"weight_map\" must be an object from tensor to file");
  }
  std::map<std::string, std::string> weights;
  for (const auto& [tensor, file] : map->items()) {
    // A plain name: an index must not reach outside its folder.
    if (!file.is_string() || file.get<std::string>().empty() ||
        fs::path(file.get<std::string>()).filename() != fs::path(file.get<std::string>()) || file == "..") {
      throw Error(ErrorCode::parse_error, where + ": tensor \"" + tensor + "\" names the file " + file.dump() +
                                              ", which is not a file name in this folder");
    }
    weights.emplace(tensor, file.get<std::string>());
  }
  return weights;
}

std::vector<fs::path> safetensors_files(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& item : fs::directory_iterator(folder)) {
    if (item.path().extension() == ".safetensors") found.push_back(item.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

ShardSet::ShardSet(const fs::path& folder) {
  const fs::path index = folder / index_name;
  if (!fs::exists(index)) {
    const auto found = safetensors_files(folder);
    if (found.empty()) throw Error(ErrorCode::not_found, folder.string() + " holds no .safetensors file");
    if (found.size() > 1) {
      throw Error(ErrorCode::not_found, folder.string() + " holds " + std::to_string(found.size()) +
                                            " .safetensors files but no " + index_name + "; download it too");
    }
    add(found.front());
    return;
  }

  const auto weights = read_index(index);
  std::set<std::string> names;
  for (const auto& [tensor, file] : weights) names.insert(file);
  for (const std::string& file : names) {
    if (!fs::exists(folder / file)) {
      throw Error(ErrorCode::not_found,
                  index.string() + " names the shard " + file + ", which is missing from " + folder.string());
    }
    add(folder / file);
  }
  for (const auto& [tensor, file] : weights) {
    const Tensor* found = find(tensor);
    if (found == nullptr || fs::path(path_of(*found)).filename() != file) {
      throw Error(ErrorCode::parse_error,
                  index.string() + " places tensor \"" + tensor + "\" in " + file + ", which does not hold it");
    }
  }
  for (const Tensor& tensor : tensors_) {
    if (!weights.contains(tensor.entry.name)) {
      throw Error(ErrorCode::parse_error,
                  path_of(tensor) + ": tensor \"" + tensor.entry.name + "\" is not listed in " + index_name);
    }
  }
}

void ShardSet::add(const fs::path& path) {
  shards_.emplace_back(path);
  for (const SafetensorsEntry& entry : shards_.back().header().entries) {
    const auto [it, fresh] = by_name_.emplace(entry.name, tensors_.size());
    if (!fresh) {
      throw Error(ErrorCode::parse_error,
                  path.string() + ": tensor \"" + entry.name + "\" is also in " + path_of(tensors_[it->second]));
    }
    tensors_.push_back({shards_.size() - 1, entry});
  }
}

const ShardSet::Tensor* ShardSet::find(std::string_view name) const {
  const auto it = by_name_.find(std::string(name));
  return it == by_name_.end() ? nullptr : &tensors_[it->second];
}

void ShardSet::read(const Tensor& tensor, std::int64_t offset, std::span<std::byte> out) const {
  shards_[tensor.shard].file().read(tensor.entry.begin + offset, out);
}

RowShape row_shape(std::span<const std::int64_t> shape) {
  if (shape.empty()) return {};
  return {shape.front(), element_count(shape.subspan(1))};
}

void check_rows(const TensorInfo& tensor, std::int64_t begin, std::int64_t end, std::size_t out) {
  const RowShape shape = row_shape(tensor.shape);
  if (begin < 0 || begin > end || end > shape.rows || out != static_cast<std::size_t>((end - begin) * shape.columns)) {
    throw Error(ErrorCode::invalid_argument, "tensor \"" + tensor.name + "\": rows " + std::to_string(begin) + " to " +
                                                 std::to_string(end) + " of " + std::to_string(shape.rows) +
                                                 " do not fit a buffer of " + std::to_string(out) + " elements");
  }
}

void stream(const ShardSet& shards, const ShardSet::Tensor& tensor, std::int64_t offset, std::int64_t size,
            std::int64_t unit, const std::function<void(std::span<const std::byte>)>& piece) {
  constexpr std::int64_t target = 256 << 10;  // stays in the second-level cache between pread and conversion
  const std::int64_t step = std::max(unit, target / unit * unit);
  std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(step, size)));
  for (std::int64_t done = 0; done < size; done += step) {
    const auto part = std::span(buffer).first(static_cast<std::size_t>(std::min(step, size - done)));
    shards.read(tensor, offset + done, part);
    piece(part);
  }
}

}  // namespace advisor
