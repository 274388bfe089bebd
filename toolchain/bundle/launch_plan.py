"""The launch plan of a network on an OpenCL device: plain data, so that any host can execute it.

A host allocates the buffers for a picture's size, fills each with its zero point once, copies the constants, and then,
for every picture, enqueues the launches in order. ``docs/decisions/0012-opencl.md`` says it for those who write one.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from toolchain.kernels.layout import SIDE, Geometry
from toolchain.support.errors import BundleError
from toolchain.support.serialization import Between, Matches, OneOf, from_plain, parse_json

FORMAT = "clipfree-opencl-plan"
VERSION = 4
PICTURE, RESULT = "picture", "result"
SCALARS = ("height", "pitch", "width", "rows", "across", "columns")
"""Kernel arguments that are int32 numbers: pixels of what it reads, with ``pitch`` the elements of a buffer's row, and
the same three of what it writes.
"""
Positive: TypeAlias = Annotated[int, Between(1, 2**31 - 1)]
Byte: TypeAlias = Annotated[int, Between(0, 255)]
Number: TypeAlias = Annotated[int, Between(-(2**31), 2**31 - 1)]
Dtype: TypeAlias = Annotated[str, OneOf(("uint32", "int32", "float32", "float16"))]
ConstantDtype: TypeAlias = Annotated[str, OneOf(("uint8", "uint16", "uint32", "int32", "float32", "float16"))]


@dataclass(frozen=True)
class Change:
    """A step from one side to another: ``(side * times + plus) // per``, rounded down."""

    times: Number = 1
    plus: Number = 0
    per: Positive = 1

    def of(self, side: int) -> int:
        """Return what it makes of a side."""
        return (side * self.times + self.plus) // self.per


@dataclass(frozen=True)
class Size:
    """How high and wide something is: what becomes of the input's height and width in units, change by change."""

    height: tuple[Change, ...] = ()
    width: tuple[Change, ...] = ()

    @classmethod
    def times(cls, scale: int) -> Size:
        """Return the size of what is so many times as high and wide as the input."""
        changes = () if scale == 1 else (Change(scale),)
        return cls(changes, changes)

    def of(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width for an input of so many units."""
        for change in self.height:
            height = change.of(height)
        for change in self.width:
            width = change.of(width)
        return height, width


SINGLE = Size((Change(0, 1),), (Change(0, 1),))
"""Of a single pixel, whatever the input."""


@dataclass(frozen=True)
class Extent:
    """Work-items along one axis: ``ceil((size + plus) / per) * times``, rounded up to whole work-groups when launched;
    the sizes are called as in `SCALARS`.
    """

    size: Literal["width", "height", "columns", "rows", "one"]
    per: Positive = 1
    times: Positive = 1
    plus: Annotated[int, Between(0, 2**31 - 1)] = 0

    def count(self, sizes: Mapping[str, int]) -> int:
        """For `SCALARS` of these values."""
        return -(-({**sizes, "one": 1}[self.size] + self.plus) // self.per) * self.times


@dataclass(frozen=True)
class Buffer:
    """A packed tensor: ``dtype`` (height + 2 * margin, blocks, pitch), its bytes ``zero_point`` before first use, those
    of the second half of every row ``low`` where that is not None.

    Four channels are a block of "uint32", one is a block of "float32" or "float16".
    """

    name: str
    dtype: Dtype
    blocks: Positive
    zero_point: Byte
    size: Size = Size()
    low: Byte | None = None


@dataclass(frozen=True)
class Constant:
    """An array in the file of constants: ``count`` elements of ``dtype`` from byte ``offset`` on, little-endian."""

    name: str
    dtype: ConstantDtype
    count: Positive
    offset: Annotated[int, Between(0, 2**31 - 2)]


@dataclass(frozen=True)
class Launch:
    """A kernel's execution.

    Attributes:
        kernel: the function's name; its file is ``kernels/NAME.cl``.
        arguments: in the kernel's order: names of buffers, of constants, `PICTURE`, `RESULT`, or one of `SCALARS`.
        work: work-items along x, y and z.
        group: work-items of a work-group along x, y and z.
        size: of what it reads, in steps of its stride.
        result: of what it writes.
    """

    kernel: Annotated[str, Matches(r"[A-Za-z][A-Za-z0-9_]*", "a name of letters, digits and underscores")]
    arguments: tuple[str, ...]
    work: tuple[Extent, Extent, Extent]
    group: tuple[Positive, Positive, Positive]
    size: Size = Size()
    result: Size = Size()

    def items(self, sizes: Mapping[str, int], group: tuple[int, int, int] | None = None) -> tuple[int, int, int]:
        """Return the work-items along x, y and z, in whole work-groups, for `SCALARS` of these values; ``group``: in
        place of the planned one.
        """
        x, y, z = (
            -(-extent.count(sizes) // local) * local
            for extent, local in zip(self.work, group or self.group, strict=True)
        )
        return x, y, z


@dataclass(frozen=True)
class LaunchPlan:
    """A network.

    Attributes:
        channels: of the pictures, u8 (height, width, channels).
        scale, over: output pixels per input pixel and direction: the first over the second.
        margin: rows of zero point above and below a packed tensor.
        columns: the width of packed tensors is a multiple of it; `SIDE` words lie left and right.
        buffers: packed tensors; several may live in one, one after the other.
        constants: weights, biases and multipliers.
        launches: in order.
        unit: pixels of which the sides of an input are multiples.
    """

    channels: Positive
    scale: Positive
    margin: Annotated[int, Between(0, 2**31 - 2)]
    columns: Positive
    buffers: tuple[Buffer, ...]
    constants: tuple[Constant, ...]
    launches: tuple[Launch, ...]
    unit: Positive = 1
    over: Positive = 1

    def units(self, height: int, width: int) -> tuple[int, int]:
        """Return how many units an input of ``height`` x ``width`` pixels is extended to."""
        return -(-height // self.unit), -(-width // self.unit)

    def made(self, height: int, width: int) -> tuple[int, int, int]:
        """Return the shape of what becomes of an input of ``height`` x ``width`` pixels, extended to whole units."""
        rows, columns = (side * self.unit * self.scale // self.over for side in self.units(height, width))
        return rows, columns, self.channels

    def shape(self, buffer: Buffer, height: int, width: int) -> tuple[int, int, int]:
        """Elements of a buffer for an input of ``height`` x ``width`` pixels."""
        geometry = Geometry(self.margin, self.columns)
        tall, wide = buffer.size.of(*self.units(height, width))
        rows, blocks, pitch = geometry.shape(buffer.blocks, tall, geometry.tiles(wide))
        return rows, blocks, pitch

    def fits(self, height: int, width: int) -> bool:
        """Return whether every tensor has some pixel left for an input of ``height`` x ``width`` pixels."""
        units = self.units(height, width)
        return min(*units, *(side for buffer in self.buffers for side in buffer.size.of(*units))) > 0

    def scalars(self, launch: Launch, height: int, width: int) -> dict[str, int]:
        """Return the `SCALARS` of a launch for an input of ``height`` x ``width`` pixels."""
        found: list[int] = []
        for size in (launch.size, launch.result):
            tall, wide = size.of(*self.units(height, width))
            found += [tall, -(-wide // self.columns) * self.columns + 2 * SIDE, wide]
        return dict(zip(SCALARS, found, strict=True))

    def size(self, buffer: Buffer, height: int, width: int) -> int:
        """Return bytes of a buffer for an input of ``height`` x ``width`` pixels."""
        return int(np.prod(self.shape(buffer, height, width))) * np.dtype(buffer.dtype).itemsize

    def fills(self, buffer: Buffer, height: int, width: int) -> Iterator[tuple[int, int, int]]:
        """Yield what a buffer holds before first use: a byte, the place from which on, and how many."""
        size, rows = self.size(buffer, height, width), self.shape(buffer, height, width)[0]
        if buffer.low is None:
            yield buffer.zero_point, 0, size
            return
        half = size // rows // 2
        for row in range(rows):
            yield buffer.zero_point, 2 * row * half, half
            yield buffer.low, (2 * row + 1) * half, half

    def workspace(self, height: int, width: int) -> int:
        """Return bytes of all buffers and of the result."""
        buffers = sum(self.size(buffer, height, width) for buffer in self.buffers)
        return buffers + int(np.prod(self.made(height, width)))

    @property
    def stores_halves(self) -> bool:
        """Whether packed tensors are float16."""
        return any(buffer.dtype == "float16" for buffer in self.buffers)

    def in_float32(self) -> LaunchPlan:
        """Return the same with float32 for float16, for devices that lack it."""
        wide = {"float16": "float32"}
        buffers = (dataclasses.replace(buffer, dtype=wide.get(buffer.dtype, buffer.dtype)) for buffer in self.buffers)
        return dataclasses.replace(self, buffers=tuple(buffers))

    def to_json(self) -> str:
        """Return the plan as a document, with the layout of packed tensors in words."""
        body = {"format": FORMAT, "format_version": VERSION, "side": SIDE, **dataclasses.asdict(self)}
        return json.dumps(body, indent=1, sort_keys=True) + "\n"


def fitting(group: tuple[int, int, int], most: int, along: Sequence[int]) -> tuple[int, int, int]:
    """Return the work-group that a device runs in place of ``group``: no kernel asks for its place in one.

    Halved along z, then y, then x: neighbours along x share cache lines.

    Args:
        group: work-items along x, y and z, as planned.
        most: work-items that the device runs together of this kernel.
        along: the same along each axis.
    """
    sizes = [min(size, limit) for size, limit in zip(group, along, strict=True)]
    while prod(sizes) > most and max(sizes) > 1:
        axis = max(axis for axis in range(3) if sizes[axis] > 1)
        sizes[axis] //= 2
    x, y, z = sizes
    return x, y, z


def parse_plan(text: str | bytes, where: str) -> LaunchPlan:
    """Read a plan; ``where`` names it in messages.

    Raises:
        BundleError: it is damaged, or of another version.
    """
    try:
        table = parse_json(text)
        if not isinstance(table, dict):
            raise TypeError("it is no table")
        marks = {key: table.pop(key, None) for key in ("format", "format_version", "side")}
        if marks != {"format": FORMAT, "format_version": VERSION, "side": SIDE}:
            raise BundleError(f"{where} is of another version", hint="deploy the model again")
        plan = from_plain(LaunchPlan, table)
    except (ValueError, TypeError) as error:
        raise BundleError(
            f"{where} is damaged: it lacks or garbles a part: {error}", hint="deploy the model again"
        ) from error
    known = {PICTURE, RESULT, *SCALARS, *(b.name for b in plan.buffers), *(c.name for c in plan.constants)}
    unknown = [a for launch in plan.launches for a in launch.arguments if a not in known]
    if unknown:
        raise BundleError(f"{where} is damaged: it names what is not there", hint="deploy the model again")
    if not plan.launches:
        raise BundleError(f"{where} is damaged: it launches nothing", hint="deploy the model again")
    return plan


def lay_out(arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[tuple[Constant, ...], bytes]:
    """Arrays one after the other as one file, each at a multiple of 64 bytes."""
    constants, data = [], bytearray()
    for name, array in arrays.items():
        data += bytes(-len(data) % 64)
        constants.append(Constant(name, str(array.dtype), array.size, len(data)))
        data += np.ascontiguousarray(array).tobytes()
    return tuple(constants), bytes(data)
