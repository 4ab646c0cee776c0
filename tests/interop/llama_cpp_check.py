#!/usr/bin/env python3
"""Loads a GGUF file in real llama.cpp and compares what it says with libadvisor.

Needs the PyPI package xllamacpp (or llama-cpp-python) only for the llama.cpp library inside it: its C functions are
called directly, so that logits of every position are at hand. Not part of ./dev test, which needs no engine.

  llama_cpp_check.py FILE.gguf                                   loads, generates
  ... --reference ../shared/lab/reference.json                   token ids of its tokenizer_tests
  ... --text ../shared/lab/eval/lm_heldout.txt                   perplexity: chunks of 255 tokens, each after BOS
  ... --text T --advisor build/release/bin/advisor               the same by `advisor evaluate`, within 1 %

Prints one JSON object; exits 1 when anything disagrees.
"""
import argparse
import ctypes
import glob
import importlib.metadata
import importlib.util
import json
import math
import os
import subprocess
import sys

from ctypes import POINTER, c_bool, c_char_p, c_float, c_int8, c_int32, c_uint8, c_uint32, c_void_p


class Params(ctypes.Structure):
    """llama_model_params and llama_context_params: passed through, longer than either in any version. The first four
    fields of the latter are n_ctx, n_batch, n_ubatch, n_seq_max."""

    _fields_ = [("words", c_uint32 * 4), ("rest", c_uint8 * 1008)]


class Batch(ctypes.Structure):
    _fields_ = [("n_tokens", c_int32), ("token", POINTER(c_int32)), ("embd", POINTER(c_float)),
                ("pos", POINTER(c_int32)), ("n_seq_id", POINTER(c_int32)),
                ("seq_id", POINTER(POINTER(c_int32))), ("logits", POINTER(c_int8))]


def library():
    for name, package, pattern in (("xllamacpp", "xllamacpp", "*.so"),
                                   ("llama-cpp-python", "llama_cpp", "lib/libllama.so")):
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            for path in glob.glob(os.path.join(place, pattern)):
                lib = ctypes.CDLL(path)
                if hasattr(lib, "llama_decode"):
                    return lib, f"{name} {importlib.metadata.version(name)}"
    sys.exit("llama_cpp_check: no llama.cpp library found; pip install xllamacpp")


def declare(lib):
    def function(name, result, *arguments):
        getattr(lib, name).restype, getattr(lib, name).argtypes = result, arguments

    function("llama_model_default_params", Params)
    function("llama_context_default_params", Params)
    function("llama_model_load_from_file", c_void_p, c_char_p, Params)
    function("llama_init_from_model", c_void_p, c_void_p, Params)
    function("llama_model_get_vocab", c_void_p, c_void_p)
    function("llama_vocab_n_tokens", c_int32, c_void_p)
    function("llama_vocab_bos", c_int32, c_void_p)
    function("llama_vocab_eos", c_int32, c_void_p)
    function("llama_vocab_get_add_bos", c_bool, c_void_p)
    function("llama_tokenize", c_int32, c_void_p, c_char_p, c_int32, POINTER(c_int32), c_int32, c_bool, c_bool)
    function("llama_detokenize", c_int32, c_void_p, POINTER(c_int32), c_int32, c_char_p, c_int32, c_bool, c_bool)
    function("llama_batch_init", Batch, c_int32, c_int32, c_int32)
    function("llama_decode", c_int32, c_void_p, Batch)
    function("llama_get_logits_ith", POINTER(c_float), c_void_p, c_int32)
    function("llama_get_memory", c_void_p, c_void_p)
    function("llama_memory_clear", None, c_void_p, c_bool)


class Model:
    LENGTH = 256  # tokens of one sequence

    def __init__(self, path, verbose):
        lib, self.package = library()
        self.lib = lib
        declare(lib)
        self.log = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_void_p)(
            lambda level, text, _: verbose and sys.stderr.write(text.decode("utf-8", "replace")))
        lib.llama_log_set(self.log, None)
        lib.llama_backend_init()
        self.model = lib.llama_model_load_from_file(os.fsencode(path), lib.llama_model_default_params())
        if not self.model:
            sys.exit(f"llama_cpp_check: llama.cpp refuses {path}; --verbose shows why")
        params = lib.llama_context_default_params()
        params.words[0] = params.words[1] = params.words[2] = self.LENGTH
        self.context = lib.llama_init_from_model(self.model, params)
        if not self.context:
            sys.exit("llama_cpp_check: llama.cpp makes no context; --verbose shows why")
        self.vocab = lib.llama_model_get_vocab(self.model)
        self.size = lib.llama_vocab_n_tokens(self.vocab)
        self.batch = lib.llama_batch_init(self.LENGTH, 0, 1)

    def version(self):
        if not hasattr(self.lib, "ggml_version"):
            return self.package
        self.lib.ggml_version.restype = c_char_p
        return f"{self.package}, ggml {self.lib.ggml_version().decode()}"

    def tokenize(self, text, add_special=False):
        raw = text.encode()
        ids = (c_int32 * (len(raw) + 16))()
        n = self.lib.llama_tokenize(self.vocab, raw, len(raw), ids, len(ids), add_special, False)
        return list(ids[:n])

    def detokenize(self, ids):
        text = ctypes.create_string_buffer(64 * len(ids) + 64)
        n = self.lib.llama_detokenize(self.vocab, (c_int32 * len(ids))(*ids), len(ids), text, len(text), False, True)
        return text.raw[:max(n, 0)].decode("utf-8", "replace")

    def logits(self, ids, numpy):
        """[n, vocab] at every position of one sequence."""
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), True)
        self.batch.n_tokens = len(ids)
        for i, token in enumerate(ids):
            self.batch.token[i], self.batch.pos[i], self.batch.logits[i] = token, i, 1
            self.batch.n_seq_id[i], self.batch.seq_id[i][0] = 1, 0
        if self.lib.llama_decode(self.context, self.batch) != 0:
            sys.exit("llama_cpp_check: llama_decode failed")
        rows = [numpy.ctypeslib.as_array(self.lib.llama_get_logits_ith(self.context, i), (self.size,))
                for i in range(len(ids))]
        return numpy.stack(rows).astype(numpy.float64)


def perplexity(model, text, numpy):
    ids = model.tokenize(text)
    bos, total = model.lib.llama_vocab_bos(model.vocab), 0.0
    for begin in range(0, len(ids), Model.LENGTH - 1):
        chunk = ids[begin:begin + Model.LENGTH - 1]
        logits = model.logits([bos] + chunk[:-1], numpy)
        top = logits.max(axis=1)
        log_sum = top + numpy.log(numpy.exp(logits - top[:, None]).sum(axis=1))
        total += float((log_sum - logits[numpy.arange(len(chunk)), chunk]).sum())
    return math.exp(total / len(ids)), len(ids)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--reference")
    parser.add_argument("--text")
    parser.add_argument("--advisor")
    parser.add_argument("--prompt", default="The capital of France is")
    parser.add_argument("--generate", type=int, default=16)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    import numpy

    model = Model(options.file, options.verbose)
    result, failures = {"file": options.file, "llama_cpp": model.version()}, []

    ids = model.tokenize(options.prompt, add_special=True)
    if not model.lib.llama_vocab_get_add_bos(model.vocab) or ids[0] != model.lib.llama_vocab_bos(model.vocab):
        failures.append("llama.cpp does not put BOS in front")
    for _ in range(options.generate):
        ids.append(int(model.logits(ids, numpy)[-1].argmax()))
        if ids[-1] == model.lib.llama_vocab_eos(model.vocab):
            break
    result["generated"] = model.detokenize(ids)

    if options.reference:
        with open(options.reference, encoding="utf-8") as file:
            tests = json.load(file)["tokenizer_tests"]
        wrong = [t["text"] for t in tests if model.tokenize(t["text"]) != t["ids"]]
        result["tokenizer"] = {"texts": len(tests), "wrong": wrong}
        if wrong:
            failures.append("token ids differ")

    if options.text:
        with open(options.text, encoding="utf-8", newline="") as file:
            value, tokens = perplexity(model, file.read(), numpy)
        result["perplexity"] = {"value": value, "tokens": tokens}
        if options.advisor:
            answer = subprocess.run([options.advisor, "evaluate", options.file, "--text", options.text, "--json"],
                                    check=True, capture_output=True, text=True).stdout
            ours = json.loads(answer)["perplexity"]
            result["advisor"] = {**ours, "relative_difference": ours["value"] / value - 1}
            if ours["tokens"] != tokens or abs(ours["value"] / value - 1) > 0.01:
                failures.append("perplexities differ by more than 1 %")

    result["failures"] = failures
    print(json.dumps(result, indent=1, ensure_ascii=False))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
