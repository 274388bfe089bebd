"""The name by which programs ask for a library that they were linked with, and room in the file for another one.

A package gives a library a name of its own (``libxlsr_x3.so``), and has no linker to write it with. So a library is
linked with a longer name than it needs, of which the start is kept: what follows is room.
"""

from __future__ import annotations

from pathlib import Path

from toolchain.support.errors import TargetError
from toolchain.targets.elf import read_library

LONGEST = 63
"""Bytes of a name."""
_FILL = "="


def roomy(name: str) -> str:
    """Return what a linker is told as the name of a library that `rename` then calls ``name``."""
    return name.ljust(LONGEST, _FILL)


def rename(path: Path, name: str) -> None:
    """Change the name of a library that was linked with room for it, in its file.

    Raises:
        ValueError: the name is too long.
        TargetError: the file has no such room, or is no library.
        OSError: it cannot be read or written.
    """
    encoded = name.encode()
    if len(encoded) > LONGEST:
        raise ValueError(f"{name} is longer than {LONGEST} bytes")
    place, room = read_library(path).name
    if room <= LONGEST:
        raise TargetError(f"{path} has no room for another name than its own")
    data = bytearray(path.read_bytes())
    data[place : place + LONGEST] = encoded.ljust(LONGEST, b"\0")
    path.write_bytes(data)
