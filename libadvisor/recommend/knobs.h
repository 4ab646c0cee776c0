// The numbers of a profile that can be relaxed, each as a sequence of values that a person would write, ever further
// from the one that is set. Monotone: what holds at one step holds at all later ones, unless a rule says otherwise.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/hardware.h"
#include "core/profile.h"

namespace advisor {

/// What a question is asked with: a profile and the machine that its hardware fields resolved to.
struct Situation {
  Profile profile;
  Hardware hardware;
};

struct Knob {
  std::string field;
  double from = 0;                     ///< in the field's unit
  int steps = 0;                       ///< 0: it cannot be relaxed any further
  std::function<double(int)> value{};  ///< of step 1 ... steps
};

/// Those that are set, and what every profile has: memory, devices, context, concurrency, confidence.
std::vector<Knob> knobs(const Situation& now);

/// The first step at which value() is at or beyond `wanted`; steps + 1: none.
int first_beyond(const Knob& knob, double wanted);

/// The least of the steps 1 ... steps at which `holds`, where it holds at the last one: asks at `guess` first and
/// beside it, and bisects where the guess was wrong. 0: it does not hold at the last one either.
int least_step(int steps, int guess, const std::function<bool(int)>& holds);

/// The situation with one field set; hardware.* also on the machine. hardware.id is looked up in `devices`.
Situation changed(const Situation& now, const std::vector<Device>& devices, const std::string& field,
                  const std::string& to);

/// "with 3.1 GiB more memory per device"
std::string say(const Situation& now, const Situation& then, const Knob& knob);

}  // namespace advisor
