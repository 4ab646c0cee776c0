#!/usr/bin/env bash
# The library exports what symbols.txt lists, nothing else; and every function in the header says since when.
set -euo pipefail
library=$1 capi=$2
# sanitizer runtimes add symbols of their own; they are not ours
exported=$(nm -D --defined-only "$library" | awk '$2 != "A" {print $3}' | sed 's/@.*//' |
  grep -vE '^(__asan|__ubsan|__tsan|__odr_asan|_ZTI|_ZTS)' | sort)
diff <(sort "$capi/symbols.txt") <(echo "$exported") || { echo "exported symbols differ from capi/symbols.txt"; exit 1; }
declared=$(grep -c '^ADVISOR_API' "$capi/advisor.h")
tagged=$(grep -cE 'since [0-9]+\.[0-9]+, (stable|unstable)' "$capi/advisor.h")
[ "$declared" = "$tagged" ] || { echo "$declared functions, $tagged lifecycle tags in advisor.h"; exit 1; }
echo "$declared symbols"
