"""Libraries of Windows, as its loader reads them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.interface.foreign import Image

_BASES, _IMPORTS, _ADDRESSES = 5, 1, 10


def image(data: bytes) -> Image:
    """What a loader makes of a library; its start, which Windows would call, is left out."""
    (start,) = struct.unpack_from("<I", data, 0x3C)
    count, size = struct.unpack_from("<H", data, start + 6)[0], struct.unpack_from("<H", data, start + 20)[0]
    optional = start + 24
    (preferred,), (total,) = (
        struct.unpack_from("<Q", data, optional + 24),
        struct.unpack_from("<I", data, optional + 56),
    )
    memory = bytearray(total)
    for index in range(count):
        held, address, there, at = struct.unpack_from("<IIII", data, optional + size + 40 * index + 8)
        part = data[at : at + min(held, there)]
        memory[address : address + len(part)] = part
    tables = [struct.unpack_from("<II", data, optional + 112 + 8 * index) for index in range(16)]
    moved, bound = list(_moved(memory, *tables[_BASES])), list(_bound(memory, tables[_IMPORTS][0]))
    return Image(total, bytes(memory), moved, bound, preferred, tolerant=True)


def _moved(memory: bytes, at: int, size: int) -> Iterator[int]:
    end = at + size
    while at < end:
        page, length = struct.unpack_from("<II", memory, at)
        for (entry,) in struct.iter_unpack("<H", memory[at + 8 : at + length]):
            if entry >> 12:
                assert entry >> 12 == _ADDRESSES
                yield page + (entry & 0xFFF)
        at += length


def _bound(memory: bytes, at: int) -> Iterator[tuple[int, str]]:
    while (row := struct.unpack_from("<IIIII", memory, at))[3]:
        looked_up, put = row[0] or row[4], row[4]
        while name := struct.unpack_from("<Q", memory, looked_up)[0]:
            end = memory.index(b"\0", name + 2)
            yield put, memory[name + 2 : end].decode()
            looked_up, put = looked_up + 8, put + 8
        at += 20
