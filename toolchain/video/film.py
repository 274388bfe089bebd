"""A film in a file: what it is, and its frames as planes of 8 bits or 10."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.support.errors import InputError
from toolchain.video.clip import CODES, INTERLACED, UNSPECIFIED, Clip, Marks
from toolchain.video.colours import ColourSpace, usual_space
from toolchain.video.ffmpeg import load_av, opened
from toolchain.video.frames import DEEP, LAYOUTS, FrameFormat, Layout, Samples, VideoFrame, check_frame_size
from toolchain.video.hdr import light_of, lost_of

_MATRICES = {1: "bt709", 5: "bt601", 6: "bt601", 9: "bt2020"}
_FULL = 2
_MOST_RATE = 1000


def open_film(path: Path) -> Clip:
    """Look into a film, up to its first frame.

    Raises:
        InputError: it is missing, damaged, no film, too large, or PyAV is not installed.
    """
    with opened(path) as container:
        pictures = [stream for stream in container.streams.video if not _is_cover(stream)]
        if not pictures:
            raise InputError(f"{path} has no moving pictures")
        stream = pictures[0]
        frame = next(_decoded(container, stream), None)
        if frame is None:
            raise InputError(f"{path} has no frame that can be read")
        check_frame_size(str(path), frame.width, frame.height)
        rate = _rate(stream)
        count = stream.frames or round(float(_seconds(container, stream)) * rate)
        notes = []
        if len(pictures) > 1:
            notes.append(f"the first of its {len(pictures)} video streams is taken")
        if frame.interlaced_frame:
            notes.append(INTERLACED)
        form, marks = _form(frame)
        bits = frame.format.components[0].bits
        if bits > form.bits:
            notes.append(f"its samples of {bits} bits become {form.bits}")
        lost = lost_of(frame)
        if lost:
            notes.append(f"not kept: {', '.join(lost)}")
        if form.layout.rgb:
            notes.append("its RGB becomes BT.709, yuv444p")
        frames = functools.partial(_frames, path, stream.index, form, max(1, round(1 / (rate * stream.time_base))))
        aspect = stream.sample_aspect_ratio or None
        return Clip(
            path.name,
            form,
            rate,
            stream.time_base,
            frames,
            marks,
            count,
            path,
            aspect,
            frame.rotation,
            light_of(frame),
            tuple(notes),
        )


def _frames(path: Path, index: int, form: FrameFormat, step: int) -> Iterator[VideoFrame]:
    """Yield frames as they are shown; packets that are damaged are passed over.

    Raises:
        InputError: the file turns out to be damaged as a whole, or its frames change their size.
    """
    before: int | None = None
    with opened(path) as container:
        for frame in _decoded(container, container.streams[index]):
            if (frame.width, frame.height) != (form.width, form.height):
                raise InputError(
                    f"{path.name} changes from {form.width} x {form.height} to {frame.width} x {frame.height} pixels",
                    hint="cut it there",
                )
            time = frame.pts if frame.pts is not None else (0 if before is None else before + step)
            if before is not None and time <= before:
                time = before + 1
            before = time
            yield VideoFrame(_planes(frame, form), time, frame.duration or step)


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    av = load_av()
    stream.thread_type = "AUTO"
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.InvalidDataError:  # a file that ends early: what came before is good
            return
        if packet is None:
            return
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue


def _form(frame: Any) -> tuple[FrameFormat, Marks]:
    """Return what is made of a frame, and how it is marked."""
    kind = frame.format
    layout = _layout(kind)
    full = kind.name.startswith("yuvj") or int(frame.color_range) == _FULL
    matrix = int(frame.colorspace)
    usual = usual_space(frame.width, frame.height).matrix
    if layout.rgb:
        return (
            FrameFormat(frame.height, frame.width, layout, ColourSpace("bt709", full=False)),
            Marks(CODES["bt709"], int(frame.color_primaries), int(frame.color_trc), full=False),
        )
    space = ColourSpace(_MATRICES.get(matrix, usual), full)
    marks = Marks(
        CODES[usual] if matrix == UNSPECIFIED and layout.planes == 3 else matrix,
        int(frame.color_primaries),
        int(frame.color_trc),
        full,
    )
    site = "center" if kind.name.startswith("yuvj") else "left"
    bits = DEEP if kind.components[0].bits > 8 else 8
    return FrameFormat(frame.height, frame.width, layout, space, site, bits), marks


def _layout(kind: Any) -> Layout:
    if kind.is_rgb or kind.has_palette:
        return LAYOUTS["rgb24"]
    if len(kind.components) < 3:
        return LAYOUTS["gray"]
    joined = (16 // kind.chroma_width(16), 16 // kind.chroma_height(16))
    return {(2, 2): LAYOUTS["yuv420p"], (2, 1): LAYOUTS["yuv422p"]}.get(joined, LAYOUTS["yuv444p"])


def _planes(frame: Any, form: FrameFormat) -> tuple[Samples, ...]:
    """Return what ``form`` says, copied from FFmpeg's memory; samples of more bits are rounded."""
    name, wanted, over = frame.format.name, form.pixels, 0
    bits = frame.format.components[0].bits
    if form.bits > 8 and bits > 8:  # a film may go on with 8
        wanted, over = f"{form.layout.name}{bits}le", bits - form.bits
    if name not in (wanted, wanted.replace("yuv", "yuvj")):
        frame = frame.reformat(format=wanted)
    planes = (_plane(plane, shape, form.kind) for plane, shape in zip(frame.planes, form.shapes, strict=True))
    return tuple(_moved(plane, over, form.bits) for plane in planes)


def _moved(plane: npt.NDArray[Any], over: int, bits: int) -> npt.NDArray[Any]:
    """Return samples with ``over`` bits less, rounded, or more where that is below 0, of ``bits`` then."""
    if over <= 0:
        return plane << -over if over else plane
    rounded = (plane.astype(np.uint32) + (1 << (over - 1))) >> over
    moved: npt.NDArray[Any] = np.minimum(rounded, (1 << bits) - 1).astype(plane.dtype)
    return moved


def _plane(plane: Any, shape: tuple[int, ...], kind: np.dtype[Any]) -> npt.NDArray[Any]:
    lines = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: shape[0]]
    wide = int(np.prod(shape[1:]))
    return lines.view(kind)[:, :wide].reshape(shape).copy()


def _is_cover(stream: Any) -> bool:
    return "attached_pic" in str(stream.disposition)


def _rate(stream: Any) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0 < rate <= _MOST_RATE:
            return Fraction(rate)
    return Fraction(25)


def _seconds(container: Any, stream: Any) -> Fraction:
    if stream.duration:
        return Fraction(stream.duration * stream.time_base)
    return Fraction(max(0, container.duration or 0), load_av().time_base)
