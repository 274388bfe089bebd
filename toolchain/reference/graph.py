"""A read-only view of an ONNX graph: who makes a tensor, who reads it, what is constant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

Array = NDArray[Any]


@dataclass(frozen=True)
class GraphView:
    """Look-ups over ``model``'s top graph; the model must not be changed while a view of it is in use."""

    model: onnx.ModelProto

    @cached_property
    def producers(self) -> Mapping[str, onnx.NodeProto]:
        """The node that makes each tensor."""
        return {name: node for node in self.model.graph.node for name in node.output if name}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[onnx.NodeProto, ...]]:
        """The nodes that read each tensor, in graph order, once per node."""
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in self.model.graph.node:
            for name in dict.fromkeys(node.input):
                if name:
                    found.setdefault(name, []).append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    @cached_property
    def constants(self) -> Mapping[str, Array]:
        """The initializers as arrays."""
        return {tensor.name: numpy_helper.to_array(tensor) for tensor in self.model.graph.initializer}

    @cached_property
    def input(self) -> str:
        """The one graph input that is not an initializer."""
        return next(str(value.name) for value in self.model.graph.input if value.name not in self.constants)

    @cached_property
    def output(self) -> str:
        """The one graph output."""
        return str(self.model.graph.output[0].name)

    def unused(self, wanted: str, *others: str) -> str:
        """``wanted``, or what it becomes by underscores until no tensor here and none of ``others`` is called so."""
        taken = {*self.constants, *self.producers, self.input, *others}
        while wanted in taken:
            wanted += "_"
        return wanted

    def sole_reader(self, tensor: str) -> onnx.NodeProto | None:
        """Return the only node that reads ``tensor``, or None where there are none or several or it leaves the
        graph.
        """
        readers = self.consumers.get(tensor, ())
        return readers[0] if len(readers) == 1 and tensor != self.output else None

    def is_constant(self, tensor: str) -> bool:
        """Return whether ``tensor`` is an initializer."""
        return tensor in self.constants


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the node's attributes as Python values; strings decoded."""
    values = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}
