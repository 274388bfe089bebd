"""The float convolution for OpenCL: float32 sums, tensors stored as float32 or float16.

As `toolchain.backends.opencl.conv` says, with one channel a block and zeros around the picture. Float16 is only how
tensors are stored (``vload_half``, which every OpenCL has); no kernel computes with it, so none needs an extension.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.script.ir_builder import IRBuilder

from toolchain.backends.opencl.conv import ConvKernel, Rows
from toolchain.backends.opencl.functions import apply
from toolchain.backends.opencl.job import Job
from toolchain.backends.opencl.primitives import bind, call, load, real, store_floats, within
from toolchain.kernels.float_expressions import constants_of, followed
from toolchain.kernels.float_spec import FloatConv
from toolchain.kernels.function import function
from toolchain.kernels.launch import LaunchConfig
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.spec import Addend

Array = npt.NDArray[Any]


def arrange(job: Job, cut: LaunchConfig, weights: Array, bias: Array, *slopes: Array) -> dict[str, Array]:
    """Return constants as `build`'s kernel reads them: weights (z, channels in, kh, kw, channels of a work-item).

    Args:
        job: the kernel.
        cut: its cut.
        weights: float32 (channels in / groups, kh, kw, channels).
        bias: float32 (channels,).
        slopes: float32 (channels,), the constants of its stages.
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


def build(job: Job, geometry: Geometry, cut: LaunchConfig) -> tirx.PrimFunc:
    """Return the kernel as a function with its threads bound, see `ConvKernel`."""
    conv = job.conv
    assert isinstance(conv, FloatConv)
    vectors = "bias", *(f"slopes{index}" for index in range(constants_of(conv.stages)))
    with IRBuilder() as builder, function("conv"):
        _Kernel(job, conv, geometry, cut, "float32", dict.fromkeys(vectors, "float32")).write()
    return builder.get()


class _Kernel(ConvKernel[FloatConv]):
    sum = "float32"
    names = "channel", "value", "tap"

    def read(self, name: str, buffer: Any, place: tuple[Any, Any, Any], count: int, picture: int | None) -> list[Any]:
        row, channel, column = place
        if picture is None:
            return load(name, buffer, [row + self.geometry.margin, channel, column + SIDE], count, self.cut.vector)
        size, values = self.size, []
        y = within(row, size.height)
        for offset in range(count):
            x = within(column + offset, size.width)
            known = tirx.all(row >= 0, row < size.height, column + offset >= 0, column + offset < size.width)
            step = real(1.0 / self.conv.gain)
            values.append(bind(name, call("float32", "pixel", buffer[y, x, channel], tirx.Cast("int32", known), step)))
        return values

    def product(self, total: Any, element: Any, tap: Any) -> Any:
        return total + element * tap

    def results(self, sums: Rows) -> Rows:
        stages = self.conv.stages
        constants = [self.vector("slope", name) for name in self.slopes]
        others = [self._other(buffer, *given) for buffer, given in zip(self.others, self.job.others, strict=True)]

        def made(c: int, p: int) -> Any:
            return followed(sums[c][p], stages, [given[c] for given in constants], lambda i: others[i][c][p], apply)

        return [[made(c, p) for p in range(self.cut.pixels)] for c in range(self.cut.channels)]

    def _other(self, buffer: Any, other: Addend, anchor: int | None) -> Rows:
        """Return the numbers of what else is read."""
        channels, count = [other.view.start + self.slot(other, c) for c in range(self.cut.channels)], self.cut.pixels
        if other.single:
            return [load("value", buffer, [self.geometry.margin, channel, SIDE], 1) * count for channel in channels]
        return [self.read("value", buffer, (self.row, channel, self.column), count, anchor) for channel in channels]

    def store(self, results: Rows) -> None:
        """Store a packed tensor; right of the picture, zeros."""
        first, row = self.conv.target.start + self.part * self.cut.channels, self.row + self.geometry.margin
        for c, values in enumerate(results):
            store_floats(self.y, values, (row, first + c, self.column), self.size, self.cut.vector)

    def pixel(self, result: Any) -> Any:
        return call("uint8", "convert_uchar_sat_rte", result * real(self.conv.gain))
