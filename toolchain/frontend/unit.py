"""Networks that go down before they go up: they take pictures whose sides are multiples of a *unit* of pixels.

A normalized model says so in its input's shape: ``(1, channels, height*2, width*2)`` for a unit of 2. How pictures of
other sizes are run, `toolchain.images.units` says.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

import onnx

from toolchain.frontend.graph import Graph, attributes

LARGEST = 64
"""The largest unit that is thought of."""

_STRIDED = ("Conv", "MaxPool", "AveragePool", "LpPool")


def named(side: str, unit: int) -> str:
    """Return the name of a dimension of ``unit`` times ``side`` pixels, as a model says it."""
    return side if unit == 1 else f"{side}*{unit}"


def unit_of(model: onnx.ModelProto) -> int:
    """Return of how many pixels the sides of a normalized model's pictures are multiples."""
    dims = model.graph.input[0].type.tensor_type.shape.dim
    found = re.fullmatch(r"\w+\*(\d+)", dims[2].dim_param) if len(dims) == 4 else None
    return int(found[1]) if found else 1


def find_unit(graph: Graph) -> int:
    """Return of how many pixels a picture's sides must be multiples for every tensor to have whole rows and columns."""
    known: dict[str, tuple[Fraction, Fraction]] = {graph.input: (Fraction(1), Fraction(1))}
    for node in graph.nodes:
        given = next((known[name] for name in node.input if name in known), None)
        if given is not None:
            growth = _growth(graph, node)
            for name in node.output:
                known[name] = given[0] * growth[0], given[1] * growth[1]
    return math.lcm(*(rate.denominator for rates in known.values() for rate in rates))


def _growth(graph: Graph, node: onnx.NodeProto) -> tuple[Fraction, Fraction]:
    """Return how many rows and columns a node's result has for one of its input's, borders apart."""
    found = attributes(node)
    if node.op_type in _STRIDED:
        down, across = found.get("strides", [1, 1])[:2]
        return Fraction(1, down), Fraction(1, across)
    if node.op_type == "ConvTranspose":
        down, across = found.get("strides", [1, 1])[:2]
        return Fraction(down), Fraction(across)
    if node.op_type in ("DepthToSpace", "SpaceToDepth"):
        size = Fraction(found["blocksize"])
        return (size, size) if node.op_type == "DepthToSpace" else (1 / size, 1 / size)
    scales = graph.operand(node, 2) if node.op_type == "Resize" else None
    if scales is not None and scales.size == 4:
        down, across = (Fraction(float(scale)).limit_denominator(LARGEST) for scale in scales[2:])
        return down or Fraction(1), across or Fraction(1)
    return Fraction(1), Fraction(1)
