#include "io/database.h"

#include "core/error.h"
#include "io/database_rows.h"

namespace advisor {
namespace {

constexpr std::int64_t layout_major = 1;

std::string metadata(const Sqlite& database, const std::string& key) {
  Statement statement = database.prepare("SELECT value FROM metadata WHERE key = ?");
  statement.bind(1, key);
  return statement.step() ? statement.text(0) : "";
}

void check_layout(const Sqlite& database, const std::string& name) {
  std::string major, minor;
  try {
    major = metadata(database, "layout_major");
    minor = metadata(database, "layout_minor");
  } catch (const Error&) {  // no table metadata, or no database at all
  }
  if (major.empty())
    throw Error(ErrorCode::parse_error, name + ": not a database of libadvisor; build it with build_db");
  if (whole_number(major) != layout_major) {
    throw Error(ErrorCode::unsupported, name + ": layout " + major + "." + minor + ", this build reads " +
                                            std::to_string(layout_major) +
                                            ".x; use the database that came with this version of libadvisor");
  }
}

}  // namespace

Knowledge load_knowledge(const std::filesystem::path& path, const Selection& only) {
  if (!std::filesystem::exists(path)) {
    throw Error(ErrorCode::not_found, path.string() + ": no such file; ./dev build makes it from data/");
  }
  const Sqlite database = Sqlite::open_read_only(path);
  check_layout(database, path.string());
  Knowledge knowledge;
  read_catalogs(database, only, knowledge);
  read_vocabularies(database, knowledge);
  read_measurements(database, only, knowledge);
  knowledge.digest = metadata(database, "digest");
  return knowledge;
}

}  // namespace advisor
