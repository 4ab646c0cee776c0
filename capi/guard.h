// The single catch of the library: exception -> status and thread-local message.
#pragma once

#include <cstdint>
#include <new>
#include <string>

#include "core/error.h"

namespace advisor::capi {

/// Message of this thread's last failing call.
std::string& last_error();

/// Runs `body` and turns whatever it throws into a status; nothing may cross into C.
template <typename Body>
std::int32_t guard(Body&& body) noexcept {
  const auto fail = [](ErrorCode code, const char* message) noexcept {
    try {
      last_error() = message;
    } catch (...) {
      last_error().clear();  // no memory even for the message: the status still tells
    }
    return static_cast<std::int32_t>(code);
  };
  try {
    body();
    return static_cast<std::int32_t>(ErrorCode::ok);
  } catch (const Error& e) {
    return fail(e.code(), e.what());
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "out of memory");
  } catch (const std::exception& e) {
    return fail(ErrorCode::internal, e.what());
  } catch (...) {
    return fail(ErrorCode::internal, "unknown exception");
  }
}

/// Throws invalid_argument naming the argument when a pointer that must not be NULL is NULL.
template <typename T>
T* required(T* pointer, const char* what) {
  if (pointer == nullptr) throw Error(ErrorCode::invalid_argument, std::string(what) + " is NULL");
  return pointer;
}

}  // namespace advisor::capi
