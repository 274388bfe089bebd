"""A transposed convolution becomes a convolution followed by a pixel shuffle.

Output row ``s*q + r`` of a transposed convolution of stride ``s`` reads the input rows ``q + t`` with the taps ``k``
for which ``s*t = r + pad - k*dilation``: each of the ``s*s`` phases is a small convolution of its own, and all of them
together are one convolution with ``s*s`` times the channels (Shi et al., "Is the deconvolution layer the same as a
convolutional layer?", 2016). Both see zeros outside of the picture, so that the borders are equal too.

Before: pads explicit, biases present. After: every ConvTranspose with equal strides is Conv -> DepthToSpace, and a
Slice where its output is not ``s`` times as large as its input; others stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from toolchain.frontend.facts import Facts
from toolchain.frontend.graph import Array, Graph, attributes
from toolchain.frontend.passes.base import graph_pass
from toolchain.frontend.passes.windows import add_crop
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


@dataclass(frozen=True)
class _Axis:
    """How an axis of a transposed convolution is computed by phases.

    Attributes:
        begin: padding at the beginning that leaves as many pixels in front as behind, if it can.
        more: inputs beyond the last, all zeros, for which phases are computed too.
        front, behind: pixels of the phases that are no result.
    """

    begin: int
    more: int
    front: int
    behind: int

    @classmethod
    def of(cls, stride: int, reach: int, pads: tuple[int, int], growth: int) -> _Axis:
        """Return that for a kernel that reaches over ``reach`` pixels."""
        exact = reach - stride == sum(pads) - growth
        begin = pads[0] if exact else max(0, min(pads[0], (reach - stride + 1) // 2))
        front = pads[0] - begin
        # The result has (size - 1) * stride + reach - pads + growth pixels, the phases size * stride.
        behind = stride - reach + sum(pads) - growth - front
        more = -min(behind, 0) // stride + (-min(behind, 0) % stride > 0)
        return cls(begin, more, front, behind + more * stride)


def _rewrite(graph: Graph, node: onnx.NodeProto) -> int:
    """Replace one node; returns its stride, 0 where it does not fit."""
    weight, bias, values = graph.operand(node, 1), graph.operand(node, 2), attributes(node)
    if weight is None or bias is None or weight.ndim != 4 or "pads" not in values:
        return 0
    strides, dilations, pads = values["strides"], values["dilations"], values["pads"]
    growth = values.get("output_padding", [0, 0])
    stride = int(strides[0])
    if strides[0] != strides[1] or min(pads) < 0:
        return 0
    reach = [(weight.shape[2 + i] - 1) * dilations[i] + 1 for i in (0, 1)]
    axes = [_Axis.of(stride, reach[i], (pads[i], pads[2 + i]), growth[i]) for i in (0, 1)]
    group = values["group"]
    spread, borders = phases(weight, stride, [axis.begin for axis in axes], dilations, group)
    target = node.output[0]
    repeat = np.repeat if group > 1 else np.tile
    inputs = [
        node.input[0],
        graph.add_constant(spread, node.input[1]),
        graph.add_constant(repeat(bias, stride**2), node.input[2]),
    ]
    graph.remove([node])
    # Rows that are cut off anyway want no padding.
    first = [min(axis.front // stride, border) for axis, border in zip(axes, borders[:2], strict=True)]
    last = [min(axis.behind // stride, border + axis.more) for axis, border in zip(axes, borders[2:], strict=True)]
    front = [axis.front - rows * stride for axis, rows in zip(axes, first, strict=True)]
    behind = [axis.behind - rows * stride for axis, rows in zip(axes, last, strict=True)]
    before = [border - rows for border, rows in zip(borders[:2], first, strict=True)]
    after = [border + axis.more - rows for axis, border, rows in zip(axes, borders[2:], last, strict=True)]
    cut = any([*front, *behind])
    whole = graph.fresh(f"{target}_whole") if cut else target
    result = whole if stride == 1 else graph.fresh(f"{target}_phases")
    graph.add(
        "Conv",
        inputs,
        result,
        kernel_shape=list(spread.shape[2:]),
        strides=[1, 1],
        dilations=[1, 1],
        pads=[*before, *after],
        group=group,
    )
    if stride > 1:
        graph.add("DepthToSpace", [result], whole, blocksize=stride, mode="CRD" if group > 1 else "DCR")
    if cut:
        add_crop(graph, whole, target, (front[0], front[1], behind[0], behind[1]))
    return stride
