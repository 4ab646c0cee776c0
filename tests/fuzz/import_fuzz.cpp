// Whatever the bytes: results of a known kind with finite figures, or advisor::Error.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/error.h"
#include "io/import.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const advisor::ImportedFile file = advisor::read_results({reinterpret_cast<const char*>(data), size}, "fuzz");
    if (file.kind.empty() || file.digest.empty()) std::abort();
    bool any = !file.made.empty();
    for (const advisor::ToolRun& run : file.runs) {
      if (run.tool.empty()) std::abort();
      for (const advisor::ToolQuality& q : run.quality) {
        any = true;
        if (!std::isfinite(q.value) || (q.baseline && !std::isfinite(*q.baseline)) ||
            (q.standard_error && !std::isfinite(*q.standard_error))) {
          std::abort();
        }
      }
      for (const advisor::ToolSpeed& s : run.speed) {
        any = true;
        if (!std::isfinite(s.value) || (s.standard_error && !std::isfinite(*s.standard_error))) std::abort();
        for (const auto& tokens : {s.input_tokens, s.output_tokens, s.concurrency}) {
          if (tokens && *tokens < 0) std::abort();
        }
      }
    }
    if (!any) std::abort();
  } catch (const advisor::Error&) {
  }
  return 0;
}
