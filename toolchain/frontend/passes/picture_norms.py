"""Normalization over the whole picture, of each channel or of groups of them, becomes what kernels compute.

Before: InstanceNormalization, of the picture or of its groups of channels laid in rows, as exporters write
GroupNormalization. After: x - mean(x), times the inverse of the root of the mean of its squares. Both means are global
pooling, those of groups are mixed by a convolution of one tap; the inverse is a table of the numbers of single pixels.
"""

from __future__ import annotations

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import ONE_TAP, Array, Graph, attributes
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.probe import shapes

_EPSILON = 1e-5
"""ONNX's default."""


@graph_pass()
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    found = [node for node in graph.nodes if node.op_type == "InstanceNormalization"]
    sizes = shapes(graph) if found else {}
    done = sum(_rewrite(graph, node, sizes) for node in found)
    graph.tidy()
    return facts.said(f"wrote {done} normalizations over the picture as means and products" if done else "")


def _rewrite(graph: Graph, node: onnx.NodeProto, sizes: dict[str, tuple[int, ...]]) -> bool:
    """Take a normalization, if its tensor has four axes or is made of one that has."""
    gains, offsets = graph.operand(node, 1), graph.operand(node, 2)
    before, last = graph.producer(node.input[0]), node
    source, groups = node.input[0], 0
    shape = sizes.get(source, ())
    if len(shape) == 3 and before is not None and before.op_type == "Reshape":
        source, groups = before.input[0], shape[1]
        after, shape = graph.sole_consumer(node.output[0]), sizes.get(source, ())
        if after is None or after.op_type != "Reshape" or sizes.get(after.output[0]) != shape:
            return False
        last = after
    if gains is None or offsets is None or len(shape) != 4 or shape[1] % (groups or 1):
        return False
    channels, target = shape[1], last.output[0]
    graph.remove([node] if last is node else [node, last])
    together = channels // (groups or channels)
    gains, offsets = (np.repeat(value.astype(np.float64), channels // value.size) for value in (gains, offsets))
    mean = _mean(graph, source, together, channels, -1.0)
    far = graph.add("Add", [source, mean], graph.fresh(f"{target}_far")).output[0]
    square = graph.add("Mul", [far, far], graph.fresh(f"{target}_square")).output[0]
    variance = _mean(graph, square, together, channels, 1.0)
    epsilon = graph.add_constant(attributes(node).get("epsilon", _EPSILON), f"{target}_epsilon")
    total = graph.add("Add", [variance, epsilon], graph.fresh(f"{target}_total")).output[0]
    root = graph.add("Sqrt", [total], graph.fresh(f"{target}_root")).output[0]
    inverse = graph.add("Reciprocal", [root], graph.fresh(f"{target}_inverse")).output[0]
    inverse = _with(graph, "Mul", inverse, gains, 1.0)
    normal = graph.add("Mul", [far, inverse], graph.fresh(f"{target}_normal")).output[0]
    graph.rename(_with(graph, "Add", normal, offsets, 0.0), target)
    return True


def _mean(graph: Graph, source: str, together: int, channels: int, sign: float) -> str:
    """Return the mean over the picture and over each ``together`` channels, times ``sign``, for every channel."""
    pooled = str(graph.add("GlobalAveragePool", [source], graph.fresh(f"{source}_mean")).output[0])
    if together == 1 and sign == 1:
        return pooled
    blocks = channels // together if together == 1 else 1
    weights = np.kron(np.eye(channels // together), np.full((together, together), sign / together))
    taps = weights.diagonal()[:, None] if blocks > 1 else weights
    name = graph.fresh(f"{pooled}_mixed")
    stored = graph.add_constant(taps[:, :, None, None], f"{name}_weight")
    zeros = graph.add_constant(np.zeros(channels), f"{name}_bias")
    graph.add("Conv", [pooled, stored, zeros], name, group=blocks, **ONE_TAP)
    return name


def _with(graph: Graph, kind: str, name: str, numbers: Array, nothing: float) -> str:
    """Return what an operator makes of a tensor and a number for each channel; itself if all do ``nothing``."""
    if np.all(numbers == nothing):
        return name
    constant = graph.add_constant(numbers.reshape(1, -1, 1, 1), f"{name}_by")
    return str(graph.add(kind, [name, constant], graph.fresh(f"{name}_{kind.lower()}")).output[0])
