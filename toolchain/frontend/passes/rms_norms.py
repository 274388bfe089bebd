"""Division by the root of a pixel's mean square, or by its length, becomes normalization over channels.

The mean of x and -x is zero, and their variance the mean square of x: LayerNormalization of both side by side, of which
the first half is kept. Before: channels first, writes of channels are recognized.
"""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import ONE_TAP, TO_FIRST, TO_LAST, Graph, attributes
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.passes.layer_norms import scaled_after
from toolchain.frontend.probe import shapes
from toolchain.frontend.properties import CHANNELS_FIRST

_LARGEST = 1e-4
"""An epsilon that is added to the root counts as one that is added to its square where it is no larger."""
_SMALLEST = 1e-30
"""Epsilon that is a number in float32, and its root's inverse too."""


@graph_pass(requires=(CHANNELS_FIRST,))
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    starts = [node for node in graph.nodes if node.op_type in ("ReduceMean", "ReduceL2")]
    sizes = shapes(graph) if starts else {}
    found = sum(_rewrite(graph, node, sizes) for node in starts)
    graph.tidy()
    return facts.said(f"spelled {found} normalizations by root mean squares as LayerNormalization" if found else "")


def _rewrite(graph: Graph, start: onnx.NodeProto, sizes: dict[str, tuple[int, ...]]) -> bool:
    """Take the normalization that begins with a mean of squares, or a length."""
    if graph.axes(start) not in ([1], [-3]) or not attributes(start).get("keepdims", 1):
        return False
    source = start.input[0] if start.op_type == "ReduceL2" else _squared(graph, graph.producer(start.input[0]))
    shape = sizes.get(source, ())
    known = _root(graph, start, shape[1]) if len(shape) == 4 else None
    quotient = _quotient(graph, known[0], source) if known is not None else None
    if known is None or quotient is None:
        return False
    (_, epsilon, gain), channels = known, shape[1]
    last, gains, offsets = scaled_after(graph, quotient, channels)
    target = last.output[0]
    graph.remove([last])
    both, across, normal, back = (graph.fresh(f"{target}_{what}") for what in ("both", "across", "normal", "back"))
    signs = np.concatenate([np.eye(channels), -np.eye(channels)]).reshape(2 * channels, channels, 1, 1)
    halves = (("gain", gain * gains), ("offset", offsets))
    names = [graph.add_constant(np.append(half, np.zeros(channels)), f"{target}_{what}") for what, half in halves]
    graph.add("Conv", [source, graph.add_constant(signs, f"{target}_signs")], both, group=1, **ONE_TAP)
    graph.add("Transpose", [both], across, perm=TO_LAST)
    graph.add("LayerNormalization", [across, *names], normal, axis=-1, epsilon=epsilon)
    graph.add("Transpose", [normal], back, perm=TO_FIRST)
    kept = graph.add_constant(np.arange(channels), f"{target}_channels", np.int64)
    graph.add("Gather", [back, kept], target, axis=1)
    return True


def _squared(graph: Graph, node: onnx.NodeProto | None) -> str:
    """Return the tensor whose squares a node makes; empty if it is anything else."""
    if node is None:
        return ""
    exponent = graph.operand(node, 1) if node.op_type == "Pow" else None
    twice = exponent is not None and exponent.size == 1 and exponent.item() == 2
    return str(node.input[0]) if twice or (node.op_type == "Mul" and node.input[0] == node.input[1]) else ""


def _root(graph: Graph, start: onnx.NodeProto, channels: int) -> tuple[str, float, float] | None:
    """Return the tensor that is divided by, what is added to the mean square within it, and by how much the quotient is
    larger than one by the root of the mean square.
    """
    node = graph.sole_consumer(start.output[0])
    if start.op_type == "ReduceMean":
        epsilon = _number(graph, node, "Add")
        root = graph.sole_consumer(node.output[0]) if node is not None and epsilon is not None else None
        return (root.output[0], epsilon, 1.0) if root is not None and root.op_type == "Sqrt" and epsilon else None
    factor = _number(graph, node, "Mul") or 1.0
    if node is not None and node.op_type == "Mul":
        node = graph.sole_consumer(node.output[0])
    least = _number(graph, node, "Add") or _number(graph, node, "Max") or _number(graph, node, "Clip")
    if node is None or least is None or not 0 < least <= _LARGEST or factor < 0:
        return None
    scale = factor * channels**0.5
    return node.output[0], max((least / scale) ** 2, _SMALLEST), 1 / scale


def _number(graph: Graph, node: onnx.NodeProto | None, kind: str) -> float | None:
    """Return the one number that a node of a kind takes beside a tensor; of a Clip the lower limit, if that is all."""
    if node is None or node.op_type != kind:
        return None
    if kind == "Clip":
        low, high = graph.operand(node, 1), graph.operand(node, 2)
        alone = high is None or high.item() > 1e30
        return float(low.item()) if low is not None and alone else None
    parts = graph.split(node)
    return float(parts[1].item()) if parts is not None and parts[1].size == 1 else None


def _quotient(graph: Graph, root: str, source: str) -> onnx.NodeProto | None:
    """Return the node that makes ``source`` divided by ``root``, which nothing else reads."""
    node = graph.sole_consumer(root)
    indices = graph.operand(node, 1) if node is not None and node.op_type == "Gather" else None
    if node is not None and indices is not None and not indices.any():  # one channel repeated
        root, node = node.output[0], graph.sole_consumer(node.output[0])
    if node is None:
        return None
    if node.op_type == "Div" and list(node.input) == [source, root]:
        return node
    one = graph.operand(node, 0)
    inverts = node.op_type == "Reciprocal" or (node.op_type == "Div" and one is not None and bool(np.all(one == 1)))
    product = graph.sole_consumer(node.output[0]) if inverts else None
    if product is None or product.op_type != "Mul" or sorted(product.input) != sorted((source, node.output[0])):
        return None
    return product
