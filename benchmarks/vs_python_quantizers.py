#!/usr/bin/env python3
"""vs_python_quantizers.py ADVISOR PYTHON MODEL CALIBRATION TEXT [--techniques gptq,awq] [--schemes S,S] [--runs N]
                        [--threads N] [--sequences N] [--precision float32|auto] [--json FILE]

GPTQ and AWQ by `advisor compress` and by llm-compressor or GPTQModel (Python) on one model: mean KL divergence from the
dense model on TEXT, wall and processor time, peak memory. ADVISOR is the program, PYTHON an interpreter that imports
llmcompressor, or else gptqmodel, MODEL a folder of dense safetensors, CALIBRATION a text. Both see the same tokens: the
first windows of the text, BOS in front, as long as the model's context; both write what the peer writes
(compressed-tensors; GPTQModel: gptq and autoawq), and `advisor evaluate` measures both. Runs of the two alternate, each
a process of its own, and the least of each counts. Of the peer `work` leaves out what Python spends on importing; of
ours nothing is left out, verification of the file included. Settings are the defaults of each, but for float32, in
which llm-compressor is better and on a processor no slower. Prints a Markdown table; --json keeps all figures.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time


def windows_of(settings, tokenizer, width):
    ids = tokenizer(pathlib.Path(settings["calibration"]).read_text(), add_special_tokens=False)["input_ids"]
    windows = [[tokenizer.bos_token_id, *ids[i:i + width]] for i in range(0, len(ids) - width + 1, width)]
    return windows[:settings["sequences"]]


def grid_of(scheme):
    """Bits, group size, symmetric."""
    parts = scheme.split("-")
    return int(parts[0][1]), int(parts[1][1:]), "asym" not in parts


def peer(settings):
    """Runs in the peer's interpreter: quantizes once and says how long that took without imports."""
    quantize = by_llm_compressor if importlib.util.find_spec("llmcompressor") else by_gptqmodel
    pathlib.Path(settings["figures"]).write_text(json.dumps(quantize(settings)))


def by_gptqmodel(settings):
    import torch
    from gptqmodel import BACKEND, GPTQModel, QuantizeConfig, __version__
    from transformers import AutoConfig, AutoTokenizer
    torch.set_num_threads(settings["threads"])
    start, cpu = time.perf_counter(), time.process_time()
    tokenizer = AutoTokenizer.from_pretrained(settings["model"])
    context = AutoConfig.from_pretrained(settings["model"]).max_position_embeddings
    windows = windows_of(settings, tokenizer, context - 1)
    bits, group, symmetric = grid_of(settings["scheme"])
    extra = {"method": "awq", "format": "gemm"} if settings["technique"] == "awq" else {}
    config = QuantizeConfig(bits=bits, group_size=group, sym=symmetric, device="cpu", **extra)
    # Its AWQ has no kernels for float32.
    model = GPTQModel.load(settings["model"], config, dtype=torch.float16 if extra else torch.float32)
    backend = {"backend": BACKEND.AWQ_TORCH if extra else BACKEND.GPTQ_TORCH}
    model.quantize([{"input_ids": w, "attention_mask": [1] * len(w)} for w in windows], batch_size=1, **backend)
    model.save(settings["out"])
    tokenizer.save_pretrained(settings["out"])
    return {"work_s": time.perf_counter() - start, "work_cpu_s": time.process_time() - cpu, "windows": len(windows),
            "version": f"GPTQModel {__version__}, torch {torch.__version__}", "format": "autoawq" if extra else "gptq"}


def by_llm_compressor(settings):
    import torch
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from datasets import Dataset
    from llmcompressor import __version__, oneshot
    from llmcompressor.modifiers.gptq import GPTQModifier
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from llmcompressor.modifiers.transform.awq import AWQModifier
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from llmcompressor.pipelines.cache import IntermediatesCache
    if not torch.cuda.is_available():  # 0.14 pins memory in AWQ, and stops where there is no GPU
        IntermediatesCache.pin_memory = lambda *_, **__: None
    torch.set_num_threads(settings["threads"])
    start, cpu = time.perf_counter(), time.process_time()
    tokenizer = AutoTokenizer.from_pretrained(settings["model"])
    model = AutoModelForCausalLM.from_pretrained(settings["model"], dtype=settings["precision"])
    width = model.config.max_position_embeddings - 1
    windows = windows_of(settings, tokenizer, width)
    data = Dataset.from_dict({"input_ids": windows, "attention_mask": [[1] * len(w) for w in windows]})
    bits, group, symmetric = grid_of(settings["scheme"])
    weights = QuantizationArgs(num_bits=bits, type="int", symmetric=symmetric, strategy="group", group_size=group)
    grid = {"config_groups": {"group_0": QuantizationScheme(targets=["Linear"], weights=weights)}, "ignore": ["lm_head"]}
    recipe = [GPTQModifier(**grid)] if settings["technique"] == "gptq" else [AWQModifier(), QuantizationModifier(**grid)]
    oneshot(model=model, tokenizer=tokenizer, dataset=data, recipe=recipe, num_calibration_samples=len(windows),
            max_seq_length=width + 1, shuffle_calibration_samples=False)
    model.save_pretrained(settings["out"], save_compressed=True)
    tokenizer.save_pretrained(settings["out"])
    return {"work_s": time.perf_counter() - start, "work_cpu_s": time.process_time() - cpu, "windows": len(windows),
            "version": f"llm-compressor {__version__}, torch {torch.__version__}", "format": "compressed-tensors"}


def measured(argv, log, threads, folder=None):
    """Wall and processor seconds and peak resident bytes of one process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with open(log, "wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT, cwd=folder, env={
            **os.environ, "ADVISOR_LOCAL": "none", "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1",
            "GPTQMODEL_CPU_WORKERS": str(max(threads, 2))})  # GPTQModel does not start with fewer
        _, status, used = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(map(str, argv))} failed:\n{pathlib.Path(log).read_text()[-3000:]}")
    return {"wall_s": time.perf_counter() - start, "cpu_s": used.ru_utime + used.ru_stime, "peak_bytes": used.ru_maxrss * 1024}


def divergence(args, out, scratch):
    text = subprocess.run([args.advisor, "evaluate", out, "--text", args.text, "--baseline", args.model, "--threads",
                           str(args.threads), "--json"], check=True, capture_output=True, text=True,
                          env={**os.environ, "ADVISOR_LOCAL": "none"}).stdout
    report = json.loads(text)
    return {"kl": report["divergence"]["mean"], "perplexity": report["perplexity"]["value"]}


def least(runs):
    return {name: min(run[name] for run in runs) for name in runs[0] if name not in ("version", "format")}


def compare(args, technique, scheme, scratch):
    runs = {"ours": [], "peer": []}
    for run in range(args.runs):
        ours, theirs = scratch / f"ours{run}", scratch / f"peer{run}"
        settings = {"model": os.path.abspath(args.model), "calibration": os.path.abspath(args.calibration), "out": str(theirs), "technique": technique,
                    "scheme": scheme, "threads": args.threads, "sequences": args.sequences, "precision": args.precision,
                    "figures": str(scratch / "figures.json")}
        # In a folder of its own: GPTQModel leaves logs where it runs.
        used = measured([args.python, os.path.abspath(__file__), "--peer", json.dumps(settings)], scratch / "log",
                        args.threads, scratch)
        runs["peer"].append(used | json.loads((scratch / "figures.json").read_text()))
        runs["ours"].append(measured(
            [args.advisor, "compress", args.model, ours, "--technique", technique, "--scheme", scheme, "--format",
             runs["peer"][0]["format"], "--calibration", args.calibration, "--samples", str(args.sequences), "--threads",
             str(args.threads)], scratch / "log", args.threads))
    row = {"model": pathlib.Path(args.model).name, "technique": technique, "scheme": scheme, "load": os.getloadavg()[0],
           "version": runs["peer"][0]["version"]}
    for who in runs:
        row[who] = least(runs[who]) | divergence(args, str(scratch / f"{who}0"), scratch)
        for run in range(args.runs):
            subprocess.run(["rm", "-r", str(scratch / f"{who}{run}")], check=True)
    row["kl_ratio"] = row["ours"]["kl"] / row["peer"]["kl"]
    row["wall_ratio"] = row["ours"]["wall_s"] / row["peer"]["work_s"]
    row["cpu_ratio"] = row["ours"]["cpu_s"] / row["peer"]["work_cpu_s"]
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("advisor", "python", "model", "calibration", "text"):
        parser.add_argument(name)
    parser.add_argument("--techniques", default="gptq,awq")
    parser.add_argument("--schemes", default="W4A16-g128,W4A16-g128-asym,W3A16-g128")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sequences", type=int, default=128)
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    args.python = os.path.abspath(shutil.which(args.python) or args.python)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for technique in args.techniques.split(","):
            for scheme in args.schemes.split(","):
                rows.append(compare(args, technique, scheme, pathlib.Path(folder)))
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
                if args.json:
                    args.json.write_text(json.dumps({"runs": args.runs, "rows": rows}, indent=1) + "\n")
    print("| model | technique | scheme | KL ours, peer (ratio) | wall s ours, peer's work (ratio), peer whole | processor s "
          "ours, peer's work (ratio), peer whole | peak MB ours, peer |\n|---|---|---|---|---|---|---|")
    for r in rows:
        a, b = r["ours"], r["peer"]
        print(f"| {r['model']} | {r['technique']} | {r['scheme']} | {a['kl']:.5f}, {b['kl']:.5f} ({r['kl_ratio']:.2f}) | "
              f"{a['wall_s']:.1f}, {b['work_s']:.1f} ({r['wall_ratio']:.2f}), {b['wall_s']:.1f} | {a['cpu_s']:.1f}, "
              f"{b['work_cpu_s']:.1f} ({r['cpu_ratio']:.2f}), {b['cpu_s']:.1f} | {a['peak_bytes'] / 1e6:.0f}, "
              f"{b['peak_bytes'] / 1e6:.0f} |")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--peer":
        peer(json.loads(sys.argv[2]))
    else:
        main()
