"""Libraries of macOS, as their loader reads them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.interface.foreign import Image

_INFO, _SEGMENT, _LINKEDIT = 0x80000022, 0x19, b"__LINKEDIT"


def _commands(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 32
    for _ in range(struct.unpack_from("<I", data, 16)[0]):
        kind, size = struct.unpack_from("<II", data, place)
        yield kind, data[place : place + size]
        place += size


class _Codes:
    """Reads what the loader is to do: bytes with an operation, and numbers."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def __bool__(self) -> bool:
        return self.at < len(self.data)

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def text(self) -> str:
        end = self.data.index(b"\0", self.at)
        found, self.at = self.data[self.at : end].decode(), end + 1
        return found


def _rebased(codes: _Codes, segments: list[int]) -> Iterator[int]:
    place = 0
    while codes:
        byte = codes.byte()
        operation, value, count, skip = byte & 0xF0, byte & 15, 0, 0
        if operation == 0x20:
            place = segments[value] + codes.number()
        elif operation == 0x30:
            place += codes.number()
        elif operation == 0x40:
            place += 8 * value
        elif operation == 0x50:
            count = value
        elif operation == 0x60:
            count = codes.number()
        elif operation == 0x70:
            count, skip = 1, codes.number()
        elif operation == 0x80:
            count, skip = codes.number(), codes.number()
        else:
            assert operation in (0, 0x10), hex(byte)
        for _ in range(count):
            yield place
            place += 8 + skip


def _bound(codes: _Codes, segments: list[int]) -> Iterator[tuple[int, str]]:
    place, name = 0, ""
    while codes:
        byte = codes.byte()
        operation, value, count, skip = byte & 0xF0, byte & 15, 0, 0
        if operation == 0x40:
            name = codes.text()
        elif operation == 0x70:
            place = segments[value] + codes.number()
        elif operation == 0x80:
            place += codes.number()
        elif operation == 0x90:
            count = 1
        elif operation == 0xA0:
            count, skip = 1, codes.number()
        elif operation == 0xB0:
            count, skip = 1, 8 * value
        elif operation == 0xC0:
            count, skip = codes.number(), codes.number()
        elif operation in (0x20, 0x60):
            assert codes.number() == 0 or operation == 0x20
        else:
            assert operation in (0, 0x10, 0x30, 0x50), hex(byte)
        for _ in range(count):
            yield place & 0xFFFFFFFFFFFFFFFF, name
            place += 8 + skip


def image(data: bytes) -> Image:
    """What a loader makes of a library."""
    segments, size, memory = [], 0, bytearray()
    for kind, command in _commands(data):
        if kind == _SEGMENT:
            address, held, offset, there = struct.unpack_from("<QQQQ", command, 24)
            segments.append(address)
            if not command[8:24].startswith(_LINKEDIT):
                size = max(size, address + held)
                memory = memory.ljust(address, b"\0")[:address] + data[offset : offset + there]
    (info,) = (command for kind, command in _commands(data) if kind == _INFO)
    rebase, bind, weak, lazy = (
        data[at : at + length] for at, length in (struct.unpack_from("<II", info, 8 + 8 * i) for i in range(4))
    )
    bound = [*_bound(_Codes(bind), segments), *_bound(_Codes(lazy), segments)]
    assert not [name for _, name in _bound(_Codes(weak), segments) if "TVM" in name or "clipfree" in name]
    moved = list(_rebased(_Codes(rebase), segments))
    return Image(size, bytes(memory), moved, [(at, name.removeprefix("_")) for at, name in bound])
