#include "estimate/effort.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "estimate/weights.h"

namespace advisor {

namespace {

/// Median and standard deviation of the logarithm of what lies between `low` and `high` nine times in ten.
struct Range {
  double low, high;
  double median() const { return std::sqrt(low * high); }
  double sd() const { return std::log(high / low) / 2 / 1.645; }
};
constexpr Range disk_range{0.2e9, 5e9};    // a hard disk or a network volume, to one NVMe drive
constexpr Range network_range{20e6, 1e9};  // a line of 160 Mbit/s, to 10 Gbit/s less what a hub throttles
constexpr Range host_cores{5, 50};         // beside one accelerator: a desktop, to a share of a server
constexpr Range engine_start{20, 180};     // seconds beside the loading: compilation, capture of graphs
constexpr Range tool_start{15, 60};        // Python and its libraries; with files of 8B the minute of RTN in `source`
constexpr double program_start = 1;        // a compiled program
constexpr double assumed_ratio_sd = 0.5;   // of rates that are derived from another rate, a factor of 2.3 either way

// Rates of the catalog's devices relative to each other, where one is not stated (medians over data/hardware.csv).
constexpr double cpu_fp32_per_byte = 25;    // vector units of server and desktop CPUs: EPYC 7763 24, Ryzen 7950X 28
constexpr double matrix_per_byte = 150;     // 16-bit matrix units: data-center cards 200, consumer cards 90
constexpr double matrix_per_fp32 = 8;       // A100 and H100 15, GeForce 2 to 4
constexpr double bandwidth_per_core = 5e9;  // EPYC 7763 3.2, 9654 4.8, Xeon 8480+ 5.5, Ryzen 7950X 5.2 GB/s

constexpr double fp32_efficiency = 0.8;  // large products in fp32 come near the peak
constexpr double memory_efficiency = 0.8;
constexpr double column_time = 100e-6;    // about ten kernels per column of a matrix, ten microseconds each
constexpr double host_rate = 1.2e10;      // bench_compress: W4A16 3.1 GB/s of bf16 at 5 operations, MSE 0.18 at 200
constexpr double convert_operations = 4;  // widen, narrow, permute, store

// Our backend multiplies on the host in fp32. One core of an EPYC with AVX-512: GPTQ 53 and 65 Gflop/s (bench_solve),
// the whole of a calibrated job of the largest lab model 62 (lab_table.py: 13.4 s for 4 operations per weight and
// token), OpenBLAS alone 92. Cores of desktops and of servers with and without AVX-512 reach half to twice of that.
constexpr Range host_products{3e10, 12e10};
constexpr double scaled_rows = 1024;  // of each matrix, on which scalings are tried

// benchmarks/stream.sh: 41 MB with one thread, 47 MB with two.
constexpr double own_memory = 35e6, own_memory_per_core = 6e6;

constexpr double few_timings = 10;  // degrees of freedom: what the spread was taken from

bool is_cpu(const Device& device) { return device.kind.find("cpu") != std::string::npos; }

/// Of the checkpoint as its developer publishes it.
double native_bytes_per_parameter(const Model& model) {
  const auto says = [&](const char* part) { return model.native_dtype.find(part) != std::string::npos; };
  if (says("mxfp4") || says("fp4")) return 4.25 / 8;
  if (says("fp8") || says("float8") || says("int8")) return 1;
  return says("float32") || says("fp32") ? 4 : 2;
}

/// A sum of terms, each with a spread of its own.
class Seconds {
 public:
  void add(double seconds, double sd) {
    total_ += seconds;
    variance_ += seconds * sd * (seconds * sd);
  }
  /// To first order: relative spreads weighted by the share of each term.
  Distribution log_hours() const {
    const double total = std::max(total_, 1e-3);  // no job takes less than a millisecond
    return {std::log(total / 3600), std::sqrt(variance_) / total, few_timings};
  }

 private:
  double total_ = 0, variance_ = 0;
};

/// Operations of our backend's products, as block_work() of compress/estimate.cpp counts them: a symmetric product is
/// half of one, and a solver's passes are two.
double own_products(const ModelWork& m, const TechniqueWork& t) {
  return 2 * m.linear * t.tokens * t.forwards + m.gram * t.tokens * t.grams + 2 * (m.square + m.cube / 3) * t.solves +
         2 * std::min(m.square, scaled_rows * m.gram) * t.scalings;
}

/// Seconds of the technique's own work.
void add_work(const ModelWork& m, const TechniqueWork& t, const JobRates& r, Seconds& seconds) {
  if (t.own) {
    seconds.add(own_products(m, t) / (host_products.median() * r.cores), std::hypot(host_products.sd(), r.cores_sd));
    seconds.add(m.params * t.host_operations / (host_rate * r.cores), std::hypot(t.sd, r.cores_sd));
    return;
  }
  const double products = 2 * m.linear * t.tokens * t.forwards;
  const double statistics = 2 * m.gram * t.tokens * t.grams;
  const double solver = (4.0 / 3 * m.cube + m.square) * t.solves;
  double accelerator = m.linear * t.passes / (memory_efficiency * r.memory);
  if (products > 0) accelerator += products / (t.efficiency * r.matrix);
  accelerator += (statistics + solver) / (fp32_efficiency * r.fp32) + m.columns * t.solves * column_time;
  seconds.add(accelerator, std::hypot(t.sd, r.peak_sd));
  seconds.add(m.params * t.host_operations / (host_rate * r.cores), std::hypot(t.sd, r.cores_sd));
}

double working_memory(const ModelWork& m, const TechniqueWork& t, const JobRates& r) {
  if (t.own) {
    const double program = own_memory + own_memory_per_core * r.cores;
    if (t.tokens <= 0) return program;
    // As block_memory() of compress/estimate.cpp; gate and up are solved together and take half of a usual block.
    // Activations between two blocks go to a file where memory is short.
    return program + 4 * m.block + 17 * std::min(m.widest, m.block / 2) + 4 * m.block_gram * t.grams;
  }
  double bytes = t.whole_model ? m.native_bytes : 0;
  // a block in fp32, its Gram matrices, and the 16-bit activations of all tokens before and after it
  if (t.tokens > 0) bytes += 4 * m.block + 4 * m.block_gram * t.grams;
  if (t.tokens > 0) bytes += 2 * 2 * std::min(t.tokens, 1e6) * m.hidden;
  // tensor by tensor: read in 16 bits, worked on in fp32
  return bytes + (t.tokens > 0 ? 0 : 6 * m.widest);
}

std::string shown(const char* format, double value) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}
std::string gigabytes(double bytes) { return shown("%.3g GB", bytes / 1e9); }

/// What is done, with its amounts.
std::string words_of(Job job, const ModelWork& m, const TechniqueWork* technique, double output_bytes) {
  const std::string files = gigabytes(m.native_bytes) + " read, " + gigabytes(output_bytes) + " written";
  switch (job) {
    case Job::fetch: return gigabytes(output_bytes) + " from a hub";
    case Job::convert: return files;
    case Job::configure: return "the engine is started and loads " + gigabytes(output_bytes);
    case Job::compress: break;
  }
  const TechniqueWork& t = *technique;
  std::string text =
      std::string(t.technique) + (t.own ? " by libadvisor: " : " by its reference tool: ") + std::string(t.what);
  if (t.tokens > 0)
    text += shown(" (%.2g million tokens", t.tokens / 1e6) +
            shown(", %.2g operations)",
                  t.own ? own_products(m, t) : 2 * m.linear * t.tokens * t.forwards + 2 * m.gram * t.tokens * t.grams);
  return text + "; " + files;
}

}  // namespace

std::optional<JobRates> job_rates(const Hardware& machine) {
  const Device& d = machine.device;
  const auto positive = [](const std::optional<double>& rate) { return rate && *rate > 0; };
  const double bandwidth = positive(d.bandwidth) ? *d.bandwidth : 0;
  const double half = std::max(positive(d.bf16) ? *d.bf16 : 0.0, positive(d.fp16) ? *d.fp16 : 0.0);
  const double single = positive(d.fp32) ? *d.fp32 : 0;
  if (bandwidth <= 0 && half <= 0 && single <= 0) return std::nullopt;
  JobRates r;
  const bool cpu = is_cpu(d);
  const auto derived = [&](const char* what) {
    r.peak_sd = assumed_ratio_sd;
    r.assumed += std::string(r.assumed.empty() ? "" : ", ") + what;
  };
  r.matrix = std::max(half, single);
  r.fp32 = single;
  if (r.matrix <= 0) {
    r.matrix = bandwidth * (cpu ? cpu_fp32_per_byte : matrix_per_byte);
    derived("peak rate from the bandwidth");
  }
  if (r.fp32 <= 0) {
    r.fp32 = cpu && bandwidth > 0 ? bandwidth * cpu_fp32_per_byte : r.matrix / matrix_per_fp32;
    if (half > 0) derived("fp32 peak from other rates");
  }
  r.memory = bandwidth;
  if (r.memory <= 0) {
    r.memory = r.matrix / matrix_per_byte;
    derived("bandwidth from the peak rate");
  }
  r.cores = cpu ? std::clamp(std::round(r.memory / bandwidth_per_core), 1.0, 256.0) : host_cores.median();
  r.cores_sd = cpu ? assumed_ratio_sd : host_cores.sd();
  r.disk = disk_range.median(), r.disk_sd = disk_range.sd();
  r.network = network_range.median(), r.network_sd = network_range.sd();
  return r;
}

ModelWork model_work(const Model& model, const Layout& layout) {
  ModelWork w;
  std::set<std::int64_t> starts;  // a new composition of blocks begins where a group begins
  const auto touched = [](const TensorGroup& g) {
    return g.role != TensorRole::embedding && g.role != TensorRole::head && g.role != TensorRole::router &&
           g.role != TensorRole::wide && g.role != TensorRole::vector;
  };
  for (const auto& g : layout.groups) {
    w.params += g.elements();
    w.widest = std::max(w.widest, static_cast<double>(g.rows) * static_cast<double>(g.columns));
    if (!touched(g)) continue;
    const auto rows = static_cast<double>(g.rows), columns = static_cast<double>(g.columns);
    const auto count = static_cast<double>(g.copies * g.layers);
    w.linear += g.elements();
    w.columns += count * columns;
    w.gram += count * columns * columns;
    w.cube += count * columns * columns * columns;
    w.square += count * rows * columns * columns;
    starts.insert(g.first_layer);
  }
  for (const std::int64_t layer : starts) {
    double block = 0, gram = 0;
    for (const auto& g : layout.groups)
      if (touched(g) && g.first_layer <= layer && layer < g.first_layer + g.layers) {
        block += g.elements() / static_cast<double>(g.layers);
        gram += static_cast<double>(g.copies) * static_cast<double>(g.columns) * static_cast<double>(g.columns);
      }
    w.block = std::max(w.block, block);
    w.block_gram = std::max(w.block_gram, gram);
  }
  w.hidden = static_cast<double>(model.hidden.value_or(0));
  if (layout.basis == "parameters") {
    // One matrix stands for all of them. A usual decoder has 12 hidden² weights in a layer, inputs of the MLP's second
    // matrix 3.5 hidden, and hidden/128 layers (Llama-3-8B 128, -70B 102).
    const double h = model.hidden ? w.hidden : std::cbrt(w.linear * 128 / 12);
    const double layers = w.linear / (12 * h * h);
    const double mlp = 3.5 * h;
    w.hidden = h, w.block = w.linear / std::max(1.0, layers), w.widest = mlp * h;
    w.columns = layers * (6 * h + mlp);
    w.block_gram = 6 * h * h + mlp * mlp;
    w.gram = layers * w.block_gram;
    w.cube = layers * (6 * h * h * h + mlp * mlp * mlp);
    w.square = w.linear * (2 * h + mlp) / 3;
  }
  w.native_bytes = layout.elements() * native_bytes_per_parameter(model);
  return w;
}

std::optional<ModelWork> model_work(const Model& model) {
  const auto layout = layout_of(model);
  if (!layout || layout->elements() <= 0) return std::nullopt;
  return model_work(model, *layout);
}

JobCost job_cost(Job job, const ModelWork& model, const TechniqueWork* technique, double output_bytes,
                 const JobRates& rates) {
  Seconds seconds;
  JobCost cost;
  const auto disk = [&](double bytes) { seconds.add(bytes / rates.disk, rates.disk_sd); };
  switch (job) {
    case Job::fetch:  // streams to the disk: the slower of the two counts; buffers do not
      seconds.add(output_bytes / std::min(rates.network, rates.disk),
                  rates.network < rates.disk ? rates.network_sd : rates.disk_sd);
      cost.disk = output_bytes;
      break;
    case Job::compress: {
      if (technique == nullptr) throw Error(ErrorCode::internal, "job_cost: a compression needs its technique");
      const double detour = technique->intermediate_file ? model.native_bytes : 0;
      disk(model.native_bytes + 2 * detour + output_bytes);
      add_work(model, *technique, rates, seconds);
      const bool python = !technique->own && technique->host_operations <= 0;
      seconds.add(python ? tool_start.median() : program_start, tool_start.sd());
      cost.peak_memory = working_memory(model, *technique, rates);
      cost.disk = output_bytes + detour;
      break;
    }
    case Job::convert:
      disk(model.native_bytes + output_bytes);
      seconds.add(model.params * convert_operations / (host_rate * rates.cores), std::hypot(0.5, rates.cores_sd));
      seconds.add(tool_start.median(), tool_start.sd());
      cost.peak_memory = 6 * model.widest;
      cost.disk = output_bytes;
      break;
    case Job::configure:
      disk(output_bytes);
      seconds.add(engine_start.median(), engine_start.sd());
      cost.peak_memory = output_bytes;
      break;
  }
  cost.log_hours = seconds.log_hours();
  return cost;
}

std::optional<Effort> estimate_effort(Job job, const Model& model, const Variant& variant, const Hardware& machine,
                                      bool own) {
  const auto work = model_work(model);
  const auto rates = job_rates(machine);
  const auto output = estimate_weights(model, variant);
  const auto* technique = job == Job::compress ? technique_work(variant.technique, own) : nullptr;
  if (!work || !rates || !output || (job == Job::compress && technique == nullptr)) return std::nullopt;
  const JobCost cost = job_cost(job, *work, technique, output->bytes, *rates);
  Effort effort;
  std::vector<std::string> sources;
  if (technique != nullptr) {
    sources.emplace_back(technique->source);
    if (technique->host_operations > 0) sources.emplace_back("benchmarks/bench_compress.cpp");
  }
  effort.hours = to_log_estimate(cost.log_hours, Basis::modelled, 0, std::move(sources));
  effort.peak_memory = cost.peak_memory, effort.disk = cost.disk;
  effort.how = words_of(job, *work, technique, output->bytes) + "; assumed: disk 0.2 to 5 GB/s";
  if (job == Job::fetch) effort.how += ", network 20 MB/s to 1 GB/s";
  if (job == Job::convert || (technique != nullptr && technique->host_operations > 0))
    effort.how += is_cpu(machine.device) ? ", 5 GB/s of bandwidth per core" : ", 5 to 50 cores in the host";
  if (technique != nullptr && !technique->own && !rates->assumed.empty()) effort.how += ", " + rates->assumed;
  return effort;
}

}  // namespace advisor
