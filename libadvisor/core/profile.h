// What is wanted. core/fields.cpp binds every member to its user-facing path ("workload.context").
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/rule.h"

namespace advisor {

/// One of several tasks that share the hardware (a portfolio).
struct TaskGoal {
  struct {
    std::string type, benchmark;
    bool critical = false, in_context = false;
  } task;
  struct {
    std::optional<double> min, retain;
  } accuracy;
  double share = 1;  ///< of the requests; relative to the other tasks
};

/// A variant that the user asks about: "why not X?". What is left out is completed as for `advisor estimate`.
struct Wish {
  std::string model;              ///< empty = the one in use
  std::string technique, scheme;  ///< data/techniques.csv, core/variant.h
  std::string sparsity, pattern;  ///< "0.5", "50 %", "2:4"; see parse_sparsity()
  std::string format, engine, kv;
  SourceLocation where{};  ///< of the entry, for messages
};

struct Profile {
  std::string model;  ///< catalog id or checkpoint folder

  struct {
    std::string id;  ///< catalog id, "auto", or empty for explicit numbers
    std::int64_t count = 1;
    std::optional<double> memory;                                  ///< bytes
    std::optional<double> bandwidth;                               ///< bytes per second
    std::optional<double> fp32, fp16, bf16, fp8, int8, fp4, int4;  ///< operations per second
    std::string generation;
    std::optional<double> host_memory, host_bandwidth;  ///< of the host, for weights that the devices have no room for
  } hardware;

  struct {
    std::string type;       ///< chat, closed_book_qa, medical_qa, ... sets the family
    std::string benchmark;  ///< the yardstick, e.g. mmlu; empty = the family
    bool critical = false;
    bool in_context = false;  ///< the facts that are asked for stand in the prompt (retrieval, RAG)
  } task;

  /// Instead of `task`: several tasks on the same hardware.
  std::vector<TaskGoal> tasks;

  struct {
    std::vector<std::string> in{"text"}, out{"text"};
  } modality;

  struct {
    std::optional<double> min;     ///< absolute, fraction of 1
    std::optional<double> retain;  ///< relative to the model in use
  } accuracy;

  double confidence = 0.9;  ///< probability with which each limit must hold

  struct {
    std::int64_t context = 4096, input_tokens = 1024, output_tokens = 256, concurrency = 1;
    std::optional<double> requests_per_second;
  } workload;

  struct {
    std::optional<double> ttft, tpot;  ///< seconds
  } slo;

  struct {
    std::optional<double> usd_per_hour, hours_to_compress;
  } budget;

  struct {
    std::optional<double> usd_per_hour;  ///< the user's own price of the whole machine; wins over list prices
    double utilisation = 0.5;            ///< share of the hour in which tokens are produced
  } cost;

  std::string engine = "any";
  std::vector<std::string> licence;  ///< empty = any known or unknown licence

  struct {
    bool compress = true, switch_model = true, prune = true, calibration_data = true;  ///< allow.switch is switch_model
  } allow;

  std::vector<std::string> priority{"quality", "cost", "latency"};

  std::vector<Wish> consider;  ///< variants that are to be judged beside those that are looked at by default

  std::set<std::string> given;  ///< paths that somebody set; all others are defaults. Kept by core/fields.
};

}  // namespace advisor
