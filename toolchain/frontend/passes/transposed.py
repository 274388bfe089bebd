"""A transposed convolution becomes a convolution followed by a pixel shuffle.

Output row ``s*q + r`` of a transposed convolution of stride ``s`` reads the input rows ``q + t`` with the taps ``k``
for which ``s*t = r + pad - k*dilation``: each of the ``s*s`` phases is a small convolution of its own, and all of them
together are one convolution with ``s*s`` times the channels (Shi et al., "Is the deconvolution layer the same as a
convolutional layer?", 2016). Both see zeros outside of the picture, so that the borders are equal too.

Before: pads explicit, biases present. After: every ConvTranspose with equal strides whose output is ``s`` times as
large as its input is Conv -> DepthToSpace; what does not fit stays.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Array, Graph, attributes
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.properties import BIASES, EXPLICIT_PADS, NO_TRANSPOSED


@graph_pass(
    requires=(
        EXPLICIT_PADS,
        BIASES,
    ),
    ensures=(NO_TRANSPOSED,),
)
def apply(graph: Graph, facts: Facts) -> Facts:
    """Rewrite; says what was done."""
    strides = [_rewrite(graph, node) for node in list(graph.nodes) if node.op_type == "ConvTranspose"]
    graph.tidy()
    done = [str(stride) for stride in strides if stride]
    text = "turned transposed convolutions into convolutions with a pixel shuffle: stride "
    return facts.said(text + ", ".join(done) if done else "")


def phases(
    weight: Array, stride: int, begin: Sequence[int], dilations: Sequence[int], group: int = 1
) -> tuple[Array, tuple[int, int, int, int]]:
    """Return the convolution that computes all phases of a transposed convolution.

    Args:
        weight: (I, O / group, kh, kw).
        stride: in both directions.
        begin: padding at the top and at the left.
        dilations: vertical, horizontal.
        group: groups of channels.

    Returns:
        Weights (O * stride**2, I / group, kh', kw') and pads (top, left, bottom, right) that keep the picture's size.
        The output channels are in the order of DepthToSpace DCR without groups, CRD with them.
    """
    inputs, per_group = weight.shape[:2]
    taps = [_taps(weight.shape[2 + axis], stride, begin[axis], dilations[axis]) for axis in (0, 1)]
    low = [min(0, *(t for _, t, _ in found)) for found in taps]
    high = [max(0, *(t for _, t, _ in found)) for found in taps]
    size = [h - lo + 1 for lo, h in zip(low, high, strict=True)]
    spread = np.zeros((group, stride, stride, per_group, inputs // group, *size), weight.dtype)
    grouped = weight.reshape(group, inputs // group, per_group, *weight.shape[2:]).transpose(0, 2, 1, 3, 4)
    for row, y, top in taps[0]:
        for column, x, left in taps[1]:
            spread[:, top, left, :, :, y - low[0], x - low[1]] = grouped[..., row, column]
    if group > 1:
        spread = spread.transpose(0, 3, 1, 2, 4, 5, 6)
    return spread.reshape(-1, inputs // group, *size), (-low[0], -low[1], high[0], high[1])


def _taps(kernel: int, stride: int, begin: int, dilation: int) -> list[tuple[int, int, int]]:
    """(tap, input offset, phase) of every tap along one axis."""
    found = []
    for tap in range(kernel):
        phase = (tap * dilation - begin) % stride
        found.append((tap, (phase + begin - tap * dilation) // stride, phase))
    return found


def _rewrite(graph: Graph, node: onnx.NodeProto) -> int:
    """Replace one node; returns its stride, 0 where it does not fit."""
    weight, bias, values = graph.operand(node, 1), graph.operand(node, 2), attributes(node)
    if weight is None or bias is None or weight.ndim != 4 or "pads" not in values:
        return 0
    strides, dilations, pads = values["strides"], values["dilations"], values["pads"]
    growth = values.get("output_padding", [0, 0])
    stride = int(strides[0])
    reach = [(weight.shape[2 + i] - 1) * dilations[i] + 1 for i in (0, 1)]
    if strides[0] != strides[1] or any(pads[i] + pads[2 + i] - growth[i] != reach[i] - stride for i in (0, 1)):
        return 0
    group = values["group"]
    spread, borders = phases(weight, stride, pads[:2], dilations, group)
    target = node.output[0]
    repeat = np.repeat if group > 1 else np.tile
    inputs = [
        node.input[0],
        graph.add_constant(spread, node.input[1]),
        graph.add_constant(repeat(bias, stride**2), node.input[2]),
    ]
    graph.remove([node])
    result = target if stride == 1 else graph.fresh(f"{target}_phases")
    graph.add(
        "Conv",
        inputs,
        result,
        kernel_shape=list(spread.shape[2:]),
        strides=[1, 1],
        dilations=[1, 1],
        pads=list(borders),
        group=group,
    )
    if stride > 1:
        graph.add("DepthToSpace", [result], target, blocksize=stride, mode="CRD" if group > 1 else "DCR")
    return stride
