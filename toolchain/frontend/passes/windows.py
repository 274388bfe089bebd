"""Pixels added and cut at the borders get one spelling: Pad adds, Slice cuts, by constants.

Before: channels have their own spelling, sizes are factors. After: no Pad cuts; a Slice of rows and columns
says from both ends how much it cuts, where it cut a constant amount. The first so many rows of a picture of any size
are no crop, and stay as they are.
"""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import operands, shapes
from toolchain.frontend.properties import CHANNELS_GATHERED, NO_NEGATIVE_PADS, RESIZE_BY_FACTORS
from toolchain.frontend.window import END, read_window


@graph_pass(
    requires=(
        RESIZE_BY_FACTORS,
        CHANNELS_GATHERED,
    ),
    ensures=(NO_NEGATIVE_PADS,),
)
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    done = [_cutting_pad(graph, node) for node in list(graph.nodes) if node.op_type == "Pad"]
    graph.tidy()
    done += _cuts(graph, fixed=facts.interface.fixed)
    graph.tidy()
    return facts.said(", ".join(dict.fromkeys(said for said in done if said)))


def _cutting_pad(graph: Graph, node: onnx.NodeProto) -> str:
    """Let a Slice before a Pad cut what it cuts, as ONNX has it."""
    window = read_window(node, graph.constant)
    if window is None or window.grows:
        return ""
    source, target = node.input[0], node.output[0]
    grown = [max(p, 0) for p in window.pads]
    top, left, bottom, right = window.pads
    graph.remove([node])
    cut = graph.fresh(f"{target}_cut") if any(grown) else target
    add_crop(graph, source, cut, (max(-top, 0), max(-left, 0), max(-bottom, 0), max(-right, 0)))
    if any(grown):
        pads = graph.add_constant([0, 0, *grown[:2], 0, 0, *grown[2:]], f"{target}_pads", np.int64)
        added = graph.add("Pad", [cut, pads, *node.input[2:3]], target)
        added.attribute.extend(node.attribute)
    return "spelled negative padding as a crop"


def add_crop(graph: Graph, source: str, target: str, cut: tuple[int, int, int, int]) -> None:
    """Add the Slice that cuts so many pixels off at the top, left, bottom and right of ``source``."""
    top, left, bottom, right = cut
    ends = [-bottom if bottom else END, -right if right else END]
    numbers = {"starts": [top, left], "ends": ends, "axes": [2, 3]}
    names = [graph.add_constant(value, f"{target}_{what}", np.int64) for what, value in numbers.items()]
    graph.add("Slice", [source, *names], target)


def _cuts(graph: Graph, *, fixed: bool) -> list[str]:
    """Slices of rows and columns, whatever their numbers are computed from.

    ``fixed``: the model knows one size of pictures, and its numbers are of that.
    """
    nodes = [
        n
        for n in graph.nodes
        if n.op_type == "Slice" and read_window(n, graph.constant) is None and (fixed or graph.operand(n, 2) is None)
    ]
    if not nodes:
        return []
    sizes = shapes(graph)
    given = operands(graph, [name for n in nodes for name in n.input[1:]])
    done = []
    for node in nodes:
        shape, out = sizes.get(node.input[0]), sizes.get(node.output[0])
        values = [given[name] if name else None for name in node.input[1:]]
        starts, _, axes, steps = (*values, None, None)[:4] if len(values) < 4 else values[:4]
        if shape is None or out is None or len(shape) != 4 or shape[:2] != out[:2] or starts is None:
            continue
        if steps is not None and (steps != 1).any():
            continue
        places = range(starts.size) if axes is None else [int(a) % 4 for a in axes.ravel()]
        if (starts < 0).any() and any(a in (2, 3) for a in places):
            continue  # so many rows from the end: no crop
        first = dict(zip(places, (int(v) for v in starts.ravel()), strict=True))
        top, left = first.get(2, 0), first.get(3, 0)
        source, target = node.input[0], node.output[0]
        graph.remove([node])
        add_crop(graph, source, target, (top, left, shape[2] - out[2] - top, shape[3] - out[3] - left))
        done.append("wrote a crop as what it cuts")
    return done
