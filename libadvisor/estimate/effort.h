// What it takes to get a variant: hours, memory and disk of one job, before it is run. Modelled, not measured: bytes
// that have to move and operations that have to be done, over rates of the machine that does them, with intervals as
// wide as the rates are uncertain. Knows nothing of routes or of money: hours times the price of the machine is the
// caller's.
//
//   transfers = read / disk rate + written / disk rate        (fetch: received / max of network, written to disk)
//   compute   = operations / (efficiency · peak) + memory traffic / (efficiency · bandwidth) + sequential work
//   hours     = (transfers + compute + start) / 3600
//
// Operations per technique after shared/design/formats-and-algorithms.md, section 3, see effort_work.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/catalog.h"
#include "core/hardware.h"
#include "core/measurement.h"
#include "core/variant.h"
#include "estimate/distribution.h"
#include "estimate/layout.h"

namespace advisor {

enum class Job : std::uint8_t {
  fetch,     ///< get the checkpoint of the variant from a hub onto the disk
  compress,  ///< make it from the uncompressed checkpoint with the variant's technique: quantize, prune, sparsify
  convert,   ///< write the same values in another file format
  configure  ///< a setting of the engine, such as the type of the KV cache: start the engine with it, load the weights
};

/// The machine that runs the job, per second: bytes and operations. What is not in a catalog is assumed: see job_rates.
struct JobRates {
  double compute = 0;  ///< operations that dense matrix products of the technique reach
  double memory = 0;   ///< bytes that the processor reaches
  double disk = 0;
  double network = 0;
  double compute_sd = 0, memory_sd = 0, disk_sd = 0, network_sd = 0;  ///< of their logarithms
  bool accelerator = false;  ///< with a host of its own, whose memory the job takes too
  std::string how{};         ///< what the rates were taken from, and what was assumed
};
/// nullopt: neither bandwidth nor a peak rate is known. Only one device works: no tool named here splits a job well.
std::optional<JobRates> job_rates(const Hardware& machine);

/// What of a model decides the work, in numbers.
struct ModelWork {
  double params = 0;        ///< all
  double linear = 0;        ///< in matrices that techniques touch
  double used = 0;          ///< of these, multiplied per token: without experts that are not chosen
  double native_bytes = 0;  ///< of the uncompressed checkpoint
  double block = 0;         ///< parameters of the largest decoder block
  double widest = 0;        ///< parameters of the largest matrix
  double gram = 0;          ///< sum of inputs² over matrices that have an input of their own (q, k, v share one)
  double gram_used = 0;     ///< the same, of matrices that one token passes through
  double block_gram = 0;    ///< sum of inputs² within the largest block
  double cube = 0;          ///< sum of inputs³, as `gram`
  double square = 0;        ///< sum of outputs · inputs² over all matrices
  double hidden = 0;
  double layers = 0;
};
/// nullopt: the size is unknown.
std::optional<ModelWork> model_work(const Model& model);
ModelWork model_work(const Model& model, const Layout& layout);

/// What a technique does to each weight and to each calibration token; looked up by name once.
struct TechniqueWork;
/// `own`: libadvisor's backend runs it (Technique::implemented), tile by tile; otherwise the reference tool.
/// nullptr: nothing is known about the work (distillation, retraining: weeks or nothing).
const TechniqueWork* technique_work(const Variant& variant, bool own);

/// The plain numbers.
struct JobCost {
  Distribution log_hours;
  double peak_memory = 0;  ///< bytes of processor and accelerator together
  double disk = 0;         ///< bytes that the job adds
};
/// `output_bytes`: what the variant's files weigh. Arithmetic only, no allocation. `technique` may be nullptr unless
/// the job is compress.
JobCost job_cost(Job job, const ModelWork& model, const TechniqueWork* technique, double output_bytes,
                 const JobRates& rates);

struct Effort {
  Estimate hours;
  double peak_memory = 0;  ///< bytes of processor and accelerator together
  double disk = 0;         ///< bytes that the job adds
  std::string how;         ///< what it rests on and what was assumed
};
/// The same with its words. nullopt: the size of the model, the rates of the machine or the work of the technique is
/// unknown.
std::optional<Effort> estimate_effort(Job job, const Model& model, const Variant& variant, const Hardware& machine,
                                      bool own = false);

}  // namespace advisor
