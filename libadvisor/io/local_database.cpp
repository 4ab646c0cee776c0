#include "io/local_database.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <fstream>
#include <optional>
#include <thread>

#include "core/error.h"
#include "io/local_rows.h"
#include "io/sqlite.h"

namespace advisor {
namespace {

constexpr const char* layout = "1";  // any change of the tables below or of local_rows.h is another one

template <typename Row>
constexpr const char* table = nullptr;
template <>
constexpr const char* table<RecordedQuality> = "quality";
template <>
constexpr const char* table<RecordedSpeed> = "speed";
template <>
constexpr const char* table<RecordedScore> = "scores";

constexpr const char* sql_type(const std::string&) { return "TEXT NOT NULL"; }
constexpr const char* sql_type(double) { return "REAL NOT NULL"; }
constexpr const char* sql_type(bool) { return "INTEGER NOT NULL"; }
constexpr const char* sql_type(std::int64_t) { return "INTEGER NOT NULL"; }
constexpr const char* sql_type(const std::optional<double>&) { return "REAL"; }
constexpr const char* sql_type(const std::optional<std::int64_t>&) { return "INTEGER"; }

/// Shortest text that reads back as the same number.
std::string text_of(double number) {
  char digits[32];
  const auto result = std::to_chars(digits, digits + sizeof digits, number);
  return {digits, result.ptr};
}
std::string text_of(const std::string& text) { return text; }
std::string text_of(bool value) { return value ? "1" : "0"; }
std::string text_of(std::int64_t value) { return std::to_string(value); }
template <typename T>
std::string text_of(const std::optional<T>& value) {
  return value ? text_of(*value) : "";
}

void bind(Statement& statement, int at, const std::string& value) { statement.bind(at, value); }
void bind(Statement& statement, int at, double value) { statement.bind(at, value); }
void bind(Statement& statement, int at, bool value) { statement.bind(at, std::int64_t{value}); }
void bind(Statement& statement, int at, std::int64_t value) { statement.bind(at, value); }
template <typename T>
void bind(Statement& statement, int at, const std::optional<T>& value) {
  value ? bind(statement, at, *value) : statement.bind_null(at);
}

void fetch(const Statement& row, int at, std::string& to) { to = row.text(at); }
void fetch(const Statement& row, int at, double& to) { to = row.number(at); }
void fetch(const Statement& row, int at, bool& to) { to = row.integer(at) != 0; }
void fetch(const Statement& row, int at, std::int64_t& to) { to = row.integer(at); }
void fetch(const Statement& row, int at, std::optional<double>& to) { to = row.maybe_number(at); }
void fetch(const Statement& row, int at, std::optional<std::int64_t>& to) { to = row.maybe_integer(at); }

template <typename Row>
std::string column_list() {
  std::string list;
  local::columns(Row{}, [&](const char* name, const auto&, bool) { list += std::string(", ") + name; });
  return list;
}

template <typename Row>
std::string create_table() {
  std::string sql =
      std::string("CREATE TABLE ") + table<Row> +
      " (recording INTEGER NOT NULL REFERENCES recordings(id) ON DELETE CASCADE, key TEXT NOT NULL UNIQUE";
  local::columns(Row{}, [&](const char* name, const auto& member, bool) {
    sql += std::string(", ") + name + " " + sql_type(member);
  });
  return sql + ");";
}

/// Two rows with one key are one measurement.
template <typename Row>
std::string key_of(const Row& row) {
  std::string key;
  local::columns(row, [&](const char*, const auto& member, bool is_key) {
    if (is_key) key += text_of(member) + '\x1f';
  });
  return key;
}

std::string metadata(const Sqlite& database, const char* key) {
  Statement statement = database.prepare("SELECT value FROM metadata WHERE key = ?");
  statement.bind(1, std::string_view(key));
  return statement.step() ? statement.text(0) : "";
}

/// False for a file in which nothing was stored yet.
bool check_layout(const Sqlite& database, const std::string& name) {
  std::string found;
  try {
    Statement tables = database.prepare("SELECT count(*) FROM sqlite_master");
    tables.step();
    if (tables.integer(0) == 0) return false;
    found = metadata(database, "local_layout");
  } catch (const Error& error) {
    if (std::string(error.what()).find("locked") != std::string::npos) throw;  // a database, and busy
  }
  if (found.empty()) {
    throw Error(ErrorCode::parse_error, name + ": not a database that advisor record made; name another with --local");
  }
  if (found != layout) {
    throw Error(ErrorCode::unsupported, name + ": layout " + found + ", this build reads " + layout +
                                            "; use the version of libadvisor that wrote it, or another file");
  }
  return true;
}

/// Opens for writing; makes the file, its folder and its tables when they are not there. Safe when two do it at once.
Sqlite open_for_writing(const std::filesystem::path& path) {
  std::error_code ec;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), ec);
  if (!std::ofstream(path, std::ios::app).is_open()) {
    throw Error(ErrorCode::io_error, path.string() + ": cannot be written; name another file with --local");
  }
  Sqlite database = Sqlite::open(path);
  // Changing the journal needs the file alone and does not wait by itself; the change is remembered in the file.
  for (int attempt = 0;; ++attempt) {
    try {
      database.execute("PRAGMA journal_mode = WAL;");
      break;
    } catch (const Error& error) {
      if (std::string(error.what()).find("locked") == std::string::npos) {
        check_layout(database, path.string());
        throw;
      }
      if (attempt == 250) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  database.execute("BEGIN IMMEDIATE;");
  if (!check_layout(database, path.string())) {
    database.execute(
        "CREATE TABLE metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE recordings (id INTEGER PRIMARY KEY AUTOINCREMENT, date TEXT NOT NULL, note TEXT NOT NULL);"
        "CREATE TABLE files (recording INTEGER NOT NULL REFERENCES recordings(id) ON DELETE CASCADE,"
        " name TEXT NOT NULL, kind TEXT NOT NULL, digest TEXT NOT NULL);" +
        create_table<RecordedQuality>() + create_table<RecordedSpeed>() + create_table<RecordedScore>());
    database.execute(std::string("INSERT INTO metadata VALUES ('local_layout', '") + layout + "')");
  }
  return database;
}

/// nullopt when there is nothing to read.
std::optional<Sqlite> open_for_reading(const std::filesystem::path& path) {
  std::error_code ec;
  if (!std::filesystem::exists(path, ec)) return std::nullopt;
  Sqlite database = Sqlite::open_read_only(path);
  database.execute("PRAGMA busy_timeout = 5000;");
  if (!check_layout(database, path.string())) return std::nullopt;
  return database;
}

template <typename Row>
std::vector<Row> read_rows(const Sqlite& database, const std::string& column, const std::string& wanted,
                           std::vector<std::int64_t>* recordings = nullptr) {
  std::vector<Row> rows;
  Statement statement = database.prepare("SELECT recording" + column_list<Row>() + " FROM " + table<Row> +
                                         (column.empty() ? "" : " WHERE " + column + " = ?1") + " ORDER BY rowid");
  if (!column.empty()) statement.bind(1, wanted);
  while (statement.step()) {
    Row& row = rows.emplace_back();
    int at = 1;
    local::columns(row, [&](const char*, auto& member, bool) { fetch(statement, at++, member); });
    if (recordings != nullptr) recordings->push_back(statement.integer(0));
  }
  return rows;
}

std::vector<Recording> read_recordings(const Sqlite& database) {
  std::vector<Recording> recordings;
  Statement statement = database.prepare("SELECT id, date, note FROM recordings ORDER BY id");
  while (statement.step()) {
    Recording& recording = recordings.emplace_back();
    recording.id = statement.integer(0);
    recording.date = statement.text(1);
    recording.note = statement.text(2);
    const std::string id = std::to_string(recording.id);
    Statement files = database.prepare("SELECT name, kind, digest FROM files WHERE recording = ? ORDER BY rowid");
    files.bind(1, recording.id);
    while (files.step()) recording.files.push_back({files.text(0), files.text(1), files.text(2), false});
    recording.quality = read_rows<RecordedQuality>(database, "recording", id);
    recording.speed = read_rows<RecordedSpeed>(database, "recording", id);
    recording.scores = read_rows<RecordedScore>(database, "recording", id);
  }
  return recordings;
}

std::string describe(const Sqlite& database, std::int64_t recording) {
  Statement statement = database.prepare(
      "SELECT date, (SELECT name FROM files WHERE recording = r.id ORDER BY rowid LIMIT 1)"
      " FROM recordings r WHERE id = ?");
  statement.bind(1, recording);
  statement.step();
  return "recording " + std::to_string(recording) + " of " + statement.text(0) + " (" + statement.text(1) + ")";
}

std::optional<std::int64_t> owner_of(const Sqlite& database, const char* from, const char* column,
                                     const std::string& value) {
  Statement statement = database.prepare(std::string("SELECT recording FROM ") + from + " WHERE " + column + " = ?");
  statement.bind(1, value);
  return statement.step() ? std::optional(statement.integer(0)) : std::nullopt;
}

std::string name_of(const RecordedQuality& r) {
  return r.row.model + " " + r.row.technique + " " + r.row.scheme + " on " + r.row.task;
}
std::string name_of(const RecordedSpeed& r) {
  return r.row.model + " " + r.row.format + " on " + r.row.hardware + ", " + r.row.metric;
}
std::string name_of(const RecordedScore& r) { return r.row.model + " on " + r.row.task; }

/// Refuses rows that are stored already, and the same row twice in one recording.
template <typename Row>
void refuse_known(const Sqlite* database, const std::vector<Row>& rows) {
  std::vector<std::string> keys;
  for (const Row& row : rows) {
    const std::string key = key_of(row);
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) {
      throw Error(ErrorCode::invalid_argument, "the files give the same measurement twice: " + name_of(row));
    }
    keys.push_back(key);
    const auto owner = database != nullptr ? owner_of(*database, table<Row>, "key", key) : std::nullopt;
    if (owner) {
      throw Error(ErrorCode::invalid_argument, "already recorded: " + name_of(row) + " is in " +
                                                   describe(*database, *owner) + "; nothing was stored");
    }
  }
}

/// Takes out scores that are known, which only served as baselines, and refuses every other duplicate.
void keep_new(const Sqlite* database, Recording& recording) {
  const bool compared = !recording.quality.empty();
  if (database != nullptr && compared) {
    const auto known = std::remove_if(
        recording.scores.begin(), recording.scores.end(),
        [&](const RecordedScore& score) { return owner_of(*database, "scores", "key", key_of(score)).has_value(); });
    if (known != recording.scores.end()) {
      recording.notes.push_back("the uncompressed run is recorded already; it is compared with and not stored again");
    }
    recording.scores.erase(known, recording.scores.end());
  }
  if (database != nullptr) {
    for (const Recording::File& file : recording.files) {
      if (file.reference) continue;
      if (const auto owner = owner_of(*database, "files", "digest", file.digest)) {
        throw Error(ErrorCode::invalid_argument, file.name + ": already recorded, as " + describe(*database, *owner) +
                                                     "; nothing was stored ('advisor record --undo " +
                                                     std::to_string(*owner) + "' takes that back)");
      }
    }
  }
  refuse_known(database, recording.quality);
  refuse_known(database, recording.speed);
  refuse_known(database, recording.scores);
}

template <typename Row>
void insert_rows(const Sqlite& database, std::int64_t recording, const std::vector<Row>& rows) {
  std::string marks = "?, ?";
  local::columns(Row{}, [&](const char*, const auto&, bool) { marks += ", ?"; });
  Statement statement = database.prepare(std::string("INSERT INTO ") + table<Row> + " (recording, key" +
                                         column_list<Row>() + ") VALUES (" + marks + ")");
  for (const Row& row : rows) {
    statement.bind(1, recording);
    statement.bind(2, key_of(row));
    int at = 3;
    local::columns(row, [&](const char*, const auto& member, bool) { bind(statement, at++, member); });
    if (const auto failure = statement.insert()) {
      throw Error(ErrorCode::internal, std::string("local database: ") + failure->message);
    }
  }
}

}  // namespace

LocalDatabase::LocalDatabase(std::filesystem::path path) : path_(std::move(path)) {}

Recording LocalDatabase::check(Recording recording) const {
  const auto database = open_for_reading(path_);
  keep_new(database ? &*database : nullptr, recording);
  return recording;
}

Recording LocalDatabase::store(Recording recording) {
  recording = check(std::move(recording));  // so that a refusal creates no file
  const Sqlite database = open_for_writing(path_);
  keep_new(&database, recording);  // again: another writer may have been first
  Statement insert = database.prepare("INSERT INTO recordings (date, note) VALUES (?, ?) RETURNING id");
  insert.bind(1, recording.date);
  insert.bind(2, recording.note);
  insert.step();
  recording.id = insert.integer(0);
  insert.step();
  Statement file = database.prepare("INSERT INTO files (recording, name, kind, digest) VALUES (?, ?, ?, ?)");
  for (const Recording::File& f : recording.files) {
    file.bind(1, recording.id);
    file.bind(2, f.name);
    file.bind(3, f.kind);
    file.bind(4, f.digest);
    file.insert();
  }
  insert_rows(database, recording.id, recording.quality);
  insert_rows(database, recording.id, recording.speed);
  insert_rows(database, recording.id, recording.scores);
  database.execute("COMMIT;");
  return recording;
}

std::vector<Recording> LocalDatabase::recordings() const {
  const auto database = open_for_reading(path_);
  return database ? read_recordings(*database) : std::vector<Recording>{};
}

std::vector<RecordedScore> LocalDatabase::scores() const {
  const auto database = open_for_reading(path_);
  return database ? read_rows<RecordedScore>(*database, "", "") : std::vector<RecordedScore>{};
}

Recording LocalDatabase::undo(std::int64_t id) {
  const auto refuse = [&] {
    throw Error(ErrorCode::not_found, id == 0 ? path_.string() + ": nothing is recorded there"
                                              : path_.string() + ": no recording " + std::to_string(id) +
                                                    " ('advisor record --list' shows them)");
  };
  std::error_code ec;
  if (!std::filesystem::exists(path_, ec)) refuse();
  const Sqlite database = open_for_writing(path_);
  const std::vector<Recording> all = read_recordings(database);
  const auto found = id == 0 ? (all.empty() ? all.end() : all.end() - 1)
                             : std::find_if(all.begin(), all.end(), [&](const Recording& r) { return r.id == id; });
  if (found == all.end()) refuse();
  Statement remove = database.prepare("DELETE FROM recordings WHERE id = ?");
  remove.bind(1, found->id);
  remove.step();
  database.execute("COMMIT;");
  return *found;
}

void append_local(Knowledge& knowledge, const std::filesystem::path& path, const std::string& model) {
  const auto database = open_for_reading(path);
  if (!database) return;
  // One transaction, so that another writer cannot come between the tables.
  database->execute("BEGIN;");
  const std::vector<Recording> recordings = read_recordings(*database);
  database->execute("COMMIT;");
  std::string content;
  for (const Recording& recording : recordings) {
    const std::string source = "local:" + std::to_string(recording.id);
    const auto wanted = [&](const std::string& of) { return model.empty() || of == model; };
    for (const RecordedQuality& q : recording.quality) {
      content += key_of(q);
      if (!wanted(q.row.model)) continue;
      QualityMeasurement& row = knowledge.quality.emplace_back(q.row);
      row.id = static_cast<std::int64_t>(knowledge.quality.size());
      row.source = source;
      row.url = source;
      row.recorded = recording.date;
    }
    for (const RecordedSpeed& s : recording.speed) {
      content += key_of(s);
      if (!wanted(s.row.model)) continue;
      SpeedMeasurement& row = knowledge.speed.emplace_back(s.row);
      row.id = static_cast<std::int64_t>(knowledge.speed.size());
      row.source = source;
      row.url = source;
      row.recorded = recording.date;
      if (row.input_tokens) row.input_length = std::to_string(*row.input_tokens);
      if (row.output_tokens) row.output_length = std::to_string(*row.output_tokens);
    }
    for (const RecordedScore& s : recording.scores) {
      content += key_of(s);
      if (!wanted(s.row.model)) continue;
      Score& row = knowledge.scores.emplace_back(s.row);
      row.url = source;
      row.recorded = recording.date;
    }
    content += source + recording.date;
    const std::string file = recording.files.empty() ? "" : recording.files[0].name;
    knowledge.sources.push_back(
        {source, "recorded " + recording.date + " from " + file, "this user", recording.date.substr(0, 4), file, ""});
  }
  if (!recordings.empty()) knowledge.digest += "+local:" + content_digest(content);
}

}  // namespace advisor
