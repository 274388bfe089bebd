"""A border that is written into a padded tensor, one number a channel, becomes operators that say so.

Training code of re-parameterized networks pads what a 1x1 convolution makes with its bias, by assigning to slices;
exporters turn every assignment into index arithmetic and ScatterND. As in ``shuffle``, the outcome is looked at: if
what comes out, for noise, is what was padded with one number a channel around it, it is Sub -> Pad -> Add of these
numbers.
After: such borders depend on no indices, so that pictures may have any size, and are linear operators.
"""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Array, Graph, attributes
from toolchain.frontend.interface import random_picture
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import values


@graph_pass()
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    ends = [
        (pad, end)
        for pad in graph.nodes
        if pad.op_type == "Pad" and pad.input[0] not in graph.constants and (end := _end(graph, pad))
    ]
    if not ends:
        return facts
    names = {name for pad, end in ends for name in (pad.input[0], end)}
    runs = [values(graph, names, random_picture(graph.probe, 1.0, seed)) for seed in (0, 1)]
    found = 0
    for pad, end in ends:
        fill = _fill(graph, pad, [(run[pad.input[0]], run[end]) for run in runs])
        if fill is not None:
            _rewrite(graph, pad, end, fill)
            found += 1
    graph.tidy()
    return facts.said(f"recognized {found} borders that are filled with one number a channel" if found else "")


def _end(graph: Graph, pad: onnx.NodeProto) -> str:
    """Return the value at the end of the assignments to a padded tensor; "" if there are none."""
    value, assigned = pad.output[0], False
    while True:
        users = [
            n
            for n in graph.consumers(value)
            if n.op_type in ("ScatterND", "Transpose", "Identity") and n.input[0] == value
        ]
        if len(users) != 1:
            return value if assigned else ""
        assigned |= users[0].op_type == "ScatterND"
        value = users[0].output[0]


def _fill(graph: Graph, pad: onnx.NodeProto, seen: list[tuple[Array, Array]]) -> Array | None:
    """Return the numbers (C,) around what is padded, from pairs (before, after); None if it is anything else."""
    pads = graph.operand(pad, 1)
    if pads is None or pads.size != 8 or len(pad.input) > 3 or attributes(pad).get("mode", "constant") != "constant":
        return None
    amounts = [int(p) for p in pads.ravel()]
    if min(amounts) < 0 or not any(amounts) or any(amounts[i] for i in (0, 1, 4, 5)):
        return None
    top, left, bottom, right = amounts[2:4] + amounts[6:8]
    borders = []
    for before, after in seen:
        height, width = before.shape[2:]
        if after.shape != (*before.shape[:2], height + top + bottom, width + left + right):
            return None
        inside = np.zeros(after.shape[2:], bool)
        inside[top : top + height, left : left + width] = True
        if not np.array_equal(after[:, :, inside].reshape(before.shape), before):
            return None
        borders.append(after[0][:, ~inside])
    border = np.concatenate(borders, axis=1)
    return border[:, 0] if (border == border[:, :1]).all() else None


def _rewrite(graph: Graph, pad: onnx.NodeProto, end: str, fill: Array) -> None:
    last = graph.producer(end)
    assert last is not None
    graph.remove([last])
    numbers = graph.add_constant(fill.reshape(1, -1, 1, 1), f"{end}_fill")
    less, padded = graph.fresh(f"{end}_less"), graph.fresh(f"{end}_padded")
    graph.add("Sub", [pad.input[0], numbers], less)
    graph.add("Pad", [less, pad.input[1]], padded)
    graph.add("Add", [padded, numbers], end)
