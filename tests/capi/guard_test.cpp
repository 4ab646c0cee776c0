#include "guard.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

namespace advisor::capi {

std::string& last_error() {
  thread_local std::string message;
  return message;
}

namespace {

TEST(Guard, SuccessIsZero) {
  EXPECT_EQ(guard([] {}), 0);
}

TEST(Guard, AnErrorKeepsItsCodeAndMessage) {
  EXPECT_EQ(guard([] { throw Error(ErrorCode::not_found, "no such model"); }), -2);
  EXPECT_EQ(last_error(), "no such model");
}

TEST(Guard, ForeignExceptionsAreInternalAndKeepTheirMessage) {
  EXPECT_EQ(guard([] { throw std::logic_error("a bug"); }), -8);
  EXPECT_EQ(last_error(), "a bug");
  EXPECT_EQ(guard([] { throw 42; }), -8);
  EXPECT_EQ(last_error(), "unknown exception");
}

TEST(Guard, LackOfMemoryHasItsOwnCode) {
  EXPECT_EQ(guard([] { throw std::bad_alloc(); }), -7);
  EXPECT_EQ(last_error(), "out of memory");
}

TEST(Guard, NullIsNamed) {
  EXPECT_EQ(guard([] { required(static_cast<int*>(nullptr), "profile"); }), -1);
  EXPECT_EQ(last_error(), "profile is NULL");
}

}  // namespace
}  // namespace advisor::capi
