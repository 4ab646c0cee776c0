#!/usr/bin/env python3
"""gguf_vs_llama_quantize.py ADVISOR LLAMA_BIN MODEL... [--types T,T] [--threads N] [--runs N] [--json FILE] [--text F]

GGUF files by `advisor compress` and by llama.cpp's llama-quantize from the same weights, side by side: squared error,
wall and processor time, peak memory, size, and with --text the perplexity that llama-perplexity measures for both.
ADVISOR is the program, LLAMA_BIN the folder with llama-quantize (and llama-perplexity), MODEL a folder of safetensors
or `synthetic:N`, a checkpoint of about N billion random weights (Student's t, 6 degrees of freedom) made in --scratch.
Both start from dense weights: advisor from the safetensors, llama-quantize from a GGUF file of the same values (BF16)
that advisor writes first. Errors are those of llama-quantize's decoder as gguf-py implements it (pip install gguf
numpy), against the BF16 file, summed over all matrices; ratios below 1 are better than the peer. Runs of the two
alternate, and the least of each counts. advisor returns when the file is on the device; llama-quantize does not wait,
so that its time is given a second time with a flush after it. Prints a Markdown table; --json keeps all figures.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np

TYPES = ["Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ4_XS", "Q4_0", "Q3_K_M"]


def measured(argv, log):
    """Wall seconds, processor seconds and peak resident bytes of one command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with open(log, "wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT)
        peak = 0
        while process.poll() is None:
            try:
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
                peak = max([peak] + [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")])
            except (OSError, ValueError):
                pass
            time.sleep(0.01)
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode != 0:
        sys.exit(f"{' '.join(map(str, argv))} failed:\n{pathlib.Path(log).read_text()[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": seconds, "cpu_s": cpu, "peak_bytes": peak * 1024}


def synthetic(billions, folder):
    """A Llama of 2048 columns and as many layers as it takes; tokenizer of 512 byte-level tokens."""
    hidden, inner, heads, kv_heads, head_dim, vocab = 2048, 8192, 32, 8, 64, 32768
    per_layer = hidden * (2 * heads * head_dim + 2 * kv_heads * head_dim + 3 * inner)
    layers = max(1, round((billions * 1e9 - 2 * vocab * hidden) / per_layer))
    shapes = {"model.embed_tokens.weight": (vocab, hidden), "model.norm.weight": (hidden,), "lm_head.weight": (vocab, hidden)}
    for i in range(layers):
        block = f"model.layers.{i}."
        shapes |= {block + "input_layernorm.weight": (hidden,), block + "post_attention_layernorm.weight": (hidden,),
                   block + "self_attn.q_proj.weight": (heads * head_dim, hidden),
                   block + "self_attn.k_proj.weight": (kv_heads * head_dim, hidden),
                   block + "self_attn.v_proj.weight": (kv_heads * head_dim, hidden),
                   block + "self_attn.o_proj.weight": (hidden, heads * head_dim),
                   block + "mlp.gate_proj.weight": (inner, hidden), block + "mlp.up_proj.weight": (inner, hidden),
                   block + "mlp.down_proj.weight": (hidden, inner)}
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    with open(folder / "model.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for shape in shapes.values():
            count = int(np.prod(shape))
            for begin in range(0, count, 1 << 22):
                n = min(1 << 22, count - begin)
                x = np.ones(n, np.float32) if len(shape) == 1 else (0.02 * random.standard_t(6, n)).astype(np.float32)
                bits = x.view(np.uint32)
                out.write(((bits + 0x7fff + (bits >> 16 & 1)) >> 16).astype(np.uint16).tobytes())
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": hidden,
              "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads,
              "num_key_value_heads": kv_heads, "head_dim": head_dim, "vocab_size": vocab,
              "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
              "tie_word_embeddings": False, "torch_dtype": "bfloat16", "bos_token_id": 0, "eos_token_id": 1}
    (folder / "config.json").write_text(json.dumps(config))
    # The byte alphabet of GPT-2.
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {b: chr(b) for b in printable} | {
        b: chr(256 + i) for i, b in enumerate(b for b in range(256) if b not in printable)}
    vocabulary = {"<s>": 0, "</s>": 1} | {letters[b]: 2 + b for b in range(256)}
    tokenizer = {"version": "1.0", "truncation": None, "padding": None, "normalizer": None,
                 "added_tokens": [{"id": i, "content": t, "special": True, "single_word": False, "lstrip": False,
                                   "rstrip": False, "normalized": False} for i, t in enumerate(["<s>", "</s>"])],
                 "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
                 "post_processor": None, "decoder": {"type": "ByteLevel"},
                 "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                           "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocabulary,
                           "merges": []}}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    return folder


def errors(reference, path, importance=None):
    """Sums of squared errors over matrices: plain, and weighted by importance per column where it is known."""
    import gguf
    dense = {t.name: t for t in gguf.GGUFReader(str(reference)).tensors}
    plain = weighted = 0.0
    types = {}
    for tensor in gguf.GGUFReader(str(path)).tensors:
        columns = int(tensor.shape[0])
        rows = int(np.prod(tensor.shape)) // columns
        types[tensor.name] = tensor.tensor_type.name
        if len(dense[tensor.name].shape) < 2:
            continue
        step = max(1, (1 << 22) // columns)
        weight = importance.get(tensor.name) if importance else None
        for begin in range(0, rows, step):
            part = [gguf.quants.dequantize(t.data.reshape(rows, -1)[begin:begin + step], t.tensor_type)
                    for t in (dense[tensor.name], tensor)]
            e = (part[0].reshape(-1, columns).astype(np.float64) - part[1].reshape(-1, columns)) ** 2
            plain += e.sum()
            if weight is not None:
                weighted += (e * weight).sum()
    return plain, weighted, types


def perplexity(binary, path, text, threads):
    done = subprocess.run([binary, "-m", path, "-f", text, "-c", "256", "-t", str(threads)], capture_output=True,
                          text=True, check=False)
    for line in (done.stdout + done.stderr).splitlines():
        if "Final estimate: PPL = " in line:
            return float(line.split("PPL = ")[1].split()[0])
    return None


def only(folder):
    return next(pathlib.Path(folder).glob("*.gguf"))


def compare(args, model, source, dense, kind, scratch):
    """Both tools on one type, runs alternating; the best of each."""
    ours, theirs = None, None
    for run in range(args.runs):
        out, peer = scratch / f"ours-{kind}", scratch / f"peer-{kind}.gguf"
        shutil.rmtree(out, ignore_errors=True)
        peer.unlink(missing_ok=True)
        a = measured([args.advisor, "compress", source, out, "--technique", "none", "--format", "gguf:" + kind,
                      "--threads", str(args.threads)], scratch / "log")
        report = json.loads((out / "advisor_report.json").read_text())
        a["encode_s"] = report["stages"]["compress"]
        b = measured([args.llama / "llama-quantize", dense, peer, kind, str(args.threads)], scratch / "log")
        start = time.perf_counter()
        with open(peer, "rb") as file:
            os.fsync(file.fileno())
        b["flushed_s"] = b["wall_s"] + time.perf_counter() - start
        ours = a if ours is None or a["wall_s"] < ours["wall_s"] else ours
        theirs = b if theirs is None or b["wall_s"] < theirs["wall_s"] else theirs
    row = {"model": model, "type": kind, "ours": ours, "peer": theirs}
    for side, path in (("ours", only(out)), ("peer", peer)):
        row[side]["bytes"] = path.stat().st_size
        if not args.no_error:
            row[side]["error"], _, row[side]["types"] = errors(dense, path)
        if args.text:
            row[side]["perplexity"] = perplexity(args.llama / "llama-perplexity", path, args.text, args.threads)
    if not args.no_error:
        row["same_types"] = row["ours"].pop("types") == row["peer"].pop("types")
        row["error_ratio"] = row["ours"]["error"] / row["peer"]["error"]
    row["wall_ratio"] = ours["wall_s"] / theirs["wall_s"]
    row["flushed_ratio"] = ours["wall_s"] / theirs["flushed_s"]
    row["encode_ratio"] = ours["encode_s"] / theirs["wall_s"]
    row["cpu_ratio"] = ours["cpu_s"] / theirs["cpu_s"]
    shutil.rmtree(out)
    peer.unlink()
    return row


def markdown(rows):
    print("| model | type | error, ours / peer | size ours, peer (MB) | wall s ours, peer (ratio) | peer flushed | of it encoding | "
          "processor s ours, peer | peak MB ours, peer | perplexity ours, peer |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for r in rows:
        a, b = r["ours"], r["peer"]
        error = f"{r['error_ratio']:.4f}" + ("" if r["same_types"] else " (other types)") if "error_ratio" in r else ""
        ppl = f"{a['perplexity']:.4f}, {b['perplexity']:.4f}" if a.get("perplexity") and b.get("perplexity") else ""
        print(f"| {r['model']} | {r['type']} | {error} | {a['bytes'] / 1e6:.1f}, {b['bytes'] / 1e6:.1f} | "
              f"{a['wall_s']:.2f}, {b['wall_s']:.2f} ({r['wall_ratio']:.2f}) | "
              f"{b['flushed_s']:.2f} ({r['flushed_ratio']:.2f}) | {a['encode_s']:.2f} ({r['encode_ratio']:.2f}) | "
              f"{a['cpu_s']:.1f}, {b['cpu_s']:.1f} | {a['peak_bytes'] / 1e6:.0f}, {b['peak_bytes'] / 1e6:.0f} | {ppl} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("advisor", type=pathlib.Path)
    parser.add_argument("llama", type=pathlib.Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--types", default=",".join(TYPES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--text", help="text for llama-perplexity")
    parser.add_argument("--no-error", action="store_true", help="time only")
    parser.add_argument("--scratch", help="folder for files of the size of the model; default: the system's")
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=args.scratch) as folder:
        scratch = pathlib.Path(folder)
        for name in args.models:
            kept = pathlib.Path(args.scratch or "/nowhere") / name.replace(":", "-")
            source = pathlib.Path(name)
            if name.startswith("synthetic:"):
                source = kept if kept.exists() else synthetic(float(name[10:]), kept if args.scratch else scratch / "model")
            shutil.rmtree(scratch / "dense", ignore_errors=True)
            subprocess.run([args.advisor, "compress", source, scratch / "dense", "--technique", "none", "--format",
                            "gguf:BF16"], check=True, capture_output=True)
            for kind in args.types.split(","):
                rows.append(compare(args, source.name, source, only(scratch / "dense"), kind, scratch))
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    markdown(rows)
    if args.json:
        args.json.write_text(json.dumps({"threads": args.threads, "runs": args.runs, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
