"""PNG, row by row: 8 and 16 bits, animations, profile, EXIF, XMP and resolution.

Of the filters only "average" is used: on photographs that were enlarged files are as small as with the best filter of
each row, which takes twenty times as long to find.
Source: PNG (Third Edition), W3C, 2025.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from toolchain.images.deflate import crc32, deflater
from toolchain.images.formats import PictureHeader
from toolchain.images.photo import Photo
from toolchain.images.samples import join_16_bit

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # samples a pixel: colour type
_XMP = b"XML:com.adobe.xmp\0\0\0\0\0"
_AVERAGE = 3
_LARGEST = 1 << 30  # bytes of a chunk
_AT_ONCE = 1 << 20  # bytes of rows that are filtered and compressed together

Frames = Iterable[Iterable[Photo]]


def png_parts(header: PictureHeader, frames: Frames, *, stored: bool = False) -> Iterator[bytes]:
    """Yield the bytes of a PNG file, part by part.

    Args:
        header: what is written.
        frames: for each frame its rows, top to bottom, as pictures of some rows.
        stored: do not compress and leave metadata out: for a reader in the same process.
    """
    several = len(header.durations) > 1
    form = (header.width, header.height, 16 if header.deep else 8, _COLOURS[header.samples], 0, 0, 0)
    yield _SIGNATURE + _chunk(b"IHDR", struct.pack(">IIBBBBB", *form))
    if not stored:
        yield from _metadata(header)
    if several:
        yield _chunk(b"acTL", struct.pack(">II", len(header.durations), header.plays))
    sequence = 0
    for index, frame in enumerate(frames):
        if several:
            yield _chunk(b"fcTL", _frame_control(sequence, header, header.durations[index]))
            sequence += 1
        for data in _compressed(header, frame, stored=stored):
            if index == 0:
                yield _chunk(b"IDAT", data)
            else:
                yield _chunk(b"fdAT", struct.pack(">I", sequence) + data)
                sequence += 1
    yield _chunk(b"IEND", b"")


def samples_of(photo: Photo, *, deep: bool) -> npt.NDArray[np.integer]:
    """Return the samples of a picture, alpha last: u8 or, where ``deep``, u16 (h, w, 1 to 4)."""
    if not deep:
        return photo.planes
    remainder = photo.remainder if photo.remainder is not None else np.zeros(photo.planes.shape, np.int16)
    return join_16_bit(photo.planes, remainder)


def _compressed(header: PictureHeader, frame: Iterable[Photo], *, stored: bool) -> Iterator[bytes]:
    """Yield the rows of a frame as one deflate stream, in pieces that are not empty."""
    packer = zlib.compressobj(0) if stored else deflater()
    pixel = header.samples * (2 if header.deep else 1)
    above = np.zeros((1, header.row_bytes), np.uint8)
    step = max(1, _AT_ONCE // header.row_bytes)
    for photo in frame:
        for top in range(0, len(photo.pixels), step):
            samples = samples_of(photo.rows(top, top + step), deep=header.deep)
            flat = (samples.astype(">u2") if header.deep else np.ascontiguousarray(samples)).view(np.uint8)
            rows = flat.reshape(len(samples), header.row_bytes)
            lines = np.empty((len(rows), header.row_bytes + 1), np.uint8)
            if stored:
                lines[:, 0], lines[:, 1:] = 0, rows
            else:
                lines[:, 0] = _AVERAGE
                np.subtract(rows, _average(rows, above, pixel), out=lines[:, 1:])
                above = rows[-1:].copy()
            yield from _pieces(packer.compress(lines.data))
            del samples, flat, rows
        del photo  # let go before the next rows are waited for
    yield from _pieces(packer.flush())


def _average(rows: npt.NDArray[np.uint8], above: npt.NDArray[np.uint8], pixel: int) -> npt.NDArray[np.uint8]:
    """Return the mean, rounded down, of the byte above and that one pixel to the left, for each of u8 (n, bytes).

    Args:
        rows: of samples.
        above: the row before, (1, bytes).
        pixel: bytes of one.
    """
    upper = np.concatenate([above, rows[:-1]])
    mean = upper.copy()
    mean[:, :pixel] >>= 1
    left, right = rows[:, :-pixel], upper[:, pixel:]
    np.bitwise_xor(left, right, out=mean[:, pixel:])
    mean[:, pixel:] >>= 1
    mean[:, pixel:] += left & right  # a + b = 2 (a & b) + (a ^ b), which no byte holds
    return mean


def _pieces(data: bytes) -> Iterator[bytes]:
    for begin in range(0, len(data), _LARGEST):
        yield data[begin : begin + _LARGEST]


def _metadata(header: PictureHeader) -> Iterator[bytes]:
    metadata = header.metadata
    if metadata.icc_profile is not None:
        yield _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc_profile))
    if metadata.dpi is not None:
        across, down = (round(value / 0.0254) for value in metadata.dpi)
        yield _chunk(b"pHYs", struct.pack(">IIB", across, down, 1))
    if metadata.exif is not None:
        yield _chunk(b"eXIf", metadata.exif)
    if metadata.xmp is not None:
        yield _chunk(b"iTXt", _XMP + metadata.xmp)


def _frame_control(sequence: int, header: PictureHeader, milliseconds: float) -> bytes:
    """Each frame replaces the whole one before it."""
    numerator, denominator = round(milliseconds), 1000
    if numerator > 65535:
        numerator, denominator = min(65535, round(milliseconds / 100)), 10
    return struct.pack(">IIIIIHHBB", sequence, header.width, header.height, 0, 0, numerator, denominator, 0, 0)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(data, crc32(kind)))
