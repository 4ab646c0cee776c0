// Our own reports: "advisor.evaluation/1" (what `advisor evaluate --json` prints) and "advisor.compression/1"
// (advisor_report.json beside compressed weights). The second measures nothing; it says what the weights are.
#include <cmath>

#include "core/error.h"
#include "io/import_formats.h"

namespace advisor::imports {
namespace {

constexpr double z95 = 1.959963984540054;  // half width of a normal 95 % interval in standard deviations

void read_texts(const Document& root, const std::string& where, ToolRun& run) {
  const Document* texts = find(root, "texts");
  if (texts == nullptr) return;
  for (const Document& text : texts->items) {
    ToolQuality q;
    q.task = text_of(text, "name");
    q.metric = "perplexity";
    q.family = "language_modelling";
    q.value = required_number(text, "value", where + ": texts." + q.task);
    const auto low = number_of(text, "low", where), high = number_of(text, "high", where);
    // the interval is symmetric in ln(perplexity)
    if (low && high && *low > 0 && *high > *low) {
      q.standard_error = q.value * (std::log(*high) - std::log(*low)) / (2 * z95);
    }
    q.settings = "tokens " + text_of(text, "tokens") + ", window " + text_of(text, "window");
    q.locator = "texts." + q.task;
    run.quality.push_back(std::move(q));
  }
}

void read_choices(const Document& root, const std::string& where, ToolRun& run) {
  const Document* choices = find(root, "choices");
  if (choices == nullptr) return;
  for (const Document& choice : choices->items) {
    ToolQuality q;
    q.task = text_of(choice, "name");
    q.metric = "acc";
    q.family = text_of(choice, "family");
    q.value = required_number(choice, "accuracy", where + ": choices." + q.task);
    const double items = required_number(choice, "n", where + ": choices." + q.task);
    if (items < 1) refuse(where, "choices." + q.task + " has no items");
    q.standard_error = std::sqrt(std::max(0.0, q.value * (1 - q.value)) / items);
    q.settings = "items " + text_of(choice, "n");
    q.locator = "choices." + q.task;
    run.quality.push_back(std::move(q));
  }
}

void read_compression(const Document& root, const std::string& where, ImportedFile& file) {
  const Document* plan = find(root, "plan");
  const Document* outputs = find(root, "outputs");
  if (plan == nullptr || outputs == nullptr) refuse(where, "a compression report without plan or outputs");
  for (const Document& output : outputs->items) {
    const std::string format = text_of(output, "format");
    const std::string type = format == "gguf" ? gguf_type_of(text_of(output, "type")) : "";
    MadeCheckpoint made;
    made.folder = text_of(output, "folder");
    made.source_model = text_of(*plan, "model");
    made.weights =
        type.empty() ? WeightState{text_of(*plan, "technique"), text_of(*plan, "scheme"), format} : gguf_weights(type);
    file.made.push_back(std::move(made));
  }
}

}  // namespace

bool read_own_report(const Json& json, ImportedFile& file) {
  const std::string schema = text_of(json.value, "schema");
  if (!schema.starts_with("advisor.")) return false;
  if (schema == "advisor.compression/1") {
    file.kind = "compression report";
    read_compression(json.value, json.where, file);
    return true;
  }
  if (schema != "advisor.evaluation/1") {
    throw Error(ErrorCode::unsupported, json.where + ": " + schema +
                                            " holds no measurements; record takes advisor.evaluation/1 and "
                                            "advisor.compression/1");
  }
  file.kind = "evaluation report";
  ToolRun run;
  run.tool = "advisor evaluate";
  run.tool_version = text_of(json.value, "version");
  run.model = text_of(json.value, "model");
  run.weights.format = text_of(json.value, "format");
  if (run.weights.format == "safetensors") run.weights.technique = "none";
  read_texts(json.value, json.where, run);
  read_choices(json.value, json.where, run);
  file.runs.push_back(std::move(run));
  return true;
}

}  // namespace advisor::imports
