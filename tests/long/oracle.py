#!/usr/bin/env python3
"""Perplexity and accuracies of a dense safetensors model by an independent path: plain numpy in float64, a naive
tokenizer, no code shared with the library. Produced the figures of tests/evaluate/evaluate_test.cpp:

    tests/long/oracle.py examples/models/tiny examples/suites/tiny      (needs numpy)
    tests/long/oracle.py examples/models/tiny examples/suites/tiny --without model.layers.2.self_attn.o_proj.weight

With --without the model without that matrix (zeros) is compared with the model itself on the texts: mean KL divergence,
and how often both find the same token likeliest.
"""
import functools
import json
import pathlib
import re
import struct
import sys

import numpy as np

PIECE = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[^\W\d_]+| ?\d+| ?(?:[^\s\w]|_)+|\s+(?!\S)|\s+")


def load(folder):
    config = json.loads((folder / "config.json").read_text())
    raw = (folder / "model.safetensors").read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    tensors = {}
    for name, entry in json.loads(raw[8:8 + size]).items():
        if name != "__metadata__":
            assert entry["dtype"] == "BF16"
            begin, end = entry["data_offsets"]
            bits = np.frombuffer(raw[8 + size + begin:8 + size + end], "<u2").astype(np.uint32) << 16
            tensors[name] = bits.view(np.float32).astype(np.float64).reshape(entry["shape"])
    return config, tensors


class Bpe:
    def __init__(self, file):
        model = json.loads(file.read_text())["model"]
        self.vocab = model["vocab"]
        merges = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
        self.ranks = {tuple(m): rank for rank, m in enumerate(merges)}
        visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
        hidden = [b for b in range(256) if b not in visible]
        self.letter = {b: chr(b) for b in visible} | {b: chr(256 + i) for i, b in enumerate(hidden)}

    @functools.cache
    def piece(self, piece):
        symbols = [self.letter[b] for b in piece.encode()]
        while len(symbols) > 1:
            rank, at = min((self.ranks.get(pair, 1 << 30), i) for i, pair in enumerate(zip(symbols, symbols[1:])))
            if rank == 1 << 30:
                break
            symbols[at:at + 2] = [symbols[at] + symbols[at + 1]]
        return [self.vocab[s] for s in symbols]

    def encode(self, text):
        return [i for piece in PIECE.findall(text) for i in self.piece(piece)]


def forward(config, weights, ids):
    """log softmax of the logits at every position."""
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    dim, n = config["head_dim"], len(ids)
    angle = np.outer(np.arange(n), config["rope_theta"] ** (-np.arange(0, dim, 2) / dim))
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]

    def norm(x, name):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + config["rms_norm_eps"]) * weights[name]

    def rotate(x):
        a, b = np.split(x, 2, -1)
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    x = weights["model.embed_tokens.weight"][ids]
    for layer in range(config["num_hidden_layers"]):
        w = {part: weights[f"model.layers.{layer}.{block}.{part}_proj.weight"].T
             for block, parts in (("self_attn", "qkvo"), ("mlp", ("gate", "up", "down"))) for part in parts}
        h = norm(x, f"model.layers.{layer}.input_layernorm.weight")
        q = rotate((h @ w["q"]).reshape(n, heads, dim))
        k = rotate((h @ w["k"]).reshape(n, kv_heads, dim)).repeat(heads // kv_heads, 1)
        v = (h @ w["v"]).reshape(n, kv_heads, dim).repeat(heads // kv_heads, 1)
        scores = np.einsum("ihd,jhd->hij", q, k) / np.sqrt(dim)
        scores[:, ~np.tri(n, dtype=bool)] = -np.inf
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        x = x + np.einsum("hij,jhd->ihd", scores, v).reshape(n, -1) @ w["o"]
        h = norm(x, f"model.layers.{layer}.post_attention_layernorm.weight")
        gate = h @ w["gate"]
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w["up"])) @ w["down"]
    head = weights["model.embed_tokens.weight" if config["tie_word_embeddings"] else "lm_head.weight"]
    logits = norm(x, "model.norm.weight") @ head.T
    top = logits.max(-1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))


def score(config, weights, prefix, ids):
    """log p(ids | prefix)"""
    table = forward(config, weights, [*prefix, *ids][:-1])
    return sum(table[len(prefix) - 1 + i, token] for i, token in enumerate(ids))


def compare(weights, config, without, bos, ids, step):
    """Mean KL divergence of the model without a matrix from the model, and the share of equal top tokens."""
    changed = weights | {without: np.zeros_like(weights[without])}
    kl, same = [], []
    for i in range(0, len(ids), step):
        window = [*bos, *ids[i:i + step]][:-1]
        p, q = forward(config, weights, window), forward(config, changed, window)
        kl.extend((np.exp(p) * (p - q)).sum(-1))
        same.extend(p.argmax(-1) == q.argmax(-1))
    return np.array(kl), np.array(same)


def main():
    model, suite = map(pathlib.Path, sys.argv[1:3])
    config, weights = load(model)
    bpe, bos = Bpe(model / "tokenizer.json"), [config["bos_token_id"]]
    for file in sorted(suite.glob("*.txt")):
        ids = bpe.encode(file.read_text())
        step = config["max_position_embeddings"] - 1
        nll = -sum(score(config, weights, bos, ids[i:i + step]) for i in range(0, len(ids), step))
        print(f"{file.name}: {len(ids)} tokens, nll {nll:.4f}, perplexity {np.exp(nll / len(ids)):.6f}")
        if len(sys.argv) > 4:
            kl, same = compare(weights, config, sys.argv[4], bos, ids, step)
            print(f"{file.name} without {sys.argv[4]}: mean divergence {kl.mean():.8f}, median {np.median(kl):.8f}, "
                  f"maximum {kl.max():.6f}, same top {same.sum()} of {len(same)}")
    for file in sorted(suite.glob("*.jsonl")):
        items = [json.loads(line) for line in file.read_text().splitlines()]
        hits = 0
        for item in items:
            context = bos + bpe.encode(item["context"])
            scores = [score(config, weights, context, bpe.encode(option)) for option in item["options"]]
            hits += scores.index(max(scores)) == item["answer"]
        print(f"{file.name}: {hits} of {len(items)} right")


if __name__ == "__main__":
    main()
