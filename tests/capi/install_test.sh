#!/usr/bin/env bash
# Installs into a scratch prefix and builds examples/c against it twice: with pkg-config and with find_package.
set -euo pipefail
source=$1 build=$2
scratch=$(mktemp -d); trap 'rm -rf "$scratch"' EXIT
cmake --install "$build" --prefix "$scratch/prefix" >/dev/null
libdir=$(dirname "$(find "$scratch/prefix" -name libadvisor.so)")

PKG_CONFIG_PATH="$libdir/pkgconfig" \
  sh -c "cc -std=c99 -pedantic -Wall -Werror '$source/examples/c/advise.c' \
    \$(pkg-config --define-variable=prefix='$scratch/prefix' --cflags --libs advisor) -o '$scratch/advise'"
LD_LIBRARY_PATH="$libdir" "$scratch/advise" "$source/examples/c/profile.json" >"$scratch/out1"
head -n 5 "$scratch/out1"

cmake -S "$source/examples/c" -B "$scratch/cmake" -DCMAKE_PREFIX_PATH="$scratch/prefix" >/dev/null
cmake --build "$scratch/cmake" >/dev/null
# all three verbs from C, on the bundled model
LD_LIBRARY_PATH="$libdir" "$scratch/cmake/advise" "$source/examples/c/profile.json" "$source/examples/models/tiny" \
  "$scratch/compressed" "$source/examples/suites/tiny/intent.jsonl" >"$scratch/out2"
grep -q '"schema": "advisor.evaluation/1"' "$scratch/out2"
[ -s "$scratch/compressed/config.json" ]
"$scratch/prefix/bin/advisor" catalog fields >/dev/null   # the installed command finds the installed knowledge
"$scratch/prefix/bin/advisor" --version >/dev/null         # and the program that it hands over to
echo "installed tree works"
