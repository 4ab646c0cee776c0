// Cards as text and as JSON.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/catalog.h"

namespace advisor::cli {
namespace {

/// Takes the column of sources out of a table and collects what it holds.
Table without_sources(Table table, std::set<std::string>& sources) {
  for (std::size_t c = table.columns.size(); c-- > 0;) {
    if (table.columns[c] != "source" && table.columns[c] != "sources") continue;
    table.columns.erase(table.columns.begin() + static_cast<std::ptrdiff_t>(c));
    for (auto& row : table.rows) {
      if (const auto* text = std::get_if<std::string>(&row[c])) {
        for (std::size_t at = 0; at < text->size();) {
          const auto end = std::min(text->find(", ", at), text->size());
          sources.insert(text->substr(at, end - at));
          at = end + 2;
        }
      }
      row.erase(row.begin() + static_cast<std::ptrdiff_t>(c));
    }
  }
  return table;
}

/// In the card of a model every row is of that model.
Table without_own_name(Table table, const Card& card) {
  const auto found = std::find(table.columns.begin(), table.columns.end(), card.kind);
  if (found == table.columns.end()) return table;
  const auto c = found - table.columns.begin();
  for (const auto& row : table.rows)
    if (row[static_cast<std::size_t>(c)] != Cell{card.id}) return table;
  table.columns.erase(found);
  for (auto& row : table.rows) row.erase(row.begin() + c);
  return table;
}

std::string indented(const std::string& lines, std::size_t by) {
  std::string out;
  for (std::size_t at = 0; at < lines.size();) {
    const auto end = lines.find('\n', at);
    out += std::string(by, ' ') + lines.substr(at, end - at) + '\n';
    at = end + 1;
  }
  return out;
}

}  // namespace

std::string text_of(const std::vector<Card>& cards) {
  std::string out;
  for (const auto& card : cards) {
    if (!out.empty()) out += '\n';
    out += card.kind + " " + card.id + '\n';
    Table fields{{"", ""}, {}};
    for (const auto& [field, value] : card.fields)
      if (!std::holds_alternative<std::monostate>(value)) fields.rows.push_back({field, value});
    const auto text = fields.text();
    if (!fields.rows.empty()) out += indented(text.substr(text.find('\n') + 1), 2);
    std::set<std::string> sources;
    for (const auto& [title, table] : card.sections)
      out += "\n  " + title + " (" + std::to_string(table.rows.size()) + ")\n" +
             indented(without_own_name(without_sources(table, sources), card).text(), 4);
    if (sources.empty()) continue;
    out += "\n  sources of these rows (" + std::to_string(sources.size()) + ")\n";
    for (const auto& source : sources) out += "    " + source + '\n';
  }
  return out;
}

std::string json_of(const std::vector<Card>& cards) {
  auto list = nlohmann::ordered_json::array();
  for (const auto& card : cards) {
    nlohmann::ordered_json object{{"kind", card.kind}, {"id", card.id}};
    Table fields;
    auto& row = fields.rows.emplace_back();
    for (const auto& [field, value] : card.fields) {
      fields.columns.push_back(field);
      row.push_back(value);
    }
    object["fields"] = nlohmann::ordered_json::parse(fields.json()).at(0);
    for (const auto& [title, table] : card.sections) object[title] = nlohmann::ordered_json::parse(table.json());
    list.push_back(std::move(object));
  }
  return list.dump(2);
}

}  // namespace advisor::cli
