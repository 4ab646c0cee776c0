// Whatever the bytes: a table whose rows are as wide as its header, or advisor::Error. What was read can be written
// and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/error.h"
#include "io/csv.h"

namespace {

std::string write(const advisor::CsvTable& table) {
  std::string text;
  const auto line = [&](const std::vector<std::string>& fields) {
    for (std::size_t i = 0; i < fields.size(); ++i) text += (i == 0 ? "" : ",") + advisor::csv_field(fields[i]);
    text += "\n";
  };
  line(table.columns);
  for (const auto& row : table.rows) line(row.fields);
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const advisor::CsvTable table = advisor::parse_csv({reinterpret_cast<const char*>(data), size}, "fuzz.csv");
    const advisor::CsvTable again = advisor::parse_csv(write(table), "again.csv");
    if (again.columns != table.columns || again.rows.size() != table.rows.size()) std::abort();
    for (std::size_t i = 0; i < table.rows.size(); ++i) {
      if (again.rows[i].fields != table.rows[i].fields) std::abort();
    }
  } catch (const advisor::Error&) {
  }
  return 0;
}
