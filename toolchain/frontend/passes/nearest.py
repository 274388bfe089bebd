"""Enlargement by nearest neighbours moves pixels, as a pixel shuffle does, and gets its spelling.

Before: sizes are factors; what `anchor` knows is gone. After: a Resize that repeats every pixel is a pixel shuffle
DepthToSpace(DCR) of its input's channels, repeated by a Concat.
"""

from __future__ import annotations

import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.properties import NO_NEAREST, RESIZE_BY_FACTORS, repeats


@graph_pass(requires=(RESIZE_BY_FACTORS,), ensures=(NO_NEAREST,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    count = sum(_rewrite(graph, node) for node in list(graph.nodes) if node.op_type == "Resize")
    graph.tidy()
    return facts.said("spelled an enlargement by nearest neighbours as a pixel shuffle" if count else "")


def _rewrite(graph: Graph, node: onnx.NodeProto) -> bool:
    size = repeats(graph, node)
    if not size:
        return False
    source, target = node.input[0], node.output[0]
    graph.remove([node])
    repeated = graph.add("Concat", [source] * size**2, graph.fresh(f"{target}_repeated"), axis=1)
    graph.add("DepthToSpace", [repeated.output[0]], target, blocksize=size, mode="DCR")
    return True
