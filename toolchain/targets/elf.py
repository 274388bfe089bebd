"""What a shared library says of itself, read from its file: nothing of it is loaded."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolchain.support.errors import TargetError
from toolchain.targets import architecture, is_macos, is_windows, system

_MACHINES = {3: "i386", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv"}
_EXPECTED = {"x86_64": ("x86_64", 64), "aarch64": ("aarch64", 64), "armv7a": ("arm", 32)}  # of all ARCHITECTURES
_SHARED = 3
_HARD_FLOAT, _SOFT_FLOAT = 0x400, 0x200
_LOADED, _DYNAMIC, _WITHOUT_BYTES, _DYNAMIC_SYMBOLS = 1, 6, 8, 11  # kinds of segments and sections
_WEAK = 2
_OTHER, _NAME = 1, 14  # kinds of entries for the loader: a library that is needed, and the library's own name


@dataclass(frozen=True)
class Elf:
    """The header of an ELF file.

    Attributes:
        machine: the architecture ("x86_64", "aarch64", "arm"), or the ELF number of one that is not known here.
        bits: 32 or 64.
        shared: whether it is a shared library.
        float_abi: how 32-bit Arm passes floats: "hard", "soft", or "" where nothing is said.
    """

    machine: str
    bits: int
    shared: bool
    float_abi: str

    def __str__(self) -> str:
        kind = "shared library" if self.shared else "no shared library"
        floats = f", {self.float_abi} float" if self.float_abi else ""
        return f"ELF {self.bits}-bit {self.machine} {kind}{floats}"


@dataclass(frozen=True)
class Library:
    """A shared library all of whose parts lie in its file.

    Attributes:
        defines: the names that it offers to others, with their addresses.
        needs: the names that others must offer.
        segments: what is loaded: an address, and the bytes from there on.
        libraries: that are loaded before it, by their names.
        name: where in the file its own name is, by which programs that link with it ask for it, and how many bytes
            there are for it, its final zero included; (0, 0): it has none.
        alignment: of its segments in memory, bytes: the largest pages that it can be loaded with.
    """

    defines: Mapping[str, int]
    needs: frozenset[str]
    segments: tuple[tuple[int, bytes], ...]
    libraries: tuple[str, ...]
    name: tuple[int, int]
    alignment: int

    def bytes_from(self, name: str) -> bytes:
        """Return the bytes from what is called ``name`` to the end of its segment; none if it defines no such name."""
        address = self.defines.get(name, -1)
        return next((data[address - start :] for start, data in self.segments if 0 <= address - start < len(data)), b"")


def read_elf(path: Path) -> Elf | None:
    """Return the header of ``path``; None if it is no little-endian ELF file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return _header(file.read(64))


def read_library(path: Path) -> Library:
    """Return what a shared library holds, defines and needs.

    Raises:
        TargetError: it is no shared library, or not all of it is there.
        OSError: it cannot be read.
    """
    from toolchain.targets import dll, macho

    data = path.read_bytes()
    found = _header(data)
    if not data.startswith((dll.MAGIC, macho.MAGIC)) and (found is None or not found.shared):
        raise TargetError(f"{path} is not a shared library (ELF)")
    try:
        if found is not None:
            return _Reader(data, found.bits).library()
        return dll.read_dll(data) if data.startswith(dll.MAGIC) else macho.read_dylib(data)
    except (struct.error, ValueError) as error:
        raise TargetError(f"{path} is cut off or damaged: its headers speak of what is not there") from error


def check_library(path: Path, triple: str) -> Elf | None:
    """Demand that ``path`` is a shared library that a process of ``triple`` can load; returns the header of one in ELF.

    Raises:
        TargetError: it is something else, in one sentence.
    """
    if is_windows(triple) or is_macos(triple):
        _check_other(path, triple)
        return None
    found = read_elf(path)
    machine, bits = _EXPECTED[architecture(triple)]
    if found is None or not found.shared:
        raise TargetError(f"{path} is not a shared library (ELF)")
    if (found.machine, found.bits) != (machine, bits):
        raise TargetError(f"{path} is a library for {found.machine}, {found.bits} bits, not for {triple}")
    if triple.endswith("hf") and found.float_abi == "soft":
        raise TargetError(f"{path} passes floats in integer registers, {triple} in those of the float unit")
    read_library(path)
    return found


def _check_other(path: Path, triple: str) -> None:
    """Do as `check_library` does for systems that have other formats."""
    from toolchain.targets import dll, macho

    machine_of = dll.machine_of if is_windows(triple) else macho.machine_of
    try:
        machine = machine_of(path.read_bytes())
    except (struct.error, ValueError) as error:
        raise TargetError(f"{path} is not a library of {system(triple)}") from error
    if machine != architecture(triple):
        raise TargetError(f"{path} is a library for {machine}, not for {triple}")
    read_library(path)


def _header(head: bytes) -> Elf | None:
    if len(head) < 52 or head[:4] != b"\x7fELF" or head[4] not in (1, 2) or head[5] != 1:
        return None
    bits = 32 * head[4]
    kind, machine = struct.unpack_from("<HH", head, 16)
    (flags,) = struct.unpack_from("<I", head, 36 if bits == 32 else 48)
    name = _MACHINES.get(machine, str(machine))
    floats = ("hard" if flags & _HARD_FLOAT else "soft" if flags & _SOFT_FLOAT else "") if name == "arm" else ""
    return Elf(name, bits, kind == _SHARED, floats)


@dataclass(frozen=True)
class _Layout:
    """Where the fields lie that are read: formats of `struct`, with the names of their values in order."""

    tables: tuple[int, str]  # of the header: offsets of segments and sections, flags, sizes and numbers of both
    segment: tuple[str, str]
    section: tuple[str, str]
    symbol: tuple[str, str]
    entry: tuple[str, str]  # for the loader


_LAYOUTS = {
    64: _Layout(
        (32, "<QQIHHHHH"),
        ("<IIQQQQQQ", "kind flags offset address _ size memory align"),
        ("<IIQQQQIIQQ", "name kind flags address offset size link info align each"),
        ("<IBBHQQ", "name info other section value size"),
        ("<QQ", "kind value"),
    ),
    32: _Layout(
        (28, "<IIIHHHHH"),
        ("<IIIIIIII", "kind offset address _ size memory flags align"),
        ("<IIIIIIIIII", "name kind flags address offset size link info align each"),
        ("<IIIBBH", "name value size info other section"),
        ("<II", "kind value"),
    ),
}


def _text(texts: bytes, at: int) -> str:
    return texts[at : texts.index(b"\0", at)].decode("ascii", "replace")


class _Reader:
    """Reads an ELF file; whatever leads out of it is a ValueError or a struct.error."""

    def __init__(self, data: bytes, bits: int) -> None:
        self.data, self.layout = data, _LAYOUTS[bits]

    def library(self) -> Library:
        offset, form = self.layout.tables
        segments_at, sections_at, _, _, segment_size, segments, section_size, sections = struct.unpack_from(
            form, self.data, offset
        )
        in_memory = [
            segment
            for segment in self.table(self.layout.segment, segments_at, segment_size, segments)
            if segment["kind"] == _LOADED
        ]
        loaded = tuple((each["address"], self.part(each["offset"], each["size"])) for each in in_memory)
        parts = list(self.table(self.layout.section, sections_at, section_size, sections))
        for part in parts:
            if part["kind"] != _WITHOUT_BYTES:
                self.part(part["offset"], part["size"])
        defines: dict[str, int] = {}
        needs: set[str] = set()
        others: list[str] = []
        name = (0, 0)
        for part in parts:
            texts = parts[part["link"]] if part["link"] < len(parts) else {}
            if part["kind"] == _DYNAMIC_SYMBOLS:
                self.symbols(part, texts, defines, needs)
            if part["kind"] == _DYNAMIC:
                held = self.part(texts.get("offset", -1), texts.get("size", 0))
                for entry in self.records(self.layout.entry, part):
                    if entry["kind"] == _OTHER:
                        others.append(_text(held, entry["value"]))
                    if entry["kind"] == _NAME:
                        rest = held[entry["value"] :].removeprefix(_text(held, entry["value"]).encode())
                        name = (texts["offset"] + entry["value"], len(held) - entry["value"] - len(rest.lstrip(b"\0")))
        alignment = min((each["align"] for each in in_memory), default=0)
        return Library(defines, frozenset(needs), loaded, tuple(others), name, alignment)

    def symbols(
        self, part: Mapping[str, int], names: Mapping[str, int], defines: dict[str, int], needs: set[str]
    ) -> None:
        """Put the names of a section of symbols, whose texts are in the section ``names``, where they belong."""
        texts = self.part(names.get("offset", -1), names.get("size", 0))
        for symbol in self.records(self.layout.symbol, part):
            name = _text(texts, symbol["name"])
            if symbol["section"]:
                defines[name] = symbol["value"]
            elif name and symbol["info"] >> 4 != _WEAK:
                needs.add(name)

    def records(self, row: tuple[str, str], part: Mapping[str, int]) -> Iterator[dict[str, Any]]:
        """All records of a section."""
        size = struct.calcsize(row[0])
        return self.table(row, part["offset"], size, part["size"] // size)

    def table(self, row: tuple[str, str], offset: int, size: int, count: int) -> Iterator[dict[str, Any]]:
        """``count`` records of ``size`` bytes each."""
        form, names = row
        if count and size < struct.calcsize(form):
            raise ValueError("records that are too small")
        self.part(offset, count * size)
        for place in range(offset, offset + count * size, size or 1):
            yield dict(zip(names.split(), struct.unpack_from(form, self.data, place), strict=True))

    def part(self, offset: int, size: int) -> bytes:
        """Return some bytes of the file, which must be there."""
        if offset < 0 or size < 0 or (size and offset + size > len(self.data)):
            raise ValueError("beyond the end")
        return self.data[offset : offset + size]
