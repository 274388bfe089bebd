"""YUV4MPEG2 and raw frames: read as they are written, and everything else is a sentence."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.support.errors import InputError
from toolchain.video.colours import ColourSpace
from toolchain.video.frames import LAYOUTS, FrameFormat, VideoFrame
from toolchain.video.y4m import (
    Stream,
    clip_of,
    fields_of,
    raw_stream,
    read_frames,
    read_header,
    write_frame,
    write_header,
)

HEAD = b"YUV4MPEG2 W6 H4 F30000:1001 Ip A1:1 C420jpeg XYSCSS=420JPEG XCOLORRANGE=FULL\n"


def test_a_header():
    stream = read_header(io.BytesIO(HEAD), "a")
    assert (stream.form.width, stream.form.height, stream.rate) == (6, 4, Fraction(30000, 1001))
    assert (stream.form.layout.name, stream.form.site, stream.form.space.full) == ("yuv420p", "center", True)
    assert stream.fields == ("Ip", "A1:1", "C420jpeg", "XYSCSS=420JPEG", "XCOLORRANGE=FULL")
    file = io.BytesIO()
    write_header(file, stream)
    assert file.getvalue() == HEAD


def test_the_shortest_header():
    stream = read_header(io.BytesIO(b"YUV4MPEG2 W6 H4 F25:1\n"), "a")
    assert (stream.form.layout.name, stream.form.site, stream.fields) == ("yuv420p", "center", ("C420jpeg",))


@pytest.mark.parametrize("layout", ["yuv420p", "yuv422p", "yuv444p", "gray"])
@pytest.mark.parametrize("site", ["left", "center", "topleft"])
@pytest.mark.parametrize("headers", [True, False])
@pytest.mark.parametrize("bits", [8, 10])
def test_what_is_written_is_read(layout: str, site: str, headers: bool, bits: int):
    site = site if bits == 8 else "left"
    form = FrameFormat(5, 7, LAYOUTS[layout], ColourSpace("bt601", full=False), site, bits)
    stream = Stream(form, Fraction(24), fields_of(form) if headers else None)
    frames = [
        tuple(np.random.default_rng(n).integers(0, 1 << bits, shape, dtype=form.kind) for shape in form.shapes)
        for n in range(3)
    ]
    file = io.BytesIO()
    write_header(file, stream)
    for planes in frames:
        write_frame(file, stream, VideoFrame(planes))
    file.seek(0)
    back = read_header(file, "a") if headers else raw_stream("a", (5, 7), form.pixels, "24")
    assert back.form.shapes == form.shapes
    assert back.form.bits == bits
    if headers and layout == "yuv420p":
        assert back.form == form
    found = list(read_frames(file, back, "a"))
    assert [frame.time for frame in found] == [0, 1, 2]
    for frame, planes in zip(found, frames, strict=True):
        assert all(np.array_equal(one, other) for one, other in zip(frame.planes, planes, strict=True))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "a is no YUV4MPEG2 stream"),
        (b"GIF89a\n", "a is no YUV4MPEG2 stream"),
        (b"YUV4MPEG2 " + b"I" * 5000 + b"\n", "a is no YUV4MPEG2 stream"),
        (b"YUV4MPEG2 W6 F25:1\n", "a does not say how large its frames are"),
        (b"YUV4MPEG2 W-6 H4 F25:1\n", "a does not say how large its frames are"),
        (b"YUV4MPEG2 W0 H4 F25:1\n", "a has frames of 0 x 4 pixels"),
        (b"YUV4MPEG2 W99999 H4 F25:1\n", "a has frames of 99999 x 4 pixels"),
        (b"YUV4MPEG2 W16000 H16000 F25:1\n", "a has frames of 16000 x 16000 pixels"),
        (b"YUV4MPEG2 W6 H4 F25\n", "a does not say how many frames a second it has"),
        (b"YUV4MPEG2 W6 H4 F25:1 C420p12\n", "a has frames of the kind 420p12, of more than 10 bits"),
        (HEAD + b"FRAME\n" + bytes(35), "a ends within frame 1"),
        (HEAD + b"FRAME\n" + bytes(36) + b"FRIME\n" + bytes(36), "a is damaged behind frame 1"),
    ],
)
def test_what_is_no_stream(data: bytes, said: str):
    file = io.BytesIO(data)
    with pytest.raises(InputError) as raised:
        list(read_frames(file, read_header(file, "a"), "a"))
    assert str(raised.value).startswith(said)


@given(st.binary(max_size=60), st.integers(0, 80))
def test_damaged_streams_are_sentences(noise: bytes, at: int):
    file = io.BytesIO((HEAD + b"FRAME\n" + bytes(36))[:at] + noise + HEAD[at:])
    try:
        frames = list(read_frames(file, read_header(file, "a"), "a"))
    except InputError:
        return
    assert all(frame.planes[0].size for frame in frames)


def test_raw_frames_that_do_not_fit():
    with pytest.raises(InputError, match=r"ends within frame 1; see whether --size and --pixels are right"):
        list(read_frames(io.BytesIO(bytes(35)), raw_stream("a", (4, 6), "yuv420p", "25"), "a"))
    with pytest.raises(InputError, match="there are no --pixels nv12"):
        raw_stream("a", (4, 6), "nv12", "25")
    with pytest.raises(InputError, match="does not say how many frames a second"):
        raw_stream("a", (4, 6), "gray", "fast")


def test_fields_are_flagged():
    for word, flagged in (("Ip", False), ("It", True), ("Ib", True), ("Im", True), ("I?", False)):
        file = io.BytesIO(f"YUV4MPEG2 W6 H4 F25:1 {word}\n".encode())
        assert any("interlaced" in note for note in clip_of(file, read_header(file, "a"), "a").notes) is flagged
