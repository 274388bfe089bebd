"""What libraries for all kinds of target share in C: the header of their interface, and sources beside it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from toolchain.bundle import HEADER
from toolchain.support.files import scratch_folder
from toolchain.targets import Target
from toolchain.targets.linker import Linker

SHARED = Path(__file__).with_name("native")
EXACT = ("-ffp-contract=off",)
"""Flags: weights are rounded as Python rounds them."""
_QUICK = ("bicubic.c", "colours.c", "convert.c", "pixels.c", "rows.c")
"""Sources whose loops pass over every pixel. They run only once the library has seen that the processor has what it
requires."""
_FAST = ("-O2", "-ftree-vectorize")
"""What they are compiled with: -O3 writes out what vectors leave of a row, too, which takes 15 kB and is no faster."""
_VECTORS = {"avx2": "-mavx2", "sse4_1": "-msse4.1", "neon": "-mfpu=neon"}
"""By words of `Target.requires`, best first: what compilers must be told to use."""

C_FLAGS = (
    *("-std=c11", "-Os", "-ffreestanding", "-fPIC", "-fvisibility=hidden", *EXACT),
    *("-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-xc"),
)
"""For C that needs the compiler's own headers only: one for another system may come without that system's."""


def quick_flags(target: Target) -> dict[str, tuple[str, ...]]:
    """Return flags of sources that are compiled for speed, and for what a target requires of its processor, by name."""
    words = [flag for word, flag in _VECTORS.items() if word in target.requires]
    return dict.fromkeys(_QUICK, (*_FAST, *words[:1]))


def put_header(folder: Path) -> None:
    """Write `clipfree.h` into ``folder``.

    Raises:
        OSError: it cannot be written.
    """
    shutil.copyfile(SHARED / HEADER, folder / HEADER)


def stand_in(linker: Linker, path: Path) -> Path:
    """Write a library without contents in place of a system's, so that others can name it; returns its path.

    Raises:
        TargetError: the compiler fails.
    """
    with scratch_folder() as folder:
        empty = folder / "empty.c"
        empty.write_text("typedef int nothing;\n", encoding="utf-8")
        stub = replace(linker, flags=(*linker.flags, "-nostdlib", f"-Wl,-soname,{path.name}", "-xc"))
        stub.run(path, [str(empty)])
    return path


def c_text(value: str) -> str:
    """Return a C literal, letters that are no ASCII byte by byte."""
    literal = "".join(
        f"\\{byte:03o}" if byte >= 0x7F or byte < 0x20 or chr(byte) in '"\\?' else chr(byte) for byte in value.encode()
    )
    return f'"{literal}"'
