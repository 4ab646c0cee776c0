#!/usr/bin/env python3
"""peers.py BUILD [RUNS] [llmfit=PROGRAM] [aiconfigurator=PROGRAM]: a recommendation by advisor and by its nearest peers.

Each is asked its own question of this kind, from the start of its process to its end: advisor which of all catalog
models under all treatments to serve on one H100 with an accuracy limit; llmfit which models fit 80 GB; aiconfigurator
how to serve one given model on one H100. What each looked at is counted, because the questions differ: neither of the
others says anything about accuracy. A peer is the program that is named, else the one in PATH, else it comes from PyPI
into a virtual environment of its own under BUILD/peers; what cannot be had is left out, and said so. Wall time is what
people wait for, processor time (user and system) hardly depends on what else the machine does.
Writes BUILD/results/peers.json.
"""

import json
import os
import pathlib
import re
import shutil
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


def install(name, folder):
    """The program from PyPI, in an environment of its own: what one needs must not change what another gets."""
    python = folder / name / "bin/python"
    if not python.exists():
        venv.create(folder / name, with_pip=True)
    try:
        subprocess.run([python, "-m", "pip", "install", "--quiet", name], check=False, timeout=600)
    except subprocess.TimeoutExpired:
        print(f"{name}: not installed within ten minutes")
    return python.with_name(name)


def version_of(program):
    """As the package beside the program says; None where it is no Python package."""
    python = pathlib.Path(program).resolve().with_name("python")
    if not python.exists():
        return None
    shown = subprocess.run([python, "-m", "pip", "show", pathlib.Path(program).name], capture_output=True, text=True,
                           check=False)
    version = re.search(r"^Version: (\S+)", shown.stdout, re.M)
    return version and version[1]


def timed(argv, runs):
    """Seconds of each run, wall and processor, and what the last printed; or None and what it complained of."""
    wall, processor, output = [], [], ""
    for _ in range(runs + 1):  # the first reads the files into memory
        before, start = os.times(), time.perf_counter()
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "ADVISOR_LOCAL": "none"})
        wall.append(time.perf_counter() - start)
        after = os.times()
        processor.append(after.children_user + after.children_system - before.children_user - before.children_system)
        if done.returncode not in (0, 1, 3):
            return None, done.stderr.strip().splitlines()[-1:]
        output = done.stdout
    return (wall[1:], processor[1:]), output


def looked_at(name, output, program):
    if name == "advisor":
        considered = json.loads(output)["considered"]
        return f"{considered['variants']} variants of {considered['models']} models"
    if name == "llmfit":
        everything = subprocess.run([program, "--memory", "80G", "recommend", "--limit", "1000000"],
                                    capture_output=True, text=True, check=False).stdout
        return f"{len(json.loads(everything)['models'])} models"
    return "1 model"


def main(build, runs, named):
    programs = {name: named.get(name) or shutil.which(name) or install(name, build / "peers") for name in PEERS}
    with tempfile.TemporaryDirectory() as scratch:
        profile = pathlib.Path(scratch) / "profile.yaml"
        profile.write_text(PROFILE)
        cases = {"advisor": [str(build / "bin/advisor"), "recommend", str(profile), "--json"]}
        cases |= {name: [str(program), *PEERS[name][1:]] for name, program in programs.items() if os.access(program, os.X_OK)}
        results = {}
        print(f"{'a recommendation, of ' + str(runs) + ' runs':<34}{'wall s':>8}{'min':>8}{'cpu s':>8}{'min':>8}  looked at")
        for name, argv in cases.items():
            seconds, output = timed(argv, runs)
            if seconds is None:
                print(f"{name:<34} failed: {' '.join(output)}")
                continue
            wall, processor = seconds
            row = {"version": version_of(argv[0]) if name in PEERS else None,
                   "wall_median_s": statistics.median(wall), "wall_min_s": min(wall),
                   "cpu_median_s": statistics.median(processor), "cpu_min_s": min(processor),
                   "looked_at": looked_at(name, output, argv[0])}
            results[name] = row
            label = name + (" " + row["version"] if row["version"] else "")
            print(f"{label:<34}" + "".join(f"{row[key]:8.3f}" for key in row if key.endswith("_s")) + f"  {row['looked_at']}")
    for name in PEERS.keys() - results.keys():
        print(f"{name:<34} not to be had here")
    out = build / "results/peers.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps({"runs": runs, "load": os.getloadavg()[0], "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if "=" not in a]
    if len(arguments) not in (1, 2):
        sys.exit(__doc__)
    main(pathlib.Path(arguments[0]), *map(int, arguments[1:] or ["5"]), dict(a.split("=", 1) for a in sys.argv[1:] if "=" in a))
