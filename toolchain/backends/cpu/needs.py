"""What a library needs that its C interface does not have, read from their files.

A library calls functions through pointers that it is lent, and carries a program for TVM's virtual machine (bytecode
0.14), which calls functions of that machine. What the interface has of each is listed in ``native/provides.h``.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

from toolchain.targets.elf import Library

_PROVIDES = Path(__file__).with_name("native") / "provides.h"
_CARRIED, _KERNEL, _BUILTIN, _TVM = "__tvm_ffi__library_bin", "__tvm_ffi_", "vm.builtin.", "TVM"
_MAGIC, _VERSION = 0xD225DE2F4214151E, b"0.14"


def lacking(library: Library) -> tuple[str, ...]:
    """Return what the interface of ``library`` lacks to run its network, sorted; empty if it runs.

    Raises:
        ValueError: the program in it is not understood: it is damaged, or of another version of TVM.
    """
    lent = {f"__{name}" for name in listed("LENT")}
    pointers = {symbol for symbol in library.defines if symbol.startswith("__TVM")}
    missing = {*(pointers - lent), *(symbol for symbol in library.needs if symbol.startswith(_TVM))}
    known = listed("BUILTINS")
    for function in _called(library):
        builtin = function.removeprefix(_BUILTIN)
        if _KERNEL + function not in library.defines and (builtin == function or builtin not in known):
            missing.add(function)
    return tuple(sorted(missing))


def listed(name: str) -> frozenset[str]:
    """Return the names of a list of ``provides.h``."""
    text = _PROVIDES.read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = re.findall(rf"^#define {name}\(X\)(.*)$", text, re.MULTILINE)
    return frozenset(re.findall(r"X\((\w+),", line))


def _called(library: Library) -> list[str]:
    """Return the functions that the library's program speaks of, but for its own."""
    try:
        return _Reader(library.bytes_from(_CARRIED)).functions()
    except struct.error as error:
        raise ValueError("the program ends early") from error


class _Reader:
    """Reads what a library carries: ``native/program.c`` does the same when it is opened."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 8
        self._data = data[: 8 + struct.unpack_from("<Q", data)[0]]

    def functions(self) -> list[str]:
        """Return names of functions that are called, in order of their numbers."""
        for _ in range(2):  # the tree of modules
            self._skip(8 * self._number())
        if self._text() != b"relax.VMExecutable":
            raise ValueError("no network")
        self._number()
        if self._number() != _MAGIC or self._text() != _VERSION:
            raise ValueError("another version")
        names = []
        for _ in range(self._number()):
            (kind,) = struct.unpack_from("<I", self._data, self._at)
            self._skip(4)
            found = self._text().decode()
            self._skip(24 + 8)  # its place, and its registers
            for _ in range(self._number()):
                self._text()
            if kind == 0:
                names.append(found)
        return names

    def _number(self) -> int:
        (value,) = struct.unpack_from("<Q", self._data, self._at)
        self._at += 8
        return int(value)

    def _text(self) -> bytes:
        size = self._number()
        text = self._data[self._at : self._at + size]
        self._skip(size)
        return text

    def _skip(self, size: int) -> None:
        if size > len(self._data) - self._at:
            raise ValueError("beyond the end")
        self._at += size
