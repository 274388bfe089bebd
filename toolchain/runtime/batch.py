"""Many pictures, one after another: the next is read while this one runs and the last one is written.

Three threads: one decodes, the calling one runs the network, one encodes. They hand rows to each other, never whole
pictures, through queues that are bounded in bytes. A picture that cannot be used is reported and left out.
"""

from __future__ import annotations

import contextlib
import queue
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from toolchain.images import Photo, PictureFile, PictureHeader, header_for, open_picture, write_frames
from toolchain.images.geometry import Geometry
from toolchain.images.units import check_size
from toolchain.runtime.bands import bands
from toolchain.runtime.channel import Channel, Stopped, fill
from toolchain.runtime.jobs import STANDARD, UpscaleJob
from toolchain.runtime.measure import free_memory
from toolchain.runtime.memory import WAITING, BandPlan, check_free, plan_cut
from toolchain.runtime.photo import MARGIN, upscale_photo
from toolchain.runtime.tiles import Tiling, upscale_tiled
from toolchain.support.errors import InputError
from toolchain.support.files import atomic_write

Pixels = npt.NDArray[np.uint8]

_MOST_INPUT = 1_000_000_000  # bytes of standard input


@dataclass(frozen=True)
class BatchSettings:
    """How pictures are enlarged.

    Attributes:
        tiling: of the network.
        geometry: of the network.
        quality: of JPEG and WebP, 1 to 100.
        budget: bytes of memory that no picture may exceed; None for what is free.
        skip_existing: leave out pictures whose result is there.
    """

    tiling: Tiling
    geometry: Geometry
    quality: int = 95
    budget: int | None = None
    skip_existing: bool = False


@dataclass(frozen=True)
class PictureOutcome:
    """What became of a picture.

    Attributes:
        job: which.
        picture: what was read; None where it could not be, or was left out.
        header: what was written.
        cut: how it was cut.
        notes: what the user should know.
        seconds: that the network and the bicubic parts took.
        error: why there is no result.
        skipped: there was a result already.
    """

    job: UpscaleJob
    picture: PictureFile | None = None
    header: PictureHeader | None = None
    cut: BandPlan | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    error: InputError | None = None
    skipped: bool = False


@dataclass(frozen=True)
class _Begin:
    """A picture begins. Rows and ``_End`` follow, unless there is nothing to write."""

    outcome: PictureOutcome


@dataclass(frozen=True)
class _End:
    """All rows of a picture have come; or, with ``error``, no more will."""

    seconds: float = 0.0
    error: InputError | None = None


_Event = _Begin | Photo | _End


class _BrokenOffError(Exception):
    """A picture's rows end early."""

    def __init__(self, error: InputError | None) -> None:
        super().__init__(str(error))
        self.error = error


def run_batch(
    jobs: Sequence[UpscaleJob],
    upscale: Callable[[Pixels], Pixels],
    settings: BatchSettings,
    progress: Callable[[float], None] = lambda share: None,
) -> Iterator[PictureOutcome]:
    """Enlarge pictures; yields what became of each when that is known, in their order.

    Args:
        jobs: pictures and results.
        upscale: the network, called by the calling thread only.
        settings: how.
        progress: called with the share that is done, 0 to 1, reckoned by the sizes of the files.

    Raises:
        OutputError: a file cannot be written; nothing is gone on with then.
    """
    read, made = (Channel[_Event](WAITING) for _ in range(2))
    done: queue.SimpleQueue[PictureOutcome] = queue.SimpleQueue()
    with ThreadPoolExecutor(2) as pool:
        pool.submit(fill, read, _read(jobs, settings), _size_of)
        writing = pool.submit(_write, made, settings, done)
        try:
            for event in _enlarge(iter(read), upscale, settings, _Shares(jobs, progress)):
                made.put(event, _size_of(event))
                del event  # let go of its rows before the next are made
                yield from _ready(done)
            made.close()
        except Stopped:  # the error of the thread that writes is raised below
            pass
        except BaseException:
            made.stop()
            raise
        finally:
            read.stop()
        writing.result()
        yield from _ready(done)


def _ready(done: queue.SimpleQueue[PictureOutcome]) -> Iterator[PictureOutcome]:
    with contextlib.suppress(queue.Empty):
        while True:
            yield done.get_nowait()


def _size_of(event: _Event) -> int:
    return event.nbytes if isinstance(event, Photo) else 0


def _read(jobs: Sequence[UpscaleJob], settings: BatchSettings) -> Iterator[_Event]:
    """Open and decode."""
    for job in jobs:
        if settings.skip_existing and job.output != STANDARD and job.output.exists():
            yield _Begin(PictureOutcome(job, skipped=True))
            continue
        try:
            outcome = _opened(job, settings)
        except InputError as error:
            yield _Begin(PictureOutcome(job, error=error))
            continue
        assert outcome.picture is not None
        assert outcome.header is not None
        assert outcome.cut is not None
        yield _Begin(outcome)
        try:
            for frame in range(len(outcome.header.durations)):
                for photo in outcome.picture.rows(frame, outcome.cut.rows):
                    yield outcome.header.fit(photo)
            yield _End()
        except InputError as error:
            yield _End(error=error)


def _opened(job: UpscaleJob, settings: BatchSettings) -> PictureOutcome:
    picture = open_picture(*_source(job.source))
    geometry = settings.geometry
    check_size((picture.height, picture.width), geometry.smallest, picture.name)
    header, notes = header_for(picture, settings.tiling.scale, job.format)
    cut = plan_cut(picture, header, job.format, settings.tiling, channels=geometry.channels, budget=settings.budget)
    check_free(picture, cut, header, free_memory())
    if picture.alpha and not header.alpha:  # decoded twice, which is less than to run the network for nothing
        for frame in range(len(header.durations)):
            for photo in picture.rows(frame, cut.rows):
                job.format.check_rows(photo, picture.name)
    return PictureOutcome(job, picture, header, cut, notes)


def _source(path: Path) -> tuple[Path | bytes, str]:
    """Return what ``open_picture`` takes."""
    if path != STANDARD:
        return path, str(path)
    data = sys.stdin.buffer.read(_MOST_INPUT + 1)
    if len(data) > _MOST_INPUT:
        raise InputError(f"standard input has more than the {_MOST_INPUT // 10**9} GB that are read")
    return data, "standard input"


def _enlarge(
    events: Iterator[_Event], upscale: Callable[[Pixels], Pixels], settings: BatchSettings, shares: _Shares
) -> Iterator[_Event]:
    """Run the network: rows of small pictures become rows of large ones."""
    scale, halo, aligned = settings.tiling.scale, settings.tiling.halo, settings.tiling.aligned
    for event in events:
        assert isinstance(event, _Begin)
        yield event
        outcome = event.outcome
        if outcome.picture is None or outcome.header is None or outcome.cut is None:
            shares.next()
            continue
        height, columns, seconds = outcome.picture.height, outcome.cut.columns, 0.0

        def tiled(pixels: Pixels, columns: int | None = columns) -> Pixels:
            if columns is None:
                return upscale(pixels)
            return upscale_tiled(
                upscale, pixels, scale=scale, halo=halo, tile=columns, rows=len(pixels), aligned=aligned
            )

        margin = max(halo, MARGIN) if outcome.cut.rows < height else 0
        try:
            for frame in range(len(outcome.header.durations)):
                for band in bands(_rows(events, height), height, outcome.cut.rows, margin, aligned, scale.denominator):
                    begin = time.perf_counter()
                    large = upscale_photo(band.photo, tiled, channels=settings.geometry.channels, scale=scale)
                    seconds += time.perf_counter() - begin
                    yield band.inner(large, scale)
                    del large
                    shares.within((frame + band.bottom / height) / len(outcome.header.durations))
            error = _end(events).error
        except _BrokenOffError as broken:
            error = broken.error
        except InputError as refused:
            error = refused
            _end(events)
        yield _End(seconds, error)
        shares.next()


def _write(events: Channel[_Event], settings: BatchSettings, done: queue.SimpleQueue[PictureOutcome]) -> None:
    """Encode."""
    try:
        taken = iter(events)
        for event in taken:
            assert isinstance(event, _Begin)
            done.put(_written(event.outcome, taken, settings))
    except Stopped:
        pass
    except BaseException:
        events.stop()
        raise


def _written(outcome: PictureOutcome, events: Iterator[_Event], settings: BatchSettings) -> PictureOutcome:
    header, kind = outcome.header, outcome.job.format
    if header is None:
        return outcome
    frames = (_rows(events, header.height) for _ in header.durations)
    try:
        with _destination(outcome.job.output) as file:
            write_frames(file, kind, header, frames, quality=settings.quality)
            end = _end(events)
            if end.error is not None:
                raise _BrokenOffError(end.error)
    except _BrokenOffError as broken:
        return replace(outcome, header=None, error=broken.error)
    except InputError as error:
        _end(events)
        return replace(outcome, header=None, error=error)
    return replace(outcome, seconds=end.seconds)


def _rows(events: Iterator[_Event], height: int) -> Iterator[Photo]:
    """Yield the rows of one frame.

    Raises:
        _BrokenOffError: they end early.
    """
    while height > 0:
        event = next(events)
        if not isinstance(event, Photo):
            raise _BrokenOffError(event.error if isinstance(event, _End) else None)
        height -= len(event.pixels)
        yield event
        del event


def _end(events: Iterator[_Event]) -> _End:
    """Pass over what is left of a picture."""
    return next(event for event in events if isinstance(event, _End))


@contextmanager
def _destination(output: Path) -> Iterator[IO[bytes]]:
    """Yield a file on a disk that becomes the output when it has been written wholly.

    Raises:
        OutputError: it cannot be written.
    """
    if output != STANDARD:
        with atomic_write(output) as file:
            yield file
        return
    with tempfile.TemporaryFile() as file:
        yield file
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


class _Shares:
    """Tells how much of a batch is done."""

    def __init__(self, jobs: Sequence[UpscaleJob], tell: Callable[[float], None]) -> None:
        self._sizes, self._tell, self._done = [_size(job.source) for job in jobs], tell, 0

    def within(self, share: float) -> None:
        """So much of the picture at hand is done."""
        done = sum(self._sizes[: self._done]) + share * self._sizes[self._done]
        self._tell(done / sum(self._sizes))

    def next(self) -> None:
        """Count the picture at hand as done."""
        self.within(1.0)
        self._done += 1


def _size(path: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return max(1, path.stat().st_size)
    return 1
