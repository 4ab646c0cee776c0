#include "io/import_report.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "io/local_rows.h"

namespace advisor {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
Json value_of(const T& value) {
  return value;
}
template <typename T>
Json value_of(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

template <typename Row>
Json rows_json(const std::vector<Row>& rows) {
  Json list = Json::array();
  for (const Row& row : rows) {
    Json item = Json::object();
    local::columns(row, [&](const char* name, const auto& member, bool) { item[name] = value_of(member); });
    list.push_back(std::move(item));
  }
  return list;
}

}  // namespace

std::string to_json(const std::string& action, const std::vector<Recording>& recordings,
                    const std::filesystem::path& database) {
  Json list = Json::array();
  for (const Recording& recording : recordings) {
    Json files = Json::array();
    for (const Recording::File& file : recording.files) {
      files.push_back({{"name", file.name}, {"kind", file.kind}, {"digest", file.digest}});
    }
    list.push_back({{"id", recording.id == 0 ? Json(nullptr) : Json(recording.id)},
                    {"date", recording.date},
                    {"note", recording.note.empty() ? Json(nullptr) : Json(recording.note)},
                    {"files", std::move(files)},
                    {"matched", recording.matched},
                    {"notes", recording.notes},
                    {"quality", rows_json(recording.quality)},
                    {"speed", rows_json(recording.speed)},
                    {"scores", rows_json(recording.scores)}});
  }
  const Json json = {{"schema", "advisor.record/1"},
                     {"action", action},
                     {"database", database.string()},
                     {"recordings", std::move(list)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace advisor
