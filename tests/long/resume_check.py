#!/usr/bin/env python3
"""Kills `advisor compress` at random moments (SIGKILL), resumes it and compares all bytes with an undisturbed run.

    tests/long/resume_check.py [--advisor build/release/bin/advisor] [--kills 20] [--seed 1] [--model M --calibration T]

Run by hand. Each setting below is killed --kills times, alternately with 1 and 2 threads, and resumed with the other
number of them; every fourth time the resumed run is killed as well. Exits 1 at the first difference.
"""
import argparse
import hashlib
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SETTINGS = {
    "gptq, activations in memory": ["--technique", "gptq", "--scheme", "W4A16-g64-asym", "--format",
                                    "compressed-tensors,gguf:Q4_K_M"],
    "awq, activations in files": ["--technique", "awq", "--scheme", "W4A16-g64", "--memory", "?"],
    "rtn": ["--technique", "rtn", "--scheme", "W4A16-g64", "--format", "compressed-tensors,gptq"],
}


def digests(folder):
    """SHA-256 of every file but the report, which holds times."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "advisor_report.json"}


def run_and_kill(command, after):
    """True when the process was killed, False when it had finished before."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} failed: {process.stderr.read().decode()}")
    return False


def spilling_memory(command):
    """The least that the job accepts, so that its activations go to files."""
    asked = subprocess.run([*command, "--memory", "1MiB", "--threads", "2", "--dry-run"], capture_output=True, text=True)
    least = asked.stderr.split("one block of this model takes ")[1].split(",")[0].split()
    return f"{float(least[0]) + 0.02}{least[1]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--advisor", default=ROOT / "build/release/bin/advisor")
    parser.add_argument("--model", default=ROOT / "examples/models/tiny")
    parser.add_argument("--calibration", default=ROOT / "examples/calibration/tiny.txt")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        for setting, options in SETTINGS.items():
            base = [str(args.advisor), "compress", str(args.model), str(work / "out"), *options]
            if "rtn" not in options:
                base += ["--calibration", str(args.calibration)]
            if "?" in base:
                where = base.index("?")
                base[where] = spilling_memory(base[:where - 1] + base[where + 1:])
            start = time.monotonic()
            subprocess.run([*base, "--threads", "2"], check=True, capture_output=True)
            seconds = time.monotonic() - start
            expected = digests(work / "out")
            shutil.rmtree(work / "out")
            resumed = again = 0
            kills = 0
            while kills < args.kills:
                threads = 1 + kills % 2
                if not run_and_kill([*base, "--threads", str(threads)], rng.uniform(0, seconds)):
                    shutil.rmtree(work / "out")
                    continue  # it was faster than the first time
                kills += 1
                began = list(work.glob("out.partial-*/advisor_journal.jsonl"))
                rest = [*base, "--threads", str(3 - threads), *(["--resume"] if began else [])]
                resumed += bool(began)
                if began and kills % 4 == 0 and run_and_kill(rest, rng.uniform(0, seconds)):
                    again += 1
                if not (work / "out").exists():
                    subprocess.run(rest, check=True, capture_output=True)
                if digests(work / "out") != expected:
                    sys.exit(f"{setting}: other bytes after kill {kills}")
                for left in work.glob("out*"):
                    if left.name != "out" and began:
                        sys.exit(f"{setting}: {left.name} is left after kill {kills}")
                    shutil.rmtree(left)
            print(f"{setting}: {kills} kills within {seconds:.1f} s, {resumed} resumed (the others had not begun to "
                  f"write), {again} of them killed twice; the same bytes each time")


if __name__ == "__main__":
    main()
