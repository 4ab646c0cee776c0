#include "cli/job_options.h"

#include "core/units.h"

namespace advisor::cli {

namespace po = boost::program_options;

void add_job_options(po::options_description& options) {
  options.add_options()("calibration", po::value<std::vector<std::string>>()->value_name("TEXT")->composing(),
                        "a .txt, a .jsonl with \"text\", or a folder of them: what techniques learn from; with rtn and "
                        "gguf, the\nimportance of inputs (repeatable)")(
      "samples", po::value<std::int64_t>()->default_value(128)->value_name("N"), "calibration sequences")(
      "sequence-length", po::value<std::int64_t>()->default_value(0)->value_name("N"),
      "tokens of each; 0 = the model's context, at most 2048")(
      "seed", po::value<std::uint64_t>()->default_value(0)->value_name("N"),
      "0 = the first sequences of the text, else a choice of them")(
      "imatrix", po::value<std::string>()->value_name("FILE"),
      "importance of inputs from llama-imatrix (.gguf or .dat) or --save-imatrix, in place of --calibration")(
      "save-imatrix", "write the importance that --calibration measures to OUT/imatrix.gguf, for llama-quantize too")(
      "memory", po::value<std::string>()->value_name("SIZE"),
      "stay within this, e.g. 8GiB; activations beyond it go to a file (default: most of what is free)")(
      "threads", po::value<std::int64_t>()->default_value(0)->value_name("N"),
      "0 = all cores; the bytes do not depend on it")("overwrite", "replace OUT if it exists")(
      "resume", "go on with the run of the same command that was killed or cancelled");
}

void read_job_options(const po::variables_map& values, CompressRequest& request) {
  for (const std::string& text : list_of(values, "calibration")) request.calibration.texts.emplace_back(text);
  request.calibration.samples = non_negative(values, "samples");
  request.calibration.sequence_length = non_negative(values, "sequence-length");
  request.calibration.seed = values["seed"].as<std::uint64_t>();
  if (values.count("imatrix") != 0) request.imatrix = values["imatrix"].as<std::string>();
  request.save_imatrix = values.count("save-imatrix") != 0;
  if (values.count("memory") != 0)
    request.memory = static_cast<std::int64_t>(parse_quantity(values["memory"].as<std::string>(), Dimension::bytes));
  request.threads = static_cast<int>(non_negative(values, "threads"));
  request.overwrite = values.count("overwrite") != 0;
  request.resume = values.count("resume") != 0;
  request.keep_cancelled = true;
}

}  // namespace advisor::cli
