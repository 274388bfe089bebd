"""Exact integer convolution by floating-point matrix products.

Products of codes and weights are integers; as long as no partial sum can leave the integers that float32 (2**24) or
else float64 (2**53) represent exactly, BLAS in any order, with or without fused multiply-add, gives the integer result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolchain.reference.graph import Array
from toolchain.reference.quantization import QMAX, CodeArray
from toolchain.support.errors import ModelError, TooSmallError

_BAND = 1 << 22  # elements of the column matrix built at once: 16 MiB as float32


@dataclass(frozen=True, eq=False)
class Convolution:
    """A quantized convolution, or transposed convolution, up to its int32 accumulator.

    weight: int8, (O, I / group, kh, kw), or transposed (I, O / group, kh, kw). bias: int32 (O,).
    pads: top, left, bottom, right; they stand for the input's zero point. ``output_padding`` is of transposed ones.
    """

    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilations: tuple[int, int] = (1, 1)
    group: int = 1
    transposed: bool = False
    output_padding: tuple[int, int] = (0, 0)

    @property
    def outputs(self) -> int:
        """Number of output channels."""
        return int(self.weight.shape[1] * self.group if self.transposed else self.weight.shape[0])

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns between the kernel's first tap and its last."""
        rows, columns = ((size - 1) * d for size, d in zip(self.weight.shape[2:], self.dilations, strict=True))
        return rows, columns

    def grouped(self) -> NDArray[np.int8]:
        """Return the weights as (group, O / group, I / group, kh, kw)."""
        kh, kw = self.weight.shape[2:]
        if self.transposed:
            return self.weight.reshape(self.group, -1, self.weight.shape[1], kh, kw).transpose(0, 2, 1, 3, 4)
        return self.weight.reshape(self.group, -1, self.weight.shape[1], kh, kw)

    def bound(self, zero_point: int, qmax: int = QMAX) -> int:
        """Return the largest magnitude that any partial sum, bias not counted, can reach for codes 0..``qmax``."""
        sums = np.abs(self.grouped().astype(np.int64)).sum(axis=(2, 3, 4))
        return int(sums.max(initial=0)) * max(zero_point, qmax - zero_point)

    def partial(self, zero_point: int, qmax: int) -> int:
        """Return the largest magnitude of any partial sum, bias included, in a kernel that sums up codes 0..``qmax`` as
        they are, or bytes less 128, and folds the difference into the bias.
        """
        weight = self.grouped().astype(np.int64)
        total, size = weight.sum(axis=(2, 3, 4)), np.abs(weight).sum(axis=(2, 3, 4))
        bias = self.bias.astype(np.int64).reshape(total.shape)
        # A high byte alone is up to 255 below its code.
        ends = [
            np.abs(bias + (offset - zero_point) * total) + (max(offset, qmax - offset) + QMAX) * size
            for offset in (0, 128 * qmax // QMAX)
        ]
        return int(np.maximum(*ends).max(initial=0))

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return rows and columns of the output for an input of ``height`` x ``width``."""
        sizes = []
        for axis, size in enumerate((height, width)):
            reach = self.reach[axis] + 1
            padding = self.pads[axis] + self.pads[axis + 2]
            if self.transposed:
                sizes.append((size - 1) * self.strides[axis] + reach - padding + self.output_padding[axis])
            else:
                sizes.append((size + padding - reach) // self.strides[axis] + 1)
        if min(sizes) < 1:
            raise TooSmallError(
                f"an image of {width} x {height} pixels leaves nothing of a convolution's output",
                hint="use a larger image",
            )
        return sizes[0], sizes[1]

    def check(self, zero_point: int, qmax: int = QMAX, name: str = "a convolution") -> None:
        """Raise ModelError, of the convolution ``name``, unless no codes 0..``qmax`` can overflow its int32 sums."""
        reached = self.bound(zero_point) + int(np.abs(self.bias.astype(np.int64)).max(initial=0))
        if qmax != QMAX:
            reached = self.partial(zero_point, qmax)
        if reached >= 2**31:
            raise ModelError(
                f"the accumulator of {name} can overflow 32 bits",
                hint="its bias or weights are too large" if qmax == QMAX else "leave the tensor it reads at 8 bits",
            )

    def bands(self, codes: CodeArray, zero_point: int) -> Iterator[tuple[slice, NDArray[np.int32]]]:
        """Yield (rows, accumulators int32 (O, rows, W)) that together make the output of ``codes`` (I, h, w)."""
        bound = self.bound(zero_point, int(np.iinfo(codes.dtype).max))
        dtype = np.dtype(np.float32 if bound < 2**24 else np.float64)
        centred: Array = np.subtract(codes, zero_point, dtype=dtype)
        parts = self._transposed(centred) if self.transposed else self._direct(centred)
        bias = self.bias[:, None, None]
        for rows, sums in parts:
            yield rows, sums.astype(np.int32) + bias

    def _direct(self, centred: Array) -> Iterator[tuple[slice, Array]]:
        channels, height, width = centred.shape
        out_h, out_w = self.output_size(height, width)
        kh, kw = self.weight.shape[2:]
        top, left, bottom, right = self.pads
        padded = np.pad(centred, ((0, 0), (top, bottom), (left, right))) if any(self.pads) else centred
        taps = channels * kh * kw
        matrix = self.grouped().reshape(self.group, self.outputs // self.group, -1).astype(centred.dtype)
        step = max(1, _BAND // (taps * out_w))
        for first in range(0, out_h, step):
            count = min(step, out_h - first)
            columns = np.empty((channels, kh, kw, count, out_w), centred.dtype)
            for y in range(kh):
                for x in range(kw):
                    row, column = first * self.strides[0] + y * self.dilations[0], x * self.dilations[1]
                    columns[:, y, x] = padded[
                        :,
                        row : row + (count - 1) * self.strides[0] + 1 : self.strides[0],
                        column : column + (out_w - 1) * self.strides[1] + 1 : self.strides[1],
                    ]
            product = matrix @ columns.reshape(self.group, taps // self.group, count * out_w)
            yield slice(first, first + count), product.reshape(self.outputs, count, out_w)

    def _transposed(self, centred: Array) -> Iterator[tuple[slice, Array]]:
        channels, height, width = centred.shape
        out_h, out_w = self.output_size(height, width)
        kh, kw = self.weight.shape[2:]
        top, left = self.pads[:2]
        sy, sx = self.strides
        whole = np.zeros(
            (
                self.outputs,
                max((height - 1) * sy + (kh - 1) * self.dilations[0] + 1, top + out_h),
                max((width - 1) * sx + (kw - 1) * self.dilations[1] + 1, left + out_w),
            ),
            centred.dtype,
        )
        flat = centred.reshape(self.group, channels // self.group, height * width)
        weights = self.grouped().astype(centred.dtype)
        for y in range(kh):
            for x in range(kw):
                part = (weights[..., y, x] @ flat).reshape(self.outputs, height, width)
                row, column = y * self.dilations[0], x * self.dilations[1]
                whole[:, row : row + (height - 1) * sy + 1 : sy, column : column + (width - 1) * sx + 1 : sx] += part
        step = max(1, _BAND // (self.outputs * out_w))
        for first in range(0, out_h, step):
            rows = slice(first, min(out_h, first + step))
            yield rows, whole[:, top + rows.start : top + rows.stop, left : left + out_w]
