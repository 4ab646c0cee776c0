// advisor.db -> Knowledge. The database is made by tools/build_db from data/; units leave their prefixes here: bytes,
// bytes and operations per second, parameters, fractions of 1. It knows no rules and decides nothing.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/knowledge.h"

namespace advisor {

/// What a single question needs; an empty id stands for all.
struct Selection {
  std::string model;     ///< measurements, scores and fitted terms of this model and of no other
  std::string hardware;  ///< this hardware, its prices, speeds and fitted terms, engines on its generation only
  /// Task types or benchmarks: fitted terms of scores for their families only. For knowledge to which no rows are
  /// added.
  std::optional<std::vector<std::string>> tasks{};
  std::string engine{};  ///< no fitted terms of other engines
};

/// Everything but `rules`. Ids are those of the catalogs; a measurement whose model or hardware is in no catalog keeps
/// the published name of the model and an empty hardware. Superseded rows are left out, suspect ones marked.
/// Throws not_found (no such file), parse_error (not such a database), unsupported (another layout).
/// A selection leaves families and tasks whole, and what is only about choosing or citing (checkpoints, API prices,
/// aliases, sources) out.
Knowledge load_knowledge(const std::filesystem::path& database, const Selection& only = {});

/// A scheme as variant.h reads it ("W4A16-g128", "Q4_K_M", "W8A8-fp8") from what a table says of a measurement, or
/// `format` itself where that cannot be told.
std::string scheme_of(const QualityMeasurement& row);

}  // namespace advisor
