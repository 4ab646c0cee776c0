#!/usr/bin/env bash
# stream.sh BUILD [GIGABYTES] [FOLDER]: throughput and peak memory of whole compression jobs beside cp of the same file.
# Makes a synthetic checkpoint in FOLDER (default: build/), runs cp and each job with a warm page cache, and removes
# everything. Rates are bytes of source per second; a job compresses, flushes, verifies by reopening and digests.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 size=${2:-1} place=${3:-$PWD/build}
work=$(mktemp -d "$place/stream.XXXXXX")
trap 'rm -rf "$work"' EXIT

python3 tests/long/make_synthetic.py "$work/model" "$size"
bytes=$(cat "$work"/model/*.safetensors | wc -c)  # also warms the page cache

rate() { awk -v b="$bytes" -v s="$1" 'BEGIN { printf "%.2f GB/s", b / s / 1e9 }'; }

start=$(date +%s.%N)
cp "$work"/model/*.safetensors "$work/copy"
sync "$work/copy"
seconds=$(awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN { print b - a }')
rm "$work/copy"
printf '%-34s %8.1f s  %s\n' "cp and sync" "$seconds" "$(rate "$seconds")"

for threads in 1 0; do
  for job in W8A16-channel:compressed-tensors W4A16-g128:compressed-tensors W4A16-g128-asym:compressed-tensors; do
    "$build/bin/advisor" compress "$work/model" "$work/out" --technique rtn --scheme "${job%%:*}" \
      --format "${job#*:}" --threads "$threads" --json >"$work/report.json" 2>/dev/null
    python3 - "$work/report.json" "$bytes" "${job%%:*}" <<'PY'
import json, sys
report, size = json.load(open(sys.argv[1])), float(sys.argv[2])
stages = report["stages"]
print(f"{sys.argv[3] + ', ' + str(report['threads']) + ' threads':34} {report['seconds']:8.1f} s  "
      f"{size / report['seconds'] / 1e9:.2f} GB/s  (compress {size / stages['compress'] / 1e9:.2f} GB/s, "
      f"verify {size / stages['verify'] / 1e9:.2f} GB/s; peak memory {report['peak_memory'] / 1e6:.0f} MB)")
PY
    rm -rf "$work/out"
  done
done
