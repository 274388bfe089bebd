"""Layer normalization over the channels of each pixel gets one spelling, with its gains and offsets.

Exporters write out what networks define themselves (mean, difference, mean of its squares, root, quotient). After: it
is Transpose to channels last, LayerNormalization, and Transpose back.
"""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import TO_FIRST, TO_LAST, Array, Graph, attributes
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import shapes


@graph_pass()
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    roots = [node for node in graph.nodes if node.op_type == "Sqrt"]
    sizes = shapes(graph) if roots else {}
    found = sum(_rewrite(graph, node, sizes) for node in roots)
    for node in graph.nodes:
        gains = graph.operand(node, 1) if node.op_type == "LayerNormalization" else None
        if gains is not None and len(node.input) == 2:
            node.input.append(graph.add_constant(np.zeros(gains.shape), f"{node.output[0]}_offset"))
    graph.tidy()
    return facts.said(f"spelled {found} normalizations over channels as LayerNormalization" if found else "")


def _rewrite(graph: Graph, root: onnx.NodeProto, sizes: dict[str, tuple[int, ...]]) -> bool:
    """Take the normalization that divides by ``root``."""
    known = _deviation(graph, root)
    quotient = graph.sole_consumer(root.output[0])
    if known is None or quotient is None:
        return False
    source, epsilon = known
    if quotient.op_type == "Reciprocal":
        inverse = quotient.output[0]
        quotient = graph.sole_consumer(inverse)
        if quotient is None or quotient.op_type != "Mul":
            return False
        centred = next((name for name in quotient.input if name != inverse), "")
    elif quotient.op_type == "Div" and quotient.input[1] == root.output[0]:
        centred = quotient.input[0]
    else:
        return False
    shape = sizes.get(source, ())
    if _centred(graph, centred) != source or len(shape) != 4:
        return False
    last, gains, offsets = scaled_after(graph, quotient, shape[1])
    target = last.output[0]
    graph.remove([last])
    names = [graph.add_constant(value, f"{target}_{what}") for value, what in ((gains, "gain"), (offsets, "offset"))]
    across, normal = (graph.fresh(f"{target}_{what}") for what in ("across", "normal"))
    graph.add("Transpose", [source], across, perm=TO_LAST)
    graph.add("LayerNormalization", [across, *names], normal, axis=-1, epsilon=epsilon)
    graph.add("Transpose", [normal], target, perm=TO_FIRST)
    return True


def _deviation(graph: Graph, root: onnx.NodeProto) -> tuple[str, float] | None:
    """Return the tensor whose standard deviation over channels a Sqrt is, and what is added to the variance."""
    total = graph.producer(root.input[0])
    parts = graph.split(total) if total is not None and total.op_type == "Add" else None
    if parts is None or parts[1].size != 1 or not float(parts[1].ravel()[0]) > 0:
        return None
    mean = graph.producer(parts[0])
    square = graph.producer(mean.input[0]) if mean is not None and _over_channels(graph, mean) else None
    if square is None:
        return None
    exponent = graph.operand(square, 1)
    twice = square.op_type == "Pow" and exponent is not None and exponent.size == 1 and exponent.ravel()[0] == 2
    if not twice and not (square.op_type == "Mul" and square.input[0] == square.input[1]):
        return None
    source = _centred(graph, square.input[0])
    return (source, float(parts[1].ravel()[0])) if source else None


def _centred(graph: Graph, name: str) -> str:
    """Return the tensor of which ``name`` is what it is less its mean over channels; empty if it is anything else."""
    node = graph.producer(name)
    mean = graph.producer(node.input[1]) if node is not None and node.op_type == "Sub" else None
    if node is None or mean is None or not _over_channels(graph, mean) or mean.input[0] != node.input[0]:
        return ""
    return str(node.input[0])


def _over_channels(graph: Graph, node: onnx.NodeProto) -> bool:
    if node.op_type != "ReduceMean":
        return False
    return graph.axes(node) in ([1], [-3]) and bool(attributes(node).get("keepdims", 1))


def scaled_after(graph: Graph, node: onnx.NodeProto, channels: int) -> tuple[onnx.NodeProto, Array, Array]:
    """Return the last of ``node`` and the Mul and Add by constants that alone read it, and those: float64 (C,)."""
    gains, offsets = np.ones(channels), np.zeros(channels)
    factor = _constant(graph, node, "Mul", channels)
    if factor is not None:
        node, gains = factor
    addend = _constant(graph, node, "Add", channels)
    if addend is not None:
        node, offsets = addend
    return node, gains, offsets


def _constant(graph: Graph, node: onnx.NodeProto, kind: str, channels: int) -> tuple[onnx.NodeProto, Array] | None:
    """Return the Mul or Add by constants, one or one a channel, that alone reads ``node``, and them."""
    reader = graph.sole_consumer(node.output[0])
    parts = graph.split(reader) if reader is not None and reader.op_type == kind else None
    if reader is None or parts is None:
        return None
    value = parts[1]
    if value.size != 1 and not (value.size == channels and value.ndim in (3, 4) and value.shape[-3] == channels):
        return None
    return reader, np.broadcast_to(value.astype(np.float64).reshape(-1), channels)
