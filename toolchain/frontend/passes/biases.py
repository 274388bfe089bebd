"""Every convolution gets its bias, and slopes get their canonical shape.

After: Conv and ConvTranspose have three inputs; the slope of PRelu has the shape (C, 1, 1).
"""

from __future__ import annotations

import numpy as np

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph, attributes
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import shapes
from toolchain.frontend.properties import BIASES


@graph_pass(ensures=(BIASES,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    added = 0
    for node in graph.nodes:
        weight = graph.operand(node, 1)
        if weight is None or node.op_type not in ("Conv", "ConvTranspose"):
            continue
        if len(node.input) < 3 or not node.input[2]:
            count = weight.shape[0] if node.op_type == "Conv" else weight.shape[1] * attributes(node).get("group", 1)
            del node.input[2:]
            node.input.append(graph.add_constant(np.zeros(count), f"{node.output[0]}_bias"))
            added += 1
    slopes = [n for n in graph.nodes if n.op_type == "PRelu" and graph.operand(n, 1) is not None]
    sizes = shapes(graph) if slopes else {}
    for node in slopes:
        slope, shape = graph.operand(node, 1), sizes.get(node.input[0])
        assert slope is not None
        if shape is None or len(shape) != 4 or slope.shape == (shape[1], 1, 1):
            continue
        try:
            full = np.broadcast_to(slope.reshape((1,) * (4 - slope.ndim) + slope.shape), (1, shape[1], 1, 1))
        except ValueError:
            continue  # a slope per pixel: not ours to change
        node.input[1] = graph.add_constant(full.reshape(-1, 1, 1), f"{node.output[0]}_slope")
    graph.tidy()
    return facts.said(f"added {added} zero biases" if added else "")
