#include "tensor/parallel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace advisor {
namespace {

TEST(ParallelFor, EveryIndexOnceWhateverTheThreadCount) {
  for (const int threads : {0, 1, 2, 3, 16}) {
    for (const std::int64_t n : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> calls(static_cast<std::size_t>(n));
      parallel_for(n, threads, [&](std::int64_t i) { ++calls[static_cast<std::size_t>(i)]; });
      for (const auto& c : calls) ASSERT_EQ(c.load(), 1) << threads << " " << n;
    }
  }
}

TEST(ParallelFor, RunsInlineWithOneThreadOrOneIndex) {
  const auto caller = std::this_thread::get_id();
  parallel_for(5, 1, [&](std::int64_t) { EXPECT_EQ(std::this_thread::get_id(), caller); });
  parallel_for(1, 8, [&](std::int64_t) { EXPECT_EQ(std::this_thread::get_id(), caller); });
}

TEST(ParallelFor, TheLowestFailingIndexIsReported) {
  for (const int threads : {1, 2, 8}) {
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::string message;
      try {
        parallel_for(200, threads, [](std::int64_t i) {
          if (i % 50 == 17) throw std::runtime_error(std::to_string(i));
        });
      } catch (const std::runtime_error& e) {
        message = e.what();
      }
      ASSERT_EQ(message, "17");
    }
  }
}

TEST(ParallelFor, NothingNewStartsAfterAFailure) {
  std::atomic<int> calls{0};
  EXPECT_THROW(parallel_for(1'000'000, 4,
                            [&](std::int64_t i) {
                              ++calls;
                              if (i == 0) throw std::runtime_error("stop");
                              std::this_thread::yield();
                            }),
               std::runtime_error);
  EXPECT_LT(calls.load(), 1'000'000);
}

}  // namespace
}  // namespace advisor
