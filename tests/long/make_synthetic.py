#!/usr/bin/env python3
"""make_synthetic.py FOLDER GIGABYTES: a checkpoint of that size, Llama-3-8B in all but layers, with pseudo-random weights.

For measuring memory and speed, not quality: the bf16 weights are noise with the spread of trained ones, the tokenizer
knows bytes only. 2 gigabytes are the embedding and two layers. Standard library only, so that it runs on a bare machine.
"""
import json
import pathlib
import random
import struct
import sys

HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, VOCAB = 4096, 14336, 32, 8, 128256  # Llama-3-8B
SHARD_BYTES = 4 << 30
NOISE_BYTES = 1 << 22


def shapes(layers):
    kv = HIDDEN // HEADS * KV_HEADS
    yield "model.embed_tokens.weight", [VOCAB, HIDDEN]
    for i in range(layers):
        p = f"model.layers.{i}."
        yield p + "input_layernorm.weight", [HIDDEN]
        yield p + "self_attn.q_proj.weight", [HIDDEN, HIDDEN]
        yield p + "self_attn.k_proj.weight", [kv, HIDDEN]
        yield p + "self_attn.v_proj.weight", [kv, HIDDEN]
        yield p + "self_attn.o_proj.weight", [HIDDEN, HIDDEN]
        yield p + "post_attention_layernorm.weight", [HIDDEN]
        yield p + "mlp.gate_proj.weight", [INTERMEDIATE, HIDDEN]
        yield p + "mlp.up_proj.weight", [INTERMEDIATE, HIDDEN]
        yield p + "mlp.down_proj.weight", [HIDDEN, INTERMEDIATE]
    yield "model.norm.weight", [HIDDEN]


def count(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def noise(seed):
    """bf16 values of a normal distribution with sd 0.02: float32 bytes with the lower half dropped."""
    rng = random.Random(seed)
    table = [struct.pack("<f", rng.gauss(0, 0.02))[2:] for _ in range(1 << 16)]
    return b"".join(table[i] for i in rng.choices(range(len(table)), k=NOISE_BYTES // 2))


def shards(tensors):
    current, size = [], 0
    for name, shape in tensors:
        if current and size + 2 * count(shape) > SHARD_BYTES:
            yield current
            current, size = [], 0
        current.append((name, shape))
        size += 2 * count(shape)
    yield current


def write_shard(path, tensors, block):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors:
        end = at + 2 * count(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for number, (name, shape) in enumerate(tensors):
            left, shift = 2 * count(shape), 2 * (hash((number, len(name))) % (NOISE_BYTES // 4))
            while left:  # another part of the noise for every tensor
                piece = block[shift : shift + min(left, NOISE_BYTES // 2)]
                f.write(piece)
                left -= len(piece)
    return at


def tokenizer():
    """Byte-level BPE without merges: the alphabet of GPT-2, behind <s> and </s>."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    vocab = {"<s>": 0, "</s>": 1} | {letters[byte]: 2 + byte for byte in range(256)}
    added = [{"id": i, "content": text, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False} for i, text in enumerate(["<s>", "</s>"])]
    bytes_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocab, "merges": []}
    return {"version": "1.0", "truncation": None, "padding": None, "normalizer": None, "added_tokens": added,
            "pre_tokenizer": bytes_level, "post_processor": None, "decoder": {"type": "ByteLevel"}, "model": model}


def main():
    folder, gigabytes = pathlib.Path(sys.argv[1]), float(sys.argv[2])
    per_layer = 2 * sum(count(s) for n, s in shapes(1) if ".layers." in n)
    layers = max(1, round((gigabytes * 1e9 - 2 * VOCAB * HIDDEN) / per_layer))
    folder.mkdir(parents=True)
    parts, block, index, total = list(shards(shapes(layers))), noise(1), {}, 0
    for i, part in enumerate(parts):
        name = "model.safetensors" if len(parts) == 1 else f"model-{i + 1:05}-of-{len(parts):05}.safetensors"
        total += write_shard(folder / name, part, block)
        index.update({tensor: name for tensor, _ in part})
    if len(parts) > 1:
        text = json.dumps({"metadata": {"total_size": total}, "weight_map": index})
        (folder / "model.safetensors.index.json").write_text(text)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
              "intermediate_size": INTERMEDIATE, "num_hidden_layers": layers, "num_attention_heads": HEADS,
              "num_key_value_heads": KV_HEADS, "head_dim": HIDDEN // HEADS, "vocab_size": VOCAB,
              "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "hidden_act": "silu",
              "tie_word_embeddings": True, "torch_dtype": "bfloat16", "bos_token_id": 0, "eos_token_id": 1}
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    print(f"{folder}: {layers} layers, {total / 1e9:.2f} GB in {len(parts)} shards")


if __name__ == "__main__":
    main()
