// build_db <data folder> <out.db> [<unjoined.csv>]: CSV files and SQL to the database that libadvisor reads; with the
// third argument also the report of the rows that join no catalog (data/unjoined.csv).
//
// data/schema.sql is the only description of the files: each table it creates is filled from the file of that name, and
// a value is refused for what the schema says of its column. Every refusal names file, line and column. After loading,
// derive.sql adds what follows from the rows and every query of checks.sql must return nothing. The file appears by
// rename, so a build that stops leaves the old database, or none.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <vector>

#include "core/error.h"
#include "core/suggest.h"
#include "core/variant.h"
#include "estimate/fits.h"
#include "io/csv.h"
#include "io/database.h"
#include "io/sqlite.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;

struct Column {
  std::string name, type;
  std::string references_table, references_column;  // empty: none
};

struct Table {
  std::string name;
  std::vector<Column> columns;
  bool per_source = false;  // one file per source under measurements/
};

/// FNV-1a, 64 bits: names the content, defends against nothing.
class Digest {
 public:
  void add(std::string_view text) {
    const std::string length = std::to_string(text.size()) + ":";  // so that "a","bc" differs from "ab","c"
    for (const std::string_view part : {std::string_view(length), text}) {
      for (const char c : part) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    }
  }
  std::string hex() const {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash_));
    return text;
  }

 private:
  std::uint64_t hash_ = 14695981039346656037ULL;
};

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad()) throw Error(ErrorCode::not_found, path.string() + ": cannot be read");
  return text;
}

/// The tables of schema.sql that are filled from files, in order of creation: those with a column `line`.
std::vector<Table> read_tables(const Sqlite& database) {
  std::vector<Table> tables;
  Statement names = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY rowid");
  while (names.step()) {
    Table table;
    table.name = names.text(0);
    std::map<std::string, std::pair<std::string, std::string>> references;
    Statement keys =
        database.prepare("SELECT \"from\", \"table\", \"to\" FROM pragma_foreign_key_list('" + table.name + "')");
    while (keys.step()) references[keys.text(0)] = {keys.text(1), keys.text(2)};
    Statement columns = database.prepare("SELECT name, type FROM pragma_table_info('" + table.name + "')");
    bool has_line = false;
    while (columns.step()) {
      const std::string name = columns.text(0);
      has_line = has_line || name == "line";
      table.per_source = table.per_source || name == "source_file";
      table.columns.push_back({name, columns.text(1), references[name].first, references[name].second});
    }
    if (has_line) tables.push_back(std::move(table));
  }
  return tables;
}

bool filled_by_us(const Column& column) { return column.name == "line" || column.name == "source_file"; }

/// Where each table column is in the file; -1 for those that build_db fills.
std::vector<int> match_columns(const Table& table, const CsvTable& csv) {
  std::set<std::string> extra(csv.columns.begin(), csv.columns.end());
  std::vector<int> positions;
  for (const Column& column : table.columns) {
    if (filled_by_us(column)) {
      positions.push_back(-1);
      continue;
    }
    const auto found = std::find(csv.columns.begin(), csv.columns.end(), column.name);
    if (found == csv.columns.end())
      throw Error(ErrorCode::parse_error, csv.file + ":1: column " + column.name + " is missing");
    positions.push_back(static_cast<int>(found - csv.columns.begin()));
    extra.erase(column.name);
  }
  if (!extra.empty()) {
    throw Error(ErrorCode::parse_error, csv.file + ":1: column " + *extra.begin() + " is not in schema.sql");
  }
  return positions;
}

template <typename Number>
std::optional<Number> parse_number(const std::string& text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Binds one field by the declared type of its column; an empty field is NULL.
void bind_field(Statement& statement, int parameter, const Column& column, const std::string& field) {
  const auto refuse = [&](const char* what) {
    throw Error(ErrorCode::parse_error, "column " + column.name + ": \"" + field + "\" is not " + what);
  };
  if (field.empty()) {
    statement.bind_null(parameter);
  } else if (column.type == "REAL") {
    const auto number = parse_number<double>(field);
    if (!number || !std::isfinite(*number)) refuse("a number");
    statement.bind(parameter, *number);
  } else if (column.type == "INTEGER") {
    const auto number = parse_number<std::int64_t>(field);
    if (!number) refuse("a whole number");
    statement.bind(parameter, *number);
  } else {
    if (field.front() == ' ' || field.back() == ' ') refuse("without spaces at its ends");
    statement.bind(parameter, field);
  }
}

/// Loads the rows of one file after another into one table.
class Loader {
 public:
  Loader(const Sqlite& database, const Table& table, Digest& digest)
      : database_(database), table_(table), digest_(digest), insert_(database.prepare(insert_sql(table))) {}

  void load(const CsvTable& csv, const std::string& source) {
    const std::vector<int> positions = match_columns(table_, csv);
    digest_.add(table_.name);
    digest_.add(source);
    for (const CsvRow& row : csv.rows) {
      try {
        load_row(row, positions, source);
      } catch (const Error& error) {
        throw Error(error.code(), csv.where(row) + ": " + error.what());
      }
    }
  }

 private:
  static std::string insert_sql(const Table& table) {
    std::string names, marks;
    for (const Column& column : table.columns) {
      names += (names.empty() ? "\"" : ", \"") + column.name + "\"";
      marks += marks.empty() ? "?" : ", ?";
    }
    return "INSERT INTO " + table.name + " (" + names + ") VALUES (" + marks + ")";
  }

  void load_row(const CsvRow& row, const std::vector<int>& positions, const std::string& source) {
    for (std::size_t i = 0; i < table_.columns.size(); ++i) {
      const Column& column = table_.columns[i];
      const int parameter = static_cast<int>(i) + 1;
      if (column.name == "line") {
        insert_.bind(parameter, static_cast<std::int64_t>(row.line));
      } else if (column.name == "source_file") {
        insert_.bind(parameter, source);
      } else {
        const std::string& field = row.fields[static_cast<std::size_t>(positions[i])];
        bind_field(insert_, parameter, column, field);
        digest_.add(field);
      }
    }
    if (const auto failure = insert_.insert()) {
      throw Error(ErrorCode::parse_error,
                  failure->foreign_key ? unknown_id(row, positions, source) : plain(failure->message));
    }
  }

  /// SQLite says that a foreign key failed, not which: look each of them up.
  std::string unknown_id(const CsvRow& row, const std::vector<int>& positions, const std::string& source) const {
    for (std::size_t i = 0; i < table_.columns.size(); ++i) {
      const Column& column = table_.columns[i];
      if (column.references_table.empty()) continue;
      const std::string& id = positions[i] < 0 ? source : row.fields[static_cast<std::size_t>(positions[i])];
      Statement found =
          database_.prepare("SELECT 1 FROM " + column.references_table + " WHERE " + column.references_column + " = ?");
      found.bind(1, id);
      if (id.empty() || found.step()) continue;
      std::string file = column.references_table;
      if (file.ends_with("_names")) {  // of x_names: the ids of x(s).csv and their aliases
        const std::string one = file.substr(0, file.size() - std::string_view("_names").size());
        file = one;
        file.append(one == "hardware" ? ".csv or " : "s.csv or ").append(one).append("_aliases");
      }
      return std::string("column ").append(column.name).append(": \"").append(id).append("\" is not in ").append(file) +
             ".csv";
    }
    return "a reference to a row that does not exist";
  }

  /// "UNIQUE constraint failed: models.model_id" and its like, for a reader who does not know SQL.
  std::string plain(std::string message) const {
    const std::pair<std::string, std::string> phrases[] = {
        {"NOT NULL constraint failed: " + table_.name + ".", "is empty: column "},
        {"UNIQUE constraint failed: ", "is there twice: "},
        {"CHECK constraint failed: ", "does not hold: "}};
    for (const auto& [sqlite, words] : phrases) {
      if (message.starts_with(sqlite)) return words + message.substr(sqlite.size());
    }
    return message;
  }

  const Sqlite& database_;
  const Table& table_;
  Digest& digest_;
  Statement insert_;
};

/// The files of a table with the source each is of, sorted by name.
std::vector<std::pair<fs::path, std::string>> files_of(const Table& table, const fs::path& data) {
  if (!table.per_source) return {{data / (table.name + ".csv"), ""}};
  std::vector<std::pair<fs::path, std::string>> files;
  const fs::path folder = data / "measurements" / table.name;
  if (!fs::is_directory(folder)) throw Error(ErrorCode::not_found, folder.string() + ": no such folder");
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".csv") files.emplace_back(entry.path(), entry.path().stem().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// A CSV file without a table would be silently left out; unjoined.csv is a report and no input.
void refuse_strays(const fs::path& data, const std::set<fs::path>& loaded) {
  std::set<fs::path> strays;
  for (const auto& entry : fs::recursive_directory_iterator(data)) {
    const bool input = entry.path().extension() == ".csv" && entry.path().filename() != "unjoined.csv";
    if (input && !loaded.contains(entry.path())) strays.insert(entry.path());
  }
  if (!strays.empty()) {
    throw Error(ErrorCode::parse_error, strays.begin()->string() + ": no table of schema.sql reads this file");
  }
}

/// The one thing that a fitted term is about, for the columns of fitted_terms of the same names. A question about
/// something else never looks it up (estimate/), so what is not listed here costs time, and what is listed wrongly
/// changes answers of `advisor estimate` (tests/io/database_slice_test.cpp compares them with those of all terms).
struct About {
  std::string model, task, hardware, engine;
};

About about(const FittedTerm& term, const std::set<std::string>& tasks, const std::set<std::string>& hardware,
            const std::set<std::string>& engines) {
  static const std::set<std::string> of_models{"quality model", "quality model_low", "scores ability",
                                               "scores model_family"};
  static const std::set<std::string> of_tasks{"quality task", "quality task_pruned",   "quality guess_task",
                                              "scores task",  "scores discrimination", "scores scored",
                                              "scores table"};
  About about;
  const std::string name = term.fit + " " + term.term;
  const std::string first = term.level.substr(0, term.level.find('|'));
  if (of_models.contains(name)) about.model = first;
  // "perplexity of ..." is no task, and asked for by other questions too.
  if (of_tasks.contains(name) && tasks.contains(first)) about.task = first;
  if (term.fit != "speed") return about;
  std::istringstream parts(term.level);
  for (std::string part; std::getline(parts, part, '|');) {
    if (hardware.contains(part)) about.hardware = part;
    if (engines.contains(part)) about.engine = part;
  }
  return about;
}

/// What the estimators compute with, fitted to the rows just loaded. Twelve digits: enough for any estimate, and the
/// same on every machine.
void store_fits(const fs::path& path) {
  const Knowledge knowledge = load_knowledge(path);
  std::set<std::string> tasks, hardware, engines;
  for (const Task& task : knowledge.tasks) tasks.insert(task.id);
  for (const Device& device : knowledge.devices) hardware.insert(device.id);
  const Sqlite database = Sqlite::open(path);
  for (Statement ids = database.prepare("SELECT engine FROM engines"); ids.step();) engines.insert(ids.text(0));
  database.execute("BEGIN");
  Statement insert = database.prepare("INSERT INTO fitted_terms VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");
  const auto rounded = [](double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.12g", value);
    return parse_number<double>(text).value_or(value);
  };
  for (const FittedTerm& term : fit_all(knowledge)) {
    const About only = about(term, tasks, hardware, engines);
    insert.bind(1, term.fit);
    insert.bind(2, term.term);
    insert.bind(3, term.level);
    insert.bind(4, rounded(term.value));
    insert.bind(5, rounded(term.sd));
    insert.bind(6, term.rows);
    insert.bind(7, join(term.sources, ";"));
    insert.bind(8, only.model);
    insert.bind(9, only.task);
    insert.bind(10, only.hardware);
    insert.bind(11, only.engine);
    if (const auto failure = insert.insert())
      throw Error(ErrorCode::internal,
                  "fitted term " + term.fit + "." + term.term + "." + term.level + ": " + failure->message);
  }
  database.execute("COMMIT");
}

/// Each query of checks.sql returns (file, line, what is wrong) for each row that breaks it.
void run_checks(const Sqlite& database, const fs::path& data) {
  const std::string text = read_text(data / "checks.sql");
  std::string_view rest = text;
  std::string broken;
  int count = 0;
  while (auto query = database.prepare_next(rest)) {
    while (query->step()) {
      if (++count <= 20)
        broken += (data / query->text(0)).string() + ":" + query->text(1) + ": " + query->text(2) + "\n";
    }
  }
  if (count > 20) broken += "and " + std::to_string(count - 20) + " more\n";
  if (count > 0) {
    broken.pop_back();
    throw Error(ErrorCode::parse_error, broken);
  }
}

/// They filled the tables of names; a reader would have to parse them each time it opens the database.
void drop_triggers(const Sqlite& database) {
  std::vector<std::string> names;
  for (Statement all = database.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'"); all.step();)
    names.push_back(all.text(0));
  for (const std::string& name : names) database.execute("DROP TRIGGER " + name);
}

void build(const fs::path& data, const fs::path& out) {
  const Sqlite database = Sqlite::create(out);
  Digest digest;
  const std::string schema = read_text(data / "schema.sql"), derive = read_text(data / "derive.sql");
  digest.add(schema);
  digest.add(derive);
  database.execute("BEGIN");
  database.execute(schema);
  std::set<fs::path> loaded;
  for (const Table& table : read_tables(database)) {
    Loader loader(database, table, digest);
    for (const auto& [path, source] : files_of(table, data)) {
      loader.load(read_csv(path, path.string()), source);
      loaded.insert(path);
    }
  }
  refuse_strays(data, loaded);
  database.execute(derive);
  drop_triggers(database);
  run_checks(database, data);
  database.execute("INSERT INTO metadata VALUES ('digest', '" + digest.hex() + "')");
  database.execute("COMMIT");
}

using ReportRow = std::array<std::string, 5>;  // file, column, id, rows, reason

/// Quality rows whose format no scheme of core/variant.h stands for: they speak by their bits, or not at all.
std::vector<ReportRow> unread_schemes(const fs::path& database) {
  std::map<std::array<std::string, 4>, std::int64_t> counts;  // file, column, id, reason
  for (const auto& row : load_knowledge(database).quality) {
    try {
      describe_scheme(row.scheme);
    } catch (const Error&) {
      ++counts[{"measurements/quality/" + row.source + ".csv", "format", row.format,
                std::string("no scheme that libadvisor names; ") +
                    (row.weight_bits ? "used by the bits it states" : "its bits are not stated, so it is not used")}];
    }
  }
  std::vector<ReportRow> rows;
  for (const auto& [key, n] : counts) rows.push_back({key[0], key[1], key[2], std::to_string(n), key[3]});
  return rows;
}

void write_report(const fs::path& database, const fs::path& path) {
  auto rows = unread_schemes(database);
  const Sqlite opened = Sqlite::open(database);
  Statement view = opened.prepare("SELECT file, \"column\", id, rows, reason FROM unjoined");
  while (view.step()) {
    auto& row = rows.emplace_back();
    for (std::size_t i = 0; i < row.size(); ++i) row[i] = view.text(static_cast<int>(i));
  }
  std::sort(rows.begin(), rows.end());
  std::ofstream file(path, std::ios::binary);
  file << "file,column,id,rows,reason\n";
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) file << csv_field(row[i]) << (i + 1 < row.size() ? "," : "\n");
  file.close();
  if (!file) throw Error(ErrorCode::io_error, path.string() + ": cannot be written");
}

void build_whole(const fs::path& data, const fs::path& out) {
  const fs::path partial = out.string() + ".partial";
  fs::remove(partial);
  try {
    build(data, partial);
    store_fits(partial);
    fs::rename(partial, out);
  } catch (...) {
    std::error_code ignored;
    fs::remove(partial, ignored);
    throw;
  }
}

}  // namespace
}  // namespace advisor

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::cerr << "usage: build_db <data folder> <out.db> [<unjoined.csv>]\n";
    return 2;
  }
  try {
    advisor::build_whole(argv[1], argv[2]);
    if (argc == 4) advisor::write_report(argv[2], argv[3]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
