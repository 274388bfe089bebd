"""The clip at the end of the network is found in whatever spelling, and taken off.

After: between the last convolution (or addition) and the output there is no clip to 0..1 or 0..255. What is removed is
returned: the integer output's range does its work.
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from toolchain.frontend.graph import Graph
from toolchain.frontend.model import Clip

PICTURE_RANGES = ((0.0, 1.0), (0.0, 255.0))


def bounds(graph: Graph, node: onnx.NodeProto) -> tuple[float, float] | None:
    """(low, high) of a node that limits its first computed input to a range of numbers; None if it does not."""
    if node.op_type == "Relu":
        return 0.0, math.inf
    if node.op_type == "Clip":
        limits = [-math.inf, math.inf]
        for i in (1, 2):
            if i < len(node.input) and node.input[i]:
                limit = graph.operand(node, i)
                if limit is None or limit.size != 1:
                    return None
                limits[i - 1] = float(limit.ravel()[0])
        return limits[0], limits[1]
    if node.op_type in ("Min", "Max"):
        parts = graph.split(node)
        if parts is None or parts[1].size == 0 or np.ptp(parts[1]) != 0:
            return None
        value = float(parts[1].ravel()[0])
        return (-math.inf, value) if node.op_type == "Min" else (value, math.inf)
    return None


def data_input(graph: Graph, node: onnx.NodeProto) -> str:
    """The computed input of a node for which ``bounds`` knows the limits."""
    return str(next(i for i in node.input if i not in graph.constants))


def limits(graph: Graph) -> tuple[float, float] | None:
    """The bounds of the clip that a graph ends in, if it ends in one."""
    low, high = _together(_steps(graph)[0])
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def apply(graph: Graph) -> tuple[Clip | None, str]:
    """Take the clip off; returns it, and what was done."""
    steps, shuffled_at = _steps(graph)
    low, high = _together(steps)
    match = next((r for r in PICTURE_RANGES if np.allclose((low, high), r, rtol=1e-4, atol=1e-6)), None)
    if match is None:
        return None, ""
    for node, _ in steps:
        if not graph.bypass(node, data_input(graph, node)):
            return None, ""
    graph.tidy()
    spelling = "+".join(n.op_type for n, _ in steps)
    where = " before the pixel shuffle" if shuffled_at else ""
    return Clip(*match, spelling), f"took off the final clip to {match[0]:g}..{match[1]:g} ({spelling}{where})"


def _together(steps: list[tuple[onnx.NodeProto, tuple[float, float]]]) -> tuple[float, float]:
    """The bounds that one limit after the other comes to."""
    low, high = -math.inf, math.inf
    for _, (lo, hi) in steps:
        low, high = min(max(low, lo), hi), min(max(high, lo), hi)
    return low, high


def _steps(graph: Graph) -> tuple[list[tuple[onnx.NodeProto, tuple[float, float]]], bool]:
    """The limits that a graph ends in, in order, and whether the first stands before the pixel shuffle."""
    steps: list[tuple[onnx.NodeProto, tuple[float, float]]] = []
    shuffled = shuffled_at = False
    name = graph.output
    while True:
        node = graph.producer(name)
        if node is None or (name != graph.output and graph.sole_consumer(name) is None):
            break
        found = bounds(graph, node)
        if found is not None:
            steps.insert(0, (node, found))
            shuffled_at = shuffled
        elif node.op_type == "DepthToSpace":
            shuffled = True
        else:
            break
        name = data_input(graph, node)
    return steps, shuffled_at
