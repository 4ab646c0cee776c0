// The one door for the C API, the Python module and the command: open, probe, recommend, compress, evaluate,
// record. Reads the environment (ADVISOR_DATA, ADVISOR_LOCAL, ADVISOR_RULES, ADVISOR_KERNEL_TARGET, XDG_DATA_HOME,
// HOME) so that nothing below has to; prints nothing.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "compress/job.h"
#include "core/knowledge.h"
#include "core/point.h"
#include "core/profile.h"
#include "core/recommendation.h"
#include "estimate/backtest_score.h"
#include "evaluate/evaluate.h"
#include "io/import_report.h"
#include "io/recommendation_file.h"
#include "io/save.h"
#include "io/yaml.h"
#include "report/explain.h"

namespace advisor {

struct RecordRequest {
  std::vector<std::filesystem::path> files;
  std::vector<std::filesystem::path> baselines;  ///< runs of the uncompressed model
  RecordOptions options;
  bool dry_run = false;
};

class Advisor {
 public:
  /// `data_dir` holds advisor.db and rules/; empty = $ADVISOR_DATA, else share/advisor beside the program or library.
  /// Nothing is read yet. Copies share the knowledge; every member is safe to call from several threads.
  /// `local` is the user's own database of recorded results: "none" = do without, empty = $ADVISOR_LOCAL, else
  /// advisor/local.db in $XDG_DATA_HOME or ~/.local/share.
  /// `rules` are files and folders of the user's own rules, which are in use beside the shipped ones; empty =
  /// $ADVISOR_RULES, separated by ':'.
  explicit Advisor(std::filesystem::path data_dir = {}, std::string local = {},
                   std::vector<std::filesystem::path> rules = {});

  /// Loads on first use; throws not_found when there is no database, naming the places that were tried.
  const Knowledge& knowledge() const;

  /// This machine, with what the catalog knows about its GPUs filled in.
  Probe probe() const;

  /// Finds the hardware (catalog id, explicit numbers or "auto") and, when the model is a folder, its geometry;
  /// then decides. Unknown ids are not_found with suggestions.
  Recommendation recommend(const Profile& profile) const;

  /// Quality, memory, speed and cost of one point, each with interval and sources. Names are resolved and defaults
  /// filled in; unknown ids are not_found with suggestions, a scheme that cannot be read is invalid_argument.
  PointEstimate estimate(const PointRequest& request) const;

  /// The request with the budget of its recipe spent, which takes a pass over the calibration text (compress/job.h).
  CompressRequest spend_budget(const CompressRequest& request, const ProgressFn& progress = {}) const;
  /// What compress() would do, engines that read each output included.
  CompressPlan plan(const CompressRequest& request) const;
  CompressReport compress(const CompressRequest& request, const ProgressFn& progress = {}) const;

  EvaluationReport evaluate(const EvaluateRequest& request, const EvaluateProgressFn& progress = {}) const;

  /// Brings in results of other tools and of our own reports; see RecordRequest. What is stored is part of the
  /// knowledge of every Advisor that loads it afterwards.
  Recording record(const RecordRequest& request) const;
  std::vector<Recording> recordings() const;            ///< oldest first
  Recording undo_recording(std::int64_t id = 0) const;  ///< 0 = the last one; throws not_found
  /// Empty when there is none ("none", or no home folder).
  std::filesystem::path local_database() const;

  /// Scores predictions against the measurements in `files` (io/measurement_file.h), or against all shipped ones when
  /// there are none, each with everything of its source or model left out.
  BacktestReport backtest(const std::vector<std::filesystem::path>& files, LeftOut left_out, int threads = 0,
                          const BacktestProgress& progress = {}) const;

  /// The rules in use, sorted by id. The database is not opened. Throws parse_error saying file:line:column.
  std::vector<RuleInfo> rules() const;
  /// Compiles files and folders of rules beside those in use, or `alone`. What loads of them, sorted by id.
  std::vector<RuleInfo> check_rules(const std::vector<std::filesystem::path>& paths, bool alone = false) const;

 private:
  struct State;
  std::shared_ptr<const Knowledge> knowledge_of(const Variant& variant, const std::string& hardware,
                                                const std::vector<std::string>& tasks, bool folder) const;
  std::shared_ptr<State> state_;
};

/// Every fact that a rule may read, sorted; derived ones are in RuleInfo.
std::vector<FactInfo> rule_facts();

/// A suite folder, one .txt or one .jsonl file, by what `suite` is. Throws not_found.
EvaluateRequest evaluation_of(const std::filesystem::path& model, const std::filesystem::path& suite, int threads,
                              std::int64_t limit);

/// `job` (model, out, calibration, memory ...) with the recipe that makes an option of a recommendation. Throws
/// not_found when there is no option of that rank, unsupported when nothing has to be made or libadvisor cannot make
/// it, invalid_argument when it needs calibration and the job names no text; each says what to do.
CompressRequest application_of(const Recommendation& recommendation, int rank, CompressRequest job);

}  // namespace advisor
