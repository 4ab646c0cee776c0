// Which model, hardware, engine, task or metric of the catalogs a name in a result file means: the alias tables of
// advisor.db, and the habits by which checkpoints and files are named ("-AWQ", "-Q4_K_M.gguf", a cache folder).
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/catalog.h"
#include "io/import.h"

namespace advisor {

struct ModelName {
  std::string model;     ///< catalog id, empty for none
  std::string relation;  ///< same, checkpoint, finetune, none, closed (data/model_aliases.csv)
  std::string reason;
};

struct MetricName {
  std::string metric, kind;
  bool higher_is_better = true;
  std::optional<double> low, high;
};

/// The vocabularies of advisor.db by every name that they are known under.
struct NameTables {
  std::map<std::string, ModelName> models;
  std::map<std::string, std::set<std::string>> short_names;  ///< normalised last part of a name -> names
  std::map<std::string, std::optional<double>> params;       ///< by catalog id
  std::map<std::string, std::string> dtypes;                 ///< by catalog id: bfloat16 ...
  std::map<std::string, PublishedCheckpoint> checkpoints;    ///< by checkpoint
  std::map<std::string, std::string> tasks, families;        ///< name -> task id; task id -> family
  std::set<std::string> family_ids;
  std::map<std::string, std::string> hardware;             ///< name -> id, empty when in no catalog
  std::map<std::string, std::string> devices;              ///< id -> printed name
  std::map<std::string, std::string> engines, techniques;  ///< name -> id; "+specdec" where it speculates
  std::map<std::string, MetricName> metrics;
};

/// Throws not_found or parse_error as load_knowledge does.
NameTables load_names(const std::filesystem::path& database);

struct ModelMatch {
  std::string model;  ///< catalog id, or the name itself for a model that is in no catalog
  std::optional<double> params;
  WeightState weights;    ///< as far as the name says
  std::string name;       ///< the known name that was recognised
  bool finetune = false;  ///< geometry of `model`, other weights: speeds join, quality does not
  std::string why;
};

/// Throws not_found (with suggestions, or with the reason why the name is of no model) or invalid_argument (several).
ModelMatch match_model(const std::string& published, const NameTables& names);

/// {catalog id, why}. Throws like match_model.
std::pair<std::string, std::string> match_hardware(const std::string& published, const NameTables& names);

}  // namespace advisor
