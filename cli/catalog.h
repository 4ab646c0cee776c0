// What 'advisor catalog' lists and shows: every catalog as one table with all its columns, and cards that tell
// everything known about one thing.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cli/table.h"
#include "core/knowledge.h"

namespace advisor::cli {

/// Six digits: percentages come as fractions, 81.1 % as 0.8109999999999999.
Cell tidy(double value);

struct Listing {
  Table table;                     ///< all columns
  std::vector<std::string> shown;  ///< those that fit a terminal; empty = all
};

struct CatalogKind {
  const char* name;
  const char* holds;  ///< for the help text
  Listing (*make)(const Knowledge&);
};
std::span<const CatalogKind> catalog_kinds();

struct View {
  std::string text;                                          ///< some text of the row contains it, whatever the case
  std::vector<std::pair<std::string, std::string>> filters;  ///< column, wanted value
  std::optional<double> min_params, max_params;              ///< parameters
  std::vector<std::string> columns;                          ///< empty = the listing's own choice
  std::string sort;                                          ///< column; "-column" descending
  std::size_t limit = 0;                                     ///< 0 = all
};
/// Filters, sorts, cuts and selects; returns how many rows there were before the cut. A filter keeps the rows whose
/// column is that value, or when there is none, those that contain it. Throws invalid_argument for a column that the
/// listing does not have.
std::size_t apply(const View& view, Listing& listing, bool all_columns);

/// RFC 4180.
std::string csv(const Table& table);

/// One thing of one kind.
struct Card {
  std::string kind, id;
  std::vector<std::pair<std::string, Cell>> fields;
  std::vector<std::pair<std::string, Table>> sections;  ///< none of them empty
};
/// All things of that id. Case and the owner before '/' may be left out where that is unambiguous. Throws not_found
/// with suggestions.
std::vector<Card> cards(const Knowledge& knowledge, const std::string& id);
std::string text_of(const std::vector<Card>& cards);
std::string json_of(const std::vector<Card>& cards);

}  // namespace advisor::cli
