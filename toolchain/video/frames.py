"""A frame of video: planes, how they lie on each other, and what their numbers mean."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from toolchain.images import MAX_PIXELS
from toolchain.images.scale import enlarged
from toolchain.support.errors import InputError
from toolchain.video.colours import ColourSpace

Pixels = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.uint8 | np.uint16]
"""Of planes of 8 bits and of 10."""

DEEP = 10
"""Bits of samples that have more than 8."""

LONGEST = 16384
"""Pixels a side, of results too: what encoders take."""


@dataclass(frozen=True)
class Layout:
    """Which planes a frame has.

    Attributes:
        name: as FFmpeg calls it where samples have 8 bits.
        across: luma samples a chroma sample, along rows.
        down: the same, along columns.
        planes: how many; one of three samples is RGB.
    """

    name: str
    across: int = 1
    down: int = 1
    planes: int = 3

    @property
    def rgb(self) -> bool:
        """Whether the only plane holds RGB."""
        return self.name == "rgb24"


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("yuv420p", 2, 2),
        Layout("yuv422p", 2, 1),
        Layout("yuv444p"),
        Layout("gray", planes=1),
        Layout("rgb24", planes=1),
    )
}

SITES = {"left": (0.0, 0.5), "center": (0.5, 0.5), "topleft": (0.0, 0.0)}
"""Where chroma samples lie, in luma samples behind the first that they stand for: across and down."""


@dataclass(frozen=True)
class FrameFormat:
    """What all frames of a film have in common.

    Attributes:
        height: in pixels.
        width: the same.
        layout: the planes.
        space: of Y'CbCr.
        site: where chroma lies, a key of ``SITES``.
        bits: of a sample, 8 or ``DEEP``; RGB has 8.
    """

    height: int
    width: int
    layout: Layout
    space: ColourSpace
    site: str = "left"
    bits: int = 8

    @property
    def pixels(self) -> str:
        """What FFmpeg calls the planes."""
        return self.layout.name if self.bits == 8 else f"{self.layout.name}{self.bits}le"

    @property
    def kind(self) -> np.dtype[np.uint8 | np.uint16]:
        """Of a sample in memory."""
        return np.dtype(np.uint8) if self.bits == 8 else np.dtype("<u2")

    def enlarged(self, scale: int | Fraction) -> FrameFormat:
        """Return what frames that are enlarged by ``scale`` have in common."""
        return replace(self, height=enlarged(self.height, scale), width=enlarged(self.width, scale))

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of the planes."""
        if self.layout.rgb:
            return ((self.height, self.width, 3),)
        chroma = (-(-self.height // self.layout.down), -(-self.width // self.layout.across))
        return ((self.height, self.width), *([chroma] * (self.layout.planes - 1)))

    @property
    def nbytes(self) -> int:
        """Bytes of a frame."""
        return self.kind.itemsize * sum(int(np.prod(shape)) for shape in self.shapes)

    @property
    def across(self) -> float:
        """Luma samples from a pair's first to their chroma sample, along rows; 0.5 where each has its own."""
        return SITES[self.site][0] if self.layout.across == 2 else 0.5

    @property
    def down(self) -> float:
        """The same along columns."""
        return SITES[self.site][1] if self.layout.down == 2 else 0.5


@dataclass(frozen=True)
class VideoFrame:
    """A frame.

    Attributes:
        planes: u8 or u16 (h, w) each, or one (h, w, 3) of RGB.
        time: when it is shown, in units of the film.
        duration: how long, in the same; 0 where nothing is known.
    """

    planes: tuple[Samples, ...]
    time: int = 0
    duration: int = 0

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return sum(plane.nbytes for plane in self.planes)


def check_frame_size(name: str, width: int, height: int) -> None:
    """Refuse frames of no pixels, or of more than anything here takes.

    Raises:
        InputError: they are such.
    """
    if not (1 <= width <= LONGEST and 1 <= height <= LONGEST and width * height <= MAX_PIXELS):
        raise InputError(
            f"{name} has frames of {width} x {height} pixels", hint=f"1 to {LONGEST} a side can be enlarged"
        )


def split(data: bytes | memoryview, form: FrameFormat) -> tuple[Samples, ...]:
    """Return the planes of a frame whose bytes lie one after the other."""
    planes: list[Samples] = []
    at = 0
    for shape in form.shapes:
        size = int(np.prod(shape))
        planes.append(np.frombuffer(data, form.kind, size, at).reshape(shape))
        at += size * form.kind.itemsize
    return tuple(planes)
