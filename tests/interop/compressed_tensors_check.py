#!/usr/bin/env python3
"""Decode a compressed-tensors folder independently and compare it with what libadvisor reads.

    compressed_tensors_check.py MODEL OUT [--package] [--dump FOLDER]

MODEL is the dense source folder, OUT what `advisor compress` wrote from it. Always: the layout published with the
format is decoded with the Python standard library alone; every quantized weight must keep the source's shape, every
code must be within reach of the source's value (at most half a step, and the clamped part of the range), every tensor
that is not quantized must be the source's bytes. With --package the weights are decoded a second time by the package
`compressed-tensors` (needs torch) and must be equal bit for bit in float32 and in the stored dtype. With --dump FOLDER
each weight W that libadvisor dequantized, in FOLDER/W.f32 (float32, row-major), must be equal bit for bit as well.
Prints one line; exits 0 when all agree, 1 when not.
"""
import argparse
import array
import json
import math
import pathlib
import struct
import sys

SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I8": 1, "U8": 1}


class Folder:
    """All tensors of a folder of safetensors: name -> (dtype, shape, bytes)."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.config = json.loads((self.path / "config.json").read_text())
        self.tensors = {}
        for file in sorted(self.path.glob("*.safetensors")):
            blob = file.read_bytes()
            (length,) = struct.unpack("<Q", blob[:8])
            header = json.loads(blob[8 : 8 + length])
            for name, entry in header.items():
                if name != "__metadata__":
                    begin, end = (8 + length + offset for offset in entry["data_offsets"])
                    self.tensors[name] = (entry["dtype"], entry["shape"], blob[begin:end])


def f32(value):
    """Round to float32."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def floats(dtype, blob):
    if dtype == "BF16":
        halves = array.array("H", blob)
        return array.array("f", array.array("I", [h << 16 for h in halves]).tobytes())
    if dtype == "F16":
        return array.array("f", struct.unpack(f"<{len(blob) // 2}e", blob))
    if dtype == "F32":
        return array.array("f", blob)
    raise SystemExit(f"no floats in {dtype}")


def stream_value(words, index, bits):
    """Value `index` of a little-endian bit stream in 32-bit words."""
    word, shift = divmod(index * bits, 32)
    window = words[word] | (words[word + 1] << 32 if word + 1 < len(words) else 0)
    return window >> shift & ((1 << bits) - 1)


def decode(folder, module, args, packed):
    """codes, zeros, scales, groups: [out][in], [out][G], [out][G], G."""
    bits, tensors = args["num_bits"], folder.tensors
    half = 1 << (bits - 1)
    dtype, shape, blob = tensors[module + (".weight_packed" if packed else ".weight")]
    assert dtype == ("I32" if packed else "I8"), (module, dtype)
    rows = shape[0]
    columns = struct.unpack("<2q", tensors[module + ".weight_shape"][2])[1] if packed else shape[1]
    scale_dtype, scale_shape, scale_blob = tensors[module + ".weight_scale"]
    groups = scale_shape[1]
    assert scale_shape[0] == rows
    scales = floats(scale_dtype, scale_blob)
    if packed:
        words, width = array.array("I", blob), shape[1]
        assert width == -(-columns * bits // 32)
        codes = [
            [stream_value(words[r * width : (r + 1) * width], c, bits) - half for c in range(columns)] for r in range(rows)
        ]
    else:
        flat = array.array("b", blob)
        codes = [list(flat[r * columns : (r + 1) * columns]) for r in range(rows)]
    zeros = [[0] * groups for _ in range(rows)]
    if not args["symmetric"]:
        zero_dtype, zero_shape, zero_blob = tensors[module + ".weight_zero_point"]
        if packed:
            assert zero_dtype == "I32" and zero_shape == [-(-rows * bits // 32), groups]
            words = array.array("I", zero_blob)
            for g in range(groups):
                column = words[g::groups]
                for r in range(rows):
                    zeros[r][g] = stream_value(column, r, bits) - half
        else:
            flat = array.array("b", zero_blob)
            zeros = [list(flat[r * groups : (r + 1) * groups]) for r in range(rows)]
    return codes, zeros, [scales[r * groups : (r + 1) * groups] for r in range(rows)], groups


def dequantize(codes, zeros, scales, groups):
    """float32 weights, row-major: (q - z) * s, one rounding."""
    out = array.array("f")
    for row, zero, scale in zip(codes, zeros, scales):
        width = len(row) // groups
        out.extend((q - zero[c // width]) * scale[c // width] for c, q in enumerate(row))
    return out


def check_against_source(module, source, weights, codes, zeros, scales, groups, bits, margin=1e-3):
    """Every value within half a step of the source, unless its code is at the end of the range."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    width, index = len(codes[0]) // groups, 0
    for row, scale in zip(codes, scales):
        for c, q in enumerate(row):
            error = abs(weights[index] - source[index])
            if q not in (low, high) and error > (0.5 + margin) * scale[c // width]:
                raise SystemExit(f"{module}: element {index} is {error / scale[c // width]:.3f} steps from the source")
            index += 1


def decode_with_package(folder, module, args, packed):
    """The same weight by the compressed-tensors package: (float32 weights, weights in the stored dtype)."""
    import torch
    from compressed_tensors.quantization import QuantizationArgs
    from compressed_tensors.quantization.lifecycle.forward import dequantize as package_dequantize

    torch_types = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32, "I32": torch.int32,
                   "I64": torch.int64, "I8": torch.int8}

    def load(suffix):
        if module + suffix not in folder.tensors:
            return None
        dtype, shape, blob = folder.tensors[module + suffix]
        return torch.frombuffer(bytearray(blob), dtype=torch_types[dtype]).reshape(shape)

    quantization = QuantizationArgs(**args)
    zero = load(".weight_zero_point")
    if packed:
        try:
            from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32
        except ImportError:
            from compressed_tensors.compressors.quantized_compressors.pack_quantized import unpack_from_int32
        shape = torch.Size(load(".weight_shape").tolist())
        codes = unpack_from_int32(load(".weight_packed"), quantization.num_bits, shape)
        if zero is not None:
            scale_shape = load(".weight_scale").shape
            zero = unpack_from_int32(zero, quantization.num_bits, scale_shape, packed_dim=0)
    else:
        codes = load(".weight")
    scale = load(".weight_scale")
    wide = package_dequantize(codes, scale.float(), zero, args=quantization, dtype=torch.float32)
    stored = package_dequantize(codes, scale, zero, args=quantization, dtype=scale.dtype)
    return array.array("f", wide.contiguous().numpy().tobytes()), stored


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--package", action="store_true", help="decode with the compressed-tensors package too")
    parser.add_argument("--dump", type=pathlib.Path, help="folder of W.f32 as libadvisor dequantized them")
    options = parser.parse_args()
    source, out = Folder(options.model), Folder(options.out)
    quantization = out.config["quantization_config"]
    packed = quantization["format"] == "pack-quantized"
    (group,) = quantization["config_groups"].values()
    args = group["weights"]

    modules = sorted(name[: -len(".weight_scale")] for name in out.tensors if name.endswith(".weight_scale"))
    parts = ("weight", "weight_packed", "weight_scale", "weight_shape", "weight_zero_point")
    quantized = {f"{module}.{part}" for module in modules for part in parts}
    squares = error_squares = 0.0
    for module in modules:
        codes, zeros, scales, groups = decode(out, module, args, packed)
        weights = dequantize(codes, zeros, scales, groups)
        dtype, shape, blob = source.tensors[module + ".weight"]
        assert shape == [len(codes), len(codes[0])], f"{module}: shape"
        original = floats(dtype, blob)
        check_against_source(module, original, weights, codes, zeros, scales, groups, args["num_bits"])
        squares += math.fsum(v * v for v in original)
        error_squares += math.fsum((a - b) ** 2 for a, b in zip(original, weights))
        if options.dump:
            dumped = (options.dump / f"{module}.weight.f32").read_bytes()
            assert dumped == weights.tobytes(), f"{module}: libadvisor reads other weights"
        if options.package:
            wide, stored = decode_with_package(out, module, args, packed)
            assert wide == weights, f"{module}: the package decodes other weights"
            import torch
            ours = torch.frombuffer(bytearray(weights.tobytes()), dtype=torch.float32).reshape(stored.shape)
            assert torch.equal(ours.to(stored.dtype), stored), f"{module}: differs after rounding to the stored dtype"

    for name, tensor in out.tensors.items():
        if name not in quantized:
            assert tensor == source.tensors[name], f"{name}: not the source's bytes"
    missing = set(source.tensors) - set(out.tensors) - quantized
    assert not missing, f"missing: {sorted(missing)}"
    decoders = "the layout" + (" and the package" if options.package else "") + (" and libadvisor" if options.dump else "")
    print(f"{len(modules)} weights agree by {decoders}; relative error {math.sqrt(error_squares / squares):.5f}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AssertionError as error:
        print(f"mismatch: {error}", file=sys.stderr)
        sys.exit(1)
