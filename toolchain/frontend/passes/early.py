"""Activations, other functions and sums move before the pixel shuffle: there they are part of the convolution's kernel,
or read what it makes, which nothing else needs in codes of 8 bits.

What treats all pixels of a channel alike commutes with moving pixels. After: no pixel shuffle is followed by an
activation or a function of single numbers, nor are two alike added.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Array, Graph, attributes
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.properties import CLIPS

_FUNCTIONS = (
    *("Relu", "LeakyRelu", "Clip", "Elu", "Selu", "Celu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Softplus"),
    *("Softsign", "ThresholdedRelu", "Pow", "Sqrt", "Exp", "Log", "Abs", "Neg", "Erf"),
)
"""What is the same for all pixels of all channels, where constants are single numbers."""


@graph_pass(requires=(CLIPS,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    done: list[str] = []
    while _step(graph, done):
        graph.tidy()
    return facts.said(f"moved {', '.join(done)} before the pixel shuffle" if done else "")


def _step(graph: Graph, done: list[str]) -> bool:
    for shuffle in graph.nodes:
        if shuffle.op_type != "DepthToSpace":
            continue
        user = graph.sole_consumer(shuffle.output[0])
        if user is None:
            continue
        swapped = _activation(graph, shuffle, user) if user.op_type != "Add" else _sum(graph, user)
        if swapped:
            done.append(user.op_type)
            return True
    return False


def _activation(graph: Graph, shuffle: onnx.NodeProto, user: onnx.NodeProto) -> bool:
    inputs = list(user.input[1:])
    if user.input[0] != shuffle.output[0] or any(name and graph.constant(name) is None for name in inputs):
        return False
    if user.op_type == "PRelu":
        slope = graph.constants[inputs[0]]
        if slope.ndim != 3 or slope.shape[1:] != (1, 1):
            return False
        inputs = [graph.add_constant(_spread(slope, shuffle), inputs[0])]
    elif user.op_type not in _FUNCTIONS or any(graph.constants[name].size != 1 for name in inputs if name):
        return False
    _swap(graph, shuffle, user, [shuffle.input[0], *inputs])
    return True


def _sum(graph: Graph, user: onnx.NodeProto) -> bool:
    pair = [graph.sole_producer(name, "DepthToSpace") for name in user.input]
    if len(pair) != 2 or pair[0] is None or pair[1] is None or _moves(pair[0]) != _moves(pair[1]):
        return False
    sources = [pair[0].input[0], pair[1].input[0]]
    graph.remove([pair[1]])
    _swap(graph, pair[0], user, sources)
    return True


def _spread(values: Array, shuffle: onnx.NodeProto) -> Array:
    """One value a channel (C, 1, 1) for the channels before the shuffle, (C * blocksize**2, 1, 1)."""
    moves = _moves(shuffle)
    repeat = np.repeat if moves["mode"] == "CRD" else np.tile
    return np.asarray(repeat(values.reshape(-1), moves["blocksize"] ** 2)).reshape(-1, 1, 1)


def _moves(shuffle: onnx.NodeProto) -> dict[str, Any]:
    return {"mode": "DCR", **attributes(shuffle)}


def _swap(graph: Graph, shuffle: onnx.NodeProto, user: onnx.NodeProto, inputs: list[str]) -> None:
    """``user`` reads ``inputs`` and the shuffle reads ``user``; the result keeps its name."""
    target = user.output[0]
    early = graph.add(user.op_type, inputs, graph.fresh(f"{target}_early"))
    early.attribute.extend(user.attribute)
    graph.remove([shuffle, user])
    graph.add("DepthToSpace", [early.output[0]], target, **_moves(shuffle))
