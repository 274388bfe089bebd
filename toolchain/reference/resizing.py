"""Interpolation in integer arithmetic: how a QDQ graph spells it, and what it makes of codes.

Rows come first: the weighted sum of codes less their zero point, of which so many bits are rounded off that products
with the weights of columns, added up, fit into 32. Their sums are the accumulators. Bytes keep six bits of a fraction
in between, with which enlargements by two and four lose nothing where they are linear.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.frontend.fixed_point import WEIGHT_BITS, Resizing, axis_weights, read_resizing, read_sized
from toolchain.reference.graph import GraphView
from toolchain.reference.quantization import CodeArray, Quantization
from toolchain.reference.steps import Activation, Codes, ResizeStep

Peel = Callable[[str], tuple[Activation | None, onnx.NodeProto | None]]
"""Splits a tensor into its last activation and the node before that."""


@dataclass(frozen=True)
class Precision:
    """How many bits of the rows' sums are rounded off: 8 where codes are bytes, 15 of 16."""

    dropped: int

    @classmethod
    def of(cls, codes: Quantization) -> Precision:
        """Return that for codes."""
        return cls(15 if codes.wide else 8)

    @property
    def fraction(self) -> int:
        """Bits of the accumulators behind the point."""
        return 2 * WEIGHT_BITS - self.dropped


def read_resize(view: GraphView, codes: Mapping[str, Codes], out: Codes, tensor: str, peel: Peel) -> ResizeStep | None:
    """Match Resize -> [Add] -> [activation], from the end on."""
    after, maker = peel(tensor)
    if maker is None:
        return None
    if maker.op_type == "Add" and not (after is not None and after.slopes is not None):
        for inner, residual in (tuple(maker.input), tuple(reversed(maker.input))):
            node = view.producers.get(inner)
            found = _read(node, view, codes) if node is not None and residual in codes else None
            if found is not None:
                return ResizeStep(out, found.source, found.resizing, codes[residual], after, found.picture)
        return None
    found = _read(maker, view, codes)
    return None if found is None else ResizeStep(out, found.source, found.resizing, None, after, found.picture)


def _read(node: onnx.NodeProto, view: GraphView, codes: Mapping[str, Codes]) -> _Found | None:
    if node.op_type != "Resize" or node.input[0] not in codes:
        return None
    resizing, sized = read_resizing(node, view.constants), read_sized(node, view.producers, view.constants)
    if sized is not None and sized[1] in codes:
        return _Found(codes[node.input[0]], sized[0], codes[sized[1]])
    return None if resizing is None else _Found(codes[node.input[0]], resizing)


class _Found(NamedTuple):
    source: Codes
    resizing: Resizing
    picture: Codes | None = None


def interpolate(
    codes: CodeArray, given: Quantization, resizing: Resizing, picture: Sequence[int] = ()
) -> NDArray[np.int32]:
    """Return the accumulators, int32 (C, rows, columns), of ``codes`` (C, h, w); `Precision.fraction` of their bits are
    behind the point. ``picture``: height and width of the network's input, where the result's size is of that.
    """
    sizes = codes.shape[1:]
    factors = resizing.factors or [
        Fraction(side * resizing.picture, size) for side, size in zip(picture, sizes, strict=True)
    ]
    rows, columns = (
        axis_weights(resizing.sampling, size, int(size * factor), factor)
        for size, factor in zip(sizes, factors, strict=True)
    )
    dropped = Precision.of(given).dropped
    centred = codes.astype(np.int32) - np.int32(given.zero_point)
    sums = _weighted(centred.transpose(0, 2, 1), *rows).transpose(0, 2, 1)
    return _weighted((sums + np.int32(1 << (dropped - 1))) >> np.int32(dropped), *columns)


def _weighted(values: NDArray[np.int32], indices: NDArray[np.int64], weights: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return weighted sums along the last axis."""
    total = np.zeros((*values.shape[:-1], len(indices)), np.int32)
    for index, weight in zip(indices.T, weights.T.astype(np.int32), strict=True):
        total += values[..., index] * weight
    return total


def ends(
    low: CodeArray, high: CodeArray, given: Quantization, resizing: Resizing
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what accumulators can reach where codes are between ``low`` and ``high``: float32 of the same shape."""
    zero, one = given.zero_point, 1 << Precision.of(given).fraction
    below, above = (end.astype(np.float64) - zero for end in (low, high))
    if resizing.sampling.mode == "cubic":
        # Weights of an axis below 0 come to 0.25 in magnitude at most, to 0.5 where inputs beyond the border have none.
        negative = 0.5 if resizing.sampling.exclude_outside else 0.25
        span = (above - below) * (2 * negative * (1 + negative))
        below, above = below - span, above + span
    return (below * one - one).astype(np.float32), (above * one + one).astype(np.float32)
