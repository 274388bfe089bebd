"""Operators that do nothing are removed, and trivial spellings become the common ones.

After: no Identity, Dropout, Concat of one value, Cast of a float to float, Sum (it is Add) or Mean of several values.
"""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Graph, attributes
from toolchain.frontend.passes.base import graph_pass

_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "Pow")


@graph_pass()
def apply(graph: Graph, facts: Facts) -> Facts:
    """Remove; says what was done."""
    removed = 0
    for node in list(graph.nodes):
        if node.op_type == "Sum" and len(node.input) == 2:
            node.op_type = "Add"
        elif node.op_type == "Sum" and len(node.input) > 2:
            _chain(graph, node)
        elif node.op_type == "Mean" and len(node.input) > 1:
            _average(graph, node)
        elif _does_nothing(graph, node):
            parts = graph.split(node) if node.op_type in _ARITHMETIC else None
            removed += graph.bypass(node, parts[0] if parts else node.input[0])  # a neutral constant may stand first
    graph.tidy()
    return facts.said(f"removed {removed} operators without effect" if removed else "")


def _does_nothing(graph: Graph, node: onnx.NodeProto) -> bool:
    if node.op_type in ("Identity", "Dropout"):
        return all(not o or not graph.consumers(o) for o in node.output[1:])
    if node.op_type == "CastLike":  # all floats are float32
        constant = graph.operand(node, 0)
        return constant is not None and constant.dtype == np.float32
    if node.op_type in ("Concat", "Sum", "Max", "Min", "Mean"):
        return len(node.input) == 1
    if node.op_type in _ARITHMETIC:
        parts = graph.split(node)
        neutral = 0.0 if node.op_type in ("Add", "Sub") else 1.0
        if parts is None or parts[1].size != 1 or parts[1].ndim > 4 or float(parts[1].ravel()[0]) != neutral:
            return False
        return not parts[2] or node.op_type in ("Add", "Mul")
    if node.op_type == "Pad":
        pads = graph.operand(node, 1)
        return pads is not None and not np.any(pads)
    if node.op_type == "Transpose":
        perm = attributes(node).get("perm")
        return perm is not None and list(perm) == sorted(perm)
    return False


def _average(graph: Graph, node: onnx.NodeProto) -> None:
    """Mean(a, b) becomes Mul(Add(a, b), 0.5)."""
    total = graph.fresh(f"{node.output[0]}_total")
    graph.add("Mul", [total, graph.add_constant(1 / len(node.input), f"{total}_share")], node.output[0])
    node.op_type, node.output[0] = "Sum", total
    if len(node.input) == 2:
        node.op_type = "Add"
    else:
        _chain(graph, node)


def _chain(graph: Graph, node: onnx.NodeProto) -> None:
    """Sum(a, b, c) becomes Add(Add(a, b), c)."""
    value, rest = node.input[0], list(node.input[1:])
    graph.remove([node])
    for i, other in enumerate(rest):
        name = node.output[0] if i == len(rest) - 1 else graph.fresh(f"{node.output[0]}_part{i}")
        graph.add("Add", [value, other], name)
        value = name
