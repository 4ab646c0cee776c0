// What it takes to get a variant: hours, memory and disk of one job, before it is run. Modelled, not measured: bytes
// that have to move and operations that have to be done, over rates of the machine that does them, with intervals as
// wide as these are uncertain. What people spend on setting a job up is not counted. Knows nothing of routes or of
// money: hours times the price of the machine is the caller's.
//
//   seconds = received / network + (read + written) / disk
//           + matrix products / (efficiency · peak) + products in fp32 / (efficiency · fp32 peak)
//           + passes over the weights / bandwidth + operations of the host / its cores + columns · launch + start
//
// How many of each a technique needs is in effort_work.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/catalog.h"
#include "core/hardware.h"
#include "core/measurement.h"
#include "core/variant.h"
#include "estimate/distribution.h"
#include "estimate/layout.h"

namespace advisor {

enum class Job : std::uint8_t {
  fetch,     ///< get the checkpoint from a hub onto the disk
  compress,  ///< make it from the uncompressed checkpoint on the disk with a technique: quantize, prune, sparsify
  convert,   ///< write the same values in another file format
  configure  ///< a setting of the engine, such as the type of the KV cache: start it and load the weights
};

/// The machine that runs the job: peak operations and bytes per second. What is in no catalog is assumed, with the
/// standard deviation of its logarithm; a caller who knows better writes it in.
struct JobRates {
  double matrix = 0;   ///< dense products of 16-bit matrices; of fp32 where there is nothing better
  double fp32 = 0;     ///< the same in fp32, which statistics and solvers use
  double memory = 0;   ///< bandwidth of the processor's or accelerator's memory
  double cores = 0;    ///< of the host, for what runs on it
  double disk = 0;     ///< reading and writing
  double network = 0;  ///< from a hub
  double peak_sd = 0, cores_sd = 0, disk_sd = 0, network_sd = 0;
  std::string assumed{};  ///< which peaks and bandwidths were derived from others, in words
};
/// One device works: of the tools named here none splits a job well. nullopt: neither bandwidth nor a peak is known.
std::optional<JobRates> job_rates(const Hardware& machine);

/// What of a model decides the work, in numbers.
struct ModelWork {
  double params = 0;        ///< all
  double linear = 0;        ///< in matrices that techniques touch; of a mixture all experts: calibration visits each
  double native_bytes = 0;  ///< of the uncompressed checkpoint
  double block = 0;         ///< parameters of the largest decoder block
  double widest = 0;        ///< parameters of the largest matrix
  double columns = 0;       ///< sum of the inputs of all matrices
  double gram = 0;          ///< sum of inputs²
  double cube = 0;          ///< sum of inputs³
  double square = 0;        ///< sum of outputs · inputs²
  double block_gram = 0;    ///< the part of `gram` within the largest block
  double hidden = 0;
};
/// Without geometry the shape of a usual decoder is assumed. nullopt: the size is unknown.
std::optional<ModelWork> model_work(const Model& model);
ModelWork model_work(const Model& model, const Layout& layout);

/// What a technique does to a model. Tokens are of the calibration data; factors of a forward pass are 2 operations
/// per token and parameter.
struct TechniqueWork {
  std::string_view technique;      ///< data/techniques.csv
  double tokens = 0;               ///< 0: needs no data
  double forwards = 0;             ///< passes over the tokens, as multiples of one forward pass; backward counts twice
  double efficiency = 0;           ///< share of the peak that these passes reach
  double grams = 0;                ///< 1: XᵀX of every input over the tokens, in fp32
  double scalings = 0;             ///< scalings of the columns that are tried on 1024 rows of every matrix; of `own`
  double solves = 0;               ///< Cholesky and column-by-column updates of every matrix, so many times
  double passes = 0;               ///< bytes per parameter that cross the accelerator's memory
  double host_operations = 0;      ///< per parameter, on the host's cores
  bool whole_model = true;         ///< in memory at once; otherwise one block or tensor after the other
  bool intermediate_file = false;  ///< needs a 16-bit file in another format first
  bool own = false;                ///< libadvisor's backend: all of it on the host's cores, in fp32
  double sd = 0;                   ///< of the logarithm of the time: how tools and settings differ
  std::string_view what;           ///< the work in words
  std::string_view source;         ///< of the work or of the timing it was checked against
};
/// `own`: libadvisor's backend runs it where it can (TechniqueWork::own tells); otherwise the reference tool. nullptr:
/// no job that one can plan from the model's size (distillation, retraining, collective names).
const TechniqueWork* technique_work(std::string_view technique, bool own = false);

/// The plain numbers.
struct JobCost {
  Distribution log_hours;
  double peak_memory = 0;  ///< bytes of host and accelerator together
  double disk = 0;         ///< bytes that the job adds
};
/// `output_bytes`: what the variant's files weigh. Arithmetic only. `technique` is for compress and must be there then.
JobCost job_cost(Job job, const ModelWork& model, const TechniqueWork* technique, double output_bytes,
                 const JobRates& rates);

struct Effort {
  Estimate hours;
  double peak_memory = 0;  ///< bytes of host and accelerator together
  double disk = 0;         ///< bytes that the job adds
  std::string how;         ///< what it rests on and what was assumed
};
/// The same in words, for a variant of `model`. nullopt: the size of the model, the rates of the machine or the work of
/// the variant's technique is unknown. Throws invalid_argument for a scheme that nobody can read.
std::optional<Effort> estimate_effort(Job job, const Model& model, const Variant& variant, const Hardware& machine,
                                      bool own = false);

}  // namespace advisor
