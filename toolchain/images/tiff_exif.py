"""EXIF for TIFF files whose encoder knows no EXIF directory.

The file's first directory is written once more at its end, with the tags of EXIF's first directory and pointers to the
others; the pixels stay where they are.
Sources: CIPA DC-008 (Exif 2.32), TIFF 6.0 section 2, the BigTIFF design.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from toolchain.images.exif_block import EXIF, GPS, INTEROP, LONG, UNITS, Block
from toolchain.images.metadata import LAYOUT

_LONG8 = 16
_POINTERS = (EXIF, GPS, INTEROP)
_RESOLUTION = (274, 282, 283, 296)  # the encoder has written these


@dataclass(frozen=True)
class _Field:
    """A tag with its values, numbers with their lowest byte first; or with the directory that it points to."""

    tag: int
    kind: int
    count: int
    data: bytes
    directory: tuple[_Field, ...] = ()


@dataclass(frozen=True)
class _Form:
    """How a file writes its directories: 32-bit offsets, or 64-bit ones."""

    count: str
    number: str
    entry: int
    pointer: int

    def entry_bytes(self, tag: int, kind: int, count: int, value: bytes) -> bytes:
        """Return an entry, ``value`` being its values or their offset."""
        size = struct.calcsize(self.number)
        return struct.pack("<HH" + self.number[1:], tag, kind, count) + value.ljust(size, b"\0")


_CLASSIC, _BIG = _Form("<H", "<I", 12, LONG), _Form("<Q", "<Q", 20, _LONG8)


def append_exif(file: int, exif: bytes) -> None:
    """Add an EXIF block to a little-endian TIFF file, opened for reading and writing; not one that is damaged.

    Raises:
        OSError: the file cannot be written.
    """
    try:
        block = Block(exif)
        fields = _fields(block, block.number("I", 4))
    except ValueError:
        return
    os.lseek(file, 0, os.SEEK_SET)
    header = os.read(file, 16)
    form, at = (_BIG, 8) if header[2] == 43 else (_CLASSIC, 4)
    first = _number(form.number, header, at)
    entries, following = _directory_at(file, form, first)
    end = os.lseek(file, 0, os.SEEK_END)
    place = end + end % 2
    own = {struct.unpack_from("<H", entry)[0] for entry in entries}
    added = tuple(field for field in fields if field.tag not in own and field.tag not in LAYOUT | {*_RESOLUTION})
    data, first = _written(added, form, place, entries, following)
    os.write(file, b"\0" * (end % 2) + data)
    os.lseek(file, at, os.SEEK_SET)
    os.write(file, struct.pack(form.number, first))


def _fields(block: Block, place: int, depth: int = 0) -> tuple[_Field, ...]:
    found = []
    for entry in block.entries(place):
        if entry.tag in _POINTERS and depth < 2:
            inner = _fields(block, block.value(entry), depth + 1)
            if inner:
                found.append(_Field(entry.tag, LONG, 1, b"", inner))
        elif entry.tag not in _POINTERS and entry.kind in UNITS:
            found.append(_Field(entry.tag, entry.kind, entry.count, block.data_of(entry)))
    return tuple(found)


def _written(
    fields: tuple[_Field, ...], form: _Form, place: int, others: tuple[bytes, ...] = (), following: int = 0
) -> tuple[bytes, int]:
    """Bytes to be written at ``place``, values and inner directories first, and where the directory begins."""
    size = struct.calcsize(form.number)
    data, entries = b"", list(others)
    for field in fields:
        if field.directory:
            inner, start = _written(field.directory, form, place + len(data))
            data += inner
            entries.append(form.entry_bytes(field.tag, form.pointer, 1, struct.pack(form.number, start)))
        elif len(field.data) <= size:
            entries.append(form.entry_bytes(field.tag, field.kind, field.count, field.data))
        else:
            offset = struct.pack(form.number, place + len(data))
            entries.append(form.entry_bytes(field.tag, field.kind, field.count, offset))
            data += field.data + b"\0" * (len(field.data) % 2)
    start = place + len(data)
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    data += struct.pack(form.count, len(entries)) + b"".join(entries) + struct.pack(form.number, following)
    return data, start


def _directory_at(file: int, form: _Form, place: int) -> tuple[tuple[bytes, ...], int]:
    """Return the entries of the directory at ``place`` as they are, and where the next one is."""
    os.lseek(file, place, os.SEEK_SET)
    count = _number(form.count, os.read(file, struct.calcsize(form.count)))
    data = os.read(file, count * form.entry + struct.calcsize(form.number))
    entries = tuple(data[at : at + form.entry] for at in range(0, count * form.entry, form.entry))
    return entries, _number(form.number, data, count * form.entry)


def _number(kind: str, data: bytes, place: int = 0) -> int:
    return int(struct.unpack_from(kind, data, place)[0])
