// Members of the values that several schemas share. Private to core/.
#pragma once

#include <array>

#include "core/hardware.h"
#include "core/json_walk.h"
#include "core/measurement.h"

namespace advisor::detail {

/// Invalid UTF-8 in a name must not make the answer fail.
inline std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

template <>
struct Words<Basis> {
  static constexpr std::array all{Basis::measured, Basis::transferred, Basis::modelled, Basis::prior};
};
void members(auto& visit, Is<Estimate> auto& value) {
  visit("mean", value.mean);
  visit("low", value.low);
  visit("high", value.high);
  visit("level", value.level);
  visit("sd", value.sd);
  visit("basis", value.basis);
  visit("n", value.n);
  visit("sources", value.sources);
}

void members(auto& visit, Is<Hardware> auto& value) {
  auto& device = value.device;
  visit.text("id", device.id);
  visit.text("name", device.name);
  visit.text("vendor", device.vendor);
  visit.text("kind", device.kind);
  visit.text("generation", device.generation);
  visit("compute_capability", device.compute_capability);
  visit("count", value.count);
  visit("memory", device.memory);
  visit("bandwidth", device.bandwidth);
  visit("fp32", device.fp32);
  visit("fp16", device.fp16);
  visit("bf16", device.bf16);
  visit("fp8", device.fp8);
  visit("int8", device.int8);
  visit("fp4", device.fp4);
  visit("int4", device.int4);
  visit("sparse_2_4", device.sparse_2_4);
  visit("unified_memory", device.unified_memory);
  visit("interconnect", device.interconnect);
  visit("host_link", device.host_link);
  visit("host_memory", value.host_memory);
  visit("host_bandwidth", value.host_bandwidth);
  visit.text("source", value.source);
}

}  // namespace advisor::detail
