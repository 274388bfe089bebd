"""Pooling of the whole picture gets one spelling, and what is computed of its numbers keeps four axes.

After: a mean, or the largest, over height and width is GlobalAveragePool, or GlobalMaxPool; what flattens such a tensor
to a vector for matrix products and makes it (1, C, 1, 1) again is gone, and the products are convolutions of one tap,
which is how channel attention is mostly written (SENet, arXiv 1709.01507, has it with matrices).
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import ONE_TAP, Array, Graph, attributes, set_attribute
from toolchain.frontend.halo import POINTWISE
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import shapes
from toolchain.frontend.properties import WHOLE_POOLS, pools_whole

_KINDS = {"ReduceMean": "GlobalAveragePool", "ReduceMax": "GlobalMaxPool"}
_SUMS = ("ReduceSum", "ReduceL1", "ReduceL2", "ReduceSumSquare")
_MOVES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")
_ALONE = ("Relu", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Clip", "Elu", "Softplus", "Erf", "Sqrt")
_WITH_CONSTANTS = ("Add", "Sub", "Mul", "Div")


@graph_pass(ensures=(WHOLE_POOLS,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    _keep_axes(graph)
    if not any(node.op_type in (*_KINDS, *_KINDS.values()) for node in graph.nodes):
        return facts.said(_sums(graph))
    pooled = _Pooled(graph)
    for node in list(graph.nodes):
        pooled.follow(node)
    spelled = pooled.finish()
    graph.tidy()
    said = [f"spelled {spelled} means over the picture as global pooling"] * bool(spelled)
    said.append(_sums(graph))
    return facts.said(*said, *["made convolutions of matrix products behind global pooling"] * bool(pooled.products))


def _keep_axes(graph: Graph) -> None:
    """Let what reduces a picture to one number keep its axes, where it is only computed with afterwards."""
    for node in graph.nodes:
        found = attributes(node)
        if (
            not node.op_type.startswith("Reduce")
            or found.get("keepdims", 1)
            or found.get("axes")
            or len(node.input) > 1
        ):
            continue
        if _only_numbers(graph, node.output[0]):
            set_attribute(node, "keepdims", 1)
            graph.touch()


def _only_numbers(graph: Graph, name: str) -> bool:
    """Whether all that becomes of a tensor is computed number by number, down to where a picture takes part."""
    users = graph.consumers(name)
    if name == graph.output or any(user.op_type not in POINTWISE for user in users):
        return False
    alone = [user for user in users if all(part == name or part in graph.constants for part in user.input if part)]
    return all(_only_numbers(graph, user.output[0]) for user in alone)


def _sums(graph: Graph) -> str:
    """Return a sentence about sums over the picture."""
    sums = [
        node.name or node.output[0] for node in graph.nodes if node.op_type in ("ReduceSum", "ReduceL1", "ReduceL2")
    ]
    return f"left sums in float that grow with the picture: {', '.join(sums)}" if sums else ""


class _Pooled:
    """Tensors of a single pixel, whatever their axes, and what stands for them with four."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.sizes = graph, shapes(graph)
        self.square: dict[str, str] = {}
        self.products = 0
        self._spelled = 0

    def follow(self, node: onnx.NodeProto) -> None:
        """Take a node whose input is known, or begins with a picture."""
        graph, out = self.graph, node.output[0]
        source = pools_whole(graph, node, self.sizes)
        if source or node.op_type in _KINDS.values():
            self.square[out] = self._pooled(node, source) if source else out
            return
        known = self.square.get(node.input[0]) if node.input else None
        if known is None and len(node.input) > 1 and node.op_type in ("Add", "Mul"):
            known = self.square.get(node.input[1])
        if known is None or not self._alike(node):
            return
        if node.op_type in _MOVES:
            self.square[out] = known
        elif node.op_type in ("Gemm", "MatMul"):
            self._product(node, known)
        elif known in node.input:
            self.square[out] = out  # it has four axes already
        elif node.op_type in _ALONE:
            self.square[out] = self._copied(node, [known, *node.input[1:]])
        elif node.op_type in _WITH_CONSTANTS:
            self._with_constant(node, known)

    def finish(self) -> int:
        """Let all who read such a tensor with four axes read what stands for it; returns pools that were spelled."""
        for name, other in self.square.items():
            shape = self.sizes.get(name, ())
            if name != other and len(shape) == 4 and shape[2:] == (1, 1) and name != self.graph.output:
                self.graph.redirect(name, other)
        return self._spelled

    def _alike(self, node: onnx.NodeProto) -> bool:
        """Whether a single axis of the result is longer than 1."""
        shape = self.sizes.get(node.output[0])
        return shape is not None and sum(size > 1 for size in shape) <= 1

    def _pooled(self, node: onnx.NodeProto, source: str) -> str:
        self._spelled += 1
        target = self.graph.fresh(f"{node.output[0]}_pooled")
        self.graph.add(_KINDS[node.op_type], [source], target).name = node.name or target
        return target

    def _copied(self, node: onnx.NodeProto, inputs: list[str]) -> str:
        target = self.graph.fresh(f"{node.output[0]}_pixel")
        made = self.graph.add(node.op_type, inputs, target)
        made.attribute.extend(node.attribute)
        return target

    def _with_constant(self, node: onnx.NodeProto, known: str) -> None:
        parts = self.graph.split(node)
        channels = prod(self.sizes.get(node.output[0], ()))
        if parts is None or parts[1].size not in (1, channels):
            return
        constant = self.graph.add_constant(parts[1].reshape(1, -1, 1, 1), f"{node.output[0]}_by")
        self.square[node.output[0]] = self._copied(node, [constant, known] if parts[2] else [known, constant])

    def _product(self, node: onnx.NodeProto, known: str) -> None:
        weight, given = self.graph.operand(node, 1), self.sizes.get(node.input[0], ())
        if weight is None or weight.ndim != 2 or not given or prod(given) != given[-1]:
            return
        bias: Array | None = np.zeros(1)
        if node.op_type == "Gemm":
            values = attributes(node)
            if values.get("transA", 0):
                return
            weight = weight.T if values.get("transB", 0) else weight
            weight = weight * np.float64(values.get("alpha", 1.0))
            if len(node.input) > 2 and node.input[2]:
                bias = self.graph.operand(node, 2)
                bias = None if bias is None else bias.astype(np.float64) * values.get("beta", 1.0)
        if bias is None or bias.size not in (1, weight.shape[1]) or weight.shape[0] != given[-1]:
            return
        self.products += 1
        name = self.graph.fresh(f"{node.output[0]}_pixel")
        taps = self.graph.add_constant(weight.T.reshape(*weight.T.shape, 1, 1), f"{name}_weight")
        offset = self.graph.add_constant(np.broadcast_to(bias.reshape(-1), weight.shape[1]), f"{name}_bias")
        self.graph.add("Conv", [known, taps, offset], name, group=1, **ONE_TAP)
        self.square[node.output[0]] = name
