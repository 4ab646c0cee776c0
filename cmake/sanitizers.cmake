# ADVISOR_SANITIZE=address,undefined or thread: instruments everything that is built here.
if(ADVISOR_SANITIZE)
  add_compile_options(-fsanitize=${ADVISOR_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${ADVISOR_SANITIZE})
endif()
if(ADVISOR_BUILD_FUZZERS)
  add_compile_options(-fsanitize=fuzzer-no-link) # coverage for libFuzzer; the targets in tests/fuzz link its main
endif()

# The thread sanitizer of GCC 12 cannot map its shadow memory where the kernel randomises addresses over more than 28
# bits (the default since Linux 6.6), so what is built with it runs without address randomisation.
if(ADVISOR_SANITIZE STREQUAL "thread")
  find_program(ADVISOR_SETARCH setarch)
  if(ADVISOR_SETARCH)
    set(CMAKE_CROSSCOMPILING_EMULATOR "${ADVISOR_SETARCH};-R")
  endif()
endif()
