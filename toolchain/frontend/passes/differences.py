"""A difference of two computed tensors becomes a sum: what is taken away is negated where it is made.

Before: biases present. After: no Sub of two computed tensors of one shape, nor of a single pixel that goes with all. A
convolution that nothing else uses is negated in its weights and bias; anything else goes through a depthwise
convolution of one tap, -1. Both are exact, and a sum is part of a convolution's kernel. Networks that subtract the
noise they find (DnCNN, arXiv 1608.03981) end so; others project back (DBPN, arXiv 1803.02735).
"""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import ONE_TAP, Graph
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import shapes
from toolchain.frontend.properties import BIASES, EXPLICIT_PADS, SUMS, is_difference

_CONVOLUTIONS = ("Conv", "ConvTranspose")


@graph_pass(requires=(EXPLICIT_PADS, BIASES), ensures=(SUMS,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    candidates = [node for node in graph.nodes if node.op_type == "Sub"]
    sizes = shapes(graph) if candidates else {}
    found = 0
    for node in candidates:
        target, minuend, subtrahend = node.output[0], node.input[0], node.input[1]
        if not is_difference(graph, node, sizes) or len(sizes[subtrahend]) != 4:
            continue
        negated = subtrahend if _negate(graph, subtrahend) else _negative(graph, subtrahend, sizes[subtrahend][1])
        graph.remove([node])
        graph.add("Add", [minuend, negated], target)
        found += 1
    graph.tidy()
    return facts.said(f"made sums of {found} differences" if found else "")


def _negate(graph: Graph, name: str) -> bool:
    """Negate the convolution that makes ``name``, moved by pixel shuffles or not; False: it is made in another way."""
    node: onnx.NodeProto | None = graph.sole_producer(name)
    while node is not None and node.op_type == "DepthToSpace":
        node = graph.sole_producer(node.input[0])
    if node is None or node.op_type not in _CONVOLUTIONS:
        return False
    weight, bias = graph.operand(node, 1), graph.operand(node, 2)
    if weight is None or bias is None:
        return False
    for index, operand in ((1, weight), (2, bias)):
        node.input[index] = graph.add_constant(0 - operand, f"{node.input[index]}_negated")
    graph.touch()
    return True


def _negative(graph: Graph, name: str, channels: int) -> str:
    """Return the tensor ``name`` with its sign changed, by a convolution."""
    minus = graph.add_constant(np.full((channels, 1, 1, 1), -1.0), f"{name}_minus")
    zero = graph.add_constant(np.zeros(channels), f"{name}_minus_bias")
    negative = graph.fresh(f"{name}_negative")
    graph.add("Conv", [name, minus, zero], negative, group=channels, **ONE_TAP)
    return negative
