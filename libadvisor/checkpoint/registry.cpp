// The explicit list of output formats: a format is one file in formats/ and one line here.
#include <array>

#include "checkpoint/format.h"
#include "core/error.h"

namespace advisor {

extern const FormatImpl autoawq_format;
extern const FormatImpl compressed_tensors_format;
extern const FormatImpl gguf_format;
extern const FormatImpl gptq_format;
extern const FormatImpl modelopt_format;
extern const FormatImpl safetensors_format;

std::span<const FormatImpl* const> formats() {
  static constexpr std::array<const FormatImpl*, 6> list{
      &autoawq_format, &compressed_tensors_format, &gguf_format, &gptq_format, &modelopt_format, &safetensors_format};
  return list;
}

void FormatWriter::write_kv_scales(std::int64_t, KvScales) {
  throw Error(ErrorCode::internal, "this format has no place for scales of the cache");
}

const FormatImpl& find_format(std::string_view id) {
  std::string known;
  for (const FormatImpl* format : formats()) {
    if (format->id == id) return *format;
    known += (known.empty() ? "" : ", ") + std::string(format->id);
  }
  throw Error(ErrorCode::not_found, "there is no output format '" + std::string(id) + "'; choose one of " + known);
}

}  // namespace advisor
