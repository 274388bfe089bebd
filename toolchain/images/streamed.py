"""JPEG and TIFF by libvips, whose encoders take rows as they come.

libvips reads pictures from a stream where that is a file's; so the rows are handed over as a PNG file that is not
compressed.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import pyvips

from toolchain.images.formats import PictureHeader
from toolchain.images.photo import Photo
from toolchain.images.png import png_parts
from toolchain.images.tiff_exif import append_exif
from toolchain.support.errors import InputError

_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_MARK = 2  # bytes that every JPEG file begins with
_SEGMENT = 65533  # bytes that a segment of JPEG holds
_CLASSIC = 3_900_000_000  # bytes that a TIFF file with offsets of 32 bits holds, with some to spare
_RESOLUTION = 72.0  # pixels an inch, where nothing is known: these formats want a number

Frames = Iterable[Iterable[Photo]]


def write_jpeg(file: IO[bytes], header: PictureHeader, frames: Frames, *, quality: int) -> None:
    """Write the first frame as JPEG, 4:4:4 at a quality of 90 and more, 4:2:0 below.

    Args:
        file: opened for writing.
        header: what is written.
        frames: rows of each frame.
        quality: 1 to 100.

    Raises:
        OSError: ``file`` cannot be written.
    """
    sink = _Sink(file, _segments(header))

    def save(image: Any) -> None:
        subsampling = "off" if quality >= 90 else "on"
        image.jpegsave_target(sink.target(), Q=quality, keep="icc", subsample_mode=subsampling)

    _encode(header, frames, save, sink)


def write_tiff(file: IO[bytes], header: PictureHeader, frames: Frames) -> None:
    """Write TIFF with deflate and horizontal differences, a page for each frame.

    Args:
        file: opened for writing, at its start, on a disk.
        header: what is written.
        frames: rows of each frame.

    Raises:
        OSError: ``file`` cannot be written.
    """
    sink = _Sink(file)
    large = header.row_bytes * header.height * len(header.durations) > _CLASSIC

    def save(image: Any) -> None:
        image.tiffsave_target(
            sink.target(),
            compression="deflate",
            predictor="horizontal",
            bigtiff=large,
            resunit="inch",
            keep="icc:xmp",
            page_height=header.height,
        )

    _encode(header, frames, save, sink)
    if header.metadata.exif is not None:
        append_exif(file.fileno(), header.metadata.exif)
    os.lseek(file.fileno(), 0, os.SEEK_END)


def _encode(header: PictureHeader, frames: Frames, save: Callable[[Any], None], sink: _Sink) -> None:
    feed = _Feed(png_parts(_tall(header), [(rows for frame in frames for rows in frame)], stored=True))
    source = pyvips.SourceCustom()
    source.on_read(feed.read)
    try:
        image = pyvips.Image.new_from_source(source, "", access="sequential", fail_on="error")
        save(_with_metadata(image, header))
    except pyvips.Error as error:
        known = feed.error or sink.error
        if known is not None:
            raise known from None
        raise InputError("this picture cannot be written in this format", hint="write a .png") from error
    if feed.error is not None:
        raise feed.error


def _tall(header: PictureHeader) -> PictureHeader:
    """All frames under one another as one picture, as libvips has them."""
    return PictureHeader(
        header.height * len(header.durations), header.width, header.channels, header.alpha, header.deep
    )


def _with_metadata(image: Any, header: PictureHeader) -> Any:
    across, down = (value / 25.4 for value in header.metadata.dpi or (_RESOLUTION, _RESOLUTION))
    image = image.copy(xres=across, yres=down)
    for name, data in (("icc-profile-data", header.metadata.icc_profile), ("xmp-data", header.metadata.xmp)):
        if data is not None:
            image.set_type(pyvips.GValue.blob_type, name, data)
    image.set_type(pyvips.GValue.gstr_type, "resolution-unit", "in")
    return image


def _segments(header: PictureHeader) -> bytes:
    """JFIF's segment with the resolution, then EXIF and XMP as JPEG has them; what no segment holds is left out."""
    dpi = header.metadata.dpi
    known = dpi is not None and max(dpi) < 65536
    across, down = (round(value) for value in dpi) if dpi is not None and known else (1, 1)
    found = _segment(0xE0, b"JFIF\0\1\2" + struct.pack(">BHHBB", known, across, down, 0, 0))
    for mark, data in ((_EXIF, header.metadata.exif), (_XMP, header.metadata.xmp)):
        if data is not None and len(mark) + len(data) <= _SEGMENT:
            found += _segment(0xE1, mark + data)
    return found


def _segment(kind: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, kind, 2 + len(data)) + data


class _Sink:
    """Where libvips writes to.

    Attributes:
        error: what went wrong in a call by libvips, which does not hand exceptions on.
    """

    def __init__(self, file: IO[bytes], segments: bytes = b"") -> None:
        file.flush()
        self._file, self._segments, self._start = file.fileno(), segments, b""
        self.error: BaseException | None = None

    def target(self) -> pyvips.TargetCustom:
        """Return what libvips takes."""
        target = pyvips.TargetCustom()
        target.on_write(lambda data: self._guarded(self._write, data))
        target.on_read(lambda size: self._guarded(os.read, self._file, size))
        target.on_seek(lambda offset, whence: self._guarded(os.lseek, self._file, offset, whence))
        return target

    def _guarded(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except BaseException as error:
            self.error = error
            return -1

    def _write(self, data: Any) -> int:
        """Write some bytes, the segments behind the mark that a JPEG file begins with."""
        size, data = len(data), bytes(data)
        if self._segments:
            self._start = data = self._start + data
            if len(data) < _MARK:
                return size
            data = data[:_MARK] + self._segments + data[_MARK:]
            self._segments = self._start = b""
        while data:
            data = data[os.write(self._file, data) :]
        return size


class _Feed:
    """Bytes for libvips to read, from parts that are made when they are asked for.

    Attributes:
        error: what went wrong in making them.
    """

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts, self._left = parts, memoryview(b"")
        self.error: BaseException | None = None

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        try:
            while not len(self._left):
                self._left = memoryview(next(self._parts))
        except StopIteration:
            return b""
        except BaseException as error:
            self.error = error
            return b""
        taken, self._left = self._left[:size], self._left[size:]
        return bytes(taken)
