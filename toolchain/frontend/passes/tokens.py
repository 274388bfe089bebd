"""Pixels that are laid in a row, as tokens of transformers, stay a picture where nothing mixes them.

Networks that take their normalization from transformers flatten the picture to (1, H*W, C), normalize channels and
multiply them by matrices, and fold it again. Before: NCHW ends. After: what does so works on (1, H, W, C), between two
transposes. Where tokens are mixed (attention) all is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import TO_FIRST, TO_LAST, Graph, attributes, set_attribute
from toolchain.frontend.halo import POINTWISE
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import shapes

_SWAPPED = [0, 2, 1]


@graph_pass()
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    if not any(node.op_type == "Reshape" for node in graph.nodes):
        return facts
    graph.tidy()
    found = _Tokens(graph, shapes(graph))
    if not found.entries or not all(found.takes(node) for node in list(graph.nodes)):
        return facts
    found.rewrite()
    graph.tidy()
    return facts.said(f"took {len(found.entries)} rows of pixels for the pictures that they are")


@dataclass(eq=False)
class _Tokens:
    """What is laid in rows in a graph: names of tensors (1, H*W, C), and of (1, C, H*W) that are folded next."""

    graph: Graph
    sizes: dict[str, tuple[int, ...]]
    rows: dict[str, tuple[int, ...]] = field(default_factory=dict)
    swapped: dict[str, str] = field(default_factory=dict)
    entries: list[tuple[list[onnx.NodeProto], str]] = field(default_factory=list)
    exits: list[tuple[onnx.NodeProto, str, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for node in self.graph.nodes:
            self._enter(node)

    def takes(self, node: onnx.NodeProto) -> bool:
        """Whether a node leaves rows as they are, makes rows of them, or folds them."""
        if any(node in made for made, _ in self.entries):
            return True
        source, target = node.input[0] if node.input else "", node.output[0]
        if source in self.swapped:
            tokens = self.swapped[source]
            return self._folds(node, tokens, (1, self.sizes[tokens][2], *self.rows[tokens]), first=True)
        known = [name for name in node.input if name in self.rows]
        if not known:
            return True
        if target == self.graph.output:
            return False
        size = self.rows[known[0]]
        if node.op_type == "Transpose":
            self.swapped[target] = source
            return attributes(node).get("perm") == _SWAPPED and target != self.graph.output
        if node.op_type == "Reshape":
            return self._folds(node, source, (1, *size, self.sizes[source][2]), first=False)
        self.rows[target] = size
        return self._alone(node, size)

    def rewrite(self) -> None:
        """Let rows be pictures whose channels come last."""
        graph = self.graph
        for node in graph.nodes:
            if not node.output or node.output[0] not in self.rows:
                continue
            if node.op_type == "LayerNormalization":
                set_attribute(node, "axis", -1)
            elif node.op_type.startswith("Reduce"):
                set_attribute(node, "axes", [3])
        for made, picture in self.entries:
            target = made[-1].output[0]
            graph.remove(made)
            graph.add("Transpose", [picture], target, perm=TO_LAST)
        for node, tokens, first in self.exits:
            target = node.output[0]
            graph.remove([node])
            if first:
                graph.add("Transpose", [tokens], target, perm=TO_FIRST)
            else:
                graph.add("Identity", [tokens], target)

    def _enter(self, node: onnx.NodeProto) -> None:
        """Find a picture that becomes rows: by a Reshape and a Transpose, in any order."""
        after = self.graph.sole_consumer(node.output[0]) if len(node.output) == 1 else None
        if after is None or {node.op_type, after.op_type} != {"Reshape", "Transpose"} or not node.input:
            return
        shape = self.sizes.get(node.input[0], ())
        turn = node if node.op_type == "Transpose" else after
        perm = list(attributes(turn).get("perm", ()))
        if len(shape) != 4 or perm != (TO_LAST if turn is node else _SWAPPED):
            return
        rows = (shape[0], shape[2] * shape[3], shape[1])
        if self.sizes.get(after.output[0]) == rows and after.output[0] != self.graph.output:
            self.entries.append(([node, after], node.input[0]))
            self.rows[after.output[0]] = shape[2:]

    def _folds(self, node: onnx.NodeProto, tokens: str, shape: tuple[int, ...], *, first: bool) -> bool:
        if node.op_type != "Reshape" or self.sizes.get(node.output[0]) != shape:
            return False
        self.exits.append((node, tokens, first))
        return True

    def _alone(self, node: onnx.NodeProto, size: tuple[int, ...]) -> bool:
        """Whether each token is computed by itself."""
        rank = len(self.sizes.get(node.input[0], ()))
        if node.op_type == "LayerNormalization":
            return attributes(node).get("axis", -1) in (-1, 2)
        if node.op_type == "ReduceMean":
            return self.graph.axes(node) in ([-1], [2]) and bool(attributes(node).get("keepdims", 1)) and rank == 3
        if node.op_type == "MatMul":
            weight = self.graph.operand(node, 1)
            return weight is not None and weight.ndim == 2
        if node.op_type not in POINTWISE:
            return False
        for name in node.input:
            constant = self.graph.constants.get(name)
            if constant is None and self.rows.get(name) != size:
                return False
            if constant is not None and any(side != 1 for side in constant.shape[:-1]):
                return False
        return True
