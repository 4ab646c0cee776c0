// The few things io/ and tools/build_db do with SQLite, with its errors as advisor::Error. No SQLite type gets out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace advisor {

/// What SQLite refused, in its own words (for example "CHECK constraint failed: count is positive").
struct SqliteFailure {
  bool constraint = false;
  bool foreign_key = false;
  std::string message;
};

class Statement {
 public:
  /// `parameter` counts from 1.
  void bind(int parameter, std::string_view text);
  void bind(int parameter, double number);
  void bind(int parameter, std::int64_t number);
  void bind_null(int parameter);

  /// True while there is a row; throws io_error on failure.
  bool step();
  /// Runs an INSERT and makes it ready for the next binding; a broken constraint is returned, all else thrown.
  std::optional<SqliteFailure> insert();

  int columns() const;
  bool is_null(int column) const;
  std::string text(int column) const { return std::string(view(column)); }  ///< empty for NULL
  std::string_view view(int column) const;                                  ///< valid until the next step
  double number(int column) const;
  std::int64_t integer(int column) const;
  std::optional<double> maybe_number(int column) const;
  std::optional<std::int64_t> maybe_integer(int column) const;
  bool yes(int column) const { return view(column) == "yes"; }
  std::optional<bool> maybe_yes(int column) const;

 private:
  friend class Sqlite;
  struct Close {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3_stmt, Close> statement_;
};

class Sqlite {
 public:
  /// Throws io_error (also when the file is not a database).
  static Sqlite open_read_only(const std::filesystem::path& path);
  /// An existing file, for reading and writing; waits up to five seconds for another writer.
  static Sqlite open(const std::filesystem::path& path);
  /// `path` must not exist. Without a journal: the caller throws an unfinished file away.
  static Sqlite create(const std::filesystem::path& path);

  Statement prepare(std::string_view sql) const;
  /// Prepares the first statement of `sql` and removes it from there; nullopt at the end.
  std::optional<Statement> prepare_next(std::string_view& sql) const;
  void execute(const std::string& sql) const;

 private:
  Sqlite(const std::filesystem::path& path, int flags);
  [[noreturn]] void fail(const std::string& doing) const;
  struct Close {
    void operator()(sqlite3* database) const;
  };
  std::unique_ptr<sqlite3, Close> database_;
  std::string name_;
};

}  // namespace advisor
