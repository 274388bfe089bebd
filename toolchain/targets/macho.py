"""macOS' libraries, from their headers, as far as `toolchain.targets.elf` looks at others.

Source of the format: Apple, "OS X ABI Mach-O File Format Reference".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from toolchain.targets.elf import Library

MAGIC = b"\xcf\xfa\xed\xfe"
"""Of 64 bits, little-endian, for one processor."""
_MACHINES = {0x01000007: "x86_64", 0x0100000C: "aarch64"}
_LIBRARY, _HEADER, _PAGES = 6, 32, 0x4000
_SYMBOLS, _SEGMENT = 0x2, 0x19
_LIBRARIES = (0xC, 0x80000018, 0x8000001F, 0x20, 0x80000023)  # needed, weak, passed on, late, upwards
_DEBUGS, _PRIVATE, _KIND, _PLACED, _EXTERNAL, _WEAK_REFERENCE = 0xE0, 0x10, 0xE, 0xE, 1, 0x40


def machine_of(data: bytes) -> str:
    """Return the architecture that a library is for.

    Raises:
        ValueError, struct.error: it is none.
    """
    machine, kind = struct.unpack_from("<I4xI", data, 4)
    if not data.startswith(MAGIC) or kind != _LIBRARY:
        raise ValueError("no library")
    return _MACHINES.get(machine, hex(machine))


def read_dylib(data: bytes) -> Library:
    """Return what a library holds, defines and needs; names are without the underscore that C's have there.

    Raises:
        ValueError, struct.error: it is none, or not all of it is there.
    """
    machine_of(data)
    defines: dict[str, int] = {}
    needs: set[str] = set()
    segments, libraries = [], []
    for kind, command in _commands(data):
        if kind == _SEGMENT:
            address, _, offset, size = struct.unpack_from("<QQQQ", command, 24)
            segments.append((address, _part(data, offset, size)))
        elif kind in _LIBRARIES:
            (at,) = struct.unpack_from("<I", command, 8)
            libraries.append(_text(command, at))
        elif kind == _SYMBOLS:
            _read_symbols(data, struct.unpack_from("<IIII", command, 8), defines, needs)
    return Library(defines, frozenset(needs), tuple(segments), tuple(libraries), (0, 0), _PAGES)


def _commands(data: bytes) -> Iterator[tuple[int, bytes]]:
    count, place = struct.unpack_from("<I", data, 16)[0], _HEADER
    for _ in range(count):
        kind, size = struct.unpack_from("<II", data, place)
        if size < 8:
            raise ValueError("a command without an end")
        yield kind, _part(data, place, size)
        place += size


def _read_symbols(data: bytes, table: tuple[int, ...], defines: dict[str, int], needs: set[str]) -> None:
    offset, count, texts_at, texts_size = table
    texts = _part(data, texts_at, texts_size)
    for name_at, kind, _, flags, value in struct.iter_unpack("<IBBHQ", _part(data, offset, 16 * count)):
        if kind & (_DEBUGS | _PRIVATE) or not kind & _EXTERNAL:
            continue
        name = _text(texts, name_at).removeprefix("_")
        if kind & _KIND == _PLACED:
            defines[name] = value
        elif not flags & _WEAK_REFERENCE:
            needs.add(name)


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode("ascii", "replace")


def _part(data: bytes, offset: int, size: int) -> bytes:
    if offset + size > len(data):
        raise ValueError("beyond the end")
    return data[offset : offset + size]
