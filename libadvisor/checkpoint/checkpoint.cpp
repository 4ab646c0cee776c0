#include "checkpoint/checkpoint.h"

#include <algorithm>
#include <array>
#include <utility>

#include "checkpoint/folder.h"
#include "checkpoint/gguf.h"
#include "checkpoint/gguf_parts.h"
#include "checkpoint/imatrix.h"
#include "checkpoint/json.h"
#include "checkpoint/modelopt.h"
#include "checkpoint/quantized_reader.h"
#include "core/error.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t config_limit = 16 << 20;
constexpr const char* gptq_config = "quantize_config.json";

std::vector<fs::path> gguf_files(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& item : fs::directory_iterator(folder)) {
    if (item.path().extension() == ".gguf" && item.path().filename() != imatrix_file_name) found.push_back(item.path());
  }
  return found;
}

/// By quant_method, the name that Hugging Face folders give to their way of quantizing.
std::unique_ptr<Checkpoint> open_quantized(const fs::path& folder, ModelConfig config, const json::Json& quantization,
                                           const std::string& where) {
  using Open = std::unique_ptr<Checkpoint> (*)(const fs::path&, ModelConfig, const std::string&);
  static constexpr std::array<std::pair<std::string_view, Open>, 4> readers{
      {{"awq", open_autoawq},
       {"compressed-tensors", open_compressed_tensors},
       {"gptq", open_gptq},
       {"modelopt", open_modelopt}}};
  const std::string method = json::find_string(quantization, "quant_method", where).value_or("");
  for (const auto& [name, open] : readers) {
    if (name == method) return open(folder, std::move(config), quantization.dump());
  }
  cannot_read(where,
              "\"quant_method\" is \"" + method + "\"; only awq, compressed-tensors, gptq and modelopt can be read");
}

std::unique_ptr<Checkpoint> open_folder(const fs::path& folder) {
  const fs::path config_path = folder / "config.json";
  if (!fs::exists(config_path)) {
    const auto found = gguf_files(folder);
    if (const auto first = gguf::first_part(found)) return open_gguf(*first);
    if (found.size() > 1) {
      throw Error(ErrorCode::not_found,
                  folder.string() + " holds " + std::to_string(found.size()) + " .gguf files; name the one to open");
    }
    throw Error(ErrorCode::not_found,
                folder.string() + " holds neither config.json nor a .gguf file; is it a model folder?");
  }
  const std::string where = config_path.string();
  const std::string text = files::read_text(config_path, config_limit);
  ModelConfig config = parse_model_config(text, where);
  config.name = fs::weakly_canonical(folder).filename().string();
  const json::Json root = json::parse(text, where);
  if (const json::Json* quantization = json::find(root, "quantization_config")) {
    if (!quantization->is_object())
      throw Error(ErrorCode::parse_error, where + ": \"quantization_config\" must be an object");
    return open_quantized(folder, std::move(config), *quantization, where + ": quantization_config");
  }
  // Older writers left config.json alone and put their settings beside it.
  if (fs::exists(folder / gptq_config))
    return open_gptq(folder, std::move(config), files::read_text(folder / gptq_config, config_limit));
  if (fs::exists(folder / modelopt::config_name))
    return open_modelopt(folder, std::move(config), files::read_text(folder / modelopt::config_name, config_limit));
  return open_dense(folder, std::move(config));
}

}  // namespace

const TensorInfo* Checkpoint::find(std::string_view name) const {
  const auto& all = tensors();
  const auto it = std::find_if(all.begin(), all.end(), [&](const TensorInfo& t) { return t.name == name; });
  return it == all.end() ? nullptr : &*it;
}

Tensor Checkpoint::load(std::string_view name) const {
  const TensorInfo* info = find(name);
  if (info == nullptr) {
    throw Error(ErrorCode::not_found, "the checkpoint " + config().name + " (" + std::string(format()) +
                                          ") has no tensor \"" + std::string(name) + "\"");
  }
  Tensor tensor(info->shape);
  read_rows(*info, 0, row_shape(info->shape).rows, tensor.span());
  return tensor;
}

std::unique_ptr<Checkpoint> open_checkpoint(const fs::path& path) {
  try {
    if (!fs::exists(path)) throw Error(ErrorCode::not_found, "there is no model at " + path.string());
    if (fs::is_directory(path)) return open_folder(path);
    if (path.extension() == ".gguf") return open_gguf(path);
    throw Error(ErrorCode::unsupported,
                path.string() + " is neither a folder nor a .gguf file; name the folder of the model");
  } catch (const fs::filesystem_error& e) {
    throw Error(ErrorCode::io_error, e.what());
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::out_of_memory, "not enough memory to open " + path.string());
  }
}

}  // namespace advisor
