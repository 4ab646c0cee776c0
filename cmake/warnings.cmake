# Warnings are errors on our code only; third-party headers come in as SYSTEM through find_package.
add_library(advisor_warnings INTERFACE)
target_compile_options(advisor_warnings INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC bug 105651: "literal" + std::string is reported as an overlapping copy.
  target_compile_options(advisor_warnings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
if(ADVISOR_SANITIZE)
  # Instrumentation hides initialisations from the optimiser; GCC documents the false positives that follow.
  target_compile_options(advisor_warnings INTERFACE -Wno-maybe-uninitialized)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # -Wsign-conversion is part of Clang's -Wconversion but not of GCC's for C++; GCC is the reference here.
  target_compile_options(advisor_warnings INTERFACE -Wno-sign-conversion -Wno-unknown-warning-option)
endif()
