"""Small films that tests make, with sound, subtitles and chapters; and what is in a film."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import photograph
from toolchain.video.colours import ColourSpace
from toolchain.video.frames import LAYOUTS, FrameFormat, Samples

RATE = Fraction(30000, 1001)


def planes(form: FrameFormat, number: int) -> tuple[Samples, ...]:
    """A frame: parts of a photograph that move."""
    wide = photograph(form.height, form.width + 300, 5)[:, number % 300 :]
    if form.layout.rgb:
        return (np.ascontiguousarray(wide[:, : form.width]),)
    down, across = form.layout.down, form.layout.across
    found = [np.clip(wide[:, : form.width, 1], 16, 235)]
    for place in range(1, form.layout.planes):
        found.append(wide[::down, : form.width : across, place])
    if form.bits > 8:  # with something in the last two bits
        found = [plane.astype("<u2") * 4 + (np.arange(plane.size) % 4).reshape(plane.shape) for plane in found]
    return tuple(np.ascontiguousarray(plane, form.kind) for plane in found)


@dataclass(frozen=True)
class Wish:
    """What a film has."""

    width: int = 32
    height: int = 24
    frames: int = 12
    pixels: str = "yuv420p"
    codec: str = "ffv1"
    matrix: int = 1
    range: int = 1
    bits: int = 8
    options: tuple[tuple[str, str], ...] = ()
    sound: bool = False
    subtitles: bool = False
    rotation: int = 0
    times: tuple[int, ...] = ()

    @property
    def form(self) -> FrameFormat:
        space = ColourSpace("bt709", self.range == 2)
        return FrameFormat(self.height, self.width, LAYOUTS[self.pixels], space, bits=self.bits)


def make(path: Path, wish: Wish = Wish()) -> Path:
    """Write a film."""
    av: Any = pytest.importorskip("av", reason="films want PyAV")
    with av.open(str(path), "w") as result:
        video = result.add_stream(wish.codec, rate=RATE, options=dict(wish.options))
        context = video.codec_context
        context.width, context.height = wish.width, wish.height
        context.pix_fmt = "bgr0" if wish.pixels == "rgb24" else wish.form.pixels
        context.colorspace, context.color_range = wish.matrix, wish.range
        context.sample_aspect_ratio = Fraction(4, 3)
        if wish.times:
            context.time_base = Fraction(1, 1000)
        if wish.rotation:
            video.set_display_rotation(wish.rotation)
        sound = result.add_stream("aac", rate=48000, layout="mono") if wish.sound else None
        if sound is not None:
            sound.metadata["language"] = "deu"
        words = result.add_mux_stream("subrip") if wish.subtitles else None
        result.metadata["title"] = "a film"
        if wish.subtitles:
            result.set_chapters([{"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {}}])
        for number in range(wish.frames):
            frame = av.VideoFrame(wish.width, wish.height, wish.form.pixels)
            for plane, pixels in zip(frame.planes, planes(wish.form, number), strict=True):
                lines = np.frombuffer(plane, pixels.dtype).reshape(-1, plane.line_size // pixels.itemsize)
                lines[: pixels.shape[0], : pixels[0].size] = pixels.reshape(len(pixels), -1)
            if wish.pixels == "rgb24":
                frame = frame.reformat(format="bgr0")
            frame.colorspace, frame.color_range = wish.matrix, wish.range
            frame.pts = wish.times[number] if wish.times else number
            frame.time_base = Fraction(1, 1000) if wish.times else 1 / RATE
            result.mux(video.encode(frame))
        result.mux(video.encode(None))
        if sound is not None:
            tone = np.sin(np.arange(48000 * wish.frames // 30) / 20).astype(np.float32)
            for begin in range(0, len(tone) - 1023, 1024):
                part = av.AudioFrame.from_ndarray(tone[None, begin : begin + 1024], format="fltp", layout="mono")
                part.rate, part.pts = 48000, begin
                result.mux(sound.encode(part))
            result.mux(sound.encode(None))
        if words is not None:
            packet = av.Packet(b"Hello")
            packet.pts = packet.dts = 100
            packet.duration, packet.time_base, packet.stream = 150, Fraction(1, 1000), words
            result.mux(packet)
    return path


def frames_of(path: Path) -> list[Any]:
    """The frames of a film."""
    import av

    with av.open(str(path)) as container:
        return list(container.decode(container.streams.video[0]))


def planes_of(frame: Any, form: FrameFormat) -> tuple[Samples, ...]:
    """Its planes, copied."""
    found = []
    for plane, shape in zip(frame.planes, form.shapes, strict=True):
        lines = np.frombuffer(plane, form.kind).reshape(-1, plane.line_size // form.kind.itemsize)
        found.append(lines[: shape[0], : int(np.prod(shape[1:]))].reshape(shape).copy())
    return tuple(found)


def packets_of(path: Path, kind: str) -> list[bytes]:
    """The packets of the streams of a kind."""
    import av

    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type == kind]
        return [bytes(packet) for packet in container.demux(streams) if packet.size] if streams else []
