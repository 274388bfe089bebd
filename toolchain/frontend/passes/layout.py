"""Transposes are moved until they meet, and vanish.

They are moved down through elementwise operators, concatenations and what reduces axes; those that meet are merged.
Matrix products of channels that come last become convolutions of one tap, and normalization over them stands between
two transposes. After: no Transpose that a later one undoes.
"""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import ONE_TAP, TO_FIRST, TO_LAST, Array, Graph, attributes, set_attribute
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
        if not any(_merge(graph, n) or _sink(graph, n) or _convolve(graph, n) for n in graph.nodes):
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
    reduced = graph.axes(node) if _reduces(node) else []
    if node.op_type in _UNARY or axes or reduced or (chosen is not None and chosen.ndim == 1):
        moved = [0]
    elif node.op_type in _BINARY or node.op_type == "Concat":
        moved = [i for i, name in enumerate(node.input) if name not in graph.constants]
    else:
        return False
    perms = [_order(graph, node.input[i]) for i in moved]
    if not moved or perms[0] is None or len(perms[0]) != 4 or any(p != perms[0] for p in perms):
        return False
    perm = perms[0]
    constants: dict[int, Array] = {}
    for i, name in enumerate(node.input):
        value = graph.constants.get(name)
        if i in moved or node.op_type in _UNARY or reduced or node.op_type in ("Gather", "Slice") or value is None:
            continue
        if value.ndim > 4 or node.op_type == "Concat":
            return False
        full = value.reshape((1,) * (4 - value.ndim) + value.shape)
        constants[i] = full.transpose(np.argsort(perm))
    for i, value in constants.items():
        if value.size > 1:
            node.input[i] = graph.add_constant(value, node.input[i], value.dtype)
    for i in moved:
        node.input[i] = _before(graph, node.input[i])
    if reduced:
        places = [perm[axis % 4] for axis in reduced]
        if len(node.input) > 1:
            node.input[1] = graph.add_constant(places, f"{node.output[0]}_axes", np.int64)
        else:
            set_attribute(node, "axes", places)
    elif axes:
        node.input[3:4] = [graph.add_constant([perm[axis] for axis in axes], f"{node.output[0]}_axes", np.int64)]
    elif node.op_type in ("Concat", "Gather"):
        axis = attributes(node).get("axis", 0)
        set_attribute(node, "axis", perm[axis % 4])
    old = node.output[0]
    node.output[0] = graph.fresh(f"{old}_moved")
    graph.add("Transpose", [node.output[0]], old, perm=perm)
    return True


def _reduces(node: onnx.NodeProto) -> bool:
    """Whether a node reduces axes and keeps them."""
    return node.op_type.startswith("Reduce") and bool(attributes(node).get("keepdims", 1))


def _convolve(graph: Graph, node: onnx.NodeProto) -> bool:
    """T(x) times a matrix becomes T(a convolution of x)."""
    weight = graph.operand(node, 1) if node.op_type == "MatMul" else None
    if weight is None or weight.ndim != 2 or _order(graph, node.input[0]) != TO_LAST:
        return False
    target = node.output[0]
    graph.remove([node])
    moved = graph.fresh(f"{target}_moved")
    taps = graph.add_constant(weight.T.reshape(*weight.T.shape, 1, 1), f"{target}_weight")
    graph.add("Conv", [_before(graph, node.input[0]), taps], moved, group=1, **ONE_TAP).name = node.name or moved
    graph.add("Transpose", [moved], target, perm=TO_LAST)
    return True


def _order(graph: Graph, name: str) -> list[int] | None:
    """Return the order of axes of a tensor that a Transpose made, or normalized over the channels that it put last."""
    maker = graph.producer(name)
    if _normalizes(graph, maker):
        return TO_LAST
    stays = maker is not None and maker.op_type == "Transpose" and _normalizes(graph, graph.producer(maker.input[0]))
    return None if stays else _perm(maker)


def _normalizes(graph: Graph, node: onnx.NodeProto | None) -> bool:
    """Whether a node normalizes over channels that a Transpose put last."""
    if node is None or node.op_type != "LayerNormalization" or attributes(node).get("axis", -1) not in (-1, 3):
        return False
    return _perm(graph.producer(node.input[0])) == TO_LAST


def _before(graph: Graph, name: str) -> str:
    """Return a tensor that has an `_order` in the order before."""
    maker = graph.producer(name)
    assert maker is not None
    if maker.op_type == "Transpose":
        return str(maker.input[0])
    back = next((user.output[0] for user in graph.consumers(name) if _perm(user) == TO_FIRST), "")
    if not back:
        back = graph.fresh(f"{name}_first")
        graph.add("Transpose", [name], back, perm=TO_FIRST)
    return back
