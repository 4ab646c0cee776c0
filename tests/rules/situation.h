// One ordinary deployment that no rule objects to; tests change what they are about.
#pragma once

#include "rules/facts.h"

namespace advisor {

struct Situation {
  Profile profile;
  Hardware hardware;
  Model model;
  Variant variant;
  Task task;

  Situation() {
    profile.model = "acme/llama-8b";
    profile.task.type = "chat";
    hardware.device.id = "acme-gpu";
    hardware.device.name = "Acme GPU";
    hardware.device.kind = "datacenter-gpu";
    hardware.device.generation = "Hopper";
    hardware.device.memory = 80e9;
    hardware.device.fp8 = 2e15;
    hardware.device.int8 = 2e15;
    hardware.device.sparse_2_4 = true;
    model.id = "acme/llama-8b";
    model.params = 8e9;
    model.max_context = 131072;
    model.modalities_in = {"text"};
    model.modalities_out = {"text"};
    model.licence = "apache-2.0";
    model.commercial_use = "yes";
    variant.model = model.id;
    variant.technique = "rtn";
    variant.scheme = "W8A16-channel";
    variant.format = "compressed-tensors";
    variant.engine = "vllm";
    task.id = "chat";
    task.family = "instruction";
  }

  FactSheet facts() const {
    const Technique rtn{"rtn", "Round to nearest", "quantization", false, true, ""};
    EngineSupport support;
    support.supported = "yes";
    support.source = "data/engine_support.csv";
    FactSheet facts = collect(profile, hardware, model, variant, task, &rtn, &support);
    facts.set("memory.total", Value(20e9));
    facts.set("memory.weights", Value(16e9));
    facts.set("memory.kv_cache", Value(3e9));
    facts.set("memory.overhead", Value(1e9));
    facts.set("memory.available", Value(72e9));
    facts.set("offload.kind", Value(std::string("none")));
    facts.set("plan.action", "compress");
    return facts;
  }
};

}  // namespace advisor
