"""``clipfree run`` of a film, or of frames through a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from toolchain.cli.console import Console, duration
from toolchain.support.errors import InputError

if TYPE_CHECKING:
    from toolchain.video.clip import Clip
    from toolchain.video.encode import Coding
    from toolchain.video.work import Done, Network

_STANDARD = Path("-")
_Y4M, _RAW = ".y4m", ".yuv"
_EVERY = 10.0  # seconds between two lines of progress
_MAGIC = b"YUV4MPEG2 "


@dataclass(frozen=True)
class VideoOptions:
    """What the command line says of films.

    Attributes:
        size: height and width of raw frames; None: there are none.
        pixels: of raw frames, as FFmpeg calls them.
        rate: frames a second of raw frames that become a film.
        codec: of a film; None for the usual one of its format.
        crf: constant quality; None for the codec's usual one.
    """

    size: tuple[int, int] | None = None
    pixels: str = "yuv420p"
    rate: str = "25"
    codec: str | None = None
    crf: int | None = None

    @property
    def given(self) -> bool:
        """Whether any was given."""
        return self != VideoOptions()


def is_film(sources: list[Path], out: Path | None, options: VideoOptions) -> bool:
    """Return whether films or frames are asked for, and not pictures."""
    from toolchain.video.ffmpeg import READ, SUFFIXES

    films = {*READ, _Y4M, _RAW}
    if options.given or any(path.suffix.lower() in films and not path.is_dir() for path in sources):
        return True
    if out is not None and out.suffix.lower() in {*SUFFIXES, _Y4M, _RAW} and not out.is_dir():
        return True
    return sources == [_STANDARD] and _waiting().startswith(_MAGIC)


def run_film(
    console: Console, sources: list[Path], out: Path | None, network: Network, digest: str, options: VideoOptions,
    *, skip_existing: bool,
) -> dict[str, Any]:  # fmt: skip
    """Enlarge a film; returns what the JSON document says of it.

    Args:
        console: prints.
        sources: one film.
        out: where to; None for beside it.
        network: what enlarges.
        digest: of the network.
        options: of the command line.
        skip_existing: do nothing where the result is there.

    Raises:
        InputError: it cannot be read or written so.
        OutputError: the result cannot be written.
    """
    if len(sources) != 1:
        raise InputError("films are enlarged one by one", hint="give one film")
    source, output = sources[0], _output(sources[0], out, network.geometry.scale)
    if skip_existing and output != _STANDARD and output.exists():
        console.info(f"{output} is there")
        return {"film": source, "output": output, "skipped": True}
    if output == _STANDARD and (console.as_json or sys.stdout.isatty()):
        raise InputError("standard output is taken", hint="name a file with -o")
    if output != _STANDARD and source != _STANDARD and output.resolve() == source.resolve():
        raise InputError(f"{output} would be written over itself", hint="choose another name with -o")
    with _clip(source, options) as (clip, fields):
        large = clip.form.enlarged(network.geometry.scale)
        console.info(
            f"{clip.name}: {clip.form.width} x {clip.form.height} to {large.width} x {large.height}, "
            f"{float(clip.rate):.6g} fps, {clip.form.pixels}{''.join(f'; {note}' for note in clip.notes)}"
        )
        told = _Told(console, clip.count)
        with console.progress(1.0, eta=True) as told.tell:
            if output == _STANDARD or output.suffix.lower() in (_Y4M, _RAW):
                left_out = _streamed(clip, network, output, fields, told)
            else:
                left_out = _encoded(clip, network, output, digest, options, told, console)
    for text in left_out:
        console.note(f"left out: {text}")
    if output != _STANDARD:
        console.say(str(output))
    console.info(f"{told.frames} frames{told.figures}")
    return {
        "film": source,
        "output": output,
        "skipped": False,
        "width": large.width,
        "height": large.height,
        "pixels": clip.form.pixels,
        "frames": told.frames,
        "frames_before": told.before,
        "frames_per_s": told.rate,
        "notes": [*clip.notes, *left_out],
    }


@dataclass
class _Told:
    """Tells of progress, on a terminal by a bar, else now and then by a line."""

    console: Console
    count: int
    tell: Any = None
    frames: int = 0
    before: int = 0
    rate: float | None = None
    _last: float = field(default_factory=time.monotonic)

    @property
    def figures(self) -> str:
        return "" if self.rate is None else f", {self.rate:.1f} fps"

    def follow(self, steps: Iterator[Done]) -> None:
        for done in steps:
            self.frames, self.before, self.rate = done.frames, done.before, done.rate
            share = min(1.0, done.frames / self.count) if self.count else 0.0
            text = ""
            if sys.stderr.isatty() or time.monotonic() - self._last > _EVERY:
                self._last = time.monotonic()
                of, left = "", ""
                if self.count:
                    of = f" of about {self.count}"
                    left = f", about {duration(max(0, self.count - done.frames) / max(done.rate, 1e-9))} left"
                text = f"frame {done.frames}{of}{self.figures}{left}"
            self.tell(text, share)


def _streamed(clip: Clip, network: Network, output: Path, fields: tuple[str, ...] | None, told: _Told) -> list[str]:
    from toolchain.support.files import atomic_write
    from toolchain.video.work import to_stream
    from toolchain.video.y4m import fields_of

    raw = fields == () if output == _STANDARD else output.suffix.lower() == _RAW
    words = None if raw else fields or fields_of(clip.form)
    place: Any = nullcontext(sys.stdout.buffer) if output == _STANDARD else atomic_write(output)
    with place as file:
        told.follow(to_stream(clip, network, file, words))
    return [] if clip.path is None else ["all streams but the pictures"]


def _encoded(
    clip: Clip, network: Network, output: Path, digest: str, options: VideoOptions, told: _Told, console: Console
) -> list[str]:
    from toolchain.support.files import check_writable, scratch_folder
    from toolchain.video.parts import open_parts, parts_folder
    from toolchain.video.work import job_of, to_film, to_parts

    coding = _coding(clip, network, output, options)
    check_writable(output)
    with scratch_folder() as scratch:
        lasting = clip.path is not None
        folder = parts_folder(output) if lasting else scratch / "parts"
        with open_parts(folder, job_of(clip, coding, digest) if lasting else {}) as parts:
            if parts.frames:
                console.info(f"{parts.frames} frames are there from before")
                told.frames = told.before = parts.frames
            try:
                told.follow(to_parts(clip, network, coding, parts, output))
            except KeyboardInterrupt:
                if lasting and parts.frames:
                    console.info(f"{parts.frames} frames are kept: the same command goes on behind them")
                raise
            if not parts.frames:
                raise InputError(f"{clip.name} has no frames")
            return to_film(parts, coding, output, clip.path)


def _coding(clip: Clip, network: Network, output: Path, options: VideoOptions) -> Coding:
    from toolchain.video.encode import CODECS, Coding, format_of_film
    from toolchain.video.frames import check_frame_size

    kind = format_of_film(output)
    form = clip.form.enlarged(network.geometry.scale)
    # Hardware that plays H.264 of 10 bits is rare, and few builds of VP9 have them.
    usual = ("av1" if form.bits > 8 else "vp9") if kind == "webm" else ("hevc" if form.bits > 8 else "h264")
    codec = options.codec or usual
    if codec not in CODECS:
        raise InputError(f"there is no --codec {codec}", hint=f"choose among {', '.join(CODECS)}")
    if options.crf is not None and CODECS[codec].crf is None:
        raise InputError(f"{codec} is lossless and has no --crf", hint="leave it away")
    check_frame_size(output.name, form.width, form.height)
    coding = Coding(codec, options.crf, form, clip.rate, clip.unit, clip.marks, clip.aspect, clip.rotation, clip.light)
    coding.check(kind)
    return coding


@contextmanager
def _clip(source: Path, options: VideoOptions) -> Iterator[tuple[Clip, tuple[str, ...] | None]]:
    """Yield the clip, and the parameters of its YUV4MPEG2 header: () of raw frames, None of a film."""
    from toolchain.images.limits import check_file

    if source != _STANDARD and source.suffix.lower() not in (_Y4M, _RAW) and options.size is None:
        from toolchain.video.film import open_film

        yield open_film(source), None
        return
    if source == _STANDARD:
        yield _stream(sys.stdin.buffer, "standard input", options, headers=options.size is None)
        return
    check_file(source, str(source))
    with source.open("rb") as file:
        yield _stream(file, source.name, options, headers=source.suffix.lower() == _Y4M)


def _stream(file: IO[bytes], name: str, options: VideoOptions, *, headers: bool) -> tuple[Clip, tuple[str, ...]]:
    from toolchain.video.y4m import clip_of, raw_stream, read_header

    if headers:
        if options.size is not None:
            raise InputError(f"{name} says itself how large its frames are", hint="leave --size away")
        stream = read_header(file, name)
    elif options.size is None:
        raise InputError(f"{name} does not say how large its frames are", hint="give --size HEIGHTxWIDTH")
    else:
        stream = raw_stream(name, options.size, options.pixels, options.rate)
    return clip_of(file, stream, name), stream.fields or ()


def _output(source: Path, out: Path | None, scale: int | Fraction) -> Path:
    from toolchain.images.scale import suffix_of
    from toolchain.video.ffmpeg import SUFFIXES

    if out is not None and not out.is_dir() and (out.suffix or out == _STANDARD):
        return out
    if source == _STANDARD:
        if out is None:
            return _STANDARD
        raise InputError(f"the film in {out} has no name", hint="name a file with -o")
    suffix = source.suffix if source.suffix.lower() in {*SUFFIXES, _Y4M, _RAW} else ".mkv"
    return (source.parent if out is None else out) / f"{source.stem}_{suffix_of(scale)}{suffix}"


def _waiting() -> bytes:
    """Return what standard input begins with, which stays there."""
    buffer: Any = sys.stdin.buffer
    return b"" if sys.stdin.isatty() else bytes(buffer.peek(len(_MAGIC)))
