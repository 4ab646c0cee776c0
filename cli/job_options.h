// The options that every job of the compression backend has, whoever says what it makes.
#pragma once

#include "cli/command.h"
#include "facade.h"

namespace advisor::cli {

void add_job_options(boost::program_options::options_description& options);
/// Texts for calibration, memory, threads, what to do with an existing output or an interrupted run.
void read_job_options(const boost::program_options::variables_map& values, CompressRequest& request);

}  // namespace advisor::cli
