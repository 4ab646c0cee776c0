#!/usr/bin/env python3
"""Acceptance of `advisor evaluate` against independently measured figures.

    cmake --build build/release --target parity
    tests/long/reference_check.py LAB [--build build/release] [--models small,large]

LAB holds models/, eval/ and reference.json. For each model: perplexity within 0.1 %, every accuracy (also by family)
within 0.5 points, and, where the program `parity` was built, the stored logits and residuals within 1e-3 relative.
Exit code 0 when all agree, 1 when not.
"""
import argparse
import json
import math
import pathlib
import subprocess
import sys
import time


def relative(measured, expected, scale):
    """Largest difference in units of `scale`, the size that the values have as a whole."""
    return max(abs(m - e) for m, e in zip(measured, expected, strict=True)) / scale


def check_evaluation(advisor, lab, model, reference):
    start = time.monotonic()
    done = subprocess.run(
        [advisor, "evaluate", str(lab / "models" / model), "--suite", str(lab / "eval"), "--json"],
        stdout=subprocess.PIPE, check=True)
    seconds = time.monotonic() - start
    report = json.loads(done.stdout)
    perplexity = report["perplexity"]["value"]
    baseline = reference["baseline"]
    off = perplexity / baseline["ppl"] - 1
    bits = report["perplexity"]["bits_per_byte"] / baseline["bits_per_byte"] - 1
    print(f"{model}: perplexity {perplexity:.4f}, reference {baseline['ppl']:.4f}, {100 * off:+.4f} %"
          f" ({seconds:.1f} s in all); bits per byte {100 * bits:+.4f} %")
    good = abs(off) < 1e-3 and abs(bits) < 1e-3 and report["perplexity"]["tokens"] == baseline["ppl_tokens"]
    for choice in report["choices"]:
        scores = {choice["name"]: (choice["accuracy"], baseline[choice["name"]])}
        scores |= {f["family"]: (f["accuracy"], baseline["families"][f["family"]]) for f in choice["families"]}
        for name, (measured, expected) in scores.items():
            close = abs(measured - expected) <= 0.005
            good &= close
            print(f"  {name:24} {measured:.4f}, reference {expected:.4f}{'' if close else '  OFF'}")
    return good


def check_parity(parity, lab, model, expected):
    done = subprocess.run([parity, str(lab / "models" / model), *map(str, expected["token_ids"])],
                          stdout=subprocess.PIPE, check=True)
    got = json.loads(done.stdout)
    logits = got["logits"]
    size = expected["logits_l2"] / math.sqrt(len(logits))  # root mean square of a logit
    worst = {
        "first 16 logits": relative(logits[:16], expected["logits_last_position_first16"], size),
        "sum": abs(sum(logits) / expected["logits_sum"] - 1),
        "l2": abs(math.sqrt(sum(x * x for x in logits)) / expected["logits_l2"] - 1),
        "top 5": max(abs(logits[i] / value - 1) for i, value in expected["top5"]),
    }
    order = sorted(range(len(logits)), key=lambda i: -logits[i])[:5]
    for layer, (state, first) in enumerate(
            zip(got["residual"], expected["residual_last_position_first8"], strict=True)):
        size = math.sqrt(sum(x * x for x in first) / len(first))
        worst[f"residual {layer}"] = relative(state["last"][:8], first, size)
    print("  relative differences: " + ", ".join(f"{name} {value:.1e}" for name, value in worst.items()))
    return max(worst.values()) < 1e-3 and order == [i for i, _ in expected["top5"]]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("lab", type=pathlib.Path)
    arguments.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build/release"))
    arguments.add_argument("--models", default="")
    options = arguments.parse_args()
    reference = json.loads((options.lab / "reference.json").read_text())
    parity = options.build / "bin" / "parity"
    if not parity.exists():
        print(f"{parity} is not built: logits are not compared")
    good = True
    for model in options.models.split(",") if options.models else reference["models"]:
        good &= check_evaluation(options.build / "bin" / "advisor", options.lab, model, reference["models"][model])
        if parity.exists():
            good &= check_parity(parity, options.lab, model, reference["models"][model]["parity"])
    print("all within the limits" if good else "NOT within the limits")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
