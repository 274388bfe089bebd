"""Pixels that are cut off inside, by crops or by convolutions without padding, are cut off at the end.

A convolution without padding is one that keeps the picture's size, with its borders cut off. What treats all pixels
alike may come before a cut, and so may another convolution without padding: it sees the same pixels. So all of the
network keeps the picture's size, which kernels like, and what is cut is cut once.

Before: paddings and crops are numbers, transposed convolutions are pixel shuffles. After: no cut is followed by what
could come before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph, attributes, set_attribute
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.passes.windows import add_crop
from toolchain.frontend.properties import EXPLICIT_PADS, NO_NEGATIVE_PADS
from toolchain.frontend.window import read_window

Cut: TypeAlias = tuple[int, int, int, int]
"""Pixels cut off at the top, left, bottom and right."""

_NONE: Cut = (0, 0, 0, 0)
_ALIKE = frozenset(
    {"Relu", "PRelu", "LeakyRelu", "Clip", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Elu", "Softplus", "Abs"}
    | {"Neg", "Erf", "Pow", "Identity", "Add", "Sub", "Mul", "Div", "Min", "Max", "Concat", "Gather"}
)
"""What treats all pixels alike, if channels are all that it knows of."""


@graph_pass(requires=(EXPLICIT_PADS, NO_NEGATIVE_PADS))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    if not any(_shrinks(graph, node) for node in graph.nodes):
        return facts
    mover = _Mover(graph)
    for node in list(graph.nodes):
        mover.move(node)
    mover.end()
    graph.touch()
    graph.tidy()
    return facts.said("cut borders off at the end instead of inside")


def _shrinks(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether a node cuts, or is a convolution with too little padding, but for one whose padding stands before it."""
    if node.op_type == "Slice":
        return _cut(graph, node) is not None
    reach = _reach(graph, node)
    if reach is None or _bordered(graph, node, reach):
        return False
    top, left, bottom, right = attributes(node)["pads"]
    return (
        bool(top + bottom < reach[0] or left + right < reach[1])
        and top + bottom <= reach[0]
        and left + right <= reach[1]
    )


def _reach(graph: Graph, node: onnx.NodeProto) -> tuple[int, int] | None:
    """Return rows and columns that a convolution of stride 1 takes away without padding."""
    weight = graph.operand(node, 1) if node.op_type == "Conv" else None
    values = attributes(node)
    if weight is None or weight.ndim != 4 or "pads" not in values or list(values["strides"]) != [1, 1]:
        return None
    rows, columns = ((weight.shape[2 + i] - 1) * values["dilations"][i] for i in (0, 1))
    return rows, columns


def _bordered(graph: Graph, node: onnx.NodeProto, reach: tuple[int, int]) -> bool:
    """Whether the padding of a convolution stands before it."""
    maker = graph.producer(node.input[0])
    window = read_window(maker, graph.constant) if maker is not None and maker.op_type == "Pad" else None
    return window is not None and (window.pads[0] + window.pads[2], window.pads[1] + window.pads[3]) == reach


def _cut(graph: Graph, node: onnx.NodeProto) -> Cut | None:
    window = read_window(node, graph.constant)
    if window is None or max(window.pads) > 0:
        return None
    top, left, bottom, right = (-pad for pad in window.pads)
    return top, left, bottom, right


class _Mover:
    """Goes through a graph in order, and knows of each value which other it is, with what cut off."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.known: dict[str, tuple[str, Cut]] = {}
        self.cut: dict[tuple[str, Cut], str] = {}
        """Values that were cut after all."""

    def move(self, node: onnx.NodeProto) -> None:
        """Let ``node`` read whole values, if it can."""
        given = [self.known.get(name, (name, _NONE)) for name in node.input]
        cut = _cut(self.graph, node) if node.op_type == "Slice" else None
        reach = _reach(self.graph, node)
        if cut is not None:
            source, before = given[0]
            self.known[node.output[0]] = source, _sum(before, cut)
            self.graph.remove([node])
            return
        if reach is not None and _shrinks(self.graph, node):
            made: Cut | None = self._keep_size(node, given, reach)
        else:
            made = self._carried(node, given)
        for index, (name, cut) in enumerate(given):
            node.input[index] = name if made is not None else self._whole(name, cut)
        if made is not None and any(made):
            self.known[node.output[0]] = node.output[0], made
        self.graph.touch()

    def _keep_size(self, node: onnx.NodeProto, given: list[tuple[str, Cut]], reach: tuple[int, int]) -> Cut:
        """Give a convolution enough padding; returns what is to be cut off its result then."""
        pads = attributes(node)["pads"]
        if any(pads):  # zeros stand right around what it reads
            given[0] = self._whole(*given[0]), _NONE
        front = [min(max(reach[i] // 2, pads[i]), reach[i] - pads[2 + i]) for i in (0, 1)]
        set_attribute(node, "pads", [*front, *(reach[i] - front[i] for i in (0, 1))])
        top, left = (front[i] - pads[i] for i in (0, 1))
        bottom, right = (reach[i] - front[i] - pads[2 + i] for i in (0, 1))
        return _sum(given[0][1], (top, left, bottom, right))

    def end(self) -> None:
        """Cut what is still to be cut off the output."""
        graph = self.graph
        name, cut = self.known.get(graph.output, (graph.output, _NONE))
        if name == graph.output and not any(cut):
            return
        if name == graph.output:
            name = graph.fresh(f"{name}_whole")
            for node in graph.nodes:
                node.name = name if node.name == graph.output else node.name
                for names in (node.input, node.output):
                    for index, old in enumerate(names):
                        if old == graph.output:
                            names[index] = name
            graph.touch()
        add_crop(graph, name, graph.output, cut)

    def _carried(self, node: onnx.NodeProto, given: Sequence[tuple[str, Cut]]) -> Cut | None:
        """Return what is to be cut off a node's result where it reads whole values; None if it cannot."""
        read = [cut for name, cut in given if name and name not in self.graph.constants]
        if not any(any(cut) for cut in read):
            return _NONE
        if len(set(read)) > 1:
            return None
        values, (top, left, bottom, right) = attributes(node), read[0]
        if node.op_type == "DepthToSpace":
            size = values["blocksize"]
            return top * size, left * size, bottom * size, right * size
        along = node.op_type not in ("Concat", "Gather") or values.get("axis", 0) in (1, -3)
        alike = node.op_type in _ALIKE and along and self._channels_only(node)
        return read[0] if alike or _reach(self.graph, node) == (0, 0) else None

    def _channels_only(self, node: onnx.NodeProto) -> bool:
        """Whether constants of a node are the same for all pixels."""
        constants = [self.graph.constants[name] for name in node.input if name in self.graph.constants]
        return node.op_type == "Gather" or all(c.ndim < 2 or c.shape[-2:] == (1, 1) for c in constants)

    def _whole(self, name: str, cut: Cut) -> str:
        """Return a value with ``cut`` cut off."""
        if not any(cut):
            return name
        if (name, cut) not in self.cut:
            self.cut[name, cut] = self.graph.fresh(f"{name}_cut")
            add_crop(self.graph, name, self.cut[name, cut], cut)
        return self.cut[name, cut]


def _sum(one: Cut, other: Cut) -> Cut:
    top, left, bottom, right = (a + b for a, b in zip(one, other, strict=True))
    return top, left, bottom, right
