#include "estimate/speed_model.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "estimate/kv_cache.h"
#include "estimate/memory.h"
#include "estimate/weights.h"

namespace advisor {

namespace {

using Number = SpeedNumber;

/// A device whose rate nobody states gets the median operations per byte of the catalog's GPUs at 16 bits.
constexpr double typical_intensity = 150;
/// Of the cubed root of the size: 8 B models have 32 layers.
double layers_by_size(double params) { return std::clamp(32 * std::cbrt(params / 8e9), 2.0, 128.0); }
/// estimate_kv_cache errs one residual sd (0.57) high where geometry is unknown; a speed wants the middle.
const double middle_of_upper_bound = std::exp(-0.57);
/// Requests of a serving benchmark that does not say how many it sent (vLLM's and AccelMark's default suites).
constexpr double usual_requests = 100;

double peak_rate(const Device& device, const SchemeInfo& scheme) {
  const auto half = device.bf16 ? device.bf16 : device.fp16 ? device.fp16 : device.fp32;
  const auto& dtype = scheme.activation_dtype;
  if (dtype == "fp8" && device.fp8) return *device.fp8;
  if (dtype == "int8" && device.int8) return *device.int8;
  if (dtype == "fp4" && device.fp4) return *device.fp4;
  return half ? *half : *device.bandwidth * typical_intensity;
}

/// PCI Express 4.0 with 16 lanes, bytes per second and direction: what joins devices that have no link of their own.
constexpr double pcie = 31.5e9;

/// Two sums over all devices per layer, of one activation of 16 bits per token; a ring sends 2 (n - 1) / n of it
/// through each link (Patarasuk and Yuan, J. Parallel Distrib. Comput. 69, 2009).
double exchange_seconds(const Model& model, const Device& device, double layers, double devices) {
  const double link = std::max(device.interconnect.value_or(0), pcie);
  const double width = model.hidden ? static_cast<double>(*model.hidden) : 128 * layers;
  return 2 * layers * 2 * width * 2 * (devices - 1) / devices / link;
}

using Rates = SpeedRates;

/// Weights that are read for one token, and those that only others touch.
struct Touched {
  double read, rest, used;
};
Touched of_device(const SpeedWork& work) { return {work.read, work.rest, work.used}; }
Touched of_host(const SpeedWork& work) { return {work.host_read, work.host_rest, work.used}; }

/// Weights that `tokens` tokens touch: those of the first, and 1 - (1 - used)^(tokens - 1) of the rest.
double weights_read(const Touched& of, double tokens) {
  if (of.rest <= 0 || of.used >= 1) return of.read + of.rest;
  return of.read + of.rest * (1 - std::exp(std::log1p(-of.used) * (tokens - 1)));
}
Number weights_read(const Touched& of, const Number& tokens) {
  const double bytes = weights_read(of, tokens.value);
  if (of.rest <= 0 || of.used >= 1) return Number(bytes);
  return tokens.chained(bytes, -std::log1p(-of.used) * (of.read + of.rest - bytes));
}

/// llama.cpp: tokens of a micro-batch, and the least of them for which weights are copied to the device.
constexpr double micro_batch = 512, least_copied = 32;

/// Seconds that the host's memory adds to a prompt of `tokens`.
double host_prompt(const SpeedWork& work, double tokens) {
  if (work.host_rate <= 0) return 0;
  if (tokens < least_copied) return weights_read(of_host(work), tokens) / work.host_rate;
  const double chunks = std::ceil(tokens / micro_batch);
  return chunks * weights_read(of_host(work), std::min(tokens, micro_batch)) / work.host_link;
}

/// `Count`: how many sequences, a number or one that carries slopes.
template <typename Count>
Number step(const SpeedWork& work, const Rates& rates, const Count& sequences) {
  const auto bytes = (work.cache * sequences) * rates.cache + weights_read(of_device(work), sequences);
  const auto memory = (bytes * rates.reading) * (1 / (work.bandwidth * work.devices));
  const auto compute = ((2 * work.active / (work.peak * work.devices)) * sequences) * rates.batch;
  const auto launch = work.layers * rates.launch;
  auto time = overlapped(memory, compute);
  time = work.eager ? overlapped(time, launch) : time + launch;
  if (work.devices > 1) time = time + (work.layers * std::log2(work.devices)) * rates.exchange;
  if (work.stages > 1) time = time + (work.stages - 1) * rates.hop;
  time = time + sequences * (rates.sequence + work.exchange);
  if (work.host_rate > 0)
    time = time + (work.host_cache * sequences + weights_read(of_host(work), sequences)) * (1 / work.host_rate);
  return time;
}

/// Seconds of arithmetic for `count` prompts.
Number prompt_arithmetic(const SpeedWork& work, const Rates& rates, double tokens, double count) {
  const auto past = static_cast<double>(work.load.past_tokens);
  const double operations = count * tokens * (2 * work.active + work.attention * (tokens + 2 * past));
  return (operations / (work.peak * work.devices)) * rates.computing + count * tokens * work.exchange;
}

/// llama.cpp computes a prompt in chunks of 512 tokens (its ubatch); devices that hold later layers work on the chunks
/// before.
double pipeline_share(const SpeedWork& work, double tokens) {
  if (!work.pipelined || work.stages <= 1) return 1;
  const double chunks = std::max(1.0, std::ceil(tokens / 512));
  return (chunks + work.stages - 1) / (chunks * work.stages);
}

Number prompts(const SpeedWork& work, const Rates& rates, double tokens, double count) {
  const auto compute = pipeline_share(work, tokens * count) * prompt_arithmetic(work, rates, tokens, count);
  const auto memory = (weights_read(of_device(work), tokens * count) / (work.bandwidth * work.devices)) * rates.reading;
  return overlapped(compute, memory) + rates.prompt + work.layers * rates.launch + host_prompt(work, tokens * count);
}

/// A closed or open loop in its steady state, or in the middle of its run.
struct Serving {
  Number sequences, token;  ///< under way; seconds per token of one stream without prompts
  Number prompt, extra;     ///< seconds of a prompt alone; of one more among others
  double most = 1;
};

/// Sequences that are worked on at once, where all clients always have one.
double most_at_once(const SpeedWork& work) {
  const auto& load = work.load;
  const double most = std::max(1.0, std::min(static_cast<double>(load.concurrency), std::max(1.0, work.capacity)));
  return load.requests > 0 ? std::min(most, static_cast<double>(load.requests)) : most;
}

Serving serve(const SpeedWork& work, const Rates& rates, bool prompts_count) {
  const auto& load = work.load;
  const auto input = static_cast<double>(std::max<std::int64_t>(1, load.input_tokens));
  const auto output = static_cast<double>(std::max<std::int64_t>(1, load.output_tokens));
  Serving serving;
  serving.most = most_at_once(work);
  if (prompts_count) {
    serving.prompt = prompts(work, rates, input, 1);
    serving.extra =
        serving.most > 1 ? prompt_arithmetic(work, rates, input, 1) + host_prompt(work, input) : serving.prompt;
  }
  if (load.requests_per_second <= 0) {
    serving.sequences = Number(serving.most);
    serving.token = step(work, rates, serving.most);
    return serving;
  }
  const double run = load.requests > 0 ? static_cast<double>(load.requests) : usual_requests;
  serving.most = std::min(serving.most, run);
  // Little's law with a soft ceiling; the geometric mean of old and new converges in a dozen turns.
  Number under_way(std::min(serving.most, 4.0));
  for (int turn = 0; turn < 24; ++turn) {
    const auto busy = larger(under_way, Number(1));
    const auto request = output * step(work, rates, busy) + under_way * serving.extra;
    const auto wanted = load.requests_per_second * request;
    const auto share = wanted / serving.most;
    under_way = sqrt(under_way * (wanted / sqrt(Number(1) + share * share)));
  }
  serving.sequences = larger(under_way, Number(1));
  serving.token = step(work, rates, serving.sequences);
  return serving;
}

/// What the middle request of a run met.
struct Middle {
  Number wait;   ///< seconds before its prompt was begun
  Number token;  ///< seconds between its tokens, the prompts of others included
};

/// A life of so many turns: fine enough to follow a batch that fills.
constexpr int turns_of_life = 8;
constexpr int most_turns = 4000;

/// A run from its first request, as a fluid: in each turn every sequence under way gains an eighth of its answer,
/// prompts that have arrived come first as far as there is room, and what was let in eight turns ago leaves.
Middle follow_run(const SpeedWork& work, const Rates& rates, const Serving& serving, double run) {
  const bool burst = work.load.requests_per_second <= 0;
  const double rate = work.load.requests_per_second, middle = run / 2;
  const double arrived = burst ? 0 : middle / rate;  // the middle request
  const auto output = static_cast<double>(std::max<std::int64_t>(1, work.load.output_tokens));
  const double keeps_up = burst ? 0 : 1 - rate * serving.extra.value;
  std::array<Number, turns_of_life> let_in{};
  Number now, under_way, admitted, entered;
  double share = 0;  // of its turn that had gone by when the middle request was let in
  for (int turn = 0, left = -1; turn < most_turns; ++turn) {
    auto& leaving = let_in[static_cast<std::size_t>(turn % turns_of_life)];
    under_way = under_way - leaving;
    const auto decoding = (output / turns_of_life) * step(work, rates, larger(under_way, Number(1)));
    const auto room = larger(Number(serving.most) - under_way, Number(0));
    const auto arriving = larger(rate * (now + decoding) - admitted, Number(0));
    const auto remaining = Number(run) - admitted;
    auto coming = keeps_up > 0 ? arriving / (Number(1) - rate * serving.extra) : remaining;
    coming = smaller(smaller(coming, room), remaining);
    const auto length = decoding + coming * serving.extra;
    if (left < 0 && admitted.value + coming.value >= middle) {
      share = coming.value > 0 ? (middle - admitted.value) / coming.value : 0;
      entered = now + share * length;
      left = turns_of_life;
    } else if (left > 0 && --left == 0) {
      const auto life = now + share * length - entered - serving.extra;
      return {larger(entered - Number(arrived), Number(0)), life / output};
    }
    leaving = coming;
    under_way = under_way + coming;
    admitted = admitted + coming;
    now = now + length;
  }
  return {larger(now - Number(arrived), Number(0)), serving.token};
}

/// Others whose prompts come between the tokens of one stream.
Number others(const Serving& serving) { return smaller(serving.sequences, Number(std::max(0.0, serving.most - 1))); }

Middle middle_request(const SpeedWork& work, const Rates& rates, const Serving& serving) {
  const auto output = static_cast<double>(std::max<std::int64_t>(1, work.load.output_tokens));
  const auto token = serving.token + others(serving) * serving.extra / output;
  const double run = work.load.requests > 0 ? static_cast<double>(work.load.requests) : usual_requests;
  if (work.load.requests_per_second <= 0) {
    if (work.load.requests > 0) return follow_run(work, rates, serving, run);
    // Clients that find no room wait for their share of the answers before them.
    const double waiting = std::max(0.0, static_cast<double>(work.load.concurrency) - serving.most) / serving.most;
    return {(waiting * output) * token, token};
  }
  const double lives = run / 2 / work.load.requests_per_second / (output * token.value);
  const bool steady = serving.sequences.value < 0.8 * serving.most && lives > 3;
  return steady ? Middle{Number(0), token} : follow_run(work, rates, serving, run);
}

Number per_token_seconds(const SpeedWork& work, const Rates& rates) {
  const bool shared = work.load.requests_per_second > 0 || work.load.concurrency > 1;
  const auto serving = serve(work, rates, shared);
  return shared ? middle_request(work, rates, serving).token : serving.token;
}

Number first_token_seconds(const SpeedWork& work, const Rates& rates) {
  if (work.load.requests_per_second <= 0 && work.load.requests <= 0 && work.load.concurrency <= 1)
    return prompts(work, rates, static_cast<double>(std::max<std::int64_t>(1, work.load.input_tokens)), 1);
  const auto serving = serve(work, rates, true);
  const auto first = serving.prompt + 0.5 * serving.token + middle_request(work, rates, serving).wait;
  if (work.load.requests_per_second > 0 || work.load.requests > 0) return first;
  // Clients that started together stay in step: on average the prompts of half of them come first.
  return first + ((serving.most - 1) * rates.turn) * serving.extra;
}

}  // namespace

bool splits_layers(const std::string& engine) {
  for (const auto* tensor_parallel : {"vllm", "sglang", "tensorrt-llm", "gpt-fast", "lmdeploy", "mlc-llm"})
    if (engine == tensor_parallel) return false;
  return true;
}

EngineTraits engine_traits(const std::string& engine) {
  return {splits_layers(engine), engine == "llama.cpp" || engine == "lucebox",
          engine == "transformers" || engine == "autoawq"};
}

std::optional<SpeedWork> speed_work(const Model& model, const Variant& variant, const Hardware& hardware,
                                    const Load& load) {
  const auto weights = estimate_weights(model, variant);
  if (!weights) return std::nullopt;
  const auto kv = kv_layout(model);
  return speed_work(model,
                    {weights->bytes, weights->read_bytes, weights->active_params, kv ? &*kv : nullptr,
                     kv_value_bytes(variant.kv), usable_memory(variant.engine, hardware)},
                    describe_scheme(variant.scheme), engine_traits(variant.engine), hardware, load);
}

namespace {

/// What lies with the host is read there.
void share_out(const SpeedBytes& bytes, SpeedWork& work) {
  const auto& placed = *bytes.placed;
  work.host_read = placed.host_read, work.host_rest = placed.host_rest;
  work.read = std::max(0.0, work.read - placed.host_read);
  work.rest = std::max(0.0, work.rest - placed.host_rest);
  work.host_cache = work.cache * placed.cache_share;
  work.cache -= work.host_cache;
  work.capacity = std::max(1.0, static_cast<double>(work.load.concurrency));  // room was made for all of them
  if (bytes.host == nullptr) return;
  work.host_rate = std::exp(bytes.host->log_read.mean), work.host_rate_sd = bytes.host->log_read.sd;
  work.host_link = std::exp(bytes.host->log_link.mean), work.host_link_sd = bytes.host->log_link.sd;
}

}  // namespace

std::optional<SpeedWork> speed_work(const Model& model, const SpeedBytes& bytes, const SchemeInfo& scheme,
                                    const EngineTraits& engine, const Hardware& hardware, const Load& load) {
  const auto& device = hardware.device;
  if (!device.bandwidth || *device.bandwidth <= 0 || bytes.read <= 0) return std::nullopt;
  SpeedWork work;
  work.load = load;
  work.read = bytes.read;
  work.rest = std::max(0.0, bytes.stored - bytes.read);
  work.used = touched_share(model, 1);
  const bool mixture = work.used < 1;
  if (!mixture) work.rest = 0;  // an embedding table is looked up, not read
  const auto half_way = load.past_tokens + load.input_tokens + load.output_tokens / 2;
  if (bytes.kv != nullptr)
    work.cache = kv_bytes(*bytes.kv, bytes.kv_value_bytes, static_cast<double>(half_way), 1) *
                 (bytes.kv->basis == "parameters" ? middle_of_upper_bound : 1);
  work.active = bytes.active_params;
  work.layers = model.layers ? static_cast<double>(*model.layers) : layers_by_size(model.params.value_or(8e9));
  const double full_layers = static_cast<double>(model.kv_layers.value_or(static_cast<std::int64_t>(work.layers)));
  const double width = model.heads && model.head_dim ? static_cast<double>(*model.heads * *model.head_dim)
                       : model.hidden                ? static_cast<double>(*model.hidden)
                                                     : 128 * work.layers;
  work.attention = 2 * full_layers * width;
  work.bandwidth = *device.bandwidth;
  work.peak = peak_rate(device, scheme);
  work.pipelined = engine.pipelined;
  work.eager = engine.eager;
  const auto count = static_cast<double>(std::max<std::int64_t>(1, hardware.count));
  (engine.splits ? work.stages : work.devices) = count;
  if (work.devices > 1) work.exchange = exchange_seconds(model, device, work.layers, work.devices);
  // Sequences under way are half done on average: engines let in what fits now, and preempt when it grows out.
  if (device.memory > 0 && work.cache > 0 && half_way > 0)
    work.capacity = std::max(1.0, std::floor((bytes.usable - bytes.stored) / work.cache));
  if (bytes.placed != nullptr && bytes.placed->kind != OffloadKind::none) share_out(bytes, work);
  return work;
}

SpeedRates speed_rates(const std::array<double, speed_terms>& terms) {
  const auto positive = [&](SpeedTerm term) { return exp(Number::variable(terms[term], term)); };
  const auto inverse = [&](SpeedTerm term) { return exp(-1 * Number::variable(terms[term], term)); };
  SpeedRates rates;
  rates.reading = Number(1) + inverse(memory_efficiency);  // of a logit
  rates.cache = positive(cache_cost);
  rates.launch = positive(launch_time);
  rates.computing = inverse(compute_efficiency);
  rates.batch = rates.computing * inverse(batch_efficiency);
  rates.prompt = positive(prompt_time);
  rates.sequence = positive(sequence_time);
  rates.exchange = positive(exchange_time);
  rates.hop = positive(hop_time);
  rates.turn = positive(turn_share);
  return rates;
}

LogSeconds log_seconds(const SpeedWork& work, const SpeedRates& rates, SpeedQuantity quantity) {
  const auto& load = work.load;
  const auto input = static_cast<double>(std::max<std::int64_t>(1, load.input_tokens));
  const auto output = static_cast<double>(std::max<std::int64_t>(1, load.output_tokens));
  Number seconds;
  if (quantity == SpeedQuantity::prefill) {
    const double count = std::min(static_cast<double>(load.concurrency), 256.0);
    seconds = prompts(work, rates, input, count) / (input * count);
  } else if (quantity == SpeedQuantity::first_token) {
    seconds = first_token_seconds(work, rates);
  } else if (quantity == SpeedQuantity::per_token) {
    seconds = per_token_seconds(work, rates);
  } else if (quantity == SpeedQuantity::decode && load.requests_per_second <= 0) {
    const double sequences = most_at_once(work);  // asked of every candidate: nothing but its step
    seconds = step(work, rates, sequences) / sequences;
  } else {
    const auto serving = serve(work, rates, quantity == SpeedQuantity::throughput);
    seconds = serving.token;
    if (quantity == SpeedQuantity::throughput) seconds = seconds + serving.sequences * serving.extra / output;
    seconds = seconds / serving.sequences;
  }
  seconds = log(seconds);
  return {seconds.value, seconds.slope};
}

}  // namespace advisor
