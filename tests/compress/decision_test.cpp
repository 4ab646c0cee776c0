// What the decision says of the backend (recommend/backend.h) against the backend's own registries: every technique of
// the catalog with every kind of scheme in every format.
#include <gmock/gmock.h>

#include <fstream>

#include "checkpoint/format.h"
#include "compress/plan.h"
#include "compress/technique.h"
#include "core/gguf_mix.h"
#include "core/knowledge.h"
#include "fixture.h"
#include "lm/architecture.h"
#include "recommend/backend.h"
#include "recommend/treatments.h"

namespace advisor {
namespace {

using testing::TempFolder;
namespace fs = std::filesystem;

const fs::path source(ADVISOR_SOURCE_DIR);

/// Rows of 256, so that every block fits, with the tokenizer of the example.
fs::path wide_model(const TempFolder& temp) {
  testing::ModelSpec spec;
  spec.hidden = spec.intermediate = 256, spec.layers = 1, spec.vocab = 4096;
  const auto folder = testing::write_model(temp / "model", spec);
  for (const char* file : {"tokenizer.json", "tokenizer_config.json"})
    if (fs::exists(source / "examples/models/tiny" / file))
      fs::copy_file(source / "examples/models/tiny" / file, folder / file);
  std::ofstream(temp / "text.txt")
      << "A few words that somebody might have written, and a few more of them to fill it.";
  return folder;
}

/// Why the backend refuses to make it; empty: it does not.
std::string refusal(const fs::path& model, const Recipe& recipe, bool with_text) {
  CompressRequest request;
  request.model = model, request.out = model.parent_path() / "out", request.recipe = recipe, request.threads = 1;
  if (with_text) request.calibration.texts = {model.parent_path() / "text.txt"};
  request.calibration.samples = 1, request.calibration.sequence_length = 16;
  try {
    if (recipe.budget)
      request.recipe.budget.reset(), request.recipe.steps.front().scheme = recipe.budget->candidates[0];
    prepare(request);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

struct CatalogRow {
  std::string id;
  bool implemented;
};
std::vector<CatalogRow> catalog() {
  std::ifstream file(source / "data/techniques.csv");
  std::vector<CatalogRow> rows;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    const auto id = line.substr(0, line.find(','));
    const auto end = line.rfind(',');  // behind `implemented`
    rows.push_back({id, line.substr(0, end).ends_with(",yes")});
  }
  return rows;
}

bool in_registry(const std::string& id) {
  for (const auto* technique : techniques())
    if (technique->id == id) return true;
  return false;
}

Variant variant_of(const std::string& technique, const std::string& scheme, const std::string& format) {
  Variant v;
  v.technique = technique, v.scheme = scheme, v.format = format, v.engine = format == "gguf" ? "llama.cpp" : "vllm";
  return v;
}

const std::vector<std::string> schemes{
    "W2A16-g128",        "W3A16-g128",      "W4A16-g128",        "W4A16-g128-asym",
    "W8A16-g128",        "W8A16-channel",   "W8A8-int8",         "W8A8-fp8",
    "W8A8-fp8-channel",  "W8A8-fp8-tensor", "W8A16-fp8-channel", "W8A8-fp8-tensor-static",
    "W8A8-fp8-block128", "W4A4-nvfp4",      "W4A16-nvfp4",       "W4A4-mxfp4",
    "W4A16-mxfp4",       "W4A16-nf4",       "W4A8-int8-g128",    "W16A16"};
const std::vector<std::string> formats{"compressed-tensors", "gptq", "autoawq", "modelopt", "safetensors", "mlx"};

TEST(Decision, NamesTheBackendForWhatItMakesAndForNothingElse) {
  TempFolder temp;
  const auto model = wide_model(temp);
  std::set<std::string> made;
  for (const auto& row : catalog())
    for (const auto& scheme : schemes)
      for (const auto& format : formats) {
        const auto variant = variant_of(row.id, scheme, format);
        SCOPED_TRACE(variant.id());
        if (const auto recipe = recipe_for(variant)) {
          made.insert(row.id);
          EXPECT_EQ(refusal(model, *recipe, true), "");
          EXPECT_EQ(refusal(model, *recipe, false).empty(), !needs_calibration(*recipe));
        } else if (in_registry(row.id)) {
          RecipeStep step;
          step.technique = row.id, step.scheme = scheme;
          EXPECT_NE(refusal(model, {{step}, {{format, ""}}}, true), "") << "the backend makes it";
        }
      }
  for (const auto* technique : techniques())
    EXPECT_TRUE(technique->id == "awq+gptq" || made.contains(std::string(technique->id))) << technique->id;
  for (const auto& row : catalog())
    EXPECT_TRUE(row.id.starts_with("gguf") || row.id == "mixed" || made.contains(row.id) == row.implemented)
        << row.id << ": data/techniques.csv says otherwise";
}

TEST(Decision, KnowsWhichGgufTypesAreWritten) {
  TempFolder temp;
  const auto model = wide_model(temp);
  std::size_t known = 0;
  for (const auto name : gguf_mix_names()) {
    const std::string type(name);
    Variant variant = variant_of("gguf", type, "gguf");
    try {
      if (describe_scheme(type).weight_bits >= 16) variant.technique = "none";
    } catch (const Error&) {
      continue;  // no scheme of the decision
    }
    ++known;
    RecipeStep none;
    none.technique = "none";
    EXPECT_EQ(recipe_for(variant).has_value(), refusal(model, {{none}, {{"gguf", type}}}, true).empty())
        << type << ": " << refusal(model, {{none}, {{"gguf", type}}}, true);
  }
  EXPECT_GT(known, 20U);
  for (const auto& row : catalog()) EXPECT_TRUE(!row.id.starts_with("gguf") || row.implemented) << row.id;
}

TEST(Decision, RecipesOfTreatmentsAreCarriedOut) {
  TempFolder temp;
  const auto model = wide_model(temp);
  std::size_t recipes = 0;
  for (const auto& choice : all_treatments({})) {
    const auto* recipe = choice.recipe();
    if (recipe == nullptr) continue;
    ++recipes;
    EXPECT_EQ(refusal(model, *recipe, needs_calibration(*recipe)), "") << choice.variant.id();
    EXPECT_TRUE(own_work(*recipe).own) << choice.variant.id();
    EXPECT_EQ(own_work(*recipe).tokens > 0, needs_calibration(*recipe)) << choice.variant.id();
  }
  EXPECT_GT(recipes, 40U);
}

TEST(Decision, KnowsTheArchitecturesThatRun) {
  std::string known;
  try {
    find_architecture("none");
  } catch (const Error& error) {
    known = error.what();
  }
  known = known.substr(known.rfind(": ") + 2);
  std::istringstream list(known);
  std::size_t count = 0;
  for (std::string id; list >> id; ++count) {
    if (id.ends_with(',')) id.pop_back();
    EXPECT_EQ(backend_architecture(id), id);
  }
  EXPECT_EQ(count, 9U) << "recommend/backend.cpp lists as many";
  for (const char* type : {"llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe", "gemma2", "gemma3", "phi3"})
    EXPECT_NO_THROW(find_architecture(backend_architecture(type))) << type;
  EXPECT_EQ(backend_architecture("whisper"), "");
}

}  // namespace
}  // namespace advisor
