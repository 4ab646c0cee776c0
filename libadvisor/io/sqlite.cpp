#include "io/sqlite.h"

#include <sqlite3.h>

#include "core/error.h"

namespace advisor {

void Statement::Close::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

void Statement::bind(int parameter, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), parameter, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}
void Statement::bind(int parameter, double number) { sqlite3_bind_double(statement_.get(), parameter, number); }
void Statement::bind(int parameter, std::int64_t number) { sqlite3_bind_int64(statement_.get(), parameter, number); }
void Statement::bind_null(int parameter) { sqlite3_bind_null(statement_.get(), parameter); }

bool Statement::step() {
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  throw Error(ErrorCode::io_error, std::string("database: ") + sqlite3_errmsg(sqlite3_db_handle(statement_.get())));
}

std::optional<SqliteFailure> Statement::insert() {
  const int result = sqlite3_step(statement_.get());
  sqlite3* database = sqlite3_db_handle(statement_.get());
  std::optional<SqliteFailure> failure;
  if (result != SQLITE_DONE) {
    failure =
        SqliteFailure{result == SQLITE_CONSTRAINT, sqlite3_extended_errcode(database) == SQLITE_CONSTRAINT_FOREIGNKEY,
                      sqlite3_errmsg(database)};
  }
  sqlite3_reset(statement_.get());
  if (failure && !failure->constraint) throw Error(ErrorCode::io_error, "database: " + failure->message);
  return failure;
}

int Statement::columns() const { return sqlite3_column_count(statement_.get()); }
bool Statement::is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }

std::string_view Statement::view(int column) const {
  const unsigned char* text = sqlite3_column_text(statement_.get(), column);
  if (text == nullptr) return {};
  const int bytes = sqlite3_column_bytes(statement_.get(), column);
  return {reinterpret_cast<const char*>(text), static_cast<std::size_t>(bytes)};
}

double Statement::number(int column) const { return sqlite3_column_double(statement_.get(), column); }
std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

std::optional<double> Statement::maybe_number(int column) const {
  return is_null(column) ? std::nullopt : std::optional(number(column));
}
std::optional<std::int64_t> Statement::maybe_integer(int column) const {
  return is_null(column) ? std::nullopt : std::optional(integer(column));
}
std::optional<bool> Statement::maybe_yes(int column) const {
  return is_null(column) ? std::nullopt : std::optional(yes(column));
}

void Sqlite::Close::operator()(sqlite3* database) const { sqlite3_close(database); }

Sqlite::Sqlite(const std::filesystem::path& path, int flags) : name_(path.string()) {
  sqlite3* database = nullptr;
  // A connection stays in the thread that opened it: SQLite need not lock.
  const int result = sqlite3_open_v2(name_.c_str(), &database, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  database_.reset(database);
  if (result != SQLITE_OK) fail("cannot be opened");
  sqlite3_extended_result_codes(database, 0);
}

Sqlite Sqlite::open_read_only(const std::filesystem::path& path) {
  Sqlite database(path, SQLITE_OPEN_READONLY);
  // What a query sorts stays in memory: a reader must not need room on the disk.
  database.execute("PRAGMA temp_store = MEMORY");
  database.execute("PRAGMA mmap_size = 268435456");  // pages are used where they lie instead of read one by one
  return database;
}

Sqlite Sqlite::open(const std::filesystem::path& path) {
  Sqlite database(path, SQLITE_OPEN_READWRITE);
  database.execute("PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON;");
  return database;
}

Sqlite Sqlite::create(const std::filesystem::path& path) {
  Sqlite database(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  database.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON;");
  return database;
}

Statement Sqlite::prepare(std::string_view sql) const {
  std::optional<Statement> statement = prepare_next(sql);
  if (!statement) throw Error(ErrorCode::internal, "empty SQL statement");
  return std::move(*statement);
}

std::optional<Statement> Sqlite::prepare_next(std::string_view& sql) const {
  while (!sql.empty()) {
    sqlite3_stmt* statement = nullptr;
    const char* tail = nullptr;
    const int bytes = static_cast<int>(sql.size());
    if (sqlite3_prepare_v2(database_.get(), sql.data(), bytes, &statement, &tail) != SQLITE_OK) fail("SQL");
    sql.remove_prefix(static_cast<std::size_t>(tail - sql.data()));
    if (statement == nullptr) continue;  // a comment
    Statement prepared;
    prepared.statement_.reset(statement);
    return prepared;
  }
  return std::nullopt;
}

void Sqlite::execute(const std::string& sql) const {
  if (sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail("SQL");
}

void Sqlite::fail(const std::string& doing) const {
  throw Error(ErrorCode::io_error, name_ + ": " + doing + ": " + sqlite3_errmsg(database_.get()));
}

}  // namespace advisor
