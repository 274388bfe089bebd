"""Operators that limit values to a range of numbers, in whatever spelling."""

from __future__ import annotations

import math

import numpy as np
import onnx

from toolchain.frontend.graph import Graph

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
    """Return the computed input of a node for which ``bounds`` knows the limits."""
    return str(next(i for i in node.input if i not in graph.constants))


def together(steps: list[tuple[onnx.NodeProto, tuple[float, float]]]) -> tuple[float, float]:
    """Return the bounds that one limit after the other comes to."""
    low, high = -math.inf, math.inf
    for _, (lo, hi) in steps:
        low, high = min(max(low, lo), hi), min(max(high, lo), hi)
    return low, high


def final_steps(graph: Graph) -> tuple[list[tuple[onnx.NodeProto, tuple[float, float]]], bool]:
    """Return the limits that a graph ends in, in order, and whether the first stands before the pixel shuffle."""
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
