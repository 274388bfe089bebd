"""YUV4MPEG2, and frames without any header: what FFmpeg and others read and write through pipes.

Source: yuv4mpeg(5) of MJPEG tools, and the parameters X that FFmpeg adds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import IO

from toolchain.support.errors import InputError
from toolchain.video.clip import INTERLACED, Clip, plain_marks
from toolchain.video.colours import usual_space
from toolchain.video.frames import DEEP, LAYOUTS, FrameFormat, VideoFrame, check_frame_size, split

MAGIC = b"YUV4MPEG2 "
_LINE = 1024  # bytes of a header
_COLOURS = {
    "420": ("yuv420p", "center", 8),
    "420jpeg": ("yuv420p", "center", 8),
    "420mpeg2": ("yuv420p", "left", 8),
    "420paldv": ("yuv420p", "topleft", 8),
    "422": ("yuv422p", "left", 8),
    "444": ("yuv444p", "left", 8),
    "mono": ("gray", "left", 8),
    "420p10": ("yuv420p", "left", DEEP),
    "422p10": ("yuv422p", "left", DEEP),
    "444p10": ("yuv444p", "left", DEEP),
    "mono10": ("gray", "left", DEEP),
}
_CONVERT = "convert it first: ffmpeg -i IN -pix_fmt yuv420p -f yuv4mpegpipe - | clipfree run BUNDLE - -o -"


@dataclass(frozen=True)
class Stream:
    """Frames that follow each other in a file or a pipe.

    Attributes:
        form: of each.
        rate: frames a second.
        fields: parameters of a YUV4MPEG2 header that are handed on as they are; None: there are no headers.
    """

    form: FrameFormat
    rate: Fraction = Fraction(25)
    fields: tuple[str, ...] | None = None


def read_header(file: IO[bytes], name: str) -> Stream:
    """Read the header of a YUV4MPEG2 stream.

    Raises:
        InputError: it is none, or of a kind that is not enlarged.
    """
    line = file.readline(_LINE)
    if not line.startswith(MAGIC) or not line.endswith(b"\n"):
        raise InputError(f"{name} is no YUV4MPEG2 stream", hint="raw frames want --size")
    words = line.decode("ascii", "replace").split()[1:]
    found = {word[0]: word[1:] for word in words if word[0] != "X"}
    width, height = _number(found.get("W", ""), name), _number(found.get("H", ""), name)
    check_frame_size(name, width, height)
    colours = found.get("C", "420")
    if colours not in _COLOURS:
        raise InputError(
            f"{name} has frames of the kind {colours[:20]}, of more than 10 bits or with alpha", hint=_CONVERT
        )
    layout, site, bits = _COLOURS[colours]
    usual = usual_space(width, height)
    space = type(usual)(usual.matrix, "XCOLORRANGE=FULL" in words)
    kept = tuple(word for word in words if word[0] in "CIAX")
    kept = kept if "C" in found else (*kept, "C420jpeg")  # what those that say nothing hold
    return Stream(FrameFormat(height, width, LAYOUTS[layout], space, site, bits), _rate(found.get("F", ""), name), kept)


def raw_stream(name: str, size: tuple[int, int], pixels: str, rate: str) -> Stream:
    """Return the stream of frames without headers.

    Args:
        name: for messages.
        size: height and width.
        pixels: a key of ``LAYOUTS``, or one of 10 bits, as FFmpeg calls it.
        rate: frames a second, "25" or "30000/1001".

    Raises:
        InputError: one of them is none.
    """
    known = {form.pixels: form for form in _raw_forms(*size)}
    if pixels not in known:
        raise InputError(f"there are no --pixels {pixels}", hint=f"choose among {', '.join(known)}")
    height, width = size
    check_frame_size(name, width, height)
    over, _, under = rate.partition("/")
    return Stream(known[pixels], _rate(f"{over}:{under or 1}", name))


def _raw_forms(height: int, width: int) -> Iterator[FrameFormat]:
    space = usual_space(width, height)
    for bits in (8, DEEP):
        for layout in LAYOUTS.values():
            if bits == 8 or not layout.rgb:
                yield FrameFormat(height, width, layout, space, bits=bits)


def read_frames(file: IO[bytes], stream: Stream, name: str) -> Iterator[VideoFrame]:
    """Yield frames until the stream ends.

    Raises:
        InputError: it ends within a frame, or something else stands where one begins.
    """
    size, count = stream.form.nbytes, 0
    while True:
        if stream.fields is not None:
            line = file.readline(_LINE)
            if not line:
                return
            if not line.startswith(b"FRAME"):
                raise InputError(f"{name} is damaged behind frame {count}")
        data = _exactly(file, size)
        if not data and stream.fields is None:
            return
        if len(data) != size:
            raise InputError(
                f"{name} ends within frame {count + 1}",
                hint="" if stream.fields is not None else "see whether --size and --pixels are right",
            )
        yield VideoFrame(split(data, stream.form), count, 1)
        count += 1


def clip_of(file: IO[bytes], stream: Stream, name: str) -> Clip:
    """Return the clip that a stream is, behind its header; its frames can be read once."""
    form, fields = stream.form, stream.fields or ()
    notes = () if {"Ip", "I?"} & {*fields} or not any(word[0] == "I" for word in fields) else (INTERLACED,)
    marks = plain_marks(form)
    return Clip(name, form, stream.rate, 1 / stream.rate, lambda: read_frames(file, stream, name), marks, notes=notes)


def write_header(file: IO[bytes], stream: Stream) -> None:
    """Write the header of a YUV4MPEG2 stream, or nothing for raw frames."""
    if stream.fields is None:
        return
    form, rate = stream.form, stream.rate
    words = [f"W{form.width}", f"H{form.height}", f"F{rate.numerator}:{rate.denominator}", *stream.fields]
    file.write(MAGIC + " ".join(words).encode("ascii", "replace") + b"\n")


def write_frame(file: IO[bytes], stream: Stream, frame: VideoFrame) -> None:
    """Write a frame, with its line before it where the stream has headers."""
    if stream.fields is not None:
        file.write(b"FRAME\n")
    for plane in frame.planes:
        file.write(plane.tobytes())


def fields_of(form: FrameFormat) -> tuple[str, ...]:
    """Return the parameters of a YUV4MPEG2 header that say what ``form`` says, but for sizes.

    Raises:
        InputError: such streams hold no such frames.
    """
    for name, (layout, site, bits) in _COLOURS.items():
        same = (layout, bits) == (form.layout.name, form.bits)
        if same and (layout != "yuv420p" or site == form.site or bits > 8) and name != "420":
            return ("Ip", f"C{name}", f"XCOLORRANGE={'FULL' if form.space.full else 'LIMITED'}")
    raise InputError(f"a .y4m holds no frames of {form.pixels}", hint="write a .mkv")


def _exactly(file: IO[bytes], size: int) -> bytes:
    """Read ``size`` bytes, fewer at the end only."""
    parts, left = [], size
    while left and (part := file.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        raise InputError(f"{name} does not say how large its frames are")
    return int(text)


def _rate(text: str, name: str) -> Fraction:
    over, _, under = text.partition(":")
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in (over, under)):
        raise InputError(f"{name} does not say how many frames a second it has")
    return Fraction(int(over), int(under)) if int(over) and int(under) else Fraction(25)
