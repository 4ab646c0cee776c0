#!/usr/bin/env python3
"""Mean KL divergence of compressed-tensors folders whose activations are quantized, from the dense model.

    activation_divergence.py TEXT DENSE FOLDER... [--windows N]

`advisor evaluate` leaves activations alone; transformers with compressed-tensors quantizes them as the file says (per
token, per tensor, in groups), in float32 on the processor. The first N windows of TEXT (the model's context, BOS in
front); KL(dense || folder) per token as `advisor evaluate --baseline` has it. Prints one JSON object for each folder.
Not part of ./dev test, which needs no torch.
"""
import argparse
import json
import pathlib

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def log_probabilities(folder, windows):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        return [torch.log_softmax(model(window[None]).logits[0, :-1].float(), -1) for window in windows]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=pathlib.Path)
    parser.add_argument("dense")
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--windows", type=int, default=48)
    args = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(args.dense)
    ids = tokenizer(args.text.read_text(), add_special_tokens=False)["input_ids"]
    step = json.loads((pathlib.Path(args.dense) / "config.json").read_text())["max_position_embeddings"] - 1
    windows = [torch.tensor([tokenizer.bos_token_id, *ids[n * step:(n + 1) * step]]) for n in range(args.windows)]
    dense = log_probabilities(args.dense, windows)
    for folder in args.folders:
        pairs = zip(dense, log_probabilities(folder, windows))
        divergence = torch.cat([(p.exp() * (p - q)).sum(-1) for p, q in pairs]).double().mean().item()
        print(json.dumps({"folder": folder, "kl": divergence, "windows": len(windows)}), flush=True)


if __name__ == "__main__":
    main()
