"""Enlarging a clip: into a stream of frames, or into a film whose parts are kept until it is whole."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from toolchain.images.geometry import Geometry
from toolchain.support.files import atomic_write
from toolchain.video.clip import Clip
from toolchain.video.encode import Coding, encoded, has_headers, join
from toolchain.video.enlarge import Enlarger, Given, Upscale
from toolchain.video.frames import VideoFrame
from toolchain.video.parts import FRAMES, Parts
from toolchain.video.through import through
from toolchain.video.y4m import Stream, write_frame, write_header

_FEWEST, _SECONDS = 12, 60.0  # of a part: frames at least, and seconds where that is more frames


@dataclass(frozen=True)
class Done:
    """How far a clip is.

    Attributes:
        frames: enlarged so far, those of earlier runs included.
        before: that earlier runs enlarged.
        seconds: since the first frame of this run was asked for.
    """

    frames: int
    before: int
    seconds: float

    @property
    def rate(self) -> float:
        """Frames a second, of this run."""
        return (self.frames - self.before) / max(self.seconds, 1e-9)


@dataclass(frozen=True)
class Network:
    """What enlarges.

    Attributes:
        upscale: u8 (h, w, C) to u8 (h*scale, w*scale, C).
        geometry: of its pictures.
    """

    upscale: Upscale
    geometry: Geometry


def to_stream(clip: Clip, network: Network, file: IO[bytes], fields: tuple[str, ...] | None) -> Iterator[Done]:
    """Enlarge a clip into a YUV4MPEG2 stream, or raw frames; yields after each frame.

    Args:
        clip: frames.
        network: what enlarges them.
        file: opened for writing.
        fields: of the stream's header; None for raw frames.
    """
    stream = Stream(clip.form.enlarged(network.geometry.scale), clip.rate, fields)

    def write(frames: Iterator[VideoFrame]) -> None:
        write_header(file, stream)
        for frame in frames:
            write_frame(file, stream, frame)
            del frame
        file.flush()

    yield from _counted(clip, network, write, 0)


def to_parts(clip: Clip, network: Network, coding: Coding, parts: Parts, output: Path) -> Iterator[Done]:
    """Enlarge what ``parts`` lack of a clip; yields after each frame."""
    if parts.whole:
        return
    headers = has_headers(output)

    def write(frames: Iterator[VideoFrame]) -> None:
        for first in frames:
            part = _Part(itertools.chain([first], frames))
            parts.add(encoded(part, coding, headers=headers), part.count)
        parts.end()

    yield from _counted(clip, network, write, parts.frames)


def to_film(parts: Parts, coding: Coding, output: Path, source: Path | None) -> list[str]:
    """Make one film of parts, with the other streams of ``source``; returns what was left out of these.

    Raises:
        OutputError: it cannot be written.
        InputError: ``source`` is damaged.
    """
    with atomic_write(output) as file:
        return join(file, output, coding, parts.packets(), source)


def job_of(clip: Clip, coding: Coding, network: str) -> Mapping[str, object]:
    """Return what decides the bytes of parts: those of another job are of no use.

    Args:
        clip: from a file.
        coding: how it is encoded.
        network: digest of the network.
    """
    assert clip.path is not None
    about = clip.path.stat()
    what = f"{clip.path.resolve()} {about.st_size} {about.st_mtime_ns} {coding}"
    return {"film": hashlib.sha256(what.encode()).hexdigest(), "network": network}


@dataclass(frozen=True)
class _Half:
    """A frame on its way: its times, and what the network gets of it or has made of it."""

    frame: VideoFrame
    given: Given

    @property
    def nbytes(self) -> int:
        return self.given.nbytes


class _Part:
    """Frames of a part, fewer where they take long, so that little is lost with one."""

    def __init__(self, frames: Iterable[VideoFrame]) -> None:
        self._frames, self._taken, self._begin = frames, 0, time.monotonic()

    def count(self) -> int:
        """Return how many were taken."""
        return self._taken

    def __iter__(self) -> Iterator[VideoFrame]:
        for frame in self._frames:
            self._taken += 1
            yield frame
            late = self._taken >= _FEWEST and time.monotonic() - self._begin > _SECONDS
            if late or self._taken >= FRAMES:
                return


def _counted(
    clip: Clip, network: Network, write: Callable[[Iterator[VideoFrame]], None], before: int
) -> Iterator[Done]:
    enlarger = Enlarger(clip.form, network.geometry.channels, network.geometry.scale)
    read = (_Half(frame, enlarger.before(frame.planes)) for frame in itertools.islice(clip.frames(), before, None))

    def large(half: _Half) -> _Half:
        return replace(half, given=enlarger.run(half.given, network.upscale))

    def written(halves: Iterator[_Half]) -> None:
        write(replace(half.frame, planes=enlarger.after(half.given)) for half in halves)

    begin = time.perf_counter()
    for count, _ in enumerate(through(read, large, written), start=before + 1):
        yield Done(count, before, time.perf_counter() - begin)
