"""Transposes are moved until they meet, and vanish.

They are moved down through elementwise operators and concatenations; those that meet are merged.
After: no Transpose that a later one undoes.
"""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Array, Graph, attributes, set_attribute
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.properties import CHANNELS_FIRST

_UNARY = {
    "Relu",
    "LeakyRelu",
    "Clip",
    "Sigmoid",
    "Tanh",
    "Abs",
    "Neg",
    "Elu",
    "Selu",
    "Softplus",
    "Softsign",
    "Exp",
    "Log",
    "Sqrt",
    "Floor",
    "Ceil",
    "Round",
    "HardSigmoid",
    "HardSwish",
    "Erf",
    "Cast",
    "Identity",
    "Reciprocal",
}
_BINARY = {"Add", "Sub", "Mul", "Div", "Min", "Max", "PRelu", "Pow"}


@graph_pass(requires=(CHANNELS_FIRST,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Move and merge; says what was done."""
    before = sum(n.op_type == "Transpose" for n in graph.nodes)
    for _ in range(10 * len(graph.nodes) + 10):
        if not any(_merge(graph, n) or _sink(graph, n) for n in graph.nodes):
            break
        graph.tidy()
    after = sum(n.op_type == "Transpose" for n in graph.nodes)
    return facts.said(f"removed {before - after} transposes" if after < before else "")


def _perm(node: onnx.NodeProto | None) -> list[int] | None:
    perm = attributes(node).get("perm") if node is not None and node.op_type == "Transpose" else None
    return list(perm) if perm is not None else None


def _merge(graph: Graph, node: onnx.NodeProto) -> bool:
    """Two transposes in a row are one, or none."""
    outer = _perm(node)
    if outer is None:
        return False
    if outer == sorted(outer):
        return graph.bypass(node)
    source = graph.producer(node.input[0])
    inner = _perm(source)
    if inner is None or source is None or len(inner) != len(outer):
        return False
    node.input[0] = source.input[0]
    set_attribute(node, "perm", [inner[i] for i in outer])
    graph.touch()
    return True


def _sliced(graph: Graph, node: onnx.NodeProto) -> list[int]:
    """Return the axes along which a Slice by constants cuts; none if a node is anything else."""
    if node.op_type != "Slice" or any(name and name not in graph.constants for name in node.input[1:]):
        return []
    axes = graph.operand(node, 3)
    given = np.arange(graph.constants[node.input[1]].size) if axes is None else axes.ravel() % 4
    return [int(axis) for axis in given]


def _sink(graph: Graph, node: onnx.NodeProto) -> bool:
    """op(T(x), ...) becomes T(op(x, ...))."""
    chosen = graph.operand(node, 1) if node.op_type == "Gather" else None
    axes = _sliced(graph, node)
    if node.op_type in _UNARY or axes or (chosen is not None and chosen.ndim == 1):
        moved = [0]
    elif node.op_type in _BINARY or node.op_type == "Concat":
        moved = [i for i, name in enumerate(node.input) if name not in graph.constants]
    else:
        return False
    perms = [_perm(graph.producer(node.input[i])) for i in moved]
    if not moved or perms[0] is None or len(perms[0]) != 4 or any(p != perms[0] for p in perms):
        return False
    perm = perms[0]
    constants: dict[int, Array] = {}
    for i, name in enumerate(node.input):
        value = graph.constants.get(name)
        if i in moved or node.op_type in _UNARY or node.op_type in ("Gather", "Slice") or value is None:
            continue
        if value.ndim > 4 or node.op_type == "Concat":
            return False
        full = value.reshape((1,) * (4 - value.ndim) + value.shape)
        constants[i] = full.transpose(np.argsort(perm))
    for i, value in constants.items():
        if value.size > 1:
            node.input[i] = graph.add_constant(value, node.input[i], value.dtype)
    for i in moved:
        producer = graph.producer(node.input[i])
        assert producer is not None
        node.input[i] = producer.input[0]
    if axes:
        node.input[3:4] = [graph.add_constant([perm[axis] for axis in axes], f"{node.output[0]}_axes", np.int64)]
    elif node.op_type in ("Concat", "Gather"):
        axis = attributes(node).get("axis", 0)
        set_attribute(node, "axis", perm[axis % 4])
    old = node.output[0]
    node.output[0] = graph.fresh(f"{old}_moved")
    graph.add("Transpose", [node.output[0]], old, perm=perm)
    return True
