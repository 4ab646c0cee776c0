#!/usr/bin/env python3
"""Acceptance of round-to-nearest: compress, evaluate, compare with independently measured fake quantization.

    tests/long/rtn_parity.py LAB [--build build/release] [--models small,large]

LAB holds models/, eval/ and reference.json. The reference keeps scales in float32 and takes absmax / (2^(b-1) - 1)
(range=restricted); scales are stored as f32 here too, so like is compared with like. A run with bf16 scales, the
default, is shown beside it. Perplexity must agree within 1 %; accuracies are shown, and must agree within three
standard errors of their difference. Exit code 0 when all agree, 1 when not.
"""
import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

CASES = {  # name in reference.json: scheme, parameters
    "rtn_int8_g128_sym": ("W8A16-g128", ["range=restricted"]),
    "rtn_int4_g128_sym": ("W4A16-g128", ["range=restricted"]),
    "rtn_int4_g64_sym": ("W4A16-g64", ["range=restricted"]),
    "rtn_int4_g128_asym": ("W4A16-g128-asym", []),
    "rtn_int4_g64_asym": ("W4A16-g64-asym", []),
}
TASKS = {"knowledge": 600, "intent": 320, "intent_novel": 128, "openbook": 360}  # items


def evaluate(advisor, model, lab):
    done = subprocess.run([advisor, "evaluate", str(model), "--suite", str(lab / "eval"), "--json"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    report = json.loads(done.stdout)
    return report["perplexity"]["value"], {c["name"]: c["accuracy"] for c in report["choices"]}


def compress(advisor, model, out, scheme, params, dtype):
    command = [advisor, "compress", str(model), str(out), "--technique", "rtn", "--scheme", scheme,
               "--format", f"compressed-tensors:{dtype}", "--json"]
    for param in params:
        command += ["--param", param]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def close(name, measured, expected):
    error = math.sqrt(2 * max(expected * (1 - expected), 0.01) / TASKS[name])
    return abs(measured - expected) <= 3 * error


def check(advisor, lab, model, case, reference, work):
    scheme, params = CASES[case]
    expected = reference[case]
    good = True
    for dtype in ("f32", "bf16"):
        out = work / f"{model}-{case}-{dtype}"
        compress(advisor, lab / "models" / model, out, scheme, params, dtype)
        perplexity, accuracies = evaluate(advisor, out, lab)
        off = perplexity / expected["ppl"] - 1
        good &= abs(off) < 0.01
        tasks = []
        for name in TASKS:
            good &= close(name, accuracies[name], expected[name])
            tasks.append(f"{name} {accuracies[name]:.4f}/{expected[name]:.4f}")
        print(f"{model:10} {case:19} scales {dtype:4}  perplexity {perplexity:9.4f} / {expected['ppl']:9.4f}"
              f" {100 * off:+.3f} %  {'  '.join(tasks)}", flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lab", type=pathlib.Path)
    parser.add_argument("--build", type=pathlib.Path, default="build/release")
    parser.add_argument("--models", default="small,specialist,medium,large")
    parser.add_argument("--cases", default=",".join(CASES))
    args = parser.parse_args()
    reference = json.loads((args.lab / "reference.json").read_text())["models"]
    good = True
    with tempfile.TemporaryDirectory() as work:
        for model in args.models.split(","):
            for case in args.cases.split(","):
                good &= check(args.build / "bin/advisor", args.lab, model, case, reference[model]["compression"],
                              pathlib.Path(work))
    print("all agree" if good else "SOME DISAGREE")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
