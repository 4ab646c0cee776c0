// What llama-perplexity prints (llama.cpp tools/perplexity/perplexity.cpp), with or without the log lines in front of
// it: "Final estimate: PPL = 6.7983 +/- 0.07405", and with --kl-divergence the blocks "Perplexity statistics", "KL
// divergence statistics" and "Token probability statistics", which hold the uncompressed model's perplexity too.
#include <charconv>
#include <cmath>

#include "io/import_formats.h"

namespace advisor::imports {
namespace {

/// "   5.886524 ±   0.398426", "4.3 +/- 0.1", "96.790 ± 0.053 %": a value and its standard error.
struct Figure {
  double value = 0;
  std::optional<double> error;
};

std::optional<Figure> figure_in(std::string_view text, const std::string& where) {
  text = trim(text);
  if (text.ends_with('%')) text = trim(text.substr(0, text.size() - 1));
  std::size_t sign = text.find("±"), width = std::string_view("±").size();
  if (sign == std::string_view::npos) sign = text.find("+/-"), width = 3;
  const auto value = number_in(text.substr(0, sign), where);
  if (!value) return std::nullopt;
  Figure figure{*value, std::nullopt};
  if (sign != std::string_view::npos) figure.error = number_in(text.substr(sign + width), where);
  return figure;
}

struct Printed {
  std::optional<Figure> estimate, quantized, base, divergence, median_divergence, same_top;
  std::string model, name, type, params, build, chunks, context;
};

/// What follows `label` in `line`, if it is there.
std::optional<std::string_view> after(std::string_view line, std::string_view label) {
  const std::size_t at = line.find(label);
  if (at == std::string_view::npos) return std::nullopt;
  return trim(line.substr(at + label.size()));
}

std::string digits_after(std::string_view line, std::string_view label) {
  const auto rest = after(line, label);
  if (!rest) return "";
  return std::string(rest->substr(0, rest->find_first_not_of("0123456789")));
}

void read_statistics(std::string_view line, const std::string& where, Printed& out) {
  if (const auto rest = after(line, "Final estimate: PPL =")) out.estimate = figure_in(*rest, where);
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view label = trim(line.substr(0, colon)), value = line.substr(colon + 1);
  if (label == "Mean PPL(Q)") out.quantized = figure_in(value, where);
  if (label == "Mean PPL(base)") out.base = figure_in(value, where);
  if (label == "Mean    KLD" || label == "Mean KLD") out.divergence = figure_in(value, where);
  if (label == "Median  KLD" || label == "Median KLD") out.median_divergence = figure_in(value, where);
  if (label == "Same top p") out.same_top = figure_in(value, where);
}

void read_log(std::string_view line, Printed& out) {
  if (const auto rest = after(line, "meta data with")) {
    if (const auto from = after(*rest, " from ")) out.model = std::string(from->substr(0, from->find(" (version")));
  }
  const auto assigned = [&](std::string_view key) -> std::string {
    const auto rest = after(line, key);
    if (!rest || !rest->starts_with('=')) return "";
    return std::string(trim(rest->substr(1)));
  };
  const auto keep = [](std::string& to, std::string text) {
    if (to.empty()) to = std::move(text);
  };
  keep(out.name, assigned("general.name"));
  keep(out.type, assigned("file type"));
  keep(out.type, assigned("model ftype"));
  keep(out.params, assigned("model params"));
  keep(out.build, digits_after(line, "build: "));
  keep(out.chunks, digits_after(line, "calculating perplexity over "));
  keep(out.context, digits_after(line, "n_ctx="));
}

ToolQuality measured(const char* metric, const Figure& figure, double factor, const char* locator) {
  ToolQuality q;
  q.metric = metric;
  q.value = factor * figure.value;
  if (figure.error) q.standard_error = factor * *figure.error;
  q.locator = locator;
  return q;
}

/// "8.03 B", "494.03 M" -> parameters.
std::optional<double> params_of(const std::string& text, const std::string& where) {
  const std::size_t space = text.find(' ');
  if (space == std::string::npos) return std::nullopt;
  const auto number = number_in(text.substr(0, space), where);
  const std::string unit = text.substr(space + 1);
  if (!number || (unit != "B" && unit != "M")) return std::nullopt;
  return *number * (unit == "B" ? 1e9 : 1e6);
}

}  // namespace

bool read_llama_perplexity(std::string_view text, ImportedFile& file) {
  const bool ours = text.find("Final estimate: PPL") != std::string_view::npos ||
                    text.find("KL divergence statistics") != std::string_view::npos ||
                    text.find("perplexity: calculating perplexity over") != std::string_view::npos;
  if (!ours) return false;
  file.kind = "llama-perplexity output";
  Printed out;
  int number = 0;
  for (const std::string_view line : lines_of(text)) {
    ++number;
    read_statistics(line, file.name + ":" + std::to_string(number), out);
    read_log(line, out);
  }
  ToolRun run;
  run.tool = "llama-perplexity";
  run.tool_version = out.build.empty() ? "" : "b" + out.build;
  run.model = out.model.empty() ? out.name : out.model;
  run.weights = gguf_weights(gguf_type_of(out.type.substr(0, out.type.find(" (guessed)"))));
  run.params = params_of(out.params, file.name);
  if (out.quantized) {
    ToolQuality q = measured("perplexity", *out.quantized, 1, "Mean PPL(Q)");
    if (out.base) q.baseline = out.base->value;
    run.quality.push_back(q);
  } else if (out.estimate) {
    run.quality.push_back(measured("perplexity", *out.estimate, 1, "Final estimate: PPL"));
  }
  if (out.divergence) {
    ToolQuality q = measured("kld_mean", *out.divergence, 1, "Mean KLD");
    q.baseline = 0;
    run.quality.push_back(q);
  }
  if (out.same_top) {
    ToolQuality q = measured("same_top_token", *out.same_top, 0.01, "Same top p");  // printed in per cent
    q.baseline = 1;
    run.quality.push_back(q);
  }
  for (ToolQuality& q : run.quality) q.settings = "window " + out.context + ", chunks " + out.chunks;
  if (run.quality.empty()) refuse(file.name, "llama-perplexity was cut off before its estimate; run it to the end");
  file.runs.push_back(std::move(run));
  return true;
}

}  // namespace advisor::imports
