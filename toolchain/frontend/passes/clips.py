"""Limits inside the network get one spelling, and stand before the pixel shuffle.

After: Min and Max with one number are Clip (both bounds present, float32); Relu followed by an upper limit is one Clip;
a Clip without upper bound from zero is Relu; Relu, LeakyRelu and Clip behind DepthToSpace stand before it.
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph
from toolchain.frontend.limits import bounds, data_input
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.properties import CLIPS, NO_FINAL_CLIP

_LARGEST = float(np.finfo(np.float32).max)


@graph_pass(requires=(NO_FINAL_CLIP,), ensures=(CLIPS,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    changed = 0
    for node in list(graph.nodes):
        if node.op_type in ("Min", "Max", "Clip"):
            limits = bounds(graph, node)
            if limits is None:
                continue
            source = data_input(graph, node)
            before = graph.sole_producer(source, "Relu", "Clip")
            inner = bounds(graph, before) if before is not None else None
            if before is not None and inner is not None:
                limits = min(max(inner[0], limits[0]), limits[1]), min(max(inner[1], limits[0]), limits[1])
                source = data_input(graph, before)
                changed += 1
            changed += _spell(graph, node, source, limits)
    graph.tidy()
    while any(_hoist(graph, n) for n in graph.nodes if n.op_type == "DepthToSpace"):
        changed += 1
        graph.tidy()
    return facts.said(f"rewrote {changed} limits" if changed else "")


def _spell(graph: Graph, node: onnx.NodeProto, source: str, limits: tuple[float, float]) -> bool:
    before = onnx.NodeProto.FromString(node.SerializeToString())
    low, high = limits
    del node.input[1:]
    node.input[0] = source
    if low == 0.0 and (math.isinf(high) or high >= _LARGEST):
        node.op_type = "Relu"
    else:
        node.op_type = "Clip"
        node.input.append(graph.add_constant(max(low, -_LARGEST), f"{node.output[0]}_min"))
        node.input.append(graph.add_constant(min(high, _LARGEST), f"{node.output[0]}_max"))
    graph.touch()
    return bool(before.op_type != node.op_type)


def _hoist(graph: Graph, shuffle: onnx.NodeProto) -> bool:
    """act(shuffle(x)) becomes shuffle(act(x))."""
    follower = graph.sole_consumer(shuffle.output[0])
    if follower is None or follower.op_type not in ("Relu", "LeakyRelu", "Clip"):
        return False
    value, target = shuffle.input[0], follower.output[0]
    moved = graph.fresh(f"{value}_{follower.op_type.lower()}")
    follower.input[0] = value
    follower.output[0] = moved
    shuffle.input[0] = moved
    shuffle.output[0] = target
    graph.touch()
    return True
