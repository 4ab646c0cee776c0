#!/usr/bin/env python3
"""block_memory.py ADVISOR [--techniques gptq,awq] [--gigabytes 2] [--memory 8GiB] [--samples 4] [--sequence-length 2048]
                [--threads 2] [--scratch FOLDER] [--json FILE]

Peak memory of calibrated jobs on blocks of Llama-3-8B's size, against the plan's prediction and against --memory.
ADVISOR is the program. The checkpoint is tests/long/make_synthetic.py's (2 gigabytes: the embedding and two layers) and
removed at the end; the text is noise. Blocks are done one after the other in the same buffers, so that two of them show
the peak of 32: the second begins with all that the first has left. Memory is sampled from /proc all the while, and each
row says by how much the second half of the run was above the first. The peak is the kernel's (ru_maxrss). Exits 1 when
a peak is above --memory or more than 20 % away from its prediction.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 1e3, "MB": 1e6, "GB": 1e9}


def size_of(text):
    unit = next(unit for unit in UNITS if text.endswith(unit))
    return float(text[:-len(unit)]) * UNITS[unit]


def sampled(argv, out):
    """Exit status, seconds, processor seconds, the kernel's peak, and (seconds, resident bytes) all the while."""
    start, samples = time.monotonic(), []
    with open(out, "wb") as stdout, open(f"{out}.err", "wb") as stderr:
        child = os.posix_spawn(argv[0], argv, {**os.environ, "ADVISOR_LOCAL": "none"},
                               file_actions=[(os.POSIX_SPAWN_DUP2, stdout.fileno(), 1),
                                             (os.POSIX_SPAWN_DUP2, stderr.fileno(), 2)])
        while True:
            pid, status, used = os.wait4(child, os.WNOHANG)
            if pid:
                break
            try:
                text = pathlib.Path(f"/proc/{child}/status").read_text()
                resident = [int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")]
                samples += [(time.monotonic() - start, 1024 * resident[0])] if resident else []
            except OSError:
                pass
            time.sleep(0.05)
    return status, time.monotonic() - start, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, samples


def measured(args, technique, model, text, scratch):
    out = scratch / "out"
    argv = [args.advisor, "compress", str(model), str(out), "--technique", technique, "--scheme", "W4A16-g128",
            "--calibration", str(text), "--samples", str(args.samples), "--sequence-length", str(args.sequence_length),
            "--threads", str(args.threads), "--memory", args.memory, "--json"]
    status, seconds, cpu, peak, samples = sampled(argv, str(scratch / "report.json"))
    if status != 0:
        sys.exit(pathlib.Path(f"{scratch}/report.json.err").read_text()[-2000:])
    report = json.loads((scratch / "report.json").read_text())
    shutil.rmtree(out)
    half = samples[-1][0] / 2
    first = max(resident for at, resident in samples if at <= half)
    second = max(resident for at, resident in samples if at > half)
    return {"technique": technique, "memory": size_of(args.memory), "predicted": report["plan"]["peak_memory"], "peak": peak,
            "reported": report["peak_memory"], "seconds": seconds, "cpu_seconds": cpu, "samples": len(samples),
            "first_half": first, "second_half": second, "load": os.getloadavg()[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("advisor")
    parser.add_argument("--techniques", default="gptq,awq")
    parser.add_argument("--gigabytes", default="2")
    parser.add_argument("--memory", default="8GiB")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--sequence-length", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scratch", help="folder for twice the checkpoint; default: the system's")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    rows, bad = [], False
    with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
        scratch = pathlib.Path(folder)
        subprocess.run([sys.executable, ROOT / "tests/long/make_synthetic.py", scratch / "model", args.gigabytes], check=True)
        rng = random.Random(1)
        words = ["".join(rng.choices("etaoinshrdlucmfwypvbgk", k=rng.randint(1, 9))) for _ in range(5000)]
        (scratch / "text.txt").write_text(" ".join(rng.choices(words, k=args.samples * args.sequence_length)))
        print("| technique | --memory | predicted | peak | peak / predicted | first half, second half | s (processor) | load |")
        print("|" + "---|" * 8)
        for technique in args.techniques.split(","):
            row = measured(args, technique, scratch / "model", scratch / "text.txt", scratch)
            rows.append(row)
            ratio = row["peak"] / row["predicted"]
            bad = bad or row["peak"] > row["memory"] or not 1 / 1.2 <= ratio <= 1.2
            gb = {name: f"{row[name] / 1e9:.2f}" for name in ("memory", "predicted", "peak", "first_half", "second_half")}
            print(f"| {technique} | {gb['memory']} GB | {gb['predicted']} GB | {gb['peak']} GB | {ratio:.3f} | "
                  f"{gb['first_half']}, {gb['second_half']} GB | {row['seconds']:.0f} ({row['cpu_seconds']:.0f}) | "
                  f"{row['load']:.1f} |", flush=True)
            if args.json:
                args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
