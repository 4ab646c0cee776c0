#!/usr/bin/env python3
"""command.py BUILD [RUNS]: how long `advisor estimate` takes from its start to its end, beside a program that does nothing.

Four models, the first the one with most measurements. Wall time counts what people wait for; processor time (user and
system) hardly depends on what else the machine does. Writes BUILD/results/command.json.
"""

import json
import os
import pathlib
import statistics
import sys
import time

MODELS = ["meta-llama/Llama-3.1-8B", "Qwen/Qwen3-8B", "meta-llama/Llama-3.1-70B-Instruct", "HuggingFaceTB/SmolLM2-135M"]
POINT = "--scheme W4A16-g128 --technique gptq --hardware nvidia-a100-sxm4-80gb --task mmlu --concurrency 8".split()


def run(argv):
    """Seconds of wall and of processor time."""
    with open(os.devnull, "wb") as nowhere:
        start = time.perf_counter()
        child = os.posix_spawn(argv[0], argv, {**os.environ, "ADVISOR_LOCAL": "none"},
                               file_actions=[(os.POSIX_SPAWN_DUP2, nowhere.fileno(), 1)])
        _, status, used = os.wait4(child, 0)
        wall = time.perf_counter() - start
    if status != 0:
        sys.exit(f"{' '.join(argv)}: exit status {os.waitstatus_to_exitcode(status)}")
    return wall, used.ru_utime + used.ru_stime


def main(build, runs=40):
    advisor = str(build / "bin/advisor")
    cases = {"/bin/true": ["/bin/true"]} | {m: [advisor, "estimate", "--model", m, *POINT] for m in MODELS}
    results = {}
    print(f"{'of ' + str(runs) + ' runs, ms':<38}{'wall min':>9}{'median':>9}{'cpu min':>9}{'median':>9}")
    for name, argv in cases.items():
        run(argv)  # reads the files into memory
        wall, processor = zip(*(run(argv) for _ in range(runs)))
        row = {f"{what}_{which.__name__}_ms": 1e3 * which(times)
               for what, times in (("wall", wall), ("cpu", processor)) for which in (min, statistics.median)}
        results[name] = row
        print(f"{name:<38}" + "".join(f"{value:9.1f}" for value in row.values()))
    out = build / "results/command.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps({"runs": runs, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:]))
