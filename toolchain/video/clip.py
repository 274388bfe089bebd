"""Moving pictures from anywhere: what they are, and their frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from toolchain.video.frames import FrameFormat, VideoFrame
from toolchain.video.hdr import Light

UNSPECIFIED = 2
"""In ``Marks``."""

INTERLACED = "it is interlaced, its frames are enlarged as they are (ffmpeg -i FILM -vf bwdif film.mkv joins them)"
"""In ``Clip.notes``."""

CODES = {"bt709": 1, "bt601": 6, "bt2020": 9}
"""What H.273 calls the matrices."""


@dataclass(frozen=True)
class Marks:
    """Numbers of H.273 that a film says of its colours, handed on as they are.

    Attributes:
        matrix: of Y'CbCr.
        primaries: of the colours.
        transfer: what samples are of light.
        full: whether samples are of full range.
    """

    matrix: int
    primaries: int
    transfer: int
    full: bool


def plain_marks(form: FrameFormat) -> Marks:
    """Return those of frames that say nothing but their matrix and range."""
    return Marks(CODES[form.space.matrix], UNSPECIFIED, UNSPECIFIED, form.space.full)


@dataclass(frozen=True)
class Clip:
    """Moving pictures.

    Attributes:
        name: for messages.
        form: of the frames, as they are read.
        rate: frames a second, in the mean.
        unit: seconds of a unit of times.
        frames: yields them as they are shown; a pipe's once only.
        marks: of the colours.
        count: about how many frames there are; 0 where nothing says it.
        path: the file, from which other streams are copied; None where there are none.
        aspect: width over height of a pixel; None where nothing says it.
        rotation: degrees by which players turn it.
        light: of HDR; None where nothing says it.
        notes: what the user should know of how it is read.
    """

    name: str
    form: FrameFormat
    rate: Fraction
    unit: Fraction
    frames: Callable[[], Iterator[VideoFrame]]
    marks: Marks
    count: int = 0
    path: Path | None = None
    aspect: Fraction | None = None
    rotation: int = 0
    light: Light | None = None
    notes: tuple[str, ...] = ()
