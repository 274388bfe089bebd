"""Encoding: frames become packets, and packets a file, beside what is copied of the film that they were made of."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np

from toolchain.support.errors import InputError
from toolchain.video.clip import Marks
from toolchain.video.colours import rgb_to_chroma, rgb_to_luma
from toolchain.video.ffmpeg import SUFFIXES, load_av, opened, sentences
from toolchain.video.frames import LAYOUTS, FrameFormat, VideoFrame
from toolchain.video.hdr import Light
from toolchain.video.parts import FRAMES, StoredPacket


@dataclass(frozen=True)
class Codec:
    """An encoder.

    Attributes:
        encoder: FFmpeg's name of it.
        options: that it gets.
        crf: its constant quality where none is asked for; None: it is lossless.
        files: FFmpeg's names of the formats that hold it.
        even: whether frames whose chroma is halved must have even sides.
        light: how it is told of HDR's light: an option, the words in it for display and content, and whether numbers
            are whole. None: it has no place for that.
    """

    encoder: str
    options: tuple[tuple[str, str], ...] = ()
    crf: int | None = None
    files: tuple[str, ...] = ("matroska",)
    even: bool = False
    light: tuple[str, str, str, bool] | None = None


_ISO = ("mp4", "mov", "matroska")
CODECS = {
    "h264": Codec("libx264", (("preset", "veryfast"),), 16, (*_ISO, "mpegts"), even=True),
    "hevc": Codec(
        "libx265",
        (("preset", "veryfast"), ("x265-params", "log-level=none")),
        18,
        (*_ISO, "mpegts"),
        even=True,
        light=("x265-params", "master-display", "max-cll", True),
    ),
    "vp9": Codec(
        "libvpx-vp9",
        (("deadline", "realtime"), ("cpu-used", "6"), ("row-mt", "1"), ("b", "0")),
        22,
        ("mp4", "matroska", "webm"),
    ),
    "av1": Codec(
        "libsvtav1",
        (("preset", "10"),),
        24,
        ("mp4", "matroska", "webm"),
        even=True,
        light=("svtav1-params", "mastering-display", "content-light", False),
    ),
    "ffv1": Codec("ffv1"),
}
_COPIED = ("audio", "subtitle")
_LONGEST_DELAY = 3600  # seconds of frames that an encoder looks ahead; what says more, says nothing
_OWN = frozenset({"encoder", "major_brand", "minor_version", "compatible_brands", "creation_time"})


@dataclass(frozen=True)
class Coding:
    """How frames are encoded.

    Attributes:
        codec: a key of ``CODECS``.
        crf: constant quality; None for the codec's usual one.
        form: of the frames that come.
        rate: frames a second.
        unit: seconds of a unit of times.
        marks: of the colours.
        aspect: of a pixel.
        rotation: degrees by which players turn it.
        light: of HDR.
    """

    codec: str
    crf: int | None
    form: FrameFormat
    rate: Fraction
    unit: Fraction
    marks: Marks
    aspect: Fraction | None = None
    rotation: int = 0
    light: Light | None = None

    @property
    def written(self) -> FrameFormat:
        """The form of the frames that the encoder gets: RGB becomes Y'CbCr."""
        if not self.form.layout.rgb:
            return self.form
        return FrameFormat(self.form.height, self.form.width, LAYOUTS["yuv444p"], self.form.space)

    def check(self, container: str) -> None:
        """See whether the encoder takes such frames, and ``container``, FFmpeg's name of a format, the
        encoder's packets.

        Raises:
            InputError: it does not.
        """
        form, kind = self.written, CODECS[self.codec]
        odd = (form.layout.across == 2 and form.width % 2) or (form.layout.down == 2 and form.height % 2)
        if kind.even and odd:
            raise InputError(
                f"{self.codec} holds no {form.layout.name} of {form.width} x {form.height} pixels, whose sides are odd",
                hint="--codec vp9 does, and ffv1 in a .mkv",
            )
        if container not in kind.files:
            raise InputError(f"such a file holds no {self.codec}", hint="a .mkv does")
        known = {found.name for found in load_av().codec.Codec(kind.encoder, "w").video_formats or ()}
        if form.pixels not in known:
            raise InputError(f"{self.codec} holds no {form.pixels}", hint="--codec hevc does, and ffv1 in a .mkv")

    def set_up(self, context: Any) -> None:
        """Tell an encoder what it gets."""
        form = self.written
        context.width, context.height, context.pix_fmt = form.width, form.height, form.pixels
        context.time_base, context.framerate = self.unit, self.rate
        context.colorspace, context.color_range = self.marks.matrix, 2 if self.marks.full else 1
        context.color_primaries, context.color_trc = self.marks.primaries, self.marks.transfer
        context.gop_size = FRAMES
        if self.aspect is not None:
            context.sample_aspect_ratio = self.aspect

    @property
    def options(self) -> dict[str, str]:
        """Of the encoder."""
        kind = CODECS[self.codec]
        crf = self.crf if self.crf is not None else kind.crf
        options = dict(kind.options) | ({} if kind.crf is None else {"crf": str(crf)})
        if kind.light is not None and self.light is not None:
            name, display, content, whole = kind.light
            said = self.light.parameters(whole=whole)
            words = [f"{word}={said[key]}" for key, word in (("display", display), ("content", content)) if key in said]
            options[name] = ":".join([*([options[name]] if name in options else []), *words])
        return options

    @property
    def left_out(self) -> list[str]:
        """What of the film the encoder's packets have no place for."""
        if self.light is None or CODECS[self.codec].light is not None:
            return []
        return [f"HDR's brightness and display have no place in {self.codec}; --codec hevc holds them"]


def encoded(frames: Iterable[VideoFrame], coding: Coding, *, headers: bool) -> Iterator[StoredPacket]:
    """Yield packets of frames by an encoder of their own: other frames' packets may follow.

    Args:
        frames: of a film, or of a part of one.
        coding: how.
        headers: the file has a place for what decoding begins with; else it stands in the packets.

    Raises:
        InputError: FFmpeg refuses to encode so.
    """
    av = load_av()
    with sentences("the enlarged film"):
        context = av.CodecContext.create(CODECS[coding.codec].encoder, "w")
        coding.set_up(context)
        context.options = coding.options
        if headers:
            context.flags |= av.codec.context.Flags.global_header
        durations: dict[int, int] = {}
        for frame in frames:
            durations[frame.time] = frame.duration
            for packet in context.encode(_to_av(frame, coding)):
                yield _stored(packet, coding, durations)
        for packet in context.encode(None):
            yield _stored(packet, coding, durations)


def _stored(packet: Any, coding: Coding, durations: dict[int, int]) -> StoredPacket:
    ratio = packet.time_base / coding.unit
    shown = round(packet.pts * ratio)
    decoded = shown if packet.dts is None else round(packet.dts * ratio)
    if not 0 <= (shown - decoded) * coding.unit <= _LONGEST_DELAY:  # x265 of FFmpeg sets none for one frame or two
        decoded = shown
    return StoredPacket(shown, decoded, durations.pop(shown, 0), packet.is_keyframe, bytes(packet))


def _to_av(frame: VideoFrame, coding: Coding) -> Any:
    form = coding.written
    planes = frame.planes
    if coding.form.layout.rgb:
        planes = (rgb_to_luma(planes[0], form.space), *rgb_to_chroma(planes[0], 0, form.space))
    found = load_av().VideoFrame(form.width, form.height, form.pixels)
    for plane, pixels in zip(found.planes, planes, strict=True):
        lines = np.frombuffer(plane, form.kind).reshape(-1, plane.line_size // form.kind.itemsize)
        lines[: pixels.shape[0], : pixels.shape[1]] = pixels
    found.pts, found.time_base, found.duration = frame.time, coding.unit, frame.duration
    found.colorspace, found.color_range = coding.marks.matrix, 2 if coding.marks.full else 1
    return found


def format_of_film(path: Path) -> str:
    """Return FFmpeg's name of the format that a name stands for.

    Raises:
        InputError: none.
    """
    found = SUFFIXES.get(path.suffix.lower())
    if found is None:
        raise InputError(f"{path.name} does not end as a film does that can be written",
                         hint=f"write a {', '.join([*SUFFIXES][:-1])} or .y4m")  # fmt: skip
    return found


def has_headers(path: Path) -> bool:
    """Return whether files of a name keep what decoding begins with in a place of its own."""
    return format_of_film(path) != "mpegts"


def join(
    file: IO[bytes], path: Path, coding: Coding, packets: Iterator[StoredPacket], source: Path | None
) -> list[str]:
    """Write a film: packets, with the other streams of ``source`` as they are. Returns what was left out of these.

    Args:
        file: opened for writing.
        path: its name, which says the format.
        coding: what made the packets.
        packets: of the enlarged frames.
        source: the film that they were made of; None: there is nothing else.

    Raises:
        InputError: FFmpeg refuses.
        OSError: ``file`` cannot be written.
    """
    av = load_av()
    with sentences(path.name), av.open(file, "w", format=format_of_film(path)) as result:
        stream = result.add_stream(CODECS[coding.codec].encoder, rate=coding.rate, options=coding.options)
        coding.set_up(stream.codec_context)
        if coding.rotation:
            stream.set_display_rotation(coding.rotation)
        own = _times(_packets(packets, stream, coding.unit))
        if source is None:
            for _, _, packet in own:
                result.mux(packet)
            return coding.left_out
        with opened(source) as container:
            streams, left_out = _copied(container, result, path)
            left_out += coding.left_out
            result.metadata.update({key: text for key, text in container.metadata.items() if key not in _OWN})
            others = _times(_others(container, streams), 1) if streams else iter(())
            for _, _, packet in heapq.merge(own, others, key=lambda item: item[:2]):
                result.mux(packet)
    return left_out


def _copied(container: Any, result: Any, path: Path) -> tuple[dict[int, Any], list[str]]:
    """Return the streams of ``result`` that those of the film become, by their index; and what has no place there."""
    streams, left_out = {}, []
    known = result.supported_codecs
    for stream in container.streams:
        if stream.type == "attachment" and result.format.name == "matroska":
            result.add_attachment(stream.name, stream.mimetype, stream.data)
        if stream.type not in _COPIED:
            continue
        name = stream.codec_context.name if stream.codec_context is not None else "unknown"
        if stream.codec_context is None or stream.codec_context.codec.canonical_name not in known:
            left_out.append(f"{stream.type} of the kind {name} has no place in {path.suffix}; a .mkv holds it")
            continue
        made = result.add_stream_from_template(stream)
        made.metadata.update(stream.metadata)
        made.disposition = stream.disposition
        streams[stream.index] = made
    chapters = container.chapters()
    if chapters:
        result.set_chapters(chapters)
    return streams, left_out


def _packets(packets: Iterator[StoredPacket], stream: Any, unit: Fraction) -> Iterator[Any]:
    av, before = load_av(), None
    for stored in packets:
        packet = av.Packet(stored.data)
        decoded = stored.decoded if before is None else min(max(stored.decoded, before + 1), stored.shown)
        packet.pts, packet.dts, packet.duration, packet.time_base = stored.shown, decoded, stored.duration, unit
        packet.is_keyframe, packet.stream = stored.key, stream
        before = decoded
        yield packet


def _others(container: Any, streams: dict[int, Any]) -> Iterator[Any]:
    for packet in container.demux([container.streams[index] for index in streams]):
        if packet.size and (packet.dts is not None or packet.pts is not None):
            packet.stream = streams[packet.stream.index]
            yield packet


def _times(packets: Iterator[Any], rank: int = 0) -> Iterator[tuple[float, int, Any]]:
    for packet in packets:
        at = packet.dts if packet.dts is not None else packet.pts
        yield float(at * packet.time_base), rank, packet
