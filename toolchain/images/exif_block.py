"""The directories of an EXIF block, which are those of TIFF: read with care, and changed in place.

Sources: CIPA DC-008 (Exif 2.32), TIFF 6.0 section 2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

EXIF, GPS, INTEROP = 0x8769, 0x8825, 0xA005
"""Tags that point to directories of their own."""

SHORT, LONG = 3, 4
UNITS = {
    1: (1, 1),
    2: (1, 1),
    3: (1, 2),
    4: (1, 4),
    5: (2, 4),
    6: (1, 1),
    7: (1, 1),
    8: (1, 2),
    9: (1, 4),
    10: (2, 4),
    11: (1, 4),
    12: (1, 8),
}
"""Numbers a value and bytes a number, by type."""

_THUMBNAIL, _THUMBNAIL_LENGTH = 0x0201, 0x0202


@dataclass(frozen=True)
class Entry:
    """An entry of a directory: where its 12 bytes lie, its tag, type and count."""

    place: int
    tag: int
    kind: int
    count: int


class Block:
    """An EXIF block that can be changed in place.

    Raises:
        ValueError: it is none.
    """

    def __init__(self, block: bytes) -> None:
        self.data = bytearray(block)
        self.order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4], "")
        if not self.order:
            raise ValueError("no TIFF header")

    def number(self, form: str, place: int) -> int:
        """Return an unsigned number: ``form`` H or I."""
        try:
            return int(struct.unpack_from(self.order + form, self.data, place)[0])
        except struct.error:
            raise ValueError("a directory ends early") from None

    def entries(self, place: int) -> Iterator[Entry]:
        """Yield the entries of the directory at ``place``."""
        for index in range(self.number("H", place)):
            at = place + 2 + 12 * index
            yield Entry(at, self.number("H", at), self.number("H", at + 2), self.number("I", at + 4))

    def next_place(self, place: int) -> int:
        """Return where the place of the next directory is written."""
        return place + 2 + 12 * self.number("H", place)

    def data_of(self, entry: Entry) -> bytes:
        """Return the values of an entry, numbers with their lowest byte first."""
        if entry.kind not in UNITS:
            raise ValueError("an entry of no known type")
        numbers, size = UNITS[entry.kind]
        length = entry.count * numbers * size
        begin = entry.place + 8 if length <= 4 else self.number("I", entry.place + 8)
        data = bytes(self.data[begin : begin + length])
        if len(data) != length:
            raise ValueError("the values of an entry end early")
        if self.order == "<" or size == 1:
            return data
        return b"".join(data[at : at + size][::-1] for at in range(0, length, size))

    def value(self, entry: Entry) -> int:
        """Return a single SHORT or LONG, or an offset."""
        return self.number("H" if entry.kind == SHORT and entry.count == 1 else "I", entry.place + 8)

    def set(self, entry: Entry, value: int) -> None:
        """Make an entry a single number, SHORT as it was or LONG."""
        kind = SHORT if entry.kind == SHORT and value < 65536 else LONG
        struct.pack_into(self.order + "HI", self.data, entry.place + 2, kind, 1)
        struct.pack_into(
            self.order + ("HH" if kind == SHORT else "I"),
            self.data,
            entry.place + 8,
            *((value, 0) if kind == SHORT else (value,)),
        )

    def drop_second(self, first: int) -> None:
        """Take the second directory, which describes the thumbnail, and the thumbnail itself out."""
        place = self.number("I", self.next_place(first))
        struct.pack_into(self.order + "I", self.data, self.next_place(first), 0)
        if not place:
            return
        found = {entry.tag: self.value(entry) for entry in self.entries(place)}
        begin, length = found.get(_THUMBNAIL, 0), found.get(_THUMBNAIL_LENGTH, 0)
        if not 8 <= begin <= begin + length <= len(self.data):
            return
        if begin + length == len(self.data):  # where cameras put it
            del self.data[begin:]
        else:
            self.data[begin : begin + length] = bytes(length)
