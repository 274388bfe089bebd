"""The integer reference: NumPy alone says what every bit of a quantized network must be.

Independent of TVM and onnxruntime. Compiled libraries are verified against it for equality, not closeness.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.frontend.unit import unit_of
from toolchain.frontend.window import Window
from toolchain.images.units import extended, in_units
from toolchain.reference.arithmetic import activate, finish, multiplier, requantize, scaled
from toolchain.reference.average import averaged
from toolchain.reference.channel_pool import run_channel_pool
from toolchain.reference.down import pooled, space_to_depth
from toolchain.reference.global_pool import run_pool
from toolchain.reference.normalization import run_normalization
from toolchain.reference.products import run_pair
from toolchain.reference.program import FloatStep, ShuffleStep, Step, parse
from toolchain.reference.quantization import CodeArray
from toolchain.reference.resizing import Precision, interpolate
from toolchain.reference.steps import (
    AverageStep,
    ChannelPoolStep,
    Codes,
    ConcatStep,
    ConvStep,
    ExtremeStep,
    GlobalPoolStep,
    InputStep,
    NormalizationStep,
    PoolStep,
    ProductStep,
    ResizeStep,
    SelectStep,
    SpaceToDepthStep,
    SumStep,
    TableStep,
    WindowStep,
)
from toolchain.support.errors import InputError, TooSmallError


class IntegerReference:
    """Runs a canonical QDQ model on pixels in integer arithmetic."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Read ``model``; ModelError where it is not a canonical QDQ graph."""
        self.program = parse(model)
        self._last_use = last_use(self.program.steps)
        self._unit = unit_of(model)
        self._channels = int(model.graph.input[0].type.tensor_type.shape.dim[1].dim_value)

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Upscale ``pixels``, u8 (h, w, C), to u8 (h * scale, w * scale, C)."""
        result: NDArray[np.uint8] = in_units(self._upscale, self._unit)(pixels)
        return result

    def tensors(self, pixels: NDArray[np.uint8]) -> dict[str, CodeArray]:
        """Return what every QuantizeLinear gives for ``pixels``, u8 (h, w, C): codes (1, C, h, w) by its
        output's name. Where the network takes multiples of a unit, of the picture `extended` to them.
        """
        values = self._execute(extended(pixels, self._unit), keep=True)
        return {
            step.out.tensor: values[step.out.tensor][None]
            for step in self.program.steps
            if not isinstance(step, ShuffleStep)
        }

    def _upscale(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        values = self._execute(pixels, keep=False)
        return np.ascontiguousarray(values[self.program.result.tensor].transpose(1, 2, 0), np.uint8)

    def _execute(self, pixels: NDArray[np.uint8], *, keep: bool) -> dict[str, CodeArray]:
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != self._channels:
            raise InputError(
                f"the model takes uint8 pixels (height, width, {self._channels}), not {pixels.dtype} {pixels.shape}"
            )
        values: dict[str, CodeArray] = {}
        for index, step in enumerate(self.program.steps):
            values[step.out.tensor] = run_step(step, values, pixels)
            if not keep:
                for name in self._last_use.get(index, ()):
                    if name != self.program.result.tensor:
                        values.pop(name, None)
        return values


def run_step(step: Step, values: dict[str, CodeArray], pixels: NDArray[np.uint8]) -> CodeArray:
    """Return the codes (C, h, w) that one kernel makes of ``values``, by name; ``pixels`` (h, w, C) are for the first
    one.
    """
    if isinstance(step, InputStep):
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))
    return _RUN[type(step)](step, values)


def _sum(step: SumStep, values: dict[str, CodeArray]) -> CodeArray:
    out = step.out.quantization
    return finish(reduce(np.add, [_operand(term, values, out.scale) for term in step.terms]), step.after, out)


def _concat(step: ConcatStep, values: dict[str, CodeArray]) -> CodeArray:
    out = step.out.quantization
    return np.concatenate([requantize(values[part.tensor], part.quantization, out) for part in step.parts])


def _shuffle(step: ShuffleStep, values: dict[str, CodeArray]) -> CodeArray:
    return depth_to_space(values[step.source.tensor], step.block, step.mode)


def _select(step: SelectStep, values: dict[str, CodeArray]) -> CodeArray:
    return np.ascontiguousarray(values[step.source.tensor][list(step.channels)])


def _window(step: WindowStep, values: dict[str, CodeArray]) -> CodeArray:
    return windowed(values[step.source.tensor], step.window, step.fill)


def _table(step: TableStep, values: dict[str, CodeArray]) -> CodeArray:
    return looked_up(values[step.source.tensor], step.table)


def _squares(step: SpaceToDepthStep, values: dict[str, CodeArray]) -> CodeArray:
    return space_to_depth(values[step.source.tensor], step.size)


def _largest(step: PoolStep, values: dict[str, CodeArray]) -> CodeArray:
    return pooled(values[step.source.tensor], step)


def _average(step: AverageStep, values: dict[str, CodeArray]) -> CodeArray:
    return averaged(values[step.source.tensor], step)


def looked_up(codes: CodeArray, table: CodeArray) -> CodeArray:
    """Return what a table (1 or channels, codes) says of codes (C, h, w)."""
    rows = np.arange(len(table)).reshape(-1, 1, 1)
    return np.ascontiguousarray(table[rows, codes])


def _operand(codes: Codes, values: dict[str, CodeArray], scale_out: float) -> NDArray[np.float32]:
    factor = multiplier(codes.quantization.scale, 1.0, scale_out)
    return scaled(values[codes.tensor], codes.quantization.zero_point, factor)


def _convolution(step: ConvStep, values: dict[str, CodeArray]) -> CodeArray:
    given, out = step.source.quantization, step.out.quantization
    codes = values[step.source.tensor]
    factor = multiplier(given.scale, step.weight_scale, out.scale).reshape(-1, 1, 1)
    result = np.empty((step.convolution.outputs, *step.convolution.output_size(*codes.shape[1:])), out.dtype)
    for rows, sums in step.convolution.bands(codes, given.zero_point):
        real = sums.astype(np.float32) * factor
        if step.before is not None:
            real = activate(real, step.before, out)
        if step.residual is not None:
            read = step.residual.quantization
            residual = values[step.residual.tensor]
            part = residual[:, rows] if residual.shape[1] > 1 else residual
            real = real + scaled(part, read.zero_point, multiplier(read.scale, 1.0, out.scale))
        result[:, rows] = finish(real, step.after, out)
    return result


def _interpolated(step: ResizeStep, values: dict[str, CodeArray]) -> CodeArray:
    given, out = step.source.quantization, step.out.quantization
    picture = () if step.picture is None else values[step.picture.tensor].shape[1:]
    sums = interpolate(values[step.source.tensor], given, step.resizing, picture)
    real = sums.astype(np.float32) * multiplier(given.scale, 2.0 ** -Precision.of(given).fraction, out.scale)
    if step.residual is not None:
        real = real + _operand(step.residual, values, out.scale)
    return finish(real, step.after, out)


def _float(step: FloatStep, values: dict[str, CodeArray]) -> CodeArray:
    feeds = {name: codes.quantization.dequantize(values[codes.tensor])[None] for name, codes in step.sources}
    with np.errstate(all="ignore"):  # its Sigmoid computes branches that it does not take
        values_out = np.asarray(step.evaluator.run(None, feeds)[0])
    codes = step.out.quantization.quantize(values_out)
    return codes.reshape(codes.shape[1:])


def depth_to_space(codes: CodeArray, block: int, mode: str) -> CodeArray:
    """ONNX's DepthToSpace of (C * block**2, h, w), for one image."""
    channels, height, width = codes.shape
    depth = channels // (block * block)
    if mode == "DCR":
        split = codes.reshape(block, block, depth, height, width).transpose(2, 3, 0, 4, 1)
    else:
        split = codes.reshape(depth, block, block, height, width).transpose(0, 3, 1, 4, 2)
    return np.ascontiguousarray(split).reshape(depth, height * block, width * block)


def windowed(codes: CodeArray, window: Window, fill: int) -> CodeArray:
    """``codes`` (C, h, w) cut and continued at the borders. Mirrored pictures that are smaller than what is added are
    mirrored again and again, as NumPy has it. TooSmallError where nothing is left.
    """
    top, left, bottom, right = (max(-p, 0) for p in window.pads)
    kept = codes[:, top : codes.shape[1] - bottom, left : codes.shape[2] - right]
    top, left, bottom, right = (max(p, 0) for p in window.pads)
    if not kept.size:
        size, cut = f"{codes.shape[2]} x {codes.shape[1]}", " or ".join(str(-p) for p in window.pads if p < 0)
        raise TooSmallError(f"{size} pixels leave nothing where {cut} are cut off", hint="use a larger image")
    width = ((0, 0), (top, bottom), (left, right))
    if window.mode == "constant":
        return np.ascontiguousarray(np.pad(kept, width, constant_values=fill))
    return np.ascontiguousarray(np.pad(kept, width, mode=window.mode))


_RUN: Mapping[type, Callable[[Any, dict[str, CodeArray]], CodeArray]] = {
    ConvStep: _convolution,
    SumStep: _sum,
    ConcatStep: _concat,
    ShuffleStep: _shuffle,
    SelectStep: _select,
    WindowStep: _window,
    TableStep: _table,
    ResizeStep: _interpolated,
    ProductStep: run_pair,
    ExtremeStep: run_pair,
    GlobalPoolStep: run_pool,
    ChannelPoolStep: run_channel_pool,
    NormalizationStep: run_normalization,
    SpaceToDepthStep: _squares,
    PoolStep: _largest,
    AverageStep: _average,
    FloatStep: _float,
}
"""What runs each step, but for the one that reads pixels."""


def last_use(steps: tuple[Step, ...]) -> dict[int, list[str]]:
    """By index of a step, the tensors that nobody reads after it, so that memory stays bounded by what is alive."""
    last: dict[str, int] = {}
    for index, step in enumerate(steps):
        for codes in step.reads:
            last[codes.tensor] = index
    dead: dict[int, list[str]] = {}
    for name, index in last.items():
        dead.setdefault(index, []).append(name)
    return dead
