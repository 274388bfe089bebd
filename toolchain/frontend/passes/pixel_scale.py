"""Conversions between 0..255 and 0..1 that are written into the graph are understood, and made to agree at both ends.

After: input and output have the same value range, from zero on. A model that divides its input by 255 and multiplies
its output by 255 works on 0..255 and stays so; one that does only one of the two works on 0..1 afterwards, and so does
one whose ends are known to differ, or to be -1..1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from toolchain.frontend.graph import Array, Graph
from toolchain.frontend.passes.final_clip import bounds, data_input
from toolchain.frontend.value_range import Ends

PEAK = 255.0


@dataclass(frozen=True)
class PixelScale:
    """What is known from scalings in the graph.

    Attributes:
        value_range: "0..1" or "0..255", or None if there are no scalings.
        input_factor, input_offset, output_factor, output_offset: the rewritten model is
            ``output_factor * source(input_factor * x + input_offset) + output_offset``.
        said: what was done.
    """

    value_range: str | None = None
    input_factor: float = 1.0
    output_factor: float = 1.0
    said: str = ""
    input_offset: float = 0.0
    output_offset: float = 0.0

    def to_source(self, values: Array) -> Array:
        """What the source takes for what the rewritten model takes, float32."""
        return values * np.float32(self.input_factor) + np.float32(self.input_offset)

    def from_source(self, values: Array) -> Array:
        """What the rewritten model gives for what the source gives, float32."""
        return values * np.float32(self.output_factor) + np.float32(self.output_offset)


def apply(graph: Graph, *, pixels: bool = False, ends: Ends | None = None) -> PixelScale:
    """Look at both ends, and put a scaling at one of them where they disagree; ``affine`` folds it.

    ``pixels``: both ends were uint8, which says it. ``ends``: what they are known to be, if that is not one range from
    zero on.
    """
    if ends is not None:
        return _both(graph, ends)
    divided = pixels or _divides_input(graph)
    multiplied = pixels or _multiplies_output(graph)
    if divided and multiplied:
        return PixelScale("0..255")
    if divided:
        old = graph.input
        graph.input = graph.fresh(f"{old}_unit")
        graph.add("Mul", [graph.input, graph.add_constant(PEAK, f"{old}_peak")], old)
        graph.tidy()
        return PixelScale("0..1", PEAK, 1.0, "took off the division of the input by 255: both ends are 0..1")
    if multiplied:
        old = graph.output
        graph.output = graph.fresh(f"{old}_unit")
        graph.add("Mul", [old, graph.add_constant(1.0 / PEAK, f"{old}_peak")], graph.output)
        graph.tidy()
        return PixelScale(
            "0..1", 1.0, 1.0 / PEAK, "took off the multiplication of the output by 255: both ends are 0..1"
        )
    return PixelScale()


def _both(graph: Graph, ends: Ends) -> PixelScale:
    (low, high), (black, white) = ends.input, ends.output
    found = PixelScale(
        "0..1",
        high - low,
        1 / (white - black),
        f"made both ends 0..1, which were {ends}",
        low,
        -black / (white - black),
    )
    old = graph.input
    graph.input = graph.fresh(f"{old}_unit")
    _add(graph, graph.input, old, found.input_factor, found.input_offset)
    old = graph.output
    graph.output = graph.fresh(f"{old}_unit")
    _add(graph, old, graph.output, found.output_factor, found.output_offset)
    graph.tidy()
    return found


def _add(graph: Graph, source: str, target: str, factor: float, offset: float) -> None:
    """``target = factor * source + offset``."""
    scaled = graph.fresh(f"{target}_scaled") if offset else target
    graph.add("Mul", [source, graph.add_constant(factor, f"{target}_by")], scaled)
    if offset:
        graph.add("Add", [scaled, graph.add_constant(offset, f"{target}_plus")], target)


def _factor(graph: Graph, node: onnx.NodeProto | None) -> float:
    """The number by which a node multiplies; 1 if it does something else."""
    if node is None or node.op_type not in ("Mul", "Div"):
        return 1.0
    parts = graph.split(node)
    if parts is None or parts[1].size == 0 or np.ptp(parts[1]) != 0 or not parts[1].any():
        return 1.0
    number = float(parts[1].ravel()[0])
    if node.op_type == "Mul":
        return number
    return 1.0 if parts[2] else 1.0 / number


def _divides_input(graph: Graph) -> bool:
    return bool(np.isclose(_factor(graph, graph.sole_consumer(graph.input)) * PEAK, 1.0, rtol=2e-3))


def _multiplies_output(graph: Graph) -> bool:
    node = graph.producer(graph.output)
    while node is not None:
        if np.isclose(_factor(graph, node), PEAK, rtol=2e-3):
            return True
        if node.op_type != "DepthToSpace" and bounds(graph, node) is None:
            return False
        node = graph.sole_producer(data_input(graph, node))
    return False
