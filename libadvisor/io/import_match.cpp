#include "io/import_match.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "core/error.h"
#include "core/suggest.h"
#include "core/units.h"
#include "core/variant.h"
#include "io/import_formats.h"
#include "io/import_rows.h"

namespace advisor {
namespace {

using namespace imports;

class Matcher {
 public:
  Matcher(const RecordOptions& options, const NameTables& names, const std::vector<RecordedScore>& earlier)
      : options_(options), names_(names), earlier_(earlier) {}

  Recording match(const std::vector<ImportedFile>& files, const std::vector<ImportedFile>& baselines) {
    for (const auto* list : {&files, &baselines}) {
      for (const ImportedFile& file : *list) {
        for (const MadeCheckpoint& made : file.made) made_.push_back(&made);
        for (const std::string& note : file.notes) add_note(file.name + ": " + note);
        out_.files.push_back({file.name, file.kind, file.digest, true});
      }
    }
    // Options describe the compressed runs. Among several files and without --baseline, those that say nothing of
    // compression are what the others are compared with.
    const auto with_runs =
        std::count_if(files.begin(), files.end(), [](const ImportedFile& f) { return !f.runs.empty(); });
    const bool several = with_runs > 1 && baselines.empty();
    std::vector<Placed> placed;
    for (const ImportedFile& file : files) {
      for (const ToolRun& run : file.runs) placed.push_back(place(run, file, false, several));
    }
    for (const ImportedFile& file : baselines) {
      for (const ToolRun& run : file.runs) placed.push_back(place(run, file, true, several));
    }
    for (const Placed& run : placed) {
      if (run.uncompressed()) add_scores(run);
    }
    for (const Placed& run : placed) {
      if (!run.uncompressed()) add_quality(run);
      add_speed(run);
    }
    for (const Placed& run : placed) mark_as_measured(run, out_.quality.empty());
    out_.note = options_.note;
    require_rows(files);
    return std::move(out_);
  }

 private:
  void add_note(const std::string& note) {
    if (std::find(out_.notes.begin(), out_.notes.end(), note) == out_.notes.end()) out_.notes.push_back(note);
  }
  /// A file that brings rows of its own. An uncompressed run does when there is nothing that it is the baseline of.
  void mark_as_measured(const Placed& placed, bool nothing_compared) {
    if (placed.uncompressed() && placed.run->speed.empty() && !nothing_compared) return;
    for (Recording::File& file : out_.files) {
      if (file.name == placed.file->name) file.reference = false;
    }
  }
  void add_matched(const std::string& why) {
    if (std::find(out_.matched.begin(), out_.matched.end(), why) == out_.matched.end()) out_.matched.push_back(why);
  }

  ModelMatch find_model(const ToolRun& run, const ImportedFile& file) const {
    if (options_.model.empty()) {
      if (run.model.empty()) {
        throw Error(ErrorCode::invalid_argument, file.name + ": does not name the model; give --model ID");
      }
      try {
        return match_model(run.model, names_);
      } catch (const Error& error) {
        throw Error(error.code(), file.name + ": " + error.what());
      }
    }
    ModelMatch match;
    try {
      match = match_model(options_.model, names_);
      match.weights = {};
    } catch (const Error&) {
      if (!options_.params) throw;
      match.model = options_.model;
      match.why = "\"" + options_.model + "\" is a model of your own, in no catalog";
    }
    if (run.model.empty() || run.model == options_.model) return match;
    match.why += "; it was said to be what the file calls \"" + run.model + "\"";
    try {
      match.weights = match_model(run.model, names_).weights;  // what the file's own name says of its weights
    } catch (const Error&) {
    }
    return match;
  }

  /// The output of a compression report that a run names: by its folder, absolute or not, or by a file in it.
  const MadeCheckpoint* made_as(const std::string& named) const {
    const auto plain = [](const std::string& path) {
      return (std::filesystem::path(path) / "").lexically_normal().string();
    };
    const auto ends_alike = [](const std::string& a, const std::string& b) {
      return a == b || a.ends_with("/" + b) || b.ends_with("/" + a);
    };
    const std::string folder = plain(named), parent = plain(std::filesystem::path(named).parent_path().string());
    for (const MadeCheckpoint* made : made_) {
      const std::string output = plain(made->folder);
      if (ends_alike(output, folder) || (named.ends_with(".gguf") && ends_alike(output, parent))) return made;
    }
    return nullptr;
  }

  Placed place(const ToolRun& run, const ImportedFile& file, bool baseline, bool several) {
    Placed placed{&run, &file, find_model(run, file), {}};
    add_matched(placed.model.why);
    if (options_.params) placed.model.params = options_.params;
    WeightState said = run.weights;
    const auto take = [&](const WeightState& other) {
      if (said.technique.empty()) said.technique = other.technique;
      if (said.scheme.empty()) said.scheme = other.scheme;
      if (said.format.empty()) said.format = other.format;
    };
    if (const MadeCheckpoint* made = made_as(run.model)) {
      take(made->weights);
      add_matched("\"" + run.model + "\" holds what the compression report says: " + made->weights.technique + " " +
                  made->weights.scheme);
    }
    take(placed.model.weights);
    const bool unsaid = said.technique.empty() && said.scheme.empty();
    const bool plain = said.technique == "none" || (unsaid && (said.format.empty() || said.format == "safetensors"));
    placed.weights = said;
    if (baseline) {
      if (!plain) {
        throw Error(ErrorCode::invalid_argument, file.name + ": given as baseline, but its weights are compressed (" +
                                                     said.technique + " " + said.scheme + ")");
      }
      placed.weights.technique = "none";
    } else if (!(several && plain) || run.tool == "table") {
      if (!options_.technique.empty()) placed.weights.technique = options_.technique;
      if (!options_.scheme.empty()) placed.weights.scheme = options_.scheme;
      if (!options_.format.empty()) placed.weights.format = options_.format;
    }
    finish_weights(placed);
    return placed;
  }

  std::string technique_id(const std::string& name, const std::string& where) const {
    const auto known = names_.techniques.find(name);
    if (known != names_.techniques.end()) return known->second;
    std::vector<std::string> ids;
    for (const auto& [id, technique] : names_.techniques) ids.push_back(id);
    throw Error(ErrorCode::not_found, where + ": unknown technique \"" + name + "\"" + did_you_mean(name, ids));
  }

  /// Technique and scheme in the words of data/, or a refusal that says which option is missing.
  void finish_weights(Placed& placed) {
    WeightState& weights = placed.weights;
    const std::string where = placed.file->name;
    if (weights.technique.empty() && !weights.scheme.empty()) {
      const std::string type = imports::gguf_type_of(weights.scheme);
      if (!type.empty()) weights.technique = imports::technique_of_gguf(type);
    }
    if (weights.technique.empty() && weights.scheme.empty()) {
      if (weights.format.empty() || weights.format == "safetensors") {
        weights.technique = "none";
        add_matched(where + ": nothing says that the weights are compressed; --technique and --scheme if they are");
      }
    }
    if (!weights.technique.empty()) {
      weights.technique = technique_id(weights.technique, where);
    } else if (!placed.run->quality.empty()) {  // a speed depends on the number format alone
      throw Error(ErrorCode::invalid_argument,
                  where +
                      ": by which technique the weights were compressed is not said; give --technique ID "
                      "('advisor catalog techniques' lists them) or the advisor_report.json of the weights");
    }
    if (placed.uncompressed()) return;
    if (weights.scheme.empty()) {
      throw Error(ErrorCode::invalid_argument,
                  where + ": how many bits the weights have is not said; give --scheme, as W4A16-g128 or Q4_K_M");
    }
    if (placed.run->tool != "table") describe_scheme(weights.scheme);  // refuses what cannot be read
  }

  /// nullopt: left out, with a note. Members of a group are left out when the group itself has a place.
  std::optional<PlacedTask> find_task(const ToolQuality& q, const ImportedFile& file) {
    for (std::string group = q.part_of; !group.empty(); group.clear()) {
      ToolQuality whole = q;
      whole.task = group;
      whole.part_of.clear();
      const auto before = unknown_tasks_;
      const bool placed = find_task(whole, file).has_value();
      unknown_tasks_ = before;
      if (!placed) continue;
      add_note(file.name + ": members of " + group + " are left out: its own figure holds them");
      return std::nullopt;
    }
    std::string name = q.task;
    for (const auto& [from, to] : options_.tasks) {
      if (from == q.task || (from.empty() && options_.tasks.size() == 1 && q.task.empty())) name = to;
    }
    if (name.empty()) {
      throw Error(ErrorCode::invalid_argument, file.name +
                                                   ": does not say on which text or task; give --task ID, as "
                                                   "wikitext2 ('advisor catalog tasks' lists them)");
    }
    if (names_.tasks.count(name) == 0 && name.starts_with("leaderboard_")) name = name.substr(12);
    if (const auto known = names_.tasks.find(name); known != names_.tasks.end()) {
      if (name != q.task && !q.task.empty()) add_matched("task \"" + q.task + "\" is " + known->second);
      return PlacedTask{known->second, names_.families.at(known->second)};
    }
    const std::string family = name != q.task ? name : q.family;
    const std::string own = q.task.empty() ? name : q.task;
    if (names_.family_ids.count(family) != 0 && family != own) {
      add_matched("task \"" + own + "\" is in no vocabulary; it counts for the family " + family);
      return PlacedTask{own, family};
    }
    if (names_.family_ids.count(family) != 0) return PlacedTask{own, family};
    if (name != q.task) {
      std::vector<std::string> known(names_.family_ids.begin(), names_.family_ids.end());
      for (const auto& [task, id] : names_.tasks) known.push_back(task);
      throw Error(ErrorCode::not_found, "--task: unknown task or family \"" + name + "\"" + did_you_mean(name, known));
    }
    unknown_tasks_.insert(q.task);
    return std::nullopt;
  }

  const MetricName* find_metric(const ToolQuality& q, const ImportedFile& file) {
    const auto known = names_.metrics.find(q.metric);
    if (known == names_.metrics.end()) {
      add_note(file.name + ": " + q.task + ": metric " + q.metric + " is not in data/metrics.csv; left out");
      return nullptr;
    }
    const auto check = [&](double value) {
      const bool low = known->second.low && value < *known->second.low;
      const bool high = known->second.high && value > *known->second.high;
      if (!low && !high) return;
      throw Error(ErrorCode::invalid_argument, file.name + ": " + q.locator + ": " + format_number(value) + " is no " +
                                                   known->second.metric + ", which " +
                                                   (low ? "is at least " + format_number(*known->second.low)
                                                        : "is at most " + format_number(*known->second.high)));
    };
    check(q.value);
    if (q.baseline) check(*q.baseline);
    return &known->second;
  }

  void add_scores(const Placed& placed) {
    for (const ToolQuality& q : placed.run->quality) {
      if (q.baseline) continue;  // against itself
      const MetricName* metric = find_metric(q, *placed.file);
      const auto task = metric != nullptr ? find_task(q, *placed.file) : std::nullopt;
      if (!task) continue;
      out_.scores.push_back(score_row(placed, q, *task, *metric));
    }
  }

  /// The uncompressed value to compare with; nullopt and an entry in missing_ when there is none.
  std::optional<double> baseline_of(const Placed& placed, const ToolQuality& q, const PlacedTask& task,
                                    const std::string& metric) {
    if (q.baseline) return q.baseline;
    const std::string model = placed.quality_model();
    std::string differs;
    for (const std::vector<RecordedScore>* scores :
         {static_cast<const std::vector<RecordedScore>*>(&out_.scores), &earlier_}) {
      for (const RecordedScore& score : *scores) {
        const bool same = score.row.model == model && score.row.task == task.task && score.row.metric == metric &&
                          score.row.harness == placed.run->tool;
        if (same && score.settings == q.settings) return score.row.value;
        if (same) differs = score.settings;
      }
    }
    missing_.push_back(
        "no uncompressed run of " + model + " on " + task.task + " (" + metric + ") by " + placed.run->tool +
        (differs.empty() ? "" : "; the one there is was run otherwise: " + differs + ", here: " + q.settings));
    return std::nullopt;
  }

  void add_quality(const Placed& placed) {
    for (const ToolQuality& q : placed.run->quality) {
      const MetricName* metric = find_metric(q, *placed.file);
      const auto task = metric != nullptr ? find_task(q, *placed.file) : std::nullopt;
      if (!task) continue;
      const auto baseline = baseline_of(placed, q, *task, metric->metric);
      if (!baseline) continue;
      out_.quality.push_back(quality_row(placed, q, *task, *metric, *baseline));
    }
  }

  void add_speed(const Placed& placed) {
    const ToolRun& run = *placed.run;
    if (run.speed.empty()) return;
    const std::string device = options_.hardware.empty() ? run.hardware : options_.hardware;
    if (device.empty()) {
      throw Error(ErrorCode::invalid_argument, placed.file->name +
                                                   ": does not say on which hardware; give --hardware ID "
                                                   "('advisor catalog hardware' lists them)");
    }
    const auto [hardware, why] = match_hardware(device, names_);
    add_matched("hardware " + why);
    const std::string engine = options_.engine.empty() ? run.engine : options_.engine;
    const auto known = names_.engines.find(engine);
    if (known == names_.engines.end()) {
      std::vector<std::string> engines;
      for (const auto& [name, id] : names_.engines) engines.push_back(name);
      throw Error(ErrorCode::not_found, placed.file->name + ": unknown engine \"" + engine + "\"" +
                                            did_you_mean(engine, engines) + "; give --engine ID");
    }
    for (const ToolSpeed& s : run.speed) {
      const auto metric = names_.metrics.find(s.metric);
      if (metric == names_.metrics.end()) {
        add_note(placed.file->name + ": metric " + s.metric + " is not in data/metrics.csv; left out");
        continue;
      }
      if (!(s.value > 0)) {
        throw Error(ErrorCode::invalid_argument,
                    placed.file->name + ": " + s.locator + ": " + format_number(s.value) + " is no speed");
      }
      out_.speed.push_back(speed_row(placed, s, metric->second.metric, {hardware, known->second}, options_, names_));
    }
  }

  void require_rows(const std::vector<ImportedFile>& files) {
    std::string unknown;
    for (const std::string& task : unknown_tasks_) unknown += (unknown.empty() ? "" : ", ") + task;
    if (!unknown.empty()) {
      add_note("tasks in no vocabulary are left out: " + unknown +
               " (--task NAME=TASK or --task NAME=FAMILY to keep one)");
    }
    for (const std::string& missing : missing_) add_note(missing + "; left out");
    const bool compressed_only = std::any_of(missing_.begin(), missing_.end(), [](auto&) { return true; }) &&
                                 out_.quality.empty() && out_.speed.empty();
    if (compressed_only) {
      throw Error(ErrorCode::not_found,
                  missing_[0] + (missing_.size() > 1 ? " (and " + std::to_string(missing_.size() - 1) + " more)" : "") +
                      "; a loss is measured against it. Give it as another file or with "
                      "--baseline FILE, or record it first");
    }
    if (!out_.quality.empty() || !out_.speed.empty() || !out_.scores.empty()) return;
    std::string why;
    for (const std::string& note : out_.notes) why += "; " + note;
    throw Error(
        ErrorCode::invalid_argument,
        (files.empty() ? std::string("nothing to record") : files[0].name + ": nothing that can be recorded") + why);
  }

  const RecordOptions& options_;
  const NameTables& names_;
  const std::vector<RecordedScore>& earlier_;
  std::vector<const MadeCheckpoint*> made_;
  std::set<std::string> unknown_tasks_;
  std::vector<std::string> missing_;
  Recording out_;
};

}  // namespace

Recording match_results(const std::vector<ImportedFile>& files, const std::vector<ImportedFile>& baselines,
                        const RecordOptions& options, const NameTables& names,
                        const std::vector<RecordedScore>& earlier) {
  return Matcher(options, names, earlier).match(files, baselines);
}

}  // namespace advisor
