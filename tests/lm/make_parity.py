#!/usr/bin/env python3
"""Makes tests/lm/parity/: tiny random models of every architecture, saved and run by Hugging Face transformers.

Each folder holds the checkpoint as transformers saves it (bfloat16) and expected.json: the residual stream after the
embedding and after each block, and the logits, computed in float32 from the stored weights. decoder_parity_test.cpp
compares. Run again only to add a case; needs torch and transformers:

    python tests/lm/make_parity.py [CASE...]
"""
import json
import pathlib
import shutil
import sys

import torch
import transformers

OUT = pathlib.Path(__file__).parent / "parity"
TOKENS = 14  # beyond the windows and the original contexts below
SIZES = dict(vocab_size=64, hidden_size=32, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=None)

# name: configuration class, what differs from SIZES. Between them every feature of every family is on once.
CASES = {
    "llama2": ("LlamaConfig", dict(num_key_value_heads=4)),
    "llama3": ("LlamaConfig", dict(tie_word_embeddings=True, head_dim=12, rope_parameters=dict(
        rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=32))),
    "llama-linear-bias": ("LlamaConfig", dict(attention_bias=True, mlp_bias=True, rope_parameters=dict(
        rope_type="linear", rope_theta=10000.0, factor=4.0))),
    "mistral": ("MistralConfig", dict(sliding_window=5, head_dim=16)),
    "qwen2": ("Qwen2Config", dict(use_sliding_window=True, sliding_window=4, max_window_layers=1)),
    "qwen2-yarn": ("Qwen2Config", dict(rope_parameters=dict(
        rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16))),
    "qwen3": ("Qwen3Config", dict(head_dim=16, attention_bias=True)),
    "qwen3-moe": ("Qwen3MoeConfig", dict(head_dim=12, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=16,
                                         norm_topk_prob=True)),
    "qwen3-moe-unnormalized": ("Qwen3MoeConfig", dict(num_experts=4, num_experts_per_tok=3, moe_intermediate_size=16)),
    "mixtral": ("MixtralConfig", dict(intermediate_size=24, num_local_experts=4, sliding_window=6)),
    "gemma2": ("Gemma2Config", dict(num_hidden_layers=3, head_dim=12, sliding_window=4, query_pre_attn_scalar=10,
                                    attn_logit_softcapping=3.0, final_logit_softcapping=5.0)),
    "gemma3": ("Gemma3TextConfig", dict(
        num_hidden_layers=3, head_dim=12, sliding_window=4, query_pre_attn_scalar=20,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters=dict(full_attention=dict(rope_type="linear", rope_theta=1e6, factor=8.0),
                             sliding_attention=dict(rope_type="default", rope_theta=100.0)))),
    "phi3": ("Phi3Config", dict(sliding_window=6)),
    "phi3-longrope": ("Phi3Config", dict(
        original_max_position_embeddings=8, head_dim=None, rope_parameters=dict(
            rope_type="longrope", rope_theta=10000.0, partial_rotary_factor=0.5, original_max_position_embeddings=8,
            short_factor=[1.0, 1.1], long_factor=[1.5, 3.0]))),
}


def randomize(model, plus_one):
    """Weights that keep every term of the computation alive, unlike those for the start of training."""
    for name, parameter in model.named_parameters():
        if "norm" in name:
            value = torch.randn_like(parameter) * 0.3 + (0 if plus_one else 1)
        elif name.endswith(".bias"):
            value = torch.randn_like(parameter) * 0.3
        elif "embed" in name:
            value = torch.randn_like(parameter) * (0.2 if plus_one else 1.0)
        else:
            value = torch.randn_like(parameter) * 1.5 / parameter.shape[-1] ** 0.5
        parameter.data.copy_(value.bfloat16().float())


def make(case):
    kind, changes = CASES[case]
    torch.manual_seed(sum(map(ord, case)))
    options = {key: value for key, value in (SIZES | changes).items() if value is not None or key == "pad_token_id"}
    config = getattr(transformers, kind)(**options, attn_implementation="eager")
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    randomize(model, kind.startswith("Gemma"))
    ids = torch.randint(0, SIZES["vocab_size"], (1, TOKENS))
    states = []
    for layer in model.model.layers:
        layer.register_forward_pre_hook(lambda m, args, kwargs: states.append((args or [kwargs["hidden_states"]])[0]),
                                        with_kwargs=True)
    model.model.norm.register_forward_pre_hook(lambda m, args: states.append(args[0]))
    with torch.no_grad():
        logits = model(ids, use_cache=False).logits
    assert len(states) == config.num_hidden_layers + 1

    folder = OUT / case
    shutil.rmtree(folder, ignore_errors=True)
    model.bfloat16().save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    rounded = lambda t: [float(f"{v:.7g}") for v in t.flatten().tolist()]
    (folder / "expected.json").write_text(json.dumps({
        "origin": f"transformers {transformers.__version__}, torch {torch.__version__}, float32, eager attention",
        "token_ids": ids[0].tolist(), "states": [rounded(s) for s in states], "logits": rounded(logits)}) + "\n")
    print(case, [f"{s.abs().max():.3g}" for s in states], f"logits {logits.abs().max():.3g}",
          sum(f.stat().st_size for f in folder.iterdir()), "bytes")


if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        make(name)
