# Warnings are errors on our code only; third-party headers come in as SYSTEM through find_package.
add_library(advisor_warnings INTERFACE)
target_compile_options(advisor_warnings INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Werror)
