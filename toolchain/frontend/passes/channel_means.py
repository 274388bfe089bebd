"""Sums and means over the channels of each pixel become convolutions; the largest and the smallest keep four axes.

That is spatial attention (CBAM, arXiv 1807.06521). Sums of squares and of exponentials stay as they are: 8 bits of a
square are 4 of what is squared. Before: normalization over channels has its one spelling.
"""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import ONE_TAP, Graph, attributes, set_attribute
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import shapes
from toolchain.frontend.properties import CHANNELS_FIRST

_SUMS = ("ReduceMean", "ReduceSum")
_EXTREMES = ("ReduceMax", "ReduceMin")


@graph_pass(requires=(CHANNELS_FIRST,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    found = [node for node in graph.nodes if node.op_type in (*_SUMS, *_EXTREMES) and _over_channels(graph, node)]
    sizes = shapes(graph) if found else {}
    sums = 0
    for node in found:
        shape = sizes.get(node.input[0], ())
        if len(shape) != 4 or not _keep_axes(graph, node):
            continue
        if node.op_type in _SUMS and not _is_steep(graph.producer(node.input[0])):
            _convolve(graph, node, shape[1])
            sums += 1
    graph.tidy()
    return facts.said(f"made convolutions of {sums} sums or means over channels" if sums else "")


def _over_channels(graph: Graph, node: onnx.NodeProto) -> bool:
    return graph.axes(node) in ([1], [-3])


def _keep_axes(graph: Graph, node: onnx.NodeProto) -> bool:
    """Let a node keep the axis that it reduces, if all that read it put the axis back; says whether it does."""
    if attributes(node).get("keepdims", 1):
        return True
    readers = graph.consumers(node.output[0])
    back = all(reader.op_type == "Unsqueeze" and _over_channels(graph, reader) for reader in readers)
    if node.output[0] == graph.output or not back:
        return False
    set_attribute(node, "keepdims", 1)
    for reader in readers:
        graph.bypass(reader)
    return True


def _is_steep(node: onnx.NodeProto | None) -> bool:
    """Whether a node makes squares or exponentials, most of which are too small for steps of the largest."""
    if node is None:
        return False
    return node.op_type in ("Pow", "Exp") or (node.op_type == "Mul" and node.input[0] == node.input[1])


def _convolve(graph: Graph, node: onnx.NodeProto, channels: int) -> None:
    """Put a convolution in place of a sum or mean."""
    source, target = node.input[0], node.output[0]
    weight = np.full((1, channels, 1, 1), 1 / channels if node.op_type == "ReduceMean" else 1, np.float32)
    graph.remove([node])
    taps = graph.add_constant(weight, f"{target}_weight")
    graph.add("Conv", [source, taps], target, group=1, **ONE_TAP).name = node.name or target
