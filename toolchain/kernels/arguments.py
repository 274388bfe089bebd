"""The arguments of a convolution's kernel and what of them it reads, whatever its numbers and its algorithm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.float_spec import FloatConv
from toolchain.kernels.function import declare
from toolchain.kernels.layout import SIDE, Geometry
from toolchain.kernels.spec import Conv, Pool

Shapes: TypeAlias = Sequence[tuple[tuple[int, ...], str]]
"""Shape and element type of each of a kernel's arrays."""


@dataclass(frozen=True, eq=False)
class Arguments:
    """A kernel's arguments as TVM's buffers and variables; ``others`` are what it reads besides its source."""

    x: Any
    others: tuple[Any, ...]
    constants: tuple[Any, ...]
    height: Any
    tiles: Any
    width: Any
    y: Any

    @property
    def residual(self) -> Any:
        """The first of the others; None where there are none."""
        return self.others[0] if self.others else None


def arguments(
    conv: Conv | FloatConv,
    geometry: Geometry,
    constants: Shapes,
    names: Sequence[str] = (),
    *,
    dtype: str = "uint32",
    rows: str = "height",
) -> Arguments:
    """Declare the arguments of the function that is being written, see `toolchain.kernels.conv`.

    Args:
        conv: what it computes.
        geometry: of its packed tensors.
        constants: its arrays.
        names: of the arrays; else c0, c1 and so on.
        dtype: of the elements of packed tensors.
        rows: name of the number of rows to compute.
    """
    height, tiles, width = (tirx.Var(name, "int64") for name in (rows, "tiles", "width"))

    def packed(name: str, blocks: int, count: Any) -> Any:
        return T.arg(name, T.Buffer(geometry.window(blocks, count, tiles), dtype))

    x = packed("x", conv.source.total, height + conv.reach[0])
    others = tuple(
        T.arg(name, T.Buffer(geometry.window(other.view.total, 1, 1), dtype))
        if other.single
        else packed(name, other.view.total, height)
        for name, other in zip(("r", *(f"r{index}" for index in range(1, len(conv.others)))), conv.others, strict=False)
    )
    arrays = tuple(
        T.arg(name, T.Buffer(*array))
        for name, array in zip(names or [f"c{index}" for index in range(len(constants))], constants, strict=True)
    )
    declare(height, tiles, width)
    if conv.pixels is None:
        y = packed("y", conv.target.total, height)
    else:
        scale = conv.pixels.scale
        y = T.arg("y", T.Buffer((height * scale, width * scale, conv.pixels.channels), "uint8"))
    return Arguments(x, others, arrays, height, tiles, width, y)


def tap(conv: Conv | FloatConv | Pool, h: Any, v: Any, i: Any, j: Any) -> tuple[Any, Any]:
    """Return the row and column of the packed input that weight (i, j) of the pixel at row h, column v meets."""
    if conv.stride == (1, 1):
        return h + i * conv.dilation[0], v + j * conv.dilation[1] + (SIDE - conv.pads[1])
    (row, _), (column, _) = (_stepped(conv, axis, at) for axis, at in enumerate((i, j)))
    return h + row, v + column + (SIDE - conv.above[1])


def phase(conv: Conv | FloatConv | Pool, i: Any, j: Any) -> Any:
    """Return which of the blocks that a block of channels lies in weight (i, j) meets."""
    if conv.stride == (1, 1):
        return 0
    (_, row), (_, column) = (_stepped(conv, axis, at) for axis, at in enumerate((i, j)))
    return row * conv.stride[1] + column


def _stepped(conv: Conv | FloatConv | Pool, axis: int, at: Any) -> tuple[Any, Any]:
    """Return how many steps of the stride tap ``at`` is from the first place that is read, and what is left over."""
    stride = conv.stride[axis]
    place = at * conv.dilation[axis] + (conv.above[axis] * stride - conv.pads[axis])
    if isinstance(place, int):
        return place // stride, place % stride
    return tirx.floordiv(place, stride), tirx.floormod(place, stride)


def first_input(conv: Conv | FloatConv, channel: Any) -> Any:
    """Return the first block that an output channel reads of ``conv.source``: that of its group."""
    if conv.groups == 1:
        return 0
    return channel // (conv.channels // conv.groups) * (conv.source.count // conv.groups)
