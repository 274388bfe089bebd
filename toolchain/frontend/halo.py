"""How far an output pixel looks: the receptive-field radius in low-resolution pixels."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import onnx

from toolchain.frontend.graph import TO_FIRST, TO_LAST, Graph, attributes
from toolchain.frontend.probe import shapes
from toolchain.frontend.resize import fraction
from toolchain.frontend.window import read_window
from toolchain.images.geometry import UNBOUNDED_HALO

POINTWISE = {
    "Relu",
    "PRelu",
    "LeakyRelu",
    "Clip",
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Min",
    "Max",
    "Sigmoid",
    "Tanh",
    "Abs",
    "Neg",
    "Elu",
    "Selu",
    "Exp",
    "Log",
    "Sqrt",
    "Pow",
    "HardSigmoid",
    "HardSwish",
    "Softplus",
    "Softsign",
    "Erf",
    "Cast",
    "Identity",
    "Where",
    "Mish",
    "Gelu",
    "Reciprocal",
    "Sum",
    "Mean",
    "Floor",
    "Ceil",
    "Round",
}
"""Operators of which each number of the result is made of the numbers at its place."""

ALONG_CHANNELS = {"Concat": None, "Split": 0, "Gather": 0, "Softmax": -1, "LpNormalization": -1}
"""Operators along one axis, and which it is where they do not say."""

Interval = tuple[int, int]


def halo(graph: Graph, scale: int | Fraction, unit: int = 1) -> int:
    """Radius in low-resolution pixels, of the larger of both directions; UNBOUNDED_HALO where there is none.

    What the first ``unit`` pixels of the input become is followed back to the input, value by value; what it needs
    there beyond them is the halo. Exact for convolutions of stride 1 and pixel shuffles, but for phases that reach less
    far than others. Where the network divides pictures, tiles must begin at multiples of ``unit``.
    """
    sizes = shapes(graph)
    spans = [reaches(graph, scale, axis, sizes, unit) for axis in (0, 1)]
    return max((max(unit - 1 - span[0], span[1], 0) if span else UNBOUNDED_HALO) for span in spans)


def reaches(
    graph: Graph, scale: int | Fraction, axis: int, sizes: dict[str, tuple[int, ...]] | None = None, unit: int = 1
) -> Interval | None:
    """Return the first and the last row (axis 0) or column (1) of the input that the pixels which the first ``unit``
    of its own become need; None where there is no bound.
    """
    sizes = shapes(graph) if sizes is None else sizes
    needs: dict[str, Interval] = {graph.output: (0, int(scale * unit) - 1)}
    for node in reversed(graph.nodes):
        wanted = [needs[o] for o in node.output if o in needs]
        if not wanted:
            continue
        span = min(lo for lo, _ in wanted), max(hi for _, hi in wanted)
        found = _back(node, span, axis, graph, sizes)
        if found is None:
            return None
        for name in node.input:
            if name and name not in graph.constants:
                old = needs.get(name, found)
                needs[name] = min(old[0], found[0]), max(old[1], found[1])
    return needs.get(graph.input, (0, 0))


def _picks(values: dict[str, Any]) -> bool:
    """Whether a Resize with these attributes keeps the first of several pixels."""
    told = ("mode", "coordinate_transformation_mode", "nearest_mode")
    return [values.get(name) for name in told] == ["nearest", "asymmetric", "floor"]


def _back(
    node: onnx.NodeProto, span: Interval, axis: int, graph: Graph, sizes: dict[str, tuple[int, ...]]
) -> Interval | None:
    """Return the interval of a node's input that an interval of its output needs; None if it cannot be bounded."""
    low, high = span
    values = attributes(node)
    op = node.op_type
    if op in POINTWISE:
        return span
    if op in ALONG_CHANNELS and values.get("axis", ALONG_CHANNELS[op]) in (1, -3):
        return span
    if op == "Transpose" and list(values.get("perm", [])) in (TO_LAST, TO_FIRST):
        return span
    if op == "LayerNormalization":
        maker = graph.producer(node.input[0])
        last = maker is not None and list(attributes(maker).get("perm", [])) == TO_LAST
        return span if last and values.get("axis", -1) in (-1, 3) else None
    if op.startswith("Reduce") and values.get("keepdims", 1):
        axes = graph.axes(node)
        return span if len(axes) and all(axis in (1, -3) for axis in axes) else None
    if op == "DepthToSpace":
        return low // values["blocksize"], high // values["blocksize"]
    if op == "SpaceToDepth":
        return low * values["blocksize"], high * values["blocksize"] + values["blocksize"] - 1
    if op in ("Conv", "MaxPool", "AveragePool"):
        if values.get("auto_pad", "NOTSET") != "NOTSET":
            return None
        weight = graph.operand(node, 1) if op == "Conv" else None
        kernel = weight.shape[2:] if weight is not None else values.get("kernel_shape")
        if kernel is None:
            return None
        reach = values.get("dilations", [1, 1])[axis] * (kernel[axis] - 1)
        begin, stride = values.get("pads", [0] * 4)[axis], values.get("strides", [1, 1])[axis]
        return low * stride - begin, high * stride - begin + reach
    if op == "ConvTranspose" and "pads" in values and graph.operand(node, 1) is not None:
        stride = values["strides"][axis]
        reach = values["dilations"][axis] * (graph.constants[node.input[1]].shape[2 + axis] - 1)
        begin = values["pads"][axis]
        return -((reach - begin - low) // stride), (high + begin) // stride
    if op in ("Pad", "Slice"):
        window = read_window(node, graph.constant)
        # A picture that is mirrored, or goes on with the pixel at its border, looks no farther than it would inside.
        if window is None or window.mode == "wrap":
            return None
        return (low - window.pads[axis], high - window.pads[axis])
    if op == "Resize":
        shape, out = sizes.get(node.input[0]), sizes.get(node.output[0])
        if shape is None or out is None:
            return None
        scales = graph.operand(node, 2)
        if scales is not None and scales.size == 4 and scales[2 + axis] < 1 and _picks(values):
            step = round(1 / float(scales[2 + axis]))
            return low * step, high * step
        if values.get("coordinate_transformation_mode") == "align_corners":
            return None  # depends on the size of the picture
        if scales is not None and scales.size == 4:
            by = fraction(float(scales[2 + axis]))
        elif out[2 + axis] % shape[2 + axis] == 0:
            by = Fraction(out[2 + axis], shape[2 + axis])
        else:
            return None
        return math.floor(low / by) - 2, math.floor(high / by) + 3
    return None
