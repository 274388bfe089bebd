"""Conversions between 0..255 and 0..1 that are written into the graph are understood, and made to agree at both ends.

After: input and output have the same value range, from zero on. A model that divides its input by 255 and multiplies
its output by 255 works on 0..255 and stays so; one that does only one of the two works on 0..1 afterwards, and so does
one whose ends are known to differ, or to be -1..1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx

from toolchain.frontend.facts import Facts, PixelScale
from toolchain.frontend.graph import Graph
from toolchain.frontend.limits import bounds, data_input
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.properties import NO_CONSTANT_NODES
from toolchain.frontend.value_range import Ends

PEAK = 255.0


@graph_pass(requires=(NO_CONSTANT_NODES,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Return look at both ends, and put a scaling at one of them where they disagree; `affine` folds it.

    Ends that were both uint8 say that they agree.
    """
    if facts.ends is not None:
        return _both(graph, facts, facts.ends)
    pixels = facts.interface.integer_input and facts.interface.integer_output
    divided = pixels or _divides_input(graph)
    multiplied = pixels or _multiplies_output(graph)
    if divided and multiplied:
        return replace(facts, pixels=PixelScale("0..255"))
    if divided:
        old = graph.input
        graph.input = graph.fresh(f"{old}_unit")
        graph.add("Mul", [graph.input, graph.add_constant(PEAK, f"{old}_peak")], old)
        graph.tidy()
        said = "removed the division of the input by 255: both ends are 0..1"
        return replace(facts, pixels=PixelScale("0..1", PEAK, 1.0)).said(said)
    if multiplied:
        old = graph.output
        graph.output = graph.fresh(f"{old}_unit")
        graph.add("Mul", [old, graph.add_constant(1.0 / PEAK, f"{old}_peak")], graph.output)
        graph.tidy()
        said = "removed the multiplication of the output by 255: both ends are 0..1"
        return replace(facts, pixels=PixelScale("0..1", 1.0, 1.0 / PEAK)).said(said)
    return facts


def _both(graph: Graph, facts: Facts, ends: Ends) -> Facts:
    (low, high), (black, white) = ends.input, ends.output
    found = PixelScale("0..1", high - low, 1 / (white - black), low, -black / (white - black))
    old = graph.input
    graph.input = graph.fresh(f"{old}_unit")
    _add(graph, graph.input, old, found.input_factor, found.input_offset)
    old = graph.output
    graph.output = graph.fresh(f"{old}_unit")
    _add(graph, old, graph.output, found.output_factor, found.output_offset)
    graph.tidy()
    return replace(facts, pixels=found).said(f"made both ends 0..1, which were {ends}")


def _add(graph: Graph, source: str, target: str, factor: float, offset: float) -> None:
    """``target = factor * source + offset``."""
    scaled = graph.fresh(f"{target}_scaled") if offset else target
    graph.add("Mul", [source, graph.add_constant(factor, f"{target}_by")], scaled)
    if offset:
        graph.add("Add", [scaled, graph.add_constant(offset, f"{target}_plus")], target)


def _factor(graph: Graph, node: onnx.NodeProto | None) -> float:
    """Return the number by which a node multiplies; 1 if it does something else."""
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
