"""What libraries for all kinds of target share in C: the header of their interface, and sources beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

from toolchain.bundle import HEADER

SHARED = Path(__file__).with_name("native")
EXACT = ("-ffp-contract=off",)
"""Flags: weights are rounded as Python rounds them."""
QUICK = ("bicubic.c", "colours.c", "convert.c", "rows.c")
"""Sources whose loops pass over every pixel; speed counts there, not size."""


def put_header(folder: Path) -> None:
    """Write `clipfree.h` into ``folder``.

    Raises:
        OSError: it cannot be written.
    """
    shutil.copyfile(SHARED / HEADER, folder / HEADER)


def c_text(value: str) -> str:
    """Return a C literal, letters that are no ASCII byte by byte."""
    literal = "".join(
        f"\\{byte:03o}" if byte >= 0x7F or byte < 0x20 or chr(byte) in '"\\?' else chr(byte) for byte in value.encode()
    )
    return f'"{literal}"'
