// More memory never loses an option, be it the host's or the device's: where weights lie is no treatment of its own.
#include <gtest/gtest.h>

#include <algorithm>

#include "recommend/decide.h"
#include "scenario.h"

namespace advisor {
namespace {

using Options = std::set<std::pair<int, int>>;

Options feasible(const Profile& profile) {
  const auto question = ask(scenario::tools(), profile, scenario::hardware_of(profile), nullptr);
  Options found;
  for (const auto& cell : decide(scenario::tools(), question).cells)
    if (cell.fate == Fate::feasible) found.emplace(cell.model, cell.treatment);
  return found;
}

constexpr double gib = 1024.0 * 1024 * 1024;

class HostMemory : public testing::TestWithParam<const char*> {
 protected:
  Profile profile() const {
    const std::string name = GetParam();
    auto profile = scenario::profile_of(scenario::read(name), name);
    profile.hardware.host_bandwidth = 80e9;
    return profile;
  }
};

TEST_P(HostMemory, MoreOfItNeverLosesAnOption) {
  auto p = profile();
  p.hardware.host_memory.reset();
  auto before = feasible(p);
  for (const double memory : {4, 12, 24, 48, 128, 512}) {
    p.hardware.host_memory = memory * gib;
    auto now = feasible(p);
    EXPECT_TRUE(std::includes(now.begin(), now.end(), before.begin(), before.end())) << memory << " GiB";
    before = std::move(now);
  }
  EXPECT_FALSE(before.empty());
}

TEST_P(HostMemory, MoreOfTheDeviceNeverLosesAnOptionBesideIt) {
  auto p = profile();
  p.hardware.host_memory = 64 * gib;
  Options before;
  for (const double memory : {6, 8, 10, 14, 20, 28, 44}) {
    p.hardware.memory = memory * gib;
    auto now = feasible(p);
    EXPECT_TRUE(std::includes(now.begin(), now.end(), before.begin(), before.end())) << memory << " GiB";
    before = std::move(now);
  }
}

INSTANTIATE_TEST_SUITE_P(Scenarios, HostMemory,
                         testing::Values("moe-beats-dense-on-8gb", "moe-with-32gb-of-unknown-speed"));

}  // namespace
}  // namespace advisor
