"""Enlargement by nearest neighbours moves pixels, as a pixel shuffle does, and gets its spelling.

Before: sizes are factors; what `anchor` knows is gone. After: a Resize that repeats every pixel is a pixel shuffle
DepthToSpace(DCR) of its input's channels, repeated by a Concat.
"""

from __future__ import annotations

import onnx

from toolchain.frontend.graph import Graph, attributes

_REPEATING = {
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
    ("pytorch_half_pixel", "round_prefer_floor"),
    ("pytorch_half_pixel", "round_prefer_ceil"),
}
"""Where pixels lie and how they are rounded: by whole factors, these repeat each pixel."""


def apply(graph: Graph) -> str:
    """Rewrite; returns what was done."""
    count = sum(_rewrite(graph, node) for node in list(graph.nodes) if node.op_type == "Resize")
    graph.tidy()
    return "spelled an enlargement by nearest neighbours as a pixel shuffle" if count else ""


def _rewrite(graph: Graph, node: onnx.NodeProto) -> bool:
    found, factors = attributes(node), graph.operand(node, 2)
    sampling = (
        found.get("coordinate_transformation_mode", "half_pixel"),
        found.get("nearest_mode", "round_prefer_floor"),
    )
    if found.get("mode", "nearest") != "nearest" or sampling not in _REPEATING or "axes" in found:
        return False
    if factors is None or factors.shape != (4,) or factors[2] < 2 or factors[2] % 1:
        return False
    if factors[:2].tolist() != [1, 1] or factors[3] != factors[2]:
        return False
    size, source, target = int(factors[2]), node.input[0], node.output[0]
    graph.remove([node])
    repeated = graph.add("Concat", [source] * size**2, graph.fresh(f"{target}_repeated"), axis=1)
    graph.add("DepthToSpace", [repeated.output[0]], target, blocksize=size, mode="DCR")
    return True
