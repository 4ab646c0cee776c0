// What the files of the binding share. Values cross as JSON text: one schema for CLI, C and Python.
#pragma once

#include <pybind11/pybind11.h>

#include "facade.h"

namespace advisor::python {

using AdvisorClass = pybind11::class_<Advisor, std::shared_ptr<Advisor>>;

void add_recommend(AdvisorClass& type);
void add_compress(AdvisorClass& type);  ///< compress, plan and evaluate: the long calls, with progress

}  // namespace advisor::python
