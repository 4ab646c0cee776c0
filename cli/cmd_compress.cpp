#include <algorithm>
#include <cstdio>
#include <iostream>
#include <sstream>

#include "cli/command.h"
#include "cli/job_options.h"
#include "cli/progress.h"
#include "core/error.h"
#include "core/suggest.h"
#include "core/units.h"
#include "facade.h"

namespace advisor::cli {
namespace {

namespace po = boost::program_options;

std::string bytes(std::int64_t value) { return format_quantity(static_cast<double>(value), Dimension::bytes); }

/// "compressed-tensors,gguf:Q4_0" -> formats.
std::vector<RecipeFormat> parse_formats(const std::string& text) {
  std::vector<RecipeFormat> formats;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const auto colon = part.find(':');
    formats.push_back({part.substr(0, colon), colon == std::string::npos ? "" : part.substr(colon + 1)});
  }
  return formats;
}

Recipe recipe_of(const po::variables_map& values) {
  if (values.count("recipe") != 0) {
    for (const char* other : {"technique", "scheme", "format", "param", "tensor-type", "split-max-size"}) {
      if (values.count(other) != 0 && !values[other].defaulted()) {
        throw Error(ErrorCode::invalid_argument, std::string("--recipe already says it: leave out --") + other);
      }
    }
    return load_recipe(values["recipe"].as<std::string>());
  }
  Recipe recipe;
  RecipeStep step;
  step.technique = values["technique"].as<std::string>();
  if (step.technique != "none" || !values["scheme"].defaulted()) step.scheme = values["scheme"].as<std::string>();
  for (const std::string& setting : list_of(values, "param")) {
    const auto [key, value] = split_setting(setting, "--param");
    step.params[key] = value;
  }
  recipe.steps.push_back(step);
  recipe.formats = parse_formats(values["format"].as<std::string>());
  for (const std::string& setting : list_of(values, "tensor-type")) {
    const auto equals = setting.rfind('=');  // an expression may hold others
    if (equals == std::string::npos || equals == 0)
      throw Error(ErrorCode::invalid_argument, "--tensor-type takes TARGET=TYPE, not \"" + setting + '"');
    for (RecipeFormat& format : recipe.formats)
      if (format.id == "gguf") format.tensor_types.push_back({{setting.substr(0, equals)}, setting.substr(equals + 1)});
  }
  if (values.count("split-max-size") != 0) {
    const double size = parse_quantity(values["split-max-size"].as<std::string>(), Dimension::bytes);
    if (!(size >= 1) || !(size < 0x1p62))
      throw Error(ErrorCode::invalid_argument, "--split-max-size must be more than 0 and less than 4 EiB");
    bool any = false;
    for (RecipeFormat& format : recipe.formats) {
      if (format.id != "gguf") continue;
      format.split_max_size = static_cast<std::int64_t>(size);
      any = true;
    }
    if (!any) throw Error(ErrorCode::invalid_argument, "--split-max-size is for gguf, which --format does not name");
  }
  return recipe;
}

RecipeBudget budget_of(const po::variables_map& values) {
  RecipeBudget budget;
  if (values.count("bits-per-weight") != 0) budget.bits_per_weight = values["bits-per-weight"].as<double>();
  if (values.count("size") != 0)
    budget.size = static_cast<std::int64_t>(parse_quantity(values["size"].as<std::string>(), Dimension::bytes));
  if (values.count("bits-per-weight") + values.count("size") == 2)
    throw Error(ErrorCode::invalid_argument, "give either --bits-per-weight or --size");
  if (!(budget.bits_per_weight > 0) && budget.size <= 0)
    throw Error(ErrorCode::invalid_argument, "a budget must be more than 0");
  if (values.count("candidates") != 0) {
    std::istringstream parts(values["candidates"].as<std::string>());
    for (std::string part; std::getline(parts, part, ',');) budget.candidates.push_back(part);
  }
  return budget;
}

/// "model.layers.0.self_attn.q_proj, k_proj, v_proj"
std::string modules_of(const PrecisionReport::Row& row) {
  const auto without_weight = [](const std::string& tensor) { return tensor.substr(0, tensor.rfind('.')); };
  std::string text = without_weight(row.tensors.front());
  constexpr std::size_t shown = 3;  // a mixture has hundreds of experts in one row
  for (std::size_t i = 1; i < std::min(shown, row.tensors.size()); ++i) {
    const std::string module = without_weight(row.tensors[i]);
    text += ", " + module.substr(module.rfind('.') + 1);
  }
  return row.tensors.size() <= shown ? text : text + " and " + std::to_string(row.tensors.size() - shown) + " more";
}

void print(const PrecisionReport& precision, std::FILE* out) {
  const double bits = 8 * static_cast<double>(precision.bytes) / static_cast<double>(precision.weights);
  std::fprintf(out, "  budget       %s: %.4f used by %s weights, %s; predicted KL divergence %.5f nats per token, ",
               precision.budget.c_str(), bits, format_number(static_cast<double>(precision.weights)).c_str(),
               bytes(precision.bytes).c_str(), precision.divergence);
  if (precision.divergence > precision.divergence_bound)
    std::fprintf(out, "at best %.5f\n", precision.divergence_bound);
  else
    std::fprintf(out, "the least there is\n");
  std::fprintf(out, "               %-12s %12s %10s %12s\n", "choice", "bytes", "error", "divergence");
  for (const PrecisionReport::Row& row : precision.rows)
    std::fprintf(out, "               %-12s %12lld %10.3g %12.3g  %s\n", row.choice.c_str(),
                 static_cast<long long>(row.bytes), row.error, row.divergence, modules_of(row).c_str());
}

void print(const CompressPlan& plan, std::FILE* out) {
  std::fprintf(out, "%s (%s, %s, %s)\n", plan.model.c_str(), plan.architecture.c_str(), plan.source_format.c_str(),
               bytes(plan.source_bytes).c_str());
  if (plan.steps.empty())
    std::fprintf(
        out, "  technique    none, %lld tensors%s\n", static_cast<long long>(plan.tensors),
        plan.quantized_tensors == 0
            ? ""
            : (", codes of " + std::to_string(plan.quantized_tensors) + " (" + plan.scheme + ") taken over").c_str());
  for (const CompressPlan::Step& step : plan.steps) {
    std::fprintf(out, "  technique    %s %s on %lld of %lld tensors\n", step.technique.c_str(), step.scheme.c_str(),
                 static_cast<long long>(step.tensors), static_cast<long long>(plan.tensors));
    for (const auto& [key, value] : step.params)
      std::fprintf(out, "               %s = %s\n", key.c_str(), value.c_str());
  }
  for (const auto& output : plan.outputs) {
    std::string engines;
    for (const auto& [engine, generations] : output.hardware)
      engines += (engines.empty() ? "" : ", ") + engine + " (" + join(generations) + ")";
    std::fprintf(out, "  output       %s%s%s, %s -> %s%s\n", output.format.c_str(), output.type.empty() ? "" : ":",
                 output.type.c_str(), bytes(output.bytes).c_str(), output.folder.c_str(),
                 engines.empty() ? "; no engine known to load it" : ("; read by " + engines).c_str());
    if (output.schemes.size() > 1) std::fprintf(out, "               holds %s\n", join(output.schemes).c_str());
  }
  if (plan.precision) print(*plan.precision, out);
  if (!plan.calibration.empty()) std::fprintf(out, "  calibration  %s\n", plan.calibration.c_str());
  std::fprintf(out, "  disk         %s needed, %s free\n", bytes(plan.output_bytes + plan.scratch_bytes).c_str(),
               bytes(plan.disk_free).c_str());
  std::fprintf(out, "  memory       at most %s\n", bytes(plan.peak_memory).c_str());
  std::fprintf(out, "  time         about %.1f s on this machine\n", plan.seconds);
  for (const std::string& note : plan.notes) std::fprintf(out, "  note         %s\n", note.c_str());
}

void print(const CompressReport& report) {
  for (const auto& output : report.outputs) {
    std::printf("%s%s%s: %s in %s\n", output.format.c_str(), output.type.empty() ? "" : ":", output.type.c_str(),
                bytes(output.bytes).c_str(), output.folder.c_str());
    std::printf("  verified     reopened and compared, worst relative error %.4f, all within the scheme's budget\n",
                output.worst_relative_error);
  }
  std::printf("  time         %.1f s on %d threads, peak memory %s\n", report.seconds, report.threads,
              bytes(report.peak_memory).c_str());
}

int run(const std::vector<std::string>& args, const Command& self) {
  po::options_description options("options");
  options.add_options()("model", po::value<std::string>()->required()->value_name("MODEL"), "checkpoint folder")(
      "out", po::value<std::string>()->required()->value_name("OUT"), "folder to create; must not exist")(
      "technique", po::value<std::string>()->default_value("rtn")->value_name("NAME"),
      "'advisor catalog techniques' lists them")(
      "scheme", po::value<std::string>()->default_value("W4A16-g128")->value_name("SCHEME"),
      "W<bits>A<bits>[-g<size>|-channel][-asym], e.g. W8A16-channel; GGUF types carry their own")(
      "format", po::value<std::string>()->default_value("compressed-tensors")->value_name("LIST"),
      "compressed-tensors, gptq, autoawq, modelopt, gguf:Q4_K_M (F16, Q8_0, Q6_K, Q3_K_M, IQ4_XS ... by the names\n"
      "of llama-quantize), safetensors; several with commas")(
      "param", po::value<std::vector<std::string>>()->value_name("KEY=VALUE")->composing(),
      "parameter of the technique, e.g. clip=mse (repeatable)")(
      "tensor-type", po::value<std::vector<std::string>>()->value_name("TARGET=TYPE")->composing(),
      "gguf: another type for some matrices, e.g. re:.*down_proj=Q6_K; the first that matches counts (repeatable)")(
      "split-max-size", po::value<std::string>()->value_name("SIZE"),
      "gguf: several files NAME-00001-of-00003.gguf, each with tensors of at most this size, e.g. 4GiB")(
      "recipe", po::value<std::string>()->value_name("R.yaml"),
      "steps with targets, formats and parameters from a file (docs/compression.md)")(
      "bits-per-weight", po::value<double>()->value_name("B"),
      "choose a scheme (or GGUF type) per matrix: the least predicted divergence at B bits on average, scales\n"
      "included; takes a pass over --calibration first")("size", po::value<std::string>()->value_name("SIZE"),
                                                         "the same for everything that is written, e.g. 4GiB")(
      "candidates", po::value<std::string>()->value_name("LIST"),
      "what a budget chooses from (default: W4A16-g128,W8A16-g128; gguf: Q2_K to Q6_K, Q8_0)")(
      "kv-cache", po::value<std::string>()->value_name("TYPE"),
      "fp8: calibrate and store scales of an FP8 KV cache (compressed-tensors, modelopt)")(
      "dry-run", "print what would be done, write nothing");
  add_job_options(options);
  po::positional_options_description positional;
  positional.add("model", 1).add("out", 1);
  po::variables_map values;
  if (!parse_options(self, args, options, positional, values)) return exit_ok;

  CompressRequest request;
  request.model = values["model"].as<std::string>();
  request.out = values["out"].as<std::string>();
  request.recipe = recipe_of(values);
  if (values.count("bits-per-weight") + values.count("size") != 0)
    request.recipe.budget = budget_of(values);
  else if (values.count("candidates") != 0)
    throw Error(ErrorCode::invalid_argument, "--candidates needs --bits-per-weight or --size");
  if (values.count("kv-cache") != 0) request.recipe.kv_cache = values["kv-cache"].as<std::string>();
  read_job_options(values, request);

  const Advisor advisor = open_advisor(values);
  const bool json = values.count("json") != 0;
  if (request.recipe.budget) {
    ProgressPrinter printer("bytes");
    request = advisor.spend_budget(
        request, [&](const Progress& p) { return printer.update(p.stage, p.done, p.total, p.seconds); });
  }
  const CompressPlan plan = advisor.plan(request);
  if (values.count("dry-run") != 0) {
    if (json) {
      std::cout << to_json(plan) << '\n';
    } else {
      print(plan, stdout);
    }
    return exit_ok;
  }
  print(plan, stderr);
  CompressReport report;
  {
    ProgressPrinter printer("bytes");
    report = advisor.compress(request,
                              [&](const Progress& p) { return printer.update(p.stage, p.done, p.total, p.seconds); });
  }
  if (json) {
    std::cout << to_json(report) << '\n';
  } else {
    print(report);
  }
  return exit_ok;
}

}  // namespace

const Command compress_command = {
    "compress", "quantize a checkpoint and export it",
    "compress MODEL OUT [--technique rtn] [--scheme W4A16-g128] [--format LIST] [--dry-run] [--json]",
    "Streams the model through a technique into one or more formats, then reopens every file and compares it with\n"
    "the source. A quantized MODEL goes into another format with --technique none, its integers unchanged.\n"
    "OUT appears whole or not at all; its bytes do not depend on the thread count. The plan (disk, "
    "memory,\n"
    "time, engines) is printed first; --dry-run stops there.\n"
    "A failure leaves nothing behind. Ctrl-C, a kill or a power failure leave OUT.partial-*: the same command with\n"
    "--resume goes on behind the last finished block (or tensors) and ends with the same bytes; otherwise remove it.\n",
    run};

}  // namespace advisor::cli
