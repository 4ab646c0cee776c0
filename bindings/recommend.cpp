#include <pybind11/stl.h>

#include <string>
#include <utility>

#include "core/json.h"
#include "module.h"

namespace advisor::python {

namespace py = pybind11;

void add_recommend(AdvisorClass& type) {
  const auto answer = [](const Advisor& self, const Profile& input) {
    const Recommendation recommendation = self.recommend(input);
    return std::pair(to_json(recommendation), explain(recommendation));
  };
  type.def(
      "recommend_file",
      [answer](const Advisor& self, const std::string& path) { return answer(self, load_profile(path)); },
      py::arg("path"), py::call_guard<py::gil_scoped_release>(), "(JSON, text) for a profile file (YAML).");
  type.def(
      "recommend_json",
      [answer](const Advisor& self, const std::string& json) { return answer(self, profile_from_json(json)); },
      py::arg("json"), py::call_guard<py::gil_scoped_release>(), "(JSON, text) for a profile as JSON text.");
  type.def(
      "probe", [](const Advisor& self) { return to_json(self.probe()); }, py::call_guard<py::gil_scoped_release>(),
      "This machine as JSON.");
}

}  // namespace advisor::python
