"""Linear maps between pictures (convolutions of stride 1), composed and added exactly, borders included.

A map is planned with before it is computed: extents, growth, groups and biases are known at once, kernels are formed in
float64 when somebody asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from math import gcd

import numpy as np
from numpy.typing import NDArray

Kernel = NDArray[np.float64]
Offset = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Linear:
    """y[o, p] = bias[o] + the sum over i and t of kernel[o, i, t - low] * x[i, p + t], for rows and columns alike.

    x is zero outside of its picture; p runs from 0 to the size of x plus ``growth``, exclusive.

    Attributes:
        inputs: channels of x.
        low, high: first and last offset t (row, column) that is read, both inclusive.
        growth: rows and columns that y has more than x.
        group: groups of channels that do not mix; the kernel is dense all the same.
        bias: float64 (O,).
        make: computes the kernel.
    """

    inputs: int
    low: Offset
    high: Offset
    growth: Offset
    group: int
    bias: Kernel
    make: Callable[[], Kernel]

    @cached_property
    def kernel(self) -> Kernel:
        """Float64 (O, inputs, rows, columns), without groups."""
        return self.make()

    @cached_property
    def gain(self) -> Kernel:
        """Float64 (O, inputs): what becomes of a picture that is constant in every channel, far from its borders."""
        return np.asarray(self.kernel.sum((2, 3)))

    @property
    def outputs(self) -> int:
        """Channels of y."""
        return len(self.bias)

    @property
    def pads(self) -> tuple[int, int, int, int]:
        """Padding (top, left, bottom, right) of the convolution that is this map; never negative."""
        ends = [g + h for g, h in zip(self.growth, self.high, strict=True)]
        top, left, bottom, right = (max(0, p) for p in (-self.low[0], -self.low[1], *ends))
        return top, left, bottom, right

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the kernel of the convolution that is this map."""
        top, left, bottom, right = self.pads
        return top + bottom - self.growth[0] + 1, left + right - self.growth[1] + 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates for each pixel of y."""
        return self.outputs * self.inputs // self.group * self.shape[0] * self.shape[1]

    def weight(self) -> Kernel:
        """Float64 weights (O, inputs / group, rows, columns) of the convolution with ``pads`` and ``group``."""
        full = np.zeros((self.outputs, self.inputs, *self.shape))
        at = [low + pad for low, pad in zip(self.low, self.pads[:2], strict=True)]
        full[:, :, at[0] : at[0] + self.kernel.shape[2], at[1] : at[1] + self.kernel.shape[3]] = self.kernel
        blocks = full.reshape(self.group, -1, self.group, self.inputs // self.group, *self.shape)
        each = np.arange(self.group)
        return np.asarray(blocks[each, :, each]).reshape(self.outputs, -1, *self.shape)


def convolution(weight: Kernel, bias: Kernel, pads: Sequence[int], dilations: Sequence[int], group: int) -> Linear:
    """Return a Conv of stride 1: weight (O, I / group, rows, columns), pads (top, left, bottom, right)."""
    outputs, per_group, *size = weight.shape
    reach = [d * (s - 1) for d, s in zip(dilations, size, strict=True)]
    full = np.zeros((outputs, per_group, reach[0] + 1, reach[1] + 1))
    full[:, :, :: dilations[0], :: dilations[1]] = weight
    spans = [_support(full, axis) for axis in (2, 3)]  # a tap that is zero everywhere reads nothing
    part = full[:, :, spans[0][0] : spans[0][1] + 1, spans[1][0] : spans[1][1] + 1]
    low = (spans[0][0] - pads[0], spans[1][0] - pads[1])
    high = (spans[0][1] - pads[0], spans[1][1] - pads[1])
    growth = (pads[0] + pads[2] - reach[0], pads[1] + pads[3] - reach[1])

    def dense() -> Kernel:
        kernel = np.zeros((group, outputs // group, group, *part.shape[1:]))
        each = np.arange(group)
        kernel[each, :, each] = part.reshape(group, -1, *part.shape[1:])
        return kernel.reshape(outputs, -1, *part.shape[2:])

    return Linear(per_group * group, low, high, growth, group, bias.astype(np.float64), dense)


def trimmed(whole: Linear) -> Linear:
    """Return the same map without outer rows and columns of the kernel that are zero, of which composing may leave
    some.
    """
    rows, columns = (_support(whole.kernel, axis) for axis in (2, 3))
    part = whole.kernel[:, :, rows[0] : rows[1] + 1, columns[0] : columns[1] + 1]
    return replace(
        whole,
        low=(whole.low[0] + rows[0], whole.low[1] + columns[0]),
        high=(whole.low[0] + rows[1], whole.low[1] + columns[1]),
        make=lambda: part,
    )


def _support(kernel: Kernel, axis: int) -> tuple[int, int]:
    """First and last index along an axis where anything is not zero; the first twice if all is zero."""
    found = np.flatnonzero(kernel.any(axis=tuple(a for a in range(4) if a != axis)))
    return (int(found[0]), int(found[-1])) if found.size else (0, 0)


def affine(scale: Kernel, offset: Kernel) -> Linear:
    """Return per channel scale * x + offset, both float64 (C,)."""
    return convolution(scale.reshape(-1, 1, 1, 1), offset, (0,) * 4, (1, 1), len(scale))


def identity(channels: int) -> Linear:
    """X itself."""
    return affine(np.ones(channels), np.zeros(channels))


def padding(channels: int, pads: Sequence[int]) -> Linear:
    """Zeros around x: (top, left, bottom, right)."""
    return convolution(np.ones((channels, 1, 1, 1)), np.zeros(channels), pads, (1, 1), channels)


def composed(outer: Linear, inner: Linear) -> Linear:
    """``outer`` of ``inner``: what it computes inside of the picture, and everywhere where ``obstacle`` finds none."""

    def make() -> Kernel:
        second, first = outer.kernel, inner.kernel
        rows, columns = second.shape[2] + first.shape[2] - 1, second.shape[3] + first.shape[3] - 1
        kernel = np.zeros((outer.outputs, inner.inputs, rows, columns))
        for row, column in np.ndindex(*second.shape[2:]):
            part = np.tensordot(second[:, :, row, column], first, 1)
            kernel[:, :, row : row + first.shape[2], column : column + first.shape[3]] += part
        return kernel

    bias = outer.bias + outer.gain @ inner.bias if inner.bias.any() else outer.bias
    return Linear(
        inner.inputs,
        _plus(outer.low, inner.low),
        _plus(outer.high, inner.high),
        _plus(outer.growth, inner.growth),
        gcd(outer.group, inner.group),
        bias,
        make,
    )


def obstacle(outer: Linear, inner: Linear) -> str:
    """Return why ``composed`` is wrong at the borders: "bias" or "overlap"; "" where it is exact.

    Where ``outer`` reads beyond the rows and columns that ``inner`` computes, it finds zeros. The composed map has
    there what the formula of ``inner`` gives: its bias, and x as far as its kernel reaches back into the picture.
    """
    before = [low < 0 for low in outer.low]
    behind = [growth + high > 0 for growth, high in zip(outer.growth, outer.high, strict=True)]
    if any(before + behind) and inner.bias.any():
        return "bias"
    for axis in (0, 1):
        if before[axis] and inner.high[axis] > 0:
            return "overlap"
        if behind[axis] and inner.low[axis] < -inner.growth[axis]:
            return "overlap"
    return ""


def added(maps: Sequence[Linear]) -> Linear:
    """Return the sum of maps of one x to results of one size.

    Raises:
        ValueError: the sizes differ.
    """
    if len({(m.inputs, m.outputs, m.growth) for m in maps}) != 1:
        raise ValueError("maps to results of different shapes cannot be added")
    low = (min(m.low[0] for m in maps), min(m.low[1] for m in maps))
    high = (max(m.high[0] for m in maps), max(m.high[1] for m in maps))
    first = maps[0]

    def make() -> Kernel:
        kernel = np.zeros((first.outputs, first.inputs, high[0] - low[0] + 1, high[1] - low[1] + 1))
        for m in maps:
            row, column = m.low[0] - low[0], m.low[1] - low[1]
            kernel[:, :, row : row + m.kernel.shape[2], column : column + m.kernel.shape[3]] += m.kernel
        return kernel

    return Linear(
        first.inputs,
        low,
        high,
        first.growth,
        reduce(gcd, (m.group for m in maps)),
        np.sum([m.bias for m in maps], axis=0),
        make,
    )


def outlier_ratio(weight: Kernel) -> float:
    """Return the largest |w| of an output channel over its median |w|, of the worst channel; zeros do not count.

    A channel has one scale in INT8: how many of the 127 steps an ordinary weight gets is 127 over this ratio. 1 where
    every channel has but one magnitude.
    """
    worst = 1.0
    for channel in np.abs(weight.reshape(len(weight), -1)):
        magnitudes = channel[channel > 0]
        if magnitudes.size:
            worst = max(worst, float(magnitudes.max() / np.median(magnitudes)))
    return worst


def _plus(a: Offset, b: Offset) -> Offset:
    return a[0] + b[0], a[1] + b[1]
