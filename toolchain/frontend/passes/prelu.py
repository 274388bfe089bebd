"""Activations that are bent at zero and spelled out with Relu, Abs, Neg, Mul, Max ... become PRelu.

The operators allowed are positively homogeneous (f(t x) = t f(x) for t > 0), so that the values at +1 and -1 say
everything: a slope of one above zero and of ``b`` below it is PRelu(b).
After: no decomposed PReLU, Leaky ReLU or ReLU.
"""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Array, Graph, attributes
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import shapes
from toolchain.frontend.properties import CHANNELS_FIRST

_JOINS = ("Add", "Sub", "Max", "Min")
_INNER = (*_JOINS, "Relu", "Neg", "Abs", "Mul", "Div", "LeakyRelu")
_MAX_MEMBERS = 12


@graph_pass(requires=(CHANNELS_FIRST,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    found = 0
    sizes = shapes(graph)
    # From the end: the largest decomposition comes first.
    for node in list(reversed(graph.nodes)):
        if node.op_type not in _JOINS or id(graph.producer(node.output[0])) != id(node):
            continue
        match = next((m for m in (_slope(graph, node, s, sizes) for s in _ancestors(graph, node)) if m), None)
        if match is None:
            continue
        source, slope = match
        target: str = node.output[0]
        graph.remove([node])
        if not np.any(slope):
            graph.add("Relu", [source], target)
        else:
            graph.add("PRelu", [source, graph.add_constant(slope, f"{target}_slope")], target)
        graph.tidy()  # what else belonged to it dies with it
        found += 1
    return facts.said(f"recognized {found} spelled-out activations" if found else "")


def _ancestors(graph: Graph, end: onnx.NodeProto) -> list[str]:
    """Values on which ``end`` depends through homogeneous operators, the nearest first."""
    found: list[str] = []
    queue = [end] if _homogeneous(graph, end) else []
    while queue and len(found) <= _MAX_MEMBERS:
        node = queue.pop(0)
        for name in node.input:
            if name in graph.constants or name in found:
                continue
            found.append(name)
            producer = graph.producer(name)
            if producer is not None and producer.op_type in _INNER and _homogeneous(graph, producer):
                queue.append(producer)
    return found


def _slope(
    graph: Graph, end: onnx.NodeProto, source: str, sizes: dict[str, tuple[int, ...]]
) -> tuple[str, Array] | None:
    """(source, slope) if ``end`` is PRelu(source, slope); slope (C, 1, 1)."""
    members = _between(graph, end, source)
    shape = sizes.get(source)
    if members is None or shape is None or len(shape) != 4:
        return None
    up, down = (_evaluate(graph, members, end, source, np.full((1, shape[1], 1, 1), v)) for v in (1.0, -1.0))
    if up is None or down is None or not np.allclose(up, 1.0, rtol=1e-6, atol=0):
        return None
    return source, -down.reshape(-1, 1, 1)


def _between(graph: Graph, end: onnx.NodeProto, source: str) -> list[onnx.NodeProto] | None:
    """Return the nodes, in order, through which ``end`` depends on ``source`` and on nothing else computed."""
    members: list[onnx.NodeProto] = []
    seen: set[str] = {source}

    def visit(name: str) -> bool:
        if name in seen or name in graph.constants:
            return True
        seen.add(name)
        node = graph.producer(name)
        if node is None or node.op_type not in _INNER or not _homogeneous(graph, node) or len(members) > _MAX_MEMBERS:
            return False
        if not all(visit(i) for i in node.input):
            return False
        members.append(node)
        return True

    if not visit(end.output[0]) or len(members) > _MAX_MEMBERS:
        return None
    # A single Max(x, 0) is complete; in all else nothing inside may be used outside, or nothing would be won.
    inside = {id(m) for m in members}
    if any(id(u) not in inside for m in members if m is not end for u in graph.consumers(m.output[0])):
        return None
    return members


def _homogeneous(graph: Graph, node: onnx.NodeProto) -> bool:
    constants = [graph.constants[i] for i in node.input if i in graph.constants]
    if node.op_type in ("Relu", "Neg", "Abs", "LeakyRelu"):
        return not constants
    if len(node.input) != 2 or len(constants) > 1:
        return False
    if node.op_type in ("Mul", "Div"):
        if not constants or (node.op_type == "Div" and node.input[0] in graph.constants):
            return False
        shape = (1,) * (4 - constants[0].ndim) + constants[0].shape
        return len(shape) == 4 and shape[0] == shape[2] == shape[3] == 1
    return not constants or (node.op_type in ("Max", "Min") and not np.any(constants[0]) and constants[0].size == 1)


def _evaluate(graph: Graph, members: list[onnx.NodeProto], end: onnx.NodeProto, source: str, x: Array) -> Array | None:
    values: dict[str, Array] = {source: x}
    for node in members:
        args = [values[i] if i in values else graph.constants[i].astype(np.float64) for i in node.input]
        try:
            values[node.output[0]] = _one(node, args)
        except ValueError:
            return None
    result = values[end.output[0]]
    return result if result.shape == x.shape else None


def _one(node: onnx.NodeProto, args: list[Array]) -> Array:
    a, b = args[0], args[-1]
    result: Array
    match node.op_type:
        case "Relu":
            result = np.maximum(a, 0)
        case "LeakyRelu":
            result = np.where(a < 0, a * attributes(node).get("alpha", 0.01), a)
        case "Neg":
            result = -a
        case "Abs":
            result = np.abs(a)
        case "Mul":
            result = a * b
        case "Div":
            result = a / b
        case "Add":
            result = a + b
        case "Sub":
            result = a - b
        case "Max":
            result = np.maximum(a, b)
        case _:
            result = np.minimum(a, b)
    return result
