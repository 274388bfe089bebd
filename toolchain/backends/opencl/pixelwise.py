"""The frame of the kernels that are no convolutions: a work-item computes some neighbouring pixels of all channels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.backends.opencl.primitives import OPERANDS, Size, bind, follow, item, threads
from toolchain.kernels.function import function
from toolchain.kernels.layout import Geometry
from toolchain.kernels.spec import DepthToSpace, Slopes, Stage

Group: TypeAlias = tuple[int, int, int]

SLOPES = "slopes"
"""The name of the argument that holds constants of channels."""


@dataclass(frozen=True)
class PixelwiseConfig:
    """Pixels of a work-item, work-items of a group along x, y and z, and the layout of packed tensors."""

    geometry: Geometry
    pixels: int
    group: Group


@dataclass(frozen=True)
class Form:
    """What an argument is: a packed tensor of ``blocks``, or a picture of ``channels``; ``scale`` times enlarged, or of
    a single pixel where that is 0. Its size is that of what is read, or another.
    """

    blocks: int = 0
    channels: int | None = None
    scale: int = 1
    dtype: str = "uint32"
    size: Size | None = None


@dataclass(frozen=True)
class Array:
    """A constant argument."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True, eq=False)
class Item:
    """A work-item: the arguments (``array`` may be None), the size of what is read, and its first pixel: ``row`` is the
    picture's, ``inner`` that of a packed tensor.
    """

    inputs: Sequence[Any]
    array: Any
    y: Any
    size: Size
    row: Any
    inner: Any
    column: Any


def pixelwise(
    reads: Sequence[Form],
    writes: Form,
    config: PixelwiseConfig,
    body: Callable[[Item], None],
    array: Array | None = None,
    border: int = 0,
) -> tirx.PrimFunc:
    """Write a kernel with the arguments `OPERANDS`, ``array``, y, as far as there are such.

    Args:
        reads: its operands.
        writes: its result; where it has a size of its own, work-items are its pixels.
        config: how it is cut.
        body: writes what a work-item does.
        array: a constant that it reads.
        border: rows and columns around the result for which there are work-items too.
    """
    geometry, pixels = config.geometry, config.pixels
    with IRBuilder() as builder, function("words"):
        size = Size()
        done = writes.size or size

        def operand(name: str, form: Form) -> Any:
            given = form.size or size
            return given.operand(name, form.blocks, geometry, form.channels, form.scale, dtype=form.dtype)

        inputs = [operand(name, form) for name, form in zip(OPERANDS, reads, strict=False)]
        constant = None if array is None else T.arg(array.name, T.Buffer(array.shape, array.dtype))
        size.declare()
        if done is not size:
            done.declare()
        y = operand("y", writes)
        height, width = done.height + 2 * border, done.width + 2 * border
        with threads(((width + pixels - 1) // pixels, height, 1), config.group):
            column, row = item("column", 0, pixels), item("row", 1, 1)
            if border:
                column, row = bind("column", column - border), bind("row", row - border)
            inside = tirx.all(column < done.width + border, row < done.height + border, item("part", 2, 1) < 1)
            with T.If(inside), T.Then():
                body(Item(inputs, constant, y, size, row, row + geometry.margin, column))
    return builder.get()


def slopes(stages: Sequence[Stage], channels: int) -> Array | None:
    """Return the slopes that ``stages`` want."""
    return Array(SLOPES, (channels,)) if Slopes() in stages else None


def followed(values: list[Any], stages: Sequence[Stage], at: Item, channel: int) -> list[Any]:
    """Do what follows the numbers of neighbouring pixels of a channel."""
    for stage in stages:
        values = follow(values, stage, None if at.array is None else at.array[channel])
    return values


def spread(picture: DepthToSpace, at: Item, pixels: int, code: Callable[[int, int], Any]) -> None:
    """Write the picture by depth-to-space; ``code``: the uint8 of a slot and a pixel."""
    scale = picture.scale
    for p in range(pixels):
        with T.If(at.column + p < at.size.width), T.Then():
            for dy, dx, channel, slot in picture.places():
                T.buffer_store(at.y, code(slot, p), [at.row * scale + dy, (at.column + p) * scale + dx, channel])
