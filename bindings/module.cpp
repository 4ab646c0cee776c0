#include "module.h"

#include "core/error.h"
#include "core/version.h"

namespace py = pybind11;

PYBIND11_MODULE(_advisor, m) {
  m.doc() = "libadvisor: see the package advisor";
  m.attr("__version__") = advisor::version();

  static py::exception<advisor::Error> error(m, "Error", PyExc_RuntimeError);
  error.attr("__doc__") = "What went wrong; `.code` is the name of the status, e.g. 'not_found'.";
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const advisor::Error& e) {
      py::object value = py::reinterpret_borrow<py::object>(error)(e.what());
      value.attr("code") = std::string(advisor::name(e.code()));
      PyErr_SetObject(error.ptr(), value.ptr());
    }
  });

  advisor::python::AdvisorClass type(m, "Advisor", "Knowledge (advisor.db and rules) and what can be done with it.");
  type.def(py::init([](const std::string& data_dir) {
             auto advisor = std::make_shared<advisor::Advisor>(data_dir);
             advisor->knowledge();
             return advisor;
           }),
           py::arg("data_dir") = "", py::call_guard<py::gil_scoped_release>());
  advisor::python::add_recommend(type);
  advisor::python::add_compress(type);
}
