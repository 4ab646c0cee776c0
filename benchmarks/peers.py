#!/usr/bin/env python3
"""peers.py BUILD [RUNS]: a recommendation by advisor and by the tools that come nearest, in the same run.

Each is asked its own question of this kind, from the start of its process to its end: advisor which of all catalog
models under all treatments to serve on one H100 with an accuracy limit; llmfit which models fit 80 GB; aiconfigurator
how to serve one given model on one H100. What each looked at is counted, because the questions differ: neither of the
others says anything about accuracy. The peers come from PyPI into BUILD/peers; without a network they are left out and
said so. Writes BUILD/results/peers.json.
"""

import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
import venv

PROFILE = """model: meta-llama/Llama-3.1-70B-Instruct
hardware: {id: nvidia-h100-sxm5-80gb, count: 1}
task: {type: closed_book_qa, benchmark: mmlu}
accuracy: {retain: 0.95}
workload: {context: 8192, input_tokens: 1024, output_tokens: 256, concurrency: 8}
"""
# An H100's bandwidth cannot be told to llmfit with --memory alone; its speed estimates are not compared here.
PEERS = {
    "llmfit": ["llmfit", "--memory", "80G", "recommend", "--limit", "5"],
    "aiconfigurator": ["aiconfigurator", "cli", "default", "--model-path", "meta-llama/Meta-Llama-3.1-8B", "--total-gpus",
                       "1", "--system", "h100_sxm", "--isl", "1024", "--osl", "256", "--ttft", "1000", "--tpot", "50"],
}


def install(folder):
    """Programs by name, with their versions; those that cannot be had are missing."""
    python = folder / "bin/python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    found = {}
    for name in PEERS:
        subprocess.run([python, "-m", "pip", "install", "--quiet", name], check=False)
        shown = subprocess.run([python, "-m", "pip", "show", name], capture_output=True, text=True, check=False)
        version = re.search(r"^Version: (\S+)", shown.stdout, re.M)
        if version and (folder / "bin" / name).exists():
            found[name] = version[1]
    return found


def timed(argv, runs):
    """Wall seconds of each run, and what the last printed."""
    seconds, output = [], ""
    for _ in range(runs + 1):  # the first reads the files into memory
        start = time.perf_counter()
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "ADVISOR_LOCAL": "none"})
        seconds.append(time.perf_counter() - start)
        if done.returncode not in (0, 1, 3):
            return None, done.stderr.strip().splitlines()[-1:]
        output = done.stdout
    return seconds[1:], output


def looked_at(name, output, folder):
    if name == "advisor":
        considered = json.loads(output)["considered"]
        return f"{considered['variants']} variants of {considered['models']} models"
    if name == "llmfit":
        everything = subprocess.run([folder / "bin/llmfit", "--memory", "80G", "recommend", "--limit", "1000000"],
                                    capture_output=True, text=True, check=False).stdout
        return f"{len(json.loads(everything)['models'])} models"
    return "1 model"


def main(build, runs=5):
    folder = build / "peers"
    versions = install(folder)
    with tempfile.TemporaryDirectory() as scratch:
        profile = pathlib.Path(scratch) / "profile.yaml"
        profile.write_text(PROFILE)
        cases = {"advisor": [str(build / "bin/advisor"), "recommend", str(profile), "--json"]}
        cases |= {name: [str(folder / "bin" / argv[0]), *argv[1:]] for name, argv in PEERS.items() if name in versions}
        results = {}
        print(f"{'a recommendation, of ' + str(runs) + ' runs':<34}{'min s':>8}{'median':>8}  looked at")
        for name, argv in cases.items():
            seconds, output = timed(argv, runs)
            if seconds is None:
                print(f"{name:<34} failed: {output}")
                continue
            row = {"version": versions.get(name), "min_s": min(seconds), "median_s": statistics.median(seconds),
                   "looked_at": looked_at(name, output, folder)}
            results[name] = row
            label = name + (" " + row["version"] if row["version"] else "")
            print(f"{label:<34}{row['min_s']:8.3f}{row['median_s']:8.3f}  {row['looked_at']}")
    for name in PEERS.keys() - results.keys():
        print(f"{name:<34} not to be had here")
    out = build / "results/peers.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps({"runs": runs, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:]))
