"""The float convolution template for OpenCL: float32 sums, tensors stored as float32 or float16.

As `toolchain.backends.opencl.conv`, one launch a convolution, pictures read and written included. Packed tensors have
one channel a block and zeros around the picture. Float16 is only how tensors are stored (``vload_half``, which every
OpenCL has); no kernel computes with it, so none needs an extension.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.conv import spread
from toolchain.backends.opencl.job import Job, slots_of
from toolchain.backends.opencl.terms import Size, bind, call, item, load, number, private, real, store, threads
from toolchain.kernels.float_spec import INFINITY, FloatActivation, FloatConv
from toolchain.kernels.function import function
from toolchain.kernels.launch import Cut
from toolchain.kernels.layout import SIDE, Geometry

Array = npt.NDArray[Any]


def arrange(job: Job, cut: Cut, weights: Array, bias: Array, *slopes: Array) -> dict[str, Array]:
    """Constants as `build`'s kernel reads them: weights (z, channels in, kh, kw, channels of a work-item).

    Args:
        job: the kernel.
        cut: its cut.
        weights: float32 (channels in / groups, kh, kw, channels).
        bias: float32 (channels,).
        slopes: float32 (channels,), before and after the residual, as far as there are any.
    """
    inputs, kh, kw, channels = weights.shape
    if job.dense:
        groups = job.conv.groups
        wide = np.zeros((groups, inputs, kh, kw, groups, channels // groups), np.float32)
        for group, part in enumerate(np.split(weights, groups, axis=-1)):
            wide[group, :, :, :, group] = part
        weights = wide.reshape(groups * inputs, kh, kw, channels)
    order = list(job.order)
    laid = weights[..., order].reshape(*weights.shape[:3], -1, cut.channels).transpose(3, 0, 1, 2, 4)
    arrays = {"weights": np.ascontiguousarray(laid), "bias": bias[order]}
    return arrays | {f"slopes{index}": values[order] for index, values in enumerate(slopes)}


def build(job: Job, geometry: Geometry, cut: Cut) -> tirx.PrimFunc:
    """The kernel of a float convolution as a function with its threads bound.

    Args:
        job: what it computes.
        geometry: of packed tensors.
        cut: how.
    """
    with IRBuilder() as builder, function("conv"):
        _Kernel(job, geometry, cut).write()
    return builder.get()


class _Kernel:
    """Writes one kernel: its arguments first, then what a work-item does."""

    def __init__(self, job: Job, geometry: Geometry, cut: Cut) -> None:
        assert isinstance(job.conv, FloatConv)
        conv, dtype = job.conv, job.dtype
        self.job, self.conv, self.geometry, self.cut = job, conv, geometry, cut
        self.depth = len(job.order) // cut.channels
        self.step = 1.0 / conv.gain
        self.size = Size()
        self.x = self.size.operand("x", conv.source.total, geometry, job.picture, dtype=dtype)
        self.r = None
        if conv.residual is not None:
            self.r = self.size.operand("r", conv.residual.view.total, geometry, job.anchor, dtype=dtype)
        self.weights = T.arg("weights", T.Buffer((self.depth, job.inputs, *conv.kernel, cut.channels), "float32"))
        self.bias = T.arg("bias", T.Buffer((self.depth, cut.channels), "float32"))
        bent = [act for act in (conv.before, conv.after) if act is not None and act.slopes]
        self.slopes = [T.arg(f"slopes{i}", T.Buffer((self.depth, cut.channels), "float32")) for i in range(len(bent))]
        self.size.declare()
        self.y = (
            self.size.operand("y", conv.target.total, geometry, None, dtype=dtype)
            if conv.pixels is None
            else self.size.operand("y", 0, geometry, conv.pixels.channels, conv.pixels.scale)
        )

    def write(self) -> None:
        """The function's body."""
        cut, size = self.cut, self.size
        with threads(((size.width + cut.pixels - 1) // cut.pixels, size.height, self.depth), cut.group):
            self.column, self.row, self.part = item("column", 0, cut.pixels), item("row", 1, 1), item("part", 2, 1)
            inside = tirx.all(self.column < size.width, self.row < size.height, self.part < self.depth)
            with T.If(inside), T.Then():
                sums, slopes = self.sums(), iter(self.slopes)
                values = [[sums[c * cut.pixels + p] for p in range(cut.pixels)] for c in range(cut.channels)]
                values = self.activated(values, self.conv.before, slopes)
                if self.conv.residual is not None:
                    values = [
                        [a + b for a, b in zip(mine, other, strict=True)]
                        for mine, other in zip(values, self.residual(), strict=True)
                    ]
                values = self.activated(values, self.conv.after, slopes)
                if self.conv.pixels is None:
                    self.store_floats(values)
                else:
                    pixels = [
                        [call("uint8", "convert_uchar_sat_rte", value * real(self.conv.gain)) for value in row]
                        for row in values
                    ]
                    spread(self.conv.pixels, cut, self.y, pixels, (self.part, self.row, self.column), size)

    def sums(self) -> Any:
        """The bias, and the products of all taps: an array (channels, pixels)."""
        conv, cut = self.conv, self.cut
        sums = private("sum", cut.channels * cut.pixels, "float32")
        for c, start in enumerate(load("start", self.bias, [self.part, 0], cut.channels, cut.vector)):
            for p in range(cut.pixels):
                T.buffer_store(sums, start, [c * cut.pixels + p])
        rows = T.unroll if cut.unroll else T.serial
        with T.serial(0, self.job.inputs) as k, rows(0, conv.kernel[0]) as i:
            IRBuilder.name("channel", k)
            IRBuilder.name("tap_row", i)
            row, column = self.row + i * conv.dilation[0] - conv.pads[0], self.column - conv.pads[1]
            count = cut.pixels + self.job.window
            channel = k
            if conv.groups > 1 and not self.job.dense:
                channel = self.part // (conv.channels // conv.groups // cut.channels) * self.job.inputs + k
            values = self.read(self.x, row, conv.source.start + channel, column, count, self.job.picture)
            for j in range(conv.kernel[1]):
                taps = load("tap", self.weights, [self.part, k, i, j, 0], cut.channels, cut.vector)
                for c, tap in enumerate(taps):
                    for p in range(cut.pixels):
                        place = c * cut.pixels + p
                        T.buffer_store(sums, sums[place] + values[p + j * conv.dilation[1]] * tap, [place])
        return sums

    def read(self, buffer: Any, row: Any, channel: Any, column: Any, count: int, picture: int | None) -> list[Any]:
        """``count`` neighbouring values of a channel, of a packed tensor or of a picture."""
        if picture is None:
            return load("value", buffer, [row + self.geometry.margin, channel, column + SIDE], count, self.cut.vector)
        size, values = self.size, []
        y = tirx.max(tirx.min(row, size.height - 1), number(0))
        for offset in range(count):
            x = tirx.max(tirx.min(column + offset, size.width - 1), number(0))
            known = tirx.all(row >= 0, row < size.height, column + offset >= 0, column + offset < size.width)
            code = call("float32", "pixel", buffer[y, x, channel], tirx.Cast("int32", known), real(self.step))
            values.append(bind("value", code))
        return values

    def activated(self, values: list[list[Any]], act: FloatActivation | None, slopes: Any) -> list[list[Any]]:
        """An activation of every channel and pixel."""
        if act is None:
            return values
        if act.slopes:
            bends = load("slope", next(slopes), [self.part, 0], self.cut.channels, self.cut.vector)
            return [
                [call("float32", "prelu", value, bend) for value in row]
                for row, bend in zip(values, bends, strict=True)
            ]
        if act.low > -INFINITY:
            values = [[call("float32", "fmax", value, real(act.low)) for value in row] for row in values]
        if act.high < INFINITY:
            values = [[call("float32", "fmin", value, real(act.high)) for value in row] for row in values]
        return values

    def residual(self) -> list[list[Any]]:
        """The residual's values, channel by channel and pixel by pixel."""
        residual, cut = self.conv.residual, self.cut
        assert residual is not None
        rows = []
        for c in range(cut.channels):
            if self.conv.pixels is not None or self.depth == 1:
                slot = slots_of(self.job.order, residual)[c]
            else:
                channel = tirx.floordiv(self.part * cut.channels + c, residual.divide)
                slot = tirx.floormod(channel, residual.modulo)
            rows.append(
                self.read(self.r, self.row, residual.view.start + slot, self.column, cut.pixels, self.job.anchor)
            )
        return rows

    def store_floats(self, values: list[list[Any]]) -> None:
        """A packed tensor; right of the picture, zeros."""
        for c, row in enumerate(values):
            kept = [
                bind(
                    "result",
                    call("float32", "select", real(0.0), value, tirx.Cast("int32", self.column + p < self.size.width)),
                )
                for p, value in enumerate(row)
            ]
            channel = self.conv.target.start + self.part * self.cut.channels + c
            store(self.y, [self.row + self.geometry.margin, channel, self.column + SIDE], kept, self.cut.vector)
