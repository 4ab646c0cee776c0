// results_*.json of EleutherAI's lm-evaluation-harness, 0.4.x (lm_eval/loggers/evaluation_tracker.py writes it): under
// "results" one map per task or group with "metric,filter": value and "metric_stderr,filter": value or "N/A".
#include <algorithm>
#include <array>
#include <map>

#include "io/import_formats.h"

namespace advisor::imports {
namespace {

/// All metrics of a task score the same answers, so one of them is kept; the first of these that is there. Accuracy by
/// length-normalised choice comes first, as leaderboards report it.
constexpr std::array<std::string_view, 13> metric_order{
    "acc_norm", "acc",  "exact_match",     "em",         "pass@1", "pass_at_1",    "prompt_level_strict_acc",
    "f1",       "bleu", "word_perplexity", "perplexity", "rougeL", "bits_per_byte"};
/// "none" is the filter of tasks without one; strict-match is what the task's paper asks for.
constexpr std::array<std::string_view, 3> filter_order{"none", "strict-match", "flexible-extract"};

template <typename Order>
std::size_t rank_in(const Order& order, std::string_view word) {
  return static_cast<std::size_t>(std::find(order.begin(), order.end(), word) - order.begin());
}

struct Entry {
  std::string metric, filter;
  double value = 0;
};

std::vector<Entry> entries_of(const Document& task, const std::string& where) {
  std::vector<Entry> entries;
  for (const Document::Member& member : task.members) {
    const std::size_t comma = member.key.find(',');
    const std::string metric = member.key.substr(0, comma);
    if (comma == std::string::npos || metric.ends_with("_stderr")) continue;
    if (member.value.kind != Document::Kind::scalar) continue;
    const auto value = number_in(member.value.text, where + "." + member.key);
    if (value) entries.push_back({metric, member.key.substr(comma + 1), *value});
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(rank_in(metric_order, a.metric), rank_in(filter_order, a.filter)) <
           std::pair(rank_in(metric_order, b.metric), rank_in(filter_order, b.filter));
  });
  return entries;
}

/// "pretrained=org/model,dtype=auto" as a text or a map.
std::string model_argument(const Document& root, std::string_view key) {
  const Document* arguments = find_path(root, "config.model_args");
  if (arguments == nullptr) return "";
  if (arguments->kind == Document::Kind::map) return text_of(*arguments, key);
  std::string_view rest = arguments->text;
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && trim(pair.substr(0, equals)) == key) {
      return std::string(trim(pair.substr(equals + 1)));
    }
  }
  return "";
}

std::string model_of(const Document& root) {
  for (const char* key : {"peft", "delta"}) {
    if (!model_argument(root, key).empty()) return model_argument(root, key);  // an adapter is another model
  }
  for (const char* key : {"gguf_file", "pretrained", "model", "path", "engine"}) {
    if (!model_argument(root, key).empty()) return model_argument(root, key);
  }
  return text_of(root, "model_name");
}

/// What the arguments say of quantization while loading.
WeightState weights_of(const Document& root) {
  if (lower(model_argument(root, "load_in_4bit")) == "true") return {"bnb", "W4A16", "bnb"};
  if (lower(model_argument(root, "load_in_8bit")) == "true") return {"bnb-int8", "W8A8-int8", "bnb"};
  if (model_argument(root, "quantization") == "fp8") return {"fp8", "W8A8-fp8", ""};
  return {};
}

/// Task -> the group with a figure of its own that it is a member of.
std::map<std::string, std::string> groups_of(const Document& root, const Document& results, const std::string& where) {
  std::map<std::string, std::string> inside;
  const Document* subtasks = find(root, "group_subtasks");
  if (subtasks == nullptr) return inside;
  for (const Document::Member& group : subtasks->members) {
    const Document* mean = find(results, group.key);
    if (mean == nullptr || entries_of(*mean, where + ": results." + group.key).empty()) continue;
    for (const Document& task : group.value.items) inside[task.text] = group.key;
  }
  return inside;
}

std::string item_count(const Document& root, const std::string& task) {
  const Document* samples = find(root, "n-samples");
  const Document* counts = samples != nullptr ? find(*samples, task) : nullptr;
  return counts != nullptr ? text_of(*counts, "effective") : "";
}

ToolQuality figure(const Document& root, const Document& task, const std::string& name, const Entry& entry,
                   const std::string& where) {
  const auto per_task = [&](const char* table) {
    const Document* map = find(root, table);
    return map != nullptr ? text_of(*map, name) : "";
  };
  ToolQuality q;
  q.task = name;
  q.metric = entry.metric;
  q.value = entry.value;
  q.standard_error = number_of(task, entry.metric + "_stderr," + entry.filter, where);
  q.shots = per_task("n-shot");
  for (const auto& [what, value] : {std::pair<const char*, std::string>{"shots", q.shots},
                                    {"items", item_count(root, name)},
                                    {"filter", entry.filter},
                                    {"task version", per_task("versions")},
                                    {"chat template", text_of(root, "chat_template_sha")}}) {
    if (!value.empty()) q.settings += (q.settings.empty() ? "" : ", ") + std::string(what) + " " + value;
  }
  q.locator = "results." + name + "." + entry.metric + "," + entry.filter;
  return q;
}

void note_left_out(const std::vector<Entry>& entries, const std::string& task, ImportedFile& file) {
  std::string names;
  for (std::size_t i = 1; i < entries.size(); ++i) {
    names += (names.empty() ? "" : " ") + entries[i].metric + "," + entries[i].filter;
  }
  if (!names.empty()) {
    file.notes.push_back(task + ": " + entries[0].metric + "," + entries[0].filter +
                         " stands for it; the same answers scored otherwise are left out: " + names);
  }
}

}  // namespace

bool read_lm_eval(const Json& json, ImportedFile& file) {
  const Document& root = json.value;
  const Document* results = find(root, "results");
  const bool ours =
      results != nullptr && results->kind == Document::Kind::map &&
      (find(root, "n-shot") != nullptr || find(root, "configs") != nullptr || find(root, "lm_eval_version") != nullptr);
  if (!ours) return false;
  file.kind = "lm-evaluation-harness results";
  ToolRun run;
  run.tool = "lm-evaluation-harness";
  run.tool_version = text_of(root, "lm_eval_version");
  run.model = model_of(root);
  run.weights = weights_of(root);
  if (run.model.empty()) file.notes.push_back("the file does not name the model");
  if (const Document* config = find(root, "config")) {
    run.params = number_of(*config, "model_num_parameters", json.where);
    const std::string limit = text_of(*config, "limit");
    if (!limit.empty()) file.notes.push_back("a partial run (limit " + limit + "); its error is as large as it says");
  }
  const auto groups = groups_of(root, *results, json.where);
  for (const Document::Member& task : results->members) {
    if (task.value.kind != Document::Kind::map) refuse(json.where, "results." + task.key + " is no map of metrics");
    const std::string where = json.where + ": results." + task.key;
    const std::vector<Entry> entries = entries_of(task.value, where);
    if (entries.empty()) continue;
    run.quality.push_back(figure(root, task.value, task.key, entries[0], where));
    if (const auto group = groups.find(task.key); group != groups.end()) run.quality.back().part_of = group->second;
    note_left_out(entries, task.key, file);
  }
  file.runs.push_back(std::move(run));
  return true;
}

}  // namespace advisor::imports
