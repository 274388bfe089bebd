"""Parallel convolutions of one input, concatenated, become one convolution.

Before: biases present, pads explicit. After: no two neighbours in a Concat over channels are convolutions (each
followed by the same activation, or none) of the same input with the same geometry.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Array, Graph, attributes, set_attribute
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.properties import BIASES, EXPLICIT_PADS

Branch = tuple[onnx.NodeProto, "onnx.NodeProto | None"]


@graph_pass(
    requires=(
        EXPLICIT_PADS,
        BIASES,
    )
)
def apply(graph: Graph, facts: Facts) -> Facts:
    """Merge; says what was done."""
    merged: list[int] = []
    for node in [n for n in graph.nodes if n.op_type == "Concat"]:
        if attributes(node).get("axis") not in (1, -3):
            continue
        branches = [_branch(graph, name) for name in node.input]
        inputs: list[str] = []
        position = 0
        for key, run in itertools.groupby(branches, lambda b: _key(graph, b)):
            group = list(run)
            if key is None or len(group) < 2:
                inputs += node.input[position : position + len(group)]
            else:
                inputs.append(_merge(graph, [b for b in group if b is not None]))
                merged.append(len(group))
            position += len(group)
        del node.input[:]
        node.input.extend(inputs)
        graph.touch()
        if len(inputs) == 1:
            graph.bypass(node)
    graph.tidy()
    return facts.said("merged parallel convolutions: " + ", ".join(f"{n} into one" for n in merged) if merged else "")


def _branch(graph: Graph, name: str) -> Branch | None:
    """(convolution, activation or None) that alone lead to a value."""
    node = graph.sole_producer(name)
    activation = None
    if node is not None and node.op_type in ("Relu", "LeakyRelu", "PRelu", "Clip"):
        activation, node = node, graph.sole_producer(node.input[0])
    if node is None or node.op_type != "Conv" or len(node.input) != 3:
        return None
    if any(graph.operand(node, i) is None for i in (1, 2)):
        return None
    return node, activation


def _key(graph: Graph, branch: Branch | None) -> Any:
    """Equal for branches that can be one; None for what cannot."""
    if branch is None:
        return None
    conv, activation = branch
    values = attributes(conv)
    if values.get("group", 1) != 1 or "pads" not in values:
        return None
    geometry = tuple((k, str(values[k])) for k in sorted(values))
    if activation is None:
        return conv.input[0], geometry, None
    operands = [graph.operand(activation, i) for i in range(1, len(activation.input))]
    if any(o is None for o, name in zip(operands, activation.input[1:], strict=True) if name):
        return None
    if activation.op_type == "PRelu":  # slopes are concatenated
        count = conv_channels(graph, conv)
        fits = operands[0] is not None and operands[0].shape == (count, 1, 1)
        return (conv.input[0], geometry, "PRelu") if fits else None
    numbers = tuple(None if o is None else float(o.ravel()[0]) for o in operands)
    return conv.input[0], geometry, activation.op_type, numbers, str(attributes(activation))


def conv_channels(graph: Graph, conv: onnx.NodeProto) -> int:
    """Output channels of a Conv with constant weights."""
    weight = graph.operand(conv, 1)
    assert weight is not None
    return int(weight.shape[0])


def _merge(graph: Graph, branches: list[Branch]) -> str:
    """One convolution (and activation) in place of several; returns the name of its result."""
    convs = [conv for conv, _ in branches]
    activations = [activation for _, activation in branches if activation is not None]

    def joined(nodes: list[onnx.NodeProto], position: int) -> str:
        arrays: list[Array] = [graph.constants[n.input[position]] for n in nodes]
        return graph.add_constant(np.concatenate(arrays), nodes[0].input[position])

    first = convs[0]
    inputs = [first.input[0], joined(convs, 1), joined(convs, 2)]
    graph.remove([*convs, *activations])  # the first one's names go on
    conv = graph.add("Conv", inputs, first.output[0])
    for key, value in attributes(first).items():
        set_attribute(conv, key, value)
    result: str = conv.output[0]
    if activations:
        head = activations[0]
        inputs = [joined(activations, 1)] if head.op_type == "PRelu" else list(head.input[1:])
        activation = graph.add(head.op_type, [result, *inputs], head.output[0])
        activation.attribute.extend(head.attribute)
        result = activation.output[0]
    return result
