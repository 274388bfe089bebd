"""Regions of operators that are functions of one tensor's numbers: nothing is rounded within them, and each of their
results becomes one table.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import onnx

from toolchain.reference.graph import GraphView
from toolchain.reference.pointwise import is_pointwise


class Regions:
    """What is made of one tensor by pointwise operators, in a float graph.

    Args:
        view: of the graph.
        rounded: tensors that are codes in any case: they end a region, and begin others.
    """

    def __init__(self, view: GraphView, rounded: Collection[str] = ()) -> None:
        self.view, self.rounded = view, rounded
        self.roots: dict[str, str] = {}
        """The tensor that each tensor within a region is a function of."""

    def admit(self, node: onnx.NodeProto, known: Collection[str]) -> bool:
        """Take ``node`` in if all that it reads is a function of one of the ``known`` tensors, and say whether it is.

        Nodes come in graph order.
        """
        if not is_pointwise(node, self.view):
            return False
        read = {self._root(name) for name in node.input if name and not self.view.is_constant(name)}
        if len(read) != 1 or not read.issubset({*known, *self.roots.keys() & self.rounded}):
            return False
        self.roots[node.output[0]] = read.pop()
        return True

    def rounds(self, tensor: str) -> bool:
        """Return whether a tensor within a region is one of codes in any case."""
        return tensor in self.rounded and tensor in self.roots

    def goes_on(self, tensor: str) -> bool:
        """Return whether the region of ``tensor`` has more operators behind it."""
        root = self._root(tensor)
        readers = self.view.consumers.get(tensor, ())
        return any(self.roots.get(reader.output[0]) == root for reader in readers)

    def tables(self, ends: Callable[[str], bool]) -> dict[str, str]:
        """Return the part of `roots` of which tables are made: what a tensor that ``ends`` its region is made of."""
        found: dict[str, str] = {}
        for node in reversed(self.view.model.graph.node):
            tensor = node.output[0]
            if tensor not in self.roots:
                continue
            after = [reader.output[0] for reader in self.view.consumers.get(tensor, ())]
            if tensor in self.rounded or ends(tensor) or any(found.get(name) == self.roots[tensor] for name in after):
                found[tensor] = self.roots[tensor]
        return found

    def _root(self, tensor: str) -> str:
        return tensor if tensor in self.rounded else self.roots.get(tensor, tensor)
