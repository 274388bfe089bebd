"""Shared libraries put together by hand: no code in them, but all that is looked at before code is loaded."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from toolchain.targets import architecture

NETWORK = "__tvm_ffi__library_bin"
"""What a library defines that holds a network."""

_MACHINES = {"x86_64": (62, 64), "aarch64": (183, 64), "armv7a": (40, 32)}


def library(
    triple: str = "x86_64-linux-gnu",
    defines: Iterable[str] = (NETWORK,),
    needs: Iterable[str] = (),
    content: bytes = b"",
) -> bytes:
    """A library for ``triple`` whose names all stand at the address of ``content``, in a segment of its own."""
    machine, bits = _MACHINES[architecture(triple)]
    wide = bits == 64
    header, segment, section = (64, 56, 64) if wide else (52, 32, 40)
    texts, symbols = b"\0", [(0, 0)]
    for name, place in [*((name, 1) for name in defines), *((name, 0) for name in needs)]:
        symbols.append((len(texts), place))
        texts += name.encode() + b"\0"
    address = 0x1000
    rows = b"".join(
        struct.pack("<IBBHQQ", name, 0x10, 0, place, address * place, 0)
        if wide
        else struct.pack("<IIIBBH", name, address * place, 0, 0x10, 0, place)
        for name, place in symbols
    )
    at_rows = header + segment
    at_texts, at_content = at_rows + len(rows), at_rows + len(rows) + len(texts)
    at_sections = at_content + len(content)
    start = b"\x7fELF" + bytes([bits // 32, 1, 1]) + bytes(9) + struct.pack("<HHI", 3, machine, 1)
    counts = struct.pack("<HHHHHH", header, segment, 1, section, 3, 0)
    loaded = (at_content, address, address, len(content), len(content))
    flags = 0 if wide else 0x400
    start += struct.pack("<QQQI" if wide else "<IIII", 0, header, at_sections, flags) + counts
    start += struct.pack("<IIQQQQQQ", 1, 4, *loaded, 1) if wide else struct.pack("<IIIIIIII", 1, *loaded, 4, 1)
    form = "<IIQQQQIIQQ" if wide else "<IIIIIIIIII"
    parts = ((0, 0, 0, 0), (11, at_rows, len(rows), 2), (3, at_texts, len(texts), 0))
    sections = [struct.pack(form, 0, kind, 0, 0, offset, size, link, 0, 1, 0) for kind, offset, size, link in parts]
    return start + rows + texts + content + b"".join(sections)
