#!/usr/bin/env python3
"""lab_table.py LAB ADVISOR OUT.json [--models M,M] [--rows REGEX] [--threads N] [--sequences N] [--windows N]
             [--markdown FILE]

What each technique costs the lab models (LAB: models/, calib/, eval/, see its README.md): every technique at every
scheme through `advisor compress`, then `advisor evaluate --baseline` on the held-out prose and the choice files.
One row per model, technique, scheme and format: mean KL divergence from the dense model, its perplexity, accuracies,
bits per weight of the decoder's matrices, time and peak memory of the command. Figures go into OUT.json as they come;
rows that are there already are not run again, so that an interrupted run goes on. Prints, and with --markdown writes,
tables by model and the verdict on the bounds that issue 5 sets (GPTQ <= 0.7 RTN, AWQ <= 0.9 RTN, AWQ+GPTQ best or
within 3 %, importance-weighted RTN <= RTN, each at 3 and 4 bits in groups of 128).
Evaluation widens weights to float32 and leaves activations alone: for schemes with quantized activations (A8, A4) the
figures are those of the weights.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

CHOICES = ["knowledge", "intent", "intent_novel", "openbook"]
MODELS = ["small", "specialist", "medium", "large"]
INTEGER = ["W4A16-g128", "W3A16-g128", "W4A16-g128-asym", "W3A16-g128-asym"]
OTHER_INTEGER = ["W2A16-g64", "W2A16-g64-asym", "W8A16-channel"]
GGUF = ["Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS", "IQ4_NL", "Q4_0", "Q3_K_M", "Q2_K"]
# label: technique, parameters, calibrated
SOLVERS = {"rtn": ("rtn", [], False), "rtn, importance": ("rtn", ["clip=mse"], True), "awq": ("awq", [], True),
           "gptq": ("gptq", [], True), "awq+gptq": ("awq+gptq", [], True)}


def rows():
    """(label, technique, parameters, calibrated, scheme, format), what bounds are set for first."""
    for schemes in (INTEGER, OTHER_INTEGER):
        for scheme in schemes:
            for label, (technique, parameters, calibrated) in SOLVERS.items():
                yield label, technique, parameters, calibrated, scheme, "compressed-tensors"
    for kind in GGUF:
        yield "rtn", "rtn", [], False, kind, "gguf:" + kind
        yield "rtn, importance", "rtn", [], True, kind, "gguf:" + kind
    for scheme in ("W8A8-int8", "W8A8-fp8-channel", "W4A16-nvfp4", "W4A16-mxfp4"):
        for label in ("rtn", "gptq"):
            technique, parameters, calibrated = SOLVERS[label]
            yield label, technique, parameters, calibrated, scheme, "compressed-tensors"
    yield "smoothquant", "smoothquant", [], True, "W8A8-int8", "compressed-tensors"


def key(model, label, scheme):
    return f"{model} | {label} | {scheme}"


def elements(model):
    """Weights of each matrix of the decoder's layers."""
    with open(model / "model.safetensors", "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return {name: entry["shape"][0] * entry["shape"][1] for name, entry in header.items()
            if name != "__metadata__" and len(entry["shape"]) == 2 and ".layers." in name}


def command(argv, out):
    """Standard output into a file; wall and processor seconds, peak resident bytes, or the last line of the error."""
    start = time.perf_counter()
    with open(out, "wb") as stdout, open(f"{out}.err", "wb") as stderr:
        child = os.posix_spawn(argv[0], argv, {**os.environ, "ADVISOR_LOCAL": "none"},
                               file_actions=[(os.POSIX_SPAWN_DUP2, stdout.fileno(), 1),
                                             (os.POSIX_SPAWN_DUP2, stderr.fileno(), 2)])
        _, status, used = os.wait4(child, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        lines = pathlib.Path(f"{out}.err").read_text(errors="replace").strip().splitlines()
        return None, lines[-1] if lines else f"exit status {status}"
    return {"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime, "peak_bytes": used.ru_maxrss * 1024}, ""


def evaluated(args, path, baseline, out):
    argv = [args.advisor, "evaluate", str(path), "--threads", str(args.threads), "--json"]
    prose = argv + ["--text", str(args.lab / "eval/lm_heldout.txt"), "--baseline", str(baseline), "--limit", str(args.windows)]
    done, error = command(prose, out)
    if not done:
        return {"refused": error}
    report = json.loads(pathlib.Path(out).read_text())
    row = {"perplexity": report["perplexity"]["value"], "kl": report["divergence"]["mean"],
           "same_top": report["divergence"]["same_top"], "windows": report["perplexity"]["windows"]}
    for name in CHOICES:
        argv += ["--choices", str(args.lab / f"eval/{name}.jsonl")]
    done, error = command(argv, out)
    if not done:
        return {"refused": error}
    return row | {choice["name"]: choice["accuracy"] for choice in json.loads(pathlib.Path(out).read_text())["choices"]}


def measured(args, model, row, scratch):
    label, technique, parameters, calibrated, scheme, form = row
    out = scratch / "out"
    shutil.rmtree(out, ignore_errors=True)
    argv = [args.advisor, "compress", str(model), str(out), "--technique", technique, "--format", form, "--threads",
            str(args.threads), "--json"]
    if not form.startswith("gguf"):
        argv += ["--scheme", scheme]
    for parameter in parameters:
        argv += ["--param", parameter]
    if calibrated:
        argv += ["--calibration", str(args.lab / "calib/calibration.txt"), "--samples", str(args.sequences)]
    done, error = command(argv, str(scratch / "compress.json"))
    if not done:
        return {"refused": error}
    sizes = elements(model)
    tensors = json.loads((scratch / "compress.json").read_text())["outputs"][0]["tensors"]
    kept = {t["name"]: t["bytes"] for t in tensors if t["name"] in sizes}
    if len(kept) != len(sizes):
        sys.exit(f"{model}: {len(sizes) - len(kept)} matrices are missing in the report")
    return done | {"bits_per_weight": 8 * sum(kept.values()) / sum(sizes.values())} | evaluated(
        args, out, model, str(scratch / "evaluate.json"))


def verdicts(results, models):
    """Bounds that are met or missed, one line each."""
    for scheme in INTEGER:
        for model in models:
            kl = {label: results.get(key(model, label, scheme), {}).get("kl") for label in SOLVERS}
            if None in kl.values():
                continue
            best = min(kl.values())
            checks = [("gptq / rtn", kl["gptq"] / kl["rtn"], 0.7), ("awq / rtn", kl["awq"] / kl["rtn"], 0.9),
                      ("awq+gptq / best", kl["awq+gptq"] / best, 1.03),
                      ("importance / rtn", kl["rtn, importance"] / kl["rtn"], 1.0)]
            cells = [f"{ratio:.3f}" + ("" if ratio <= bound else " **missed**") for _, ratio, bound in checks]
            yield f"| {model} | {scheme} | " + " | ".join(cells) + " |"


def markdown(results, models):
    lines = ["| model | scheme | gptq / rtn (<= 0.7) | awq / rtn (<= 0.9) | awq+gptq / best (<= 1.03) | "
             "importance / rtn (<= 1) |", "|---|---|---|---|---|---|", *verdicts(results, models)]
    head = ("| scheme | technique | bits/weight | KL | perplexity | same top | knowledge | intent | novel intent | open book "
            "| s (processor) | peak MB |")
    for model in models:
        lines += ["", f"`{model}`:", "", head, "|" + "---|" * 12]
        dense = results.get(key(model, "dense", "bf16"))
        order = [("dense", "bf16")] + [(row[0], row[4]) for row in rows()]
        for label, scheme in order:
            row = results.get(key(model, label, scheme))
            if not row or "refused" in row:
                continue
            cost = f"{row['seconds']:.1f} ({row['cpu_seconds']:.1f}) | {row['peak_bytes'] / 1e6:.0f}" if row is not dense else " | "
            accuracies = " | ".join(f"{row[name]:.3f}" for name in CHOICES)
            lines.append(f"| {scheme} | {label} | {row['bits_per_weight']:.2f} | {row['kl']:.5f} | {row['perplexity']:.2f} | "
                         f"{row['same_top']:.3f} | {accuracies} | {cost} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lab", type=pathlib.Path)
    parser.add_argument("advisor")
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--rows", default="", help="only rows whose 'model | technique | scheme' matches")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--windows", type=int, default=0, help="windows of prose to score, 0 = all (152 of 255 tokens)")
    parser.add_argument("--sequences", type=int, default=128)
    parser.add_argument("--markdown", type=pathlib.Path)
    args = parser.parse_args()
    models = args.models.split(",")
    results = json.loads(args.out.read_text()) if args.out.exists() else {}
    version = subprocess.run([args.advisor, "--version"], check=True, capture_output=True, text=True).stdout.strip()

    def keep(name, row):
        results[name] = row | {"load": os.getloadavg()[0], "threads": args.threads, "version": version}
        args.out.write_text(json.dumps(results, indent=1) + "\n")
        print(name, json.dumps(row), file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        for model in models:
            name, path = key(model, "dense", "bf16"), args.lab / "models" / model
            if name not in results and re.search(args.rows, name):
                keep(name, {"bits_per_weight": 16.0} | evaluated(args, path, path, str(scratch / "dense.json")))
        for row in rows():
            for model in models:
                name = key(model, row[0], row[4])
                if name not in results and re.search(args.rows, name):
                    keep(name, measured(args, args.lab / "models" / model, row, scratch))
    text = markdown(results, models)
    print(text)
    if args.markdown:
        args.markdown.write_text(text)


if __name__ == "__main__":
    main()
