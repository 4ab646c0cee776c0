#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include <string>

#include "module.h"

namespace advisor::python {
namespace {

namespace py = pybind11;

/// progress(stage, done, total, seconds) -> None or bool; False, or a raised exception, cancels.
using PyProgress = py::object;

bool report(const PyProgress& progress, const std::string& stage, std::int64_t done, std::int64_t total,
            double seconds) {
  const py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();  // Ctrl-C in a notebook
  if (progress.is_none()) return true;
  const py::object answer = progress(stage, done, total, seconds);
  return answer.is_none() || answer.cast<bool>();
}

CompressRequest request_of(const std::string& model, const std::string& out, const std::string& recipe_yaml,
                           int threads, bool overwrite) {
  CompressRequest request;
  request.model = model;
  request.out = out;
  request.recipe = parse_recipe(recipe_yaml, "recipe");
  request.threads = threads;
  request.overwrite = overwrite;
  return request;
}

}  // namespace

void add_compress(AdvisorClass& type) {
  type.def(
      "plan",
      [](const Advisor& self, const std::string& model, const std::string& out, const std::string& recipe, int threads,
         bool overwrite) { return to_json(self.plan(request_of(model, out, recipe, threads, overwrite))); },
      py::arg("model"), py::arg("out"), py::arg("recipe"), py::arg("threads") = 0, py::arg("overwrite") = false,
      py::call_guard<py::gil_scoped_release>(), "JSON of what compress() would do; writes nothing.");
  type.def(
      "compress",
      [](const Advisor& self, const std::string& model, const std::string& out, const std::string& recipe, int threads,
         bool overwrite, const PyProgress& progress) {
        const auto request = request_of(model, out, recipe, threads, overwrite);
        const py::gil_scoped_release release;
        return to_json(self.compress(
            request, [&](const Progress& p) { return report(progress, p.stage, p.done, p.total, p.seconds); }));
      },
      py::arg("model"), py::arg("out"), py::arg("recipe"), py::arg("threads") = 0, py::arg("overwrite") = false,
      py::arg("progress") = py::none(), "Runs a recipe (YAML); JSON report.");
  type.def(
      "evaluate",
      [](const Advisor& self, const std::string& model, const std::string& suite, int threads, std::int64_t limit,
         const PyProgress& progress) {
        const auto request = evaluation_of(model, suite, threads, limit);
        const py::gil_scoped_release release;
        return to_json(self.evaluate(
            request, [&](const EvaluateProgress& p) { return report(progress, p.stage, p.done, p.total, p.seconds); }));
      },
      py::arg("model"), py::arg("suite"), py::arg("threads") = 0, py::arg("limit") = 0,
      py::arg("progress") = py::none(),
      "Measures a checkpoint on a suite folder, a .txt or a .jsonl file; JSON report.");
}

}  // namespace advisor::python
