"""Deflate: by ISA-L where it is installed, which takes a quarter of zlib's time and less room, else by zlib."""

from __future__ import annotations

import zlib
from typing import Any, Protocol

try:
    from isal import isal_zlib
except ImportError:  # a processor or system that it has no wheels for
    isal_zlib = None  # type: ignore[assignment]

_LEVEL = 2  # of 0 to 3; the last takes a third longer, for larger files


class Deflater(Protocol):
    """Makes one stream of data that comes in pieces."""

    def compress(self, data: Any, /) -> bytes:
        """Take more data; returns what of the stream is ready."""

    def flush(self) -> bytes:
        """Return the rest of the stream."""


def deflater() -> Deflater:
    """Return what makes a zlib stream of filtered rows of a picture."""
    if isal_zlib is not None:
        return isal_zlib.compressobj(_LEVEL)
    return zlib.compressobj(6, zlib.DEFLATED, 15, 9, zlib.Z_RLE)  # runs and Huffman codes: what filtered rows have


def crc32(data: bytes, before: int = 0) -> int:
    """Return the CRC of ``data`` after bytes whose CRC is ``before``."""
    return zlib.crc32(data, before) if isal_zlib is None else isal_zlib.crc32(data, before)
