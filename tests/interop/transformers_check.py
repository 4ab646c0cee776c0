#!/usr/bin/env python3
"""Loads quantized folders in Hugging Face transformers and compares what it predicts with libadvisor.

    transformers_check.py TEXT ADVISOR FOLDER... [--windows N] [--tolerance R]

transformers hands the weights to the reader of their format: compressed-tensors, gptqmodel (GPTQ, AutoAWQ), nothing for
dense ones. The first N windows of TEXT (the model's context, BOS in front) go through it in float32 on the processor;
their mean negative log-likelihood must be that of `advisor evaluate --text TEXT --limit N`, relative difference at
most R (float32 sums in another order; activations are quantized by neither). Prints one JSON object for each folder;
exits 1 when any disagrees. Not part of ./dev test, which needs no torch.
"""
import argparse
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys


def versions():
    found = {}
    for name in ("transformers", "torch", "compressed-tensors", "gptqmodel"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return found


def theirs(folder, text, windows):
    """Mean negative log-likelihood, and the classes of the linear layers that computed it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    layers = {type(module).__name__ for module in model.modules() if "Linear" in type(module).__name__}
    ids = tokenizer(pathlib.Path(text).read_text(), add_special_tokens=False)["input_ids"]
    step = model.config.max_position_embeddings - 1
    total = count = 0
    with torch.no_grad():
        for window in range(windows):
            tokens = torch.tensor([[tokenizer.bos_token_id, *ids[window * step:(window + 1) * step]]])
            logits = model(tokens).logits[0, :-1].float()
            total += torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="sum").item()
            count += tokens.shape[1] - 1
    return total / count, sorted(layers)


def check(args, folder):
    try:
        mean, layers = theirs(folder, args.text, args.windows)
    except Exception as error:  # whatever a reader throws is its answer
        print(json.dumps({"folder": folder, "error": f"{type(error).__name__}: {error}"[:500]}), flush=True)
        return False
    report = json.loads(subprocess.run(
        [args.advisor, "evaluate", folder, "--text", args.text, "--limit", str(args.windows), "--json"], check=True,
        capture_output=True, text=True, env={**os.environ, "ADVISOR_LOCAL": "none"}).stdout)["perplexity"]
    ours = report["nll"] / report["tokens"]
    agree = abs(mean - ours) <= args.tolerance * ours
    print(json.dumps({"folder": folder, "theirs": mean, "ours": ours, "relative": mean / ours - 1, "agree": agree,
                      "layers": layers}), flush=True)
    return agree


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text")
    parser.add_argument("advisor")
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--tolerance", type=float, default=1e-5)
    args = parser.parse_args()
    print(json.dumps(versions()), flush=True)
    return 0 if all([check(args, folder) for folder in args.folders]) else 1


if __name__ == "__main__":
    sys.exit(main())
