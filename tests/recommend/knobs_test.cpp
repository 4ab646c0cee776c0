#include "recommend/knobs.h"

#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "core/fields.h"
#include "estimate/fixture.h"

namespace advisor {
namespace {

Situation everything_set() {
  Situation now{{}, a100()};
  const std::pair<const char*, const char*> settings[] = {
      {"hardware.id", "a100"},      {"accuracy.min", "0.7134"},    {"slo.ttft", "350 ms"},
      {"slo.tpot", "9.99 ms"},      {"budget.usd_per_hour", "0"},  {"budget.hours_to_compress", "2.5 h"},
      {"workload.context", "9000"}, {"workload.concurrency", "17"}};
  for (const auto& [field, text] : settings) set_field(now.profile, field, text);
  return now;
}

TEST(Knobs, EachStepRelaxesFurtherAndReadsBack) {
  const auto now = everything_set();
  const auto all = knobs(now);
  EXPECT_EQ(all.size(), 11u);
  for (const auto& knob : all) {
    const bool up = knob.value(knob.steps) > knob.from;
    double before = knob.from;
    for (int step = 1; step <= knob.steps; step += 1 + step / 10) {
      const double value = knob.value(step);
      EXPECT_TRUE(up ? value > before : value < before) << knob.field << " step " << step;
      before = value;
      Profile set = now.profile;
      set_field(set, knob.field, value);
      const auto then = changed(now, {}, knob.field, get_field(set, knob.field));
      EXPECT_DOUBLE_EQ(*get_number(then.profile, knob.field), value) << knob.field;
      EXPECT_FALSE(say(now, then, knob).empty());
    }
  }
}

TEST(Knobs, ContextGoesDownToWhatARequestNeeds) {
  for (const std::int64_t context : {1280, 1281, 1290, 1536, 1537, 4096, 9000}) {
    for (const std::int64_t input : {1, 255, 256, 1024, 1025}) {
      Situation now{{}, a100()};
      now.profile.workload.context = context, now.profile.workload.input_tokens = input;
      const auto least = static_cast<double>(input + now.profile.workload.output_tokens);
      bool found = false;
      for (const auto& knob : knobs(now)) {
        if (knob.field != "workload.context") continue;
        found = true;
        EXPECT_EQ(knob.value(knob.steps), least);
        EXPECT_LT(knob.value(1), static_cast<double>(context));
        if (knob.steps > 1) {
          EXPECT_GT(knob.value(knob.steps - 1), least);
        }
      }
      EXPECT_EQ(found, static_cast<double>(context) > least);
    }
  }
}

TEST(Knobs, ADeviceChangesTheMachine) {
  auto now = everything_set();
  EXPECT_EQ(changed(now, {}, "hardware.count", "4").hardware.count, 4);
  EXPECT_EQ(changed(now, {}, "hardware.memory", "96 GiB").hardware.device.memory, 96 * 1073741824.0);
  Device other;
  other.id = "b", other.memory = 5;
  const auto then = changed(now, {now.hardware.device, other}, "hardware.id", "b");
  EXPECT_EQ(then.hardware.device.memory, 5);
  EXPECT_EQ(then.profile.hardware.id, "b");
}

TEST(Knobs, SayTheDifference) {
  const auto now = everything_set();
  const auto text = [&](const std::string& field, const std::string& to) {
    for (const auto& knob : knobs(now))
      if (knob.field == field) return say(now, changed(now, {}, field, to), knob);
    return std::string();
  };
  EXPECT_EQ(text("hardware.memory", "83.1 GiB"), "with 3.1 GiB more memory per device");
  EXPECT_EQ(text("workload.context", "6144"), "at a context of 6144");
  EXPECT_EQ(text("accuracy.min", "0.71"), "if 71 % accuracy suffices");
  EXPECT_EQ(text("slo.tpot", "0.0123"), "if a token may take 12.3 ms");
  EXPECT_EQ(text("workload.concurrency", "1"), "with one request at a time");
}

/// Whatever the guess, the answer is the least step that holds, and few are asked.
TEST(LeastStep, IsTheLeastWhateverTheGuess) {
  std::mt19937 random(1);
  for (int i = 0; i < 5000; ++i) {
    const int steps = static_cast<int>(random() % 3000) + 1;
    const int threshold = static_cast<int>(random() % static_cast<unsigned>(steps + 5)) + 1;
    const int guess = static_cast<int>(random() % static_cast<unsigned>(steps + 3));
    int asked = 0;
    const int found = least_step(steps, guess, [&](int step) {
      EXPECT_TRUE(step >= 1 && step <= steps);
      ++asked;
      return step >= threshold;
    });
    EXPECT_EQ(found, threshold > steps ? 0 : threshold);
    EXPECT_LE(asked, 4 + static_cast<int>(std::ceil(std::log2(steps))));
  }
}

TEST(FirstBeyond, IsOnTheSafeSide) {
  std::mt19937 random(2);
  for (const auto& knob : knobs(everything_set())) {
    const bool up = knob.value(knob.steps) > knob.from;
    for (int i = 0; i < 200; ++i) {
      const int near = static_cast<int>(random() % static_cast<unsigned>(knob.steps)) + 1;
      const double wanted = knob.value(near) * (0.99 + 0.0001 * static_cast<double>(random() % 200));
      const int step = first_beyond(knob, wanted);
      const auto beyond = [&](int at) { return up ? knob.value(at) >= wanted : knob.value(at) <= wanted; };
      if (step <= knob.steps) {
        EXPECT_TRUE(beyond(step));
      }
      if (step > 1) {
        EXPECT_FALSE(beyond(step - 1));
      }
    }
  }
}

}  // namespace
}  // namespace advisor
