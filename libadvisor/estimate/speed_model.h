// How long a step takes, as a formula over ten terms that are fitted (speed_fit.h). Everything here is arithmetic on
// numbers: names were resolved before.
//
//   step(B)   = overlap(memory, compute) + launch · layers          engines that replay a captured graph
//             = overlap(memory, compute, launch · layers)           engines that launch kernel by kernel ("eager")
//               + exchange · layers · log2(devices) + hop · (stages - 1) + (sequence + links) · B
//   links     = seconds in which one token's activations pass the links between devices; prompts pay it per token
//   memory    = (weights read for B sequences + B · cache · KV bytes at the mean length) / (η · bandwidth · devices)
//   compute   = 2 · active parameters · B / (β · ε · peak(dtype) · devices)
//   prompt(L) = overlap(operations / (ε · peak · devices), weights read for L tokens) + launch · layers + fixed
//               operations = 2 · active · L + attention · (L² + 2 · past · L); layers split over s devices work as a
//               pipeline on chunks of 512 tokens, n of them in (n + s - 1) / (n · s) of the time (llama.cpp)
//   request   = output · step(B) + B · operations / (ε · peak · devices)      prompts of others, batched with decoding
//   overlap(a, b) = (a⁴ + b⁴)^¼
//   host      = bytes read in the host's memory / its rate, added to a step: the device waits for it. A prompt of 32
//   tokens
//               or more is computed on the device, to which every chunk of 512 tokens copies the weights that it
//               touches (llama.cpp: n_ubatch, op offload); added to the prompt.
//
// At a request rate λ the number under way follows from Little's law, B = λ · request(B), up to what the engine or its
// cache holds. Beyond that, or when a run is too short to get there, the run is followed from its first request: what
// is asked for is the median request, and beyond capacity its time to the first token is mostly the queue before it.
// A burst is followed the same way, with all requests there at once. In a closed loop a share of the other clients'
// prompts comes before one's own, and clients that find no room wait for the answers before them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/catalog.h"
#include "core/hardware.h"
#include "core/variant.h"
#include "estimate/kv_cache.h"
#include "estimate/offload.h"
#include "estimate/speed_dual.h"

namespace advisor {

/// What the machine has to do. Closed loop: `concurrency` requests are always under way. Open loop: requests arrive at
/// a rate, and at most `concurrency` are worked on at once.
struct Load {
  std::int64_t input_tokens = 1024, output_tokens = 256, concurrency = 1;
  double requests_per_second = 0;  ///< 0: closed loop
  std::int64_t past_tokens = 0;    ///< in the cache before the prompt comes
  std::int64_t requests = 0;       ///< in the whole run; 0: steady state
};

enum SpeedTerm : std::size_t {
  memory_efficiency,   ///< logit of η
  cache_cost,          ///< ln: a byte of KV cache costs as much as so many bytes of weights
  launch_time,         ///< ln seconds per layer and step
  compute_efficiency,  ///< ln ε
  prompt_time,         ///< ln seconds per prompt, whatever its length
  sequence_time,       ///< ln seconds per sequence and step: sampling, scheduling
  exchange_time,       ///< ln seconds per layer and doubling of the devices that share each matrix
  hop_time,            ///< ln seconds per device boundary where layers are split
  batch_efficiency,    ///< ln β: small batches of decoding reach so much less of ε than long prompts
  turn_share,          ///< ln of the share of the others' prompts that come before one's own in a closed loop
  speed_terms
};

/// In link space, as fitted.
struct SpeedTerms {
  std::array<double, speed_terms> value{};
  std::array<double, speed_terms> sd{};
};

enum class SpeedQuantity {
  decode,       ///< seconds per output token of the whole system, prompts not counted
  throughput,   ///< the same with prompts counted
  prefill,      ///< seconds per prompt token
  first_token,  ///< seconds
  per_token     ///< seconds between tokens of one stream, prompts of others included
};

/// What a question asks of the machine, as numbers.
struct SpeedWork {
  double read = 0, rest = 0;  ///< bytes of weights read for one sequence; those that only others touch (experts)
  double used = 1;            ///< share of the routed experts that one token passes through
  double cache = 0;           ///< bytes of KV per sequence at the mean length
  double active = 0;          ///< parameters multiplied per token
  double attention = 0;       ///< operations per squared token of a prompt
  double layers = 0, bandwidth = 0, peak = 0;
  double devices = 1;       ///< that work at once on each layer
  double stages = 1;        ///< that work one after the other
  double exchange = 0;      ///< seconds per token in the links between devices
  double capacity = 1e300;  ///< sequences whose cache fits
  /// Weights in the host's memory (offload.h), beside `read`, `rest` and `cache`, which are the device's: bytes read
  /// for one sequence, for others, and of KV per sequence. Rates in bytes per second; 0: nothing lies there.
  double host_read = 0, host_rest = 0, host_cache = 0;
  double host_rate = 0, host_link = 0;
  double host_rate_sd = 0, host_link_sd = 0;  ///< of their logarithms
  bool eager = false, pipelined = false;
  Load load;
};

/// nullopt: the size of the model, the bandwidth or every peak rate is unknown.
std::optional<SpeedWork> speed_work(const Model& model, const Variant& variant, const Hardware& hardware,
                                    const Load& load);

/// The same where weights and cache were looked up before.
struct SpeedBytes {
  double stored = 0, read = 0;   ///< of the weights
  double active_params = 0;      ///< multiplied per token
  const KvLayout* kv = nullptr;  ///< nullptr: not known, counts as none
  double kv_value_bytes = 2;
  double usable = 0;                  ///< bytes that the engine may fill
  const Placement* placed = nullptr;  ///< nullptr: all of it on the devices
  const HostRates* host = nullptr;    ///< where something is placed with the host
};
/// How an engine works, looked up by its name once.
struct EngineTraits {
  bool splits = false;     ///< layers between devices; otherwise each matrix
  bool pipelined = false;  ///< computes the chunks of a prompt on all devices at once
  bool eager = false;      ///< launches kernel by kernel
};
EngineTraits engine_traits(const std::string& engine);
std::optional<SpeedWork> speed_work(const Model& model, const SpeedBytes& bytes, const SchemeInfo& scheme,
                                    const EngineTraits& engine, const Hardware& hardware, const Load& load);

struct LogSeconds {
  double value = 0;
  std::array<double, speed_terms> slope{};  ///< by each term
};

using SpeedNumber = Dual<speed_terms>;

/// The terms out of link space, with their slopes: what every answer about one setup shares.
struct SpeedRates {
  SpeedNumber reading, computing, batch;  ///< 1 / η, 1 / ε, 1 / (β · ε)
  SpeedNumber cache, launch, prompt, sequence, exchange, hop, turn;
};
SpeedRates speed_rates(const std::array<double, speed_terms>& terms);

LogSeconds log_seconds(const SpeedWork& work, const SpeedRates& rates, SpeedQuantity quantity);

/// Devices that share each matrix at once: tensor parallel engines only, where layers are split they take turns.
bool splits_layers(const std::string& engine);

}  // namespace advisor
