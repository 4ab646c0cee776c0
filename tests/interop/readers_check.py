#!/usr/bin/env python3
"""Quantized folders, decoded by the libraries of their formats, against what libadvisor reads.

    readers_check.py READER DUMP_WEIGHTS FOLDER...

READER is compressed-tensors (the package's own decompressors), gptqmodel (GPTQ and AutoAWQ folders through
GPTQModel.load and its torch kernels), autoawq (dequantize_gemm of awq/utils/packing_utils.py; the sources of the
package on PYTHONPATH are enough), modelopt (nvidia-modelopt: its tensors dequantize FP8 and NVFP4, and its exporter,
given the weights that libadvisor reads and the scales of the file, must write the bytes of the file), or gguf (gguf-py,
folders of one Llama file: tensor names and the order of query and key rows are llama.cpp's). It runs in an environment
that has the library. DUMP_WEIGHTS is build/release/bin/dump_weights (a target of its own). Every quantized
matrix must be equal bit for bit in float32, but for NVFP4 in compressed-tensors: that file stores the reciprocal of the
tensor's scale, by which the package divides and libadvisor, like engines, multiplies; 2^-22 of each value is allowed
and `relative` says what was found. Prints one JSON object for each folder; exits 1 when any differs. Not part of
./dev test.
"""
import importlib.metadata
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file

PACKAGES = {"compressed-tensors": ["compressed-tensors"], "gptqmodel": ["gptqmodel", "transformers"], "autoawq": [],
            "modelopt": ["nvidia-modelopt"], "gguf": ["gguf"]}


def tensors_of(folder):
    tensors = {}
    for file in sorted(pathlib.Path(folder).glob("*.safetensors")):
        tensors |= load_file(file)
    return tensors


def modules_of(tensors, suffix):
    return sorted(name.removesuffix(suffix) for name in tensors if name.endswith(suffix))


def by_compressed_tensors(folder, config):
    """(module, weight) by the decompressor that the package picks for the scheme; scales widened to float32 first."""
    from compressed_tensors.compressors.base import BaseCompressor
    from compressed_tensors.compressors.format import infer_module_format
    from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
    from compressed_tensors.quantization import QuantizationConfig
    from compressed_tensors.quantization.lifecycle.forward import dequantize
    from compressed_tensors.utils import match_named_modules
    parsed, tensors = QuantizationConfig.model_validate(config["quantization_config"]), tensors_of(folder)
    modules = modules_of(tensors, ".weight_scale")
    tree = torch.nn.Module()
    for module in modules:
        at = tree
        for part in module.split(".")[:-1]:
            if not hasattr(at, part):
                at.add_module(part, torch.nn.Module())
            at = getattr(at, part)
        at.add_module(module.rsplit(".", 1)[1], torch.nn.Linear(1, 1))
    for scheme in parsed.config_groups.values():
        for module, _ in match_named_modules(tree, scheme.targets, parsed.ignore):
            if module not in modules:
                continue
            modules.remove(module)
            state = {name.removeprefix(module + "."): value for name, value in tensors.items() if name.startswith(module + ".")}
            form = scheme.format or infer_module_format(torch.nn.Linear, scheme)
            form = getattr(form, "value", form)
            if form != config["quantization_config"]["format"] and config["quantization_config"]["format"] != "mixed-precision":
                raise AssertionError(f"{module}: the package infers the format {form}")
            if state["weight_scale"].dtype in (torch.float16, torch.bfloat16):
                state["weight_scale"] = state["weight_scale"].float()
            if form in ("nvfp4-pack-quantized", "mxfp4-pack-quantized"):  # they work in bfloat16: their steps, in float32
                packed = state["weight_packed"]
                codes = unpack_fp4_from_uint8(packed, packed.shape[0], 2 * packed.shape[1], dtype=torch.float32)
                scale = BaseCompressor.get_value_from_registry(form)._decompress_scale(state["weight_scale"], torch.float32)
                yield module, dequantize(x_q=codes, scale=scale, args=scheme.weights, dtype=torch.float32,
                                         global_scale=state.get("weight_global_scale"))
            else:
                yield module, BaseCompressor.get_value_from_registry(form).decompress(state, scheme)["weight"]
    if modules:
        raise AssertionError(f"the package finds no scheme for {modules[0]}")


def by_gptqmodel(folder, config):
    from gptqmodel import BACKEND, GPTQModel
    from gptqmodel.nn_modules.qlinear.torch import TorchLinear
    from gptqmodel.nn_modules.qlinear.torch_awq import AwqTorchLinear
    from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm
    awq = config["quantization_config"]["quant_method"] == "awq"
    model = GPTQModel.load(str(folder), device="cpu", dtype=torch.float16,
                          backend=BACKEND.AWQ_TORCH if awq else BACKEND.GPTQ_TORCH)
    for module, layer in model.model.named_modules():
        if isinstance(layer, TorchLinear):
            layer.scales = layer.scales.float()
            yield module, TorchLinear.dequantize_weight(layer).T
        elif isinstance(layer, AwqTorchLinear):
            yield module, dequantize_gemm(qweight=layer.qweight, qzeros=layer.qzeros, scales=layer.scales.float(),
                                          bits=layer.bits, group_size=layer.group_size).T


def by_autoawq(folder, config):
    from awq.utils.packing_utils import dequantize_gemm
    tensors, settings = tensors_of(folder), config["quantization_config"]
    for module in modules_of(tensors, ".qweight"):
        words, zeros, scales = (tensors[f"{module}.{part}"] for part in ("qweight", "qzeros", "scales"))
        yield module, dequantize_gemm(words, zeros, scales.float(), settings["bits"], settings["group_size"]).T


def by_modelopt(folder, _):
    """FP8 and NVFP4 dequantized; the integers of W4A16_AWQ have no decoder in the package."""
    from modelopt.torch.quantization.qtensor import FP8QTensor, NVFP4QTensor
    tensors = tensors_of(folder)
    for module in modules_of(tensors, ".weight_scale"):
        weight, scale = tensors[module + ".weight"], tensors[module + ".weight_scale"]
        if weight.dtype == torch.float8_e4m3fn:
            scale = scale.reshape(-1, 1) if scale.numel() > 1 else scale
            yield module, FP8QTensor(weight.shape, torch.float32, weight).dequantize(dtype=torch.float32, scale=scale)
        elif module + ".weight_scale_2" in tensors:
            shape = torch.Size([weight.shape[0], 2 * weight.shape[1]])
            yield module, NVFP4QTensor(shape, torch.float32, weight).dequantize(
                dtype=torch.float32, scale=scale, double_scale=tensors[module + ".weight_scale_2"], block_sizes={-1: 16})


def by_gguf(folder, config):
    import gguf
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(str(next(folder.glob("*.gguf")))).tensors}
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["layers"])
    for module in config["modules"]:
        tensor = tensors[names.get_name(module) + ".weight"]
        rows, columns = int(tensor.shape[1]), int(tensor.shape[0])
        weight = torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type)).float().reshape(rows, columns)
        if ".q_proj" in module or ".k_proj" in module:  # pairs of rotated rows are neighbours in GGUF
            size = config["head_dim"]
            weight = weight.reshape(rows // size, size // 2, 2, columns).transpose(1, 2).reshape(rows, columns)
        yield module, weight


def gguf_config(folder, modules):
    """What config.json says for the other formats."""
    import gguf
    fields = gguf.GGUFReader(str(next(folder.glob("*.gguf")))).fields
    return {"layers": fields["llama.block_count"].contents(), "modules": sorted(modules),
            "head_dim": fields["llama.embedding_length"].contents() // fields["llama.attention.head_count"].contents()}


def exported_by_modelopt(folder, ours):
    """Modules whose bytes the exporter of ModelOpt writes as well, from our weights and the scales of the file."""
    from modelopt.torch.export.quant_utils import to_quantized_weight
    settings = json.loads((folder / "hf_quant_config.json").read_text())["quantization"]
    names = {"FP8": "fp8", "FP8_PER_CHANNEL_PER_TOKEN": "fp8_pc_pt", "W4A16_AWQ": "int4_awq", "NVFP4": "nvfp4",
             "W4A16_NVFP4": "nvfp4"}
    tensors, same = tensors_of(folder), 0
    for module in modules_of(tensors, ".weight_scale"):
        stored = tensors[module + ".weight"]
        scale = tensors[module + ".weight_scale"]
        wide = scale if scale.dtype == torch.float8_e4m3fn else scale.float()
        written = to_quantized_weight(ours[module], wide, names[settings["quant_algo"]], tensors.get(module + ".weight_scale_2"),
                                      settings.get("group_size"))
        if written.view(torch.uint8).ne(stored.view(torch.uint8)).any():
            raise AssertionError(f"{module}: ModelOpt writes {int(written.view(torch.uint8).ne(stored.view(torch.uint8)).sum())} "
                                 "other bytes")
        same += 1
    return same


READERS = {"compressed-tensors": by_compressed_tensors, "gptqmodel": by_gptqmodel, "autoawq": by_autoawq,
           "modelopt": by_modelopt, "gguf": by_gguf}


def dumped(program, folder, out):
    subprocess.run([program, folder, out], check=True)
    return {path.name.removesuffix(".weight.f32"): torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.float32)
            for path in pathlib.Path(out).glob("*.weight.f32")}


def check(reader, program, folder):
    found = {"folder": folder.name, "reader": reader}
    with tempfile.TemporaryDirectory() as out:
        ours = dumped(program, folder, out)
    config = gguf_config(folder, ours) if reader == "gguf" else json.loads((folder / "config.json").read_text())
    try:
        differing, relative, shapes = [], 0.0, {}
        form = config["quantization_config"].get("format") if reader == "compressed-tensors" else None
        for module, weight in READERS[reader](folder, config):
            shapes[module] = weight.shape
            weight, mine = weight.detach(), ours[module].reshape(weight.shape)
            assert weight.dtype == torch.float32, f"{module}: the reader gives {weight.dtype}"
            difference = (weight - mine).abs()
            relative = max(relative, (difference / mine.abs().clamp(min=1e-30)).max().item())
            if relative > (2**-22 if form == "nvfp4-pack-quantized" else 0):
                differing.append(f"{module} by {difference.max():.3g} of {mine.abs().max():.3g}")
        found |= {"matrices": len(shapes), "relative": relative}
        if differing:
            found["differing"] = differing[:3]
        if reader == "modelopt":
            tensors = tensors_of(folder)
            for module in modules_of(tensors, ".weight_scale"):
                weight = tensors[module + ".weight"]
                rows = ours[module].numel() // weight.shape[1]
                shapes[module] = shapes.get(module, torch.Size([rows, weight.shape[1]]))
            found["exported"] = exported_by_modelopt(folder, {m: ours[m].reshape(shape) for m, shape in shapes.items()})
        found["agree"] = bool(shapes) and not differing
    except Exception as error:  # whatever a reader throws is its answer
        found |= {"agree": False, "error": f"{type(error).__name__}: {error}"[:600]}
    print(json.dumps(found), flush=True)
    return found["agree"]


def main():
    if len(sys.argv) < 4 or sys.argv[1] not in READERS:
        sys.exit(__doc__)
    reader, program, folders = sys.argv[1], sys.argv[2], [pathlib.Path(name) for name in sys.argv[3:]]
    print(json.dumps({name: importlib.metadata.version(name) for name in ["torch", *PACKAGES[reader]]}), flush=True)
    return 0 if all([check(reader, program, folder) for folder in folders]) else 1


if __name__ == "__main__":
    sys.exit(main())
