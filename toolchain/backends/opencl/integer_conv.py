"""The integer convolution for OpenCL: four codes of a pixel a word, int32 sums.

See `toolchain.backends.opencl.conv`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.script.ir_builder import IRBuilder

from toolchain.backends.opencl.conv import ConvKernel, Rows
from toolchain.backends.opencl.job import Job
from toolchain.backends.opencl.primitives import (
    bind,
    call,
    code_of,
    follow,
    load,
    number,
    pixel_word,
    real,
    store_codes,
)
from toolchain.kernels.function import function
from toolchain.kernels.launch import LaunchConfig
from toolchain.kernels.layout import PACK, SIDE, Geometry
from toolchain.kernels.spec import Conv, Operand

Array = npt.NDArray[Any]


def arrange(
    job: Job, cut: LaunchConfig, weights: Array, bias: Array, multiplier: Array, slopes: Array | None = None
) -> dict[str, Array]:
    """Return constants as `build`'s kernel reads them.

    Args:
        job: the kernel.
        cut: its cut.
        weights: int8 (channels, blocks / groups, kh, kw, 4).
        bias: int32 (channels,).
        multiplier: float32 (channels,).
        slopes: float32 (channels,) or None.

    Returns:
        "weights" as uint32 (z, blocks, kh, kw, channels of a work-item), "bias", "multiplier" and perhaps "slopes".
    """
    conv, order = job.conv, list(job.order)
    if job.dense:
        wide = np.zeros((conv.channels, conv.inputs * conv.groups, *weights.shape[2:]), np.int8)
        blocks, channels = weights.shape[1], conv.channels // conv.groups
        for group in range(conv.groups):
            wide[group * channels : (group + 1) * channels, group * blocks : (group + 1) * blocks] = weights[
                group * channels : (group + 1) * channels
            ]
        weights = wide
    words = np.ascontiguousarray(weights[order].astype(np.int8)).view("<u4")[..., 0]
    words = words.reshape(-1, cut.channels, *words.shape[1:]).transpose(0, 2, 3, 4, 1)
    arrays = {"weights": np.ascontiguousarray(words), "bias": bias[order], "multiplier": multiplier[order]}
    return arrays if slopes is None else {**arrays, "slopes": slopes[order]}


def build(job: Job, geometry: Geometry, cut: LaunchConfig) -> tirx.PrimFunc:
    """Return the kernel as a function with its threads bound, see `ConvKernel`."""
    conv, vectors = job.conv, {"bias": "int32", "multiplier": "float32"}
    assert isinstance(conv, Conv)
    if conv.requantize.slopes:
        vectors["slopes"] = "float32"
    with IRBuilder() as builder, function("conv"):
        _Kernel(job, conv, geometry, cut, "uint32", vectors).write()
    return builder.get()


class _Kernel(ConvKernel[Conv]):
    sum = "int32"
    names = "block", "codes", "taps"

    def read(self, name: str, buffer: Any, place: tuple[Any, Any, Any], count: int, picture: int | None) -> list[Any]:
        row, block, column = place
        if picture is None:
            return load(name, buffer, [row + self.geometry.margin, block, column + SIDE], count, self.cut.vector)
        height, width = self.size.height, self.size.width
        return [bind(name, pixel_word(buffer, row, column + p, height, width, picture)) for p in range(count)]

    def product(self, total: Any, element: Any, tap: Any) -> Any:
        return call("int32", "dot4", total, element, tap)

    def results(self, sums: Rows) -> Rows:
        """Return the output's codes."""
        requantize, residual = self.conv.requantize, self.conv.residual
        others = [[]] * self.cut.channels if residual is None else self._added(residual)
        factors = self.vector("factor", "multiplier")
        values = [
            [tirx.Cast("float32", total) * factor for total in row] for row, factor in zip(sums, factors, strict=True)
        ]
        bounds = [real(requantize.low), real(requantize.high), number(requantize.zero_point)]
        slopes = self.vector("slope", "slopes") if requantize.slopes else [None] * self.cut.channels
        for stage in requantize.stages:
            values = [follow(row, stage, *given) for row, *given in zip(values, slopes, others, strict=True)]
        return [[call("uint32", "requantize", value, *bounds) for value in row] for row in values]

    def _added(self, residual: Operand) -> Rows:
        """Return the residual's numbers."""
        channels = self.cut.channels
        in_step = residual.divide == 1 and residual.modulo >= self.conv.channels and self.conv.pixels is None
        known: dict[int, list[Any]] = {}
        values = []
        for c in range(channels):
            if in_step:  # channel by channel: the work-items along z read the blocks along z
                slot, block = c, self.part * (channels // PACK) + c // PACK
            else:
                slot = self.slot(residual, c)
                slot = slot if isinstance(slot, int) else bind("slot", slot)
                block = slot // PACK if isinstance(slot, int) else tirx.floordiv(slot, PACK)
            if not isinstance(slot, int):
                words, position = self._words(residual, block), tirx.floormod(slot, PACK)
            else:
                if slot // PACK not in known:
                    known[slot // PACK] = self._words(residual, block)
                words, position = known[slot // PACK], number(slot % PACK)
            scaling = number(residual.zero_point), real(residual.multiplier)
            values.append([call("float32", "dequantize", code_of(planes, position), *scaling) for planes in words])
        return values

    def store(self, results: Rows) -> None:
        """Packed words; right of the picture, the zero point."""
        blocks, row = self.cut.channels // PACK, self.row + self.geometry.margin
        target, zero_point = self.conv.target, self.conv.requantize.zero_point
        for b in range(blocks):
            place, codes = (row, self.part * blocks + b, self.column), results[b * PACK : b * PACK + PACK]
            store_codes(self.y, codes, target, zero_point, place, self.size, self.cut.vector)

    def pixel(self, result: Any) -> Any:
        return tirx.Cast("uint8", result)

    def _words(self, residual: Operand, block: Any) -> list[tuple[Any, ...]]:
        """Words of the residual's block for all pixels, one of each plane."""
        ((_, anchor),) = self.job.others
        planes = [
            self.read("other", self.others[0], (self.row, first + block, self.column), self.cut.pixels, anchor)
            for first, _ in residual.view.planes(0)
        ]
        return list(zip(*planes, strict=True))
