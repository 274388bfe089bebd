"""An ONNX graph that is easy to edit: nodes in a list, constants as arrays, users and producers by value name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8

Array = NDArray[Any]

TO_LAST, TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
"""Orders of axes by which a Transpose makes channels the last axis of pictures, and back."""

ONE_TAP = {"pads": [0, 0, 0, 0], "strides": [1, 1], "dilations": [1, 1], "kernel_shape": [1, 1]}
"""Attributes of a convolution of each pixel alone."""


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes by name; strings decoded."""
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in values.items()}


def set_attribute(node: onnx.NodeProto, name: str, value: Any) -> None:
    """Set or replace an attribute; None removes it."""
    kept = [a for a in node.attribute if a.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)
    if value is not None:
        node.attribute.append(helper.make_attribute(name, value))


def known_constants(model: onnx.ModelProto) -> dict[str, Array]:
    """Return the arrays of initializers, and of Constant nodes that hold a tensor, by name."""
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type == "Constant"]
    return found | {n.output[0]: numpy_helper.to_array(a.t) for n in nodes for a in n.attribute if a.name == "value"}


class Graph:
    """One graph with one input and one output, opened for editing.

    Passes change ``nodes``, their inputs, and ``constants``, then call ``tidy``. Nodes are compared by identity.

    Attributes:
        nodes: in topological order after ``tidy``.
        constants: initializers by name.
        input, output: names of the graph's ends.
        probe: a concrete shape that the model accepts.
    """

    def __init__(self, model: onnx.ModelProto, probe: tuple[int, ...]) -> None:
        proto = model.graph
        self.name = proto.name
        self.constants: dict[str, Array] = {t.name: numpy_helper.to_array(t) for t in proto.initializer}
        self.nodes: list[onnx.NodeProto] = []
        for node in proto.node:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            self.nodes.append(copy)
        source = next(i for i in proto.input if i.name not in self.constants)
        self.input, self.output = source.name, proto.output[0].name
        self.probe = probe
        self._index: tuple[dict[str, onnx.NodeProto], dict[str, list[onnx.NodeProto]]] | None = None
        self._names = {self.input, self.output, *self.constants, *(o for n in self.nodes for o in n.output)}

    # -- looking around

    def touch(self) -> None:
        """Forget the index; to be called after nodes were edited in place."""
        self._index = None

    def _indexed(self) -> tuple[dict[str, onnx.NodeProto], dict[str, list[onnx.NodeProto]]]:
        if self._index is None:
            producers = {o: n for n in self.nodes for o in n.output if o}
            consumers: dict[str, list[onnx.NodeProto]] = {}
            for node in self.nodes:
                for name in node.input:
                    if name:
                        consumers.setdefault(name, []).append(node)
            self._index = producers, consumers
        return self._index

    def producer(self, name: str) -> onnx.NodeProto | None:
        """Return the node that makes a value; None for the graph's input and for constants."""
        return self._indexed()[0].get(name)

    def consumers(self, name: str) -> list[onnx.NodeProto]:
        """Return the nodes that use a value, once per use; the graph's output is not among them."""
        return self._indexed()[1].get(name, [])

    def sole_consumer(self, name: str) -> onnx.NodeProto | None:
        """Return the node that alone uses a value; None if there are several uses, or it is the graph's output."""
        users = self.consumers(name)
        return users[0] if len(users) == 1 and name != self.output else None

    def sole_producer(self, name: str, *op_types: str) -> onnx.NodeProto | None:
        """Return the node (of one of these types) that makes a value which nothing but one node uses."""
        node = self.producer(name)
        if node is None or (op_types and node.op_type not in op_types):
            return None
        return node if len(self.consumers(name)) == 1 and name != self.output else None

    def constant(self, name: str) -> Array | None:
        """Return the array of a constant; None if the value is computed."""
        return self.constants.get(name)

    def operand(self, node: onnx.NodeProto, position: int) -> Array | None:
        """Return the constant that stands at an input position of a node; None if it is absent or computed."""
        return self.constants.get(node.input[position]) if position < len(node.input) else None

    def axes(self, node: onnx.NodeProto) -> list[int]:
        """Return the axes that a node names, as an attribute or as its second input; none where it names none."""
        given = self.operand(node, 1)
        named: Iterable[int] = attributes(node).get("axes", [] if given is None else given.ravel())
        return [int(axis) for axis in named]

    def split(self, node: onnx.NodeProto) -> tuple[str, Array, bool] | None:
        """Return a two-input node as (computed value's name, constant, constant stands first); None if it is
        not that.
        """
        if len(node.input) != 2:
            return None
        first, second = (self.constant(name) for name in node.input)
        if first is None and second is not None:
            return node.input[0], second, False
        if first is not None and second is None:
            return node.input[1], first, True
        return None

    # -- editing

    def fresh(self, stem: str) -> str:
        """Return an unused value name."""
        stem, number = stem or "value", 1
        while stem in self._names:
            stem = re.sub(r"(__\d+)?$", f"__{number}", stem, count=1)
            number += 1
        self._names.add(stem)
        return stem

    def add_constant(self, value: Any, stem: str, dtype: Any = np.float32) -> str:
        """Store an array (float32 unless told) under an unused name; returns the name."""
        name = self.fresh(stem)
        self.constants[name] = np.ascontiguousarray(value, dtype=dtype).reshape(np.shape(value))
        return name

    def add(self, op_type: str, inputs: Sequence[str], output: str, **attrs: Any) -> onnx.NodeProto:
        """Append a node; ``tidy`` puts it in order."""
        node = helper.make_node(op_type, list(inputs), [output], name=output, **attrs)
        self.nodes.append(node)
        self._names.add(output)
        self.touch()
        return node

    def remove(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Drop nodes; the values they made must be made or used by nobody else afterwards."""
        gone = {id(n) for n in nodes}
        self.nodes = [n for n in self.nodes if id(n) not in gone]
        self.touch()

    def redirect(self, old: str, new: str) -> None:
        """Make all nodes that use value ``old`` use ``new``."""
        for node in self.consumers(old):
            for i, name in enumerate(node.input):
                if name == old:
                    node.input[i] = new
        self.touch()

    def rename(self, old: str, new: str) -> None:
        """Give a computed value (or the graph's input) another name everywhere."""
        self.redirect(old, new)
        for node in self.nodes:
            for i, name in enumerate(node.output):
                if name == old:
                    node.output[i] = new
        if self.input == old:
            self.input = new
        if self.output == old:
            self.output = new
        self._names.add(new)
        self.touch()

    def bypass(self, node: onnx.NodeProto, source: str | None = None) -> bool:
        """Remove a node whose output equals its (first) input; False where a graph's end forbids it."""
        source = node.input[0] if source is None else source
        target = node.output[0]
        if target == self.output:
            if source == self.input or source in self.constants:
                return False
            self.remove([node])
            self.redirect(source, target)
            made = self.producer(source)
            assert made is not None
            made.output[list(made.output).index(source)] = target
            self.touch()
            return True
        self.remove([node])
        self.redirect(target, source)
        return True

    def tidy(self) -> None:
        """Drop what the output does not need and put the nodes in topological order."""
        self.touch()
        order: list[onnx.NodeProto] = []
        done: set[int] = set()
        stack: list[tuple[str, bool]] = [(self.output, False)]
        while stack:
            name, ready = stack.pop()
            node = self.producer(name)
            if node is None or id(node) in done:
                continue
            if ready:
                done.add(id(node))
                order.append(node)
                continue
            stack.append((name, True))
            stack.extend((i, False) for i in reversed(node.input) if i and self.producer(i) is not None)
        self.nodes = order
        used = {i for n in order for i in n.input}
        self.constants = {k: v for k, v in self.constants.items() if k in used}
        self.touch()

    # -- back to ONNX

    def to_model(
        self, *, input_shape: Sequence[int | str], output_shape: Sequence[int | str] | None, weights: bool = True
    ) -> onnx.ModelProto:
        """Return the graph as a model of opset 17 with float32 ends; no output shape means it is left open.

        Without ``weights`` larger float constants are only declared, which is enough for shape inference.
        """
        inside = [helper.make_tensor_value_info(self.input, TensorProto.FLOAT, list(input_shape))]
        out = [helper.make_tensor_value_info(self.output, TensorProto.FLOAT, output_shape and list(output_shape))]
        declared = {k for k, v in self.constants.items() if not weights and v.dtype.kind == "f" and v.size > 8}
        inside += [
            helper.make_tensor_value_info(
                k, helper.np_dtype_to_tensor_dtype(self.constants[k].dtype), self.constants[k].shape
            )
            for k in sorted(declared)
        ]
        tensors = [numpy_helper.from_array(v, k) for k, v in self.constants.items() if k not in declared]
        graph = helper.make_graph(self.nodes, self.name, inside, out, tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="clipfree")
        model.ir_version = IR_VERSION
        return model
