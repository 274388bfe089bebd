"""Pooling is written out: an average over whole windows becomes a convolution, attributes get explicit numbers.

Before: pads of convolutions are explicit. After: no AveragePool whose windows all count as many pixels; MaxPool has
``pads``, ``strides`` and ``dilations``.
"""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph, attributes, set_attribute
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import shapes
from toolchain.frontend.properties import CHANNELS_FIRST, EXPLICIT_PADS


@graph_pass(requires=(CHANNELS_FIRST, EXPLICIT_PADS))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    pools = [node for node in graph.nodes if node.op_type in ("MaxPool", "AveragePool")]
    if not pools:
        return facts
    sizes = shapes(graph)
    averages = 0
    for node in pools:
        found = attributes(node)
        shape, made = sizes.get(node.input[0]), sizes.get(node.output[0])
        if shape is None or made is None or len(shape) != 4:
            continue
        kernel, strides, dilations, pads = read_pool(node)
        if found.get("auto_pad", "NOTSET") == "VALID":
            pads = (0, 0, 0, 0)
        elif found.get("auto_pad", "NOTSET") != "NOTSET":
            if any(strides[i] > 1 and (facts.interface.unit == 1 or shape[2 + i] % strides[i]) for i in (0, 1)):
                continue  # what is added depends on the size
            total = [max(d * (k - 1) + 1 - s, 0) for k, s, d in zip(kernel, strides, dilations, strict=True)]
            less, more = [t // 2 for t in total], [t - t // 2 for t in total]
            upper = found["auto_pad"] == "SAME_UPPER"
            first, last = (less, more) if upper else (more, less)
            pads = (first[0], first[1], last[0], last[1])
        if node.op_type == "AveragePool" and _whole(node, shape, made, pads):
            _average(graph, node, shape[1], pads)
            averages += 1
        else:
            values = (("auto_pad", None), ("pads", pads), ("strides", strides), ("dilations", dilations))
            for name, value in values[: 4 if node.op_type == "MaxPool" else 3]:
                set_attribute(node, name, value)
    graph.tidy()
    return facts.said(f"spelled {averages} average poolings as convolutions" if averages else "")


def read_pool(
    node: onnx.NodeProto,
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int, int, int]]:
    """Return kernel, strides, dilations and pads of a pooling of pictures."""
    found = attributes(node)
    kernel, strides, dilations = (
        tuple(int(n) for n in found.get(name, (1, 1))) for name in ("kernel_shape", "strides", "dilations")
    )
    pads = tuple(int(pad) for pad in found.get("pads", (0, 0, 0, 0)))
    return kernel, strides, dilations, pads  # type: ignore[return-value]


def _whole(
    node: onnx.NodeProto, shape: tuple[int, ...], made: tuple[int, ...], pads: tuple[int, int, int, int]
) -> bool:
    """Whether every window counts all its pixels, at whatever size."""
    kernel, strides, *_ = read_pool(node)
    if any(pads) and not attributes(node).get("count_include_pad", 0):
        return False
    sides = [(shape[2 + i] + pads[i] + pads[2 + i] - kernel[i]) // strides[i] + 1 for i in (0, 1)]
    return tuple(sides) == tuple(made[2:]) and not (attributes(node).get("ceil_mode", 0) and _ragged(shape, strides))


def _ragged(shape: tuple[int, ...], strides: tuple[int, int]) -> bool:
    return any(side % stride for side, stride in zip(shape[2:], strides, strict=True))


def _average(graph: Graph, node: onnx.NodeProto, channels: int, pads: tuple[int, int, int, int]) -> None:
    kernel, strides, *_ = read_pool(node)
    weight = np.full((channels, 1, *kernel), 1 / (kernel[0] * kernel[1]), np.float32)
    source, target = node.input[0], node.output[0]
    graph.remove([node])
    graph.add(
        "Conv",
        [source, graph.add_constant(weight, f"{target}_weight")],
        target,
        pads=pads,
        strides=strides,
        dilations=[1, 1],
        kernel_shape=kernel,
        group=channels,
    )
