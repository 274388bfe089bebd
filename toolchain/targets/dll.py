"""Windows' libraries, from their headers, as far as `toolchain.targets.elf` looks at others.

Source of the format: Microsoft, "PE Format".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from toolchain.targets.elf import Library

MAGIC = b"MZ"
_MACHINES = {0x8664: "x86_64", 0xAA64: "aarch64"}
_LIBRARY, _OF_64_BITS = 0x2000, 0x20B
_HEADER_AT, _DIRECTORIES_AT, _BY_NUMBER = 0x3C, 112, 1 << 63


def machine_of(data: bytes) -> str:
    """Return the architecture that a library is for.

    Raises:
        ValueError, struct.error: it is none.
    """
    start = _start(data)
    machine, flags = struct.unpack_from("<H", data, start + 4)[0], struct.unpack_from("<H", data, start + 22)[0]
    if not flags & _LIBRARY:
        raise ValueError("a program")
    return _MACHINES.get(machine, hex(machine))


def read_dll(data: bytes) -> Library:
    """Return what a library holds, defines and needs; addresses count from where it is loaded.

    Raises:
        ValueError, struct.error: it is none, or not all of it is there.
    """
    return _Reader(data).library()


def _start(data: bytes) -> int:
    (start,) = struct.unpack_from("<I", data, _HEADER_AT)
    if data[start : start + 4] != b"PE\0\0":
        raise ValueError("no library")
    return int(start)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, start = data, _start(data)
        sections, size = struct.unpack_from("<H", data, start + 6)[0], struct.unpack_from("<H", data, start + 20)[0]
        self.optional = start + 24
        if struct.unpack_from("<H", data, self.optional)[0] != _OF_64_BITS:
            raise ValueError("not of 64 bits")
        self.sections = []
        for index in range(sections):
            memory, address, held, at = struct.unpack_from("<IIII", data, self.optional + size + 40 * index + 8)
            part = data[at : at + held]
            if len(part) < held:
                raise ValueError("beyond the end")
            self.sections.append((address, part[: min(held, memory)]))

    def library(self) -> Library:
        (alignment,) = struct.unpack_from("<I", self.data, self.optional + 32)
        needs, libraries = set(), []
        for name, symbols in self.imports():
            libraries.append(name)
            needs.update(symbols)
        return Library(
            dict(self.exports()), frozenset(needs), tuple(self.sections), tuple(libraries), (0, 0), alignment
        )

    def exports(self) -> Iterator[tuple[str, int]]:
        (table,) = struct.unpack_from("<I", self.data, self.optional + _DIRECTORIES_AT)
        if not table:
            return
        count, addresses, names, numbers = self.numbers(table + 24, "<IIII")
        for index in range(count):
            (name,), (number,) = self.numbers(names + 4 * index, "<I"), self.numbers(numbers + 2 * index, "<H")
            yield self.text(name), self.numbers(addresses + 4 * number, "<I")[0]

    def imports(self) -> Iterator[tuple[str, list[str]]]:
        (table,) = struct.unpack_from("<I", self.data, self.optional + _DIRECTORIES_AT + 8)
        while table:
            looked_up, _, _, name, bound = self.numbers(table, "<IIIII")
            if not name:
                return
            symbols, place = [], looked_up or bound
            while symbol := self.numbers(place, "<Q")[0]:
                if not symbol & _BY_NUMBER:
                    symbols.append(self.text(symbol + 2))
                place += 8
            yield self.text(name), symbols
            table += 20

    def numbers(self, address: int, form: str) -> tuple[int, ...]:
        return struct.unpack_from(form, self.part(address))

    def text(self, address: int) -> str:
        part = self.part(address)
        return part[: part.index(b"\0")].decode("ascii", "replace")

    def part(self, address: int) -> bytes:
        """Return the bytes from an address to its section's end."""
        for start, held in self.sections:
            if 0 <= address - start < len(held):
                return held[address - start :]
        raise ValueError("nothing is there")
