"""Writes a normalized float ONNX network as ncnn's param and bin files, in float32 or with 8-bit convolutions.

ncnn's wheel runs networks but brings no converter. The operators of small super-resolution networks are few, so they
are spelled out here, as ncnn's converters (and its ncnn2int8) would: activations fused into convolutions, a Split where
a tensor has several readers, and int8 handed from convolution to convolution without a float tensor between them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from contestants.base import UnsupportedError

_INT8_TAG = 0x000D4B38
_LARGEST = 127.0


@dataclass(frozen=True)
class _Layer:
    """A line of the param file, and its part of the bin file."""

    kind: str
    inputs: tuple[str, ...]
    output: str
    parameters: str = ""
    weights: bytes = b""


@dataclass
class _Writer:
    """Layers in order, with what is known of the graph.

    Attributes:
        constants: initializers by name.
        ranges: the largest absolute value of each convolution's input; empty for float32.
        readers: the nodes that read each value.
        layers: written so far.
    """

    constants: dict[str, np.ndarray]
    ranges: Mapping[str, float]
    readers: dict[str, list[onnx.NodeProto]]
    layers: list[_Layer] = field(default_factory=list)


def write_ncnn(model: onnx.ModelProto, param: Path, weights: Path, ranges: Mapping[str, float] | None = None) -> None:
    """Write ``model`` as ``param`` and ``weights``; blobs ``input`` and ``output`` as in the ONNX graph.

    Args:
        model: normalized, float32.
        param: the text file with the layers.
        weights: the binary file.
        ranges: for 8-bit convolutions, the largest absolute value of each convolution's input.

    Raises:
        UnsupportedError: an operator that is not written here.
    """
    graph = model.graph
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    writer = _Writer(constants, ranges or {}, readers)
    done: set[str] = set()
    for node in graph.node:
        if node.output[0] not in done:
            done.add(_write(writer, node))
    layers = _split([_Layer("Input", (), graph.input[0].name), *writer.layers])
    blobs = sum(len(layer.output.split()) for layer in layers)
    lines = ["7767517", f"{len(layers)} {blobs}"]
    for index, layer in enumerate(layers):
        ends = (str(len(layer.inputs)), str(len(layer.output.split())), *layer.inputs, layer.output)
        lines.append(f"{layer.kind} layer{index} {' '.join(ends)} {layer.parameters}".rstrip())
    param.write_text("\n".join(lines) + "\n", encoding="utf-8")
    weights.write_bytes(b"".join(layer.weights for layer in layers))


def _write(writer: _Writer, node: onnx.NodeProto) -> str:
    """Add the layer of ``node``; returns the value it makes, which is its activation's where that is fused."""
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    inputs = tuple(name for name in node.input if name not in writer.constants)
    output, weights = node.output[0], b""
    match node.op_type:
        case "Conv":
            return _convolution(writer, node, attributes)
        case "Relu":
            kind, parameters = "ReLU", ""
        case "LeakyRelu":
            kind, parameters = "ReLU", f"0={attributes.get('alpha', 0.01):.9g}"
        case "PRelu":
            slope = writer.constants[node.input[1]].ravel()
            kind, parameters, weights = "PReLU", f"0={slope.size}", slope.astype("<f4").tobytes()
        case "Clip":
            low, high = (float(writer.constants[name]) for name in node.input[1:])
            kind, parameters = "Clip", f"0={low:.9g} 1={high:.9g}"
        case "Add" if len(inputs) == 2:
            kind, parameters = "BinaryOp", "0=0"
        case "Concat":
            kind, parameters = "Concat", "0=0"
        case "DepthToSpace":
            mode = 0 if attributes.get("mode", b"DCR") == b"CRD" else 1
            kind, parameters = "PixelShuffle", f"0={attributes['blocksize']} 1={mode}"
        case other:
            raise UnsupportedError(f"{other} is not written for ncnn here")
    writer.layers.append(_Layer(kind, inputs, output, parameters, weights))
    return output


def _convolution(writer: _Writer, node: onnx.NodeProto, attributes: dict[str, object]) -> str:
    weight, bias = writer.constants[node.input[1]], writer.constants[node.input[2]]
    groups = int(attributes.get("group", 1))
    top, left, bottom, right = attributes.get("pads", [0] * 4)
    if any(stride != 1 for stride in attributes.get("strides", [1])) or weight.ndim != 4:
        raise UnsupportedError("only plain convolutions of stride 1 are written for ncnn here")
    output, activation = node.output[0], ""
    after = writer.readers.get(output, [])
    if len(after) == 1 and after[0].op_type == "Relu":
        output, activation = after[0].output[0], " 9=1"
    parameters = (
        f"0={weight.shape[0]} 1={weight.shape[3]} 11={weight.shape[2]} 4={left} 14={top} 15={right} "
        f"16={bottom} 5=1 6={weight.size}"
    )
    if groups > 1:
        parameters += f" 7={groups}"
    data = np.zeros(1, "<u4").tobytes() + weight.astype("<f4").tobytes() + bias.astype("<f4").tobytes()
    if writer.ranges:
        term, data = _quantized(writer, node.input[0], output, weight, bias, groups)
        parameters += f" 8={term}"
    kind = "ConvolutionDepthWise" if groups > 1 else "Convolution"
    writer.layers.append(_Layer(kind, (node.input[0],), output, parameters + activation, data))
    return output


def _quantized(
    writer: _Writer, source: str, output: str, weight: np.ndarray, bias: np.ndarray, groups: int
) -> tuple[int, bytes]:
    """ncnn's "int8 scale term" and the bytes of an 8-bit convolution: codes are values times 127 / largest."""
    # One weight scale for each output channel; ncnn has one for each group where there are several.
    parts = weight.reshape(groups if groups > 1 else weight.shape[0], -1)
    scales = _LARGEST / np.maximum(np.abs(parts).max(axis=1), 1e-9)
    codes = np.rint(parts * scales[:, None]).astype(np.int8).tobytes()
    padding = bytes(-len(codes) % 4)
    pieces = [
        np.array([_INT8_TAG], "<u4").tobytes(),
        codes,
        padding,
        bias.astype("<f4").tobytes(),
        scales.astype("<f4").tobytes(),
        _scale(writer, source),
    ]
    after = writer.readers.get(output, [])
    if after and all(reader.op_type == "Conv" for reader in after):
        return 101, b"".join([*pieces, _scale(writer, output)])
    return 1, b"".join(pieces)


def _scale(writer: _Writer, name: str) -> bytes:
    return np.array([_LARGEST / max(writer.ranges[name], 1e-9)], "<f4").tobytes()


def _split(layers: list[_Layer]) -> list[_Layer]:
    """With a Split behind every value that is read more than once: ncnn's blobs have one reader."""
    reads = Counter(name for layer in layers for name in layer.inputs)
    taken: Counter[str] = Counter()
    result = []
    for layer in layers:
        inputs = []
        for name in layer.inputs:
            inputs.append(f"{name}_{taken[name]}" if reads[name] > 1 else name)
            taken[name] += 1
        result.append(_Layer(layer.kind, tuple(inputs), layer.output, layer.parameters, layer.weights))
        if reads[layer.output] > 1:
            copies = " ".join(f"{layer.output}_{index}" for index in range(reads[layer.output]))
            result.append(_Layer("Split", (layer.output,), copies))
    return result
