"""Colour profiles made here, byte by byte: RGB of any primaries with a gamma, grey with a gamma, and a CMYK of inks.

Source: ICC.1:2010 (version 2 of the format).
"""

from __future__ import annotations

import itertools
import struct

ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""Primaries as XYZ under D50."""

DISPLAY_P3 = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))


def rgb(primaries: tuple[tuple[float, float, float], ...] = ADOBE_RGB, gamma: float = 2.19921875) -> bytes:
    tags = {tag: _xyz(values) for tag, values in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)}
    return _profile(b"RGB ", b"XYZ ", {**tags, **{tag: _curve(gamma) for tag in (b"rTRC", b"gTRC", b"bTRC")}})


def grey(gamma: float = 1.8) -> bytes:
    return _profile(b"GRAY", b"XYZ ", {b"kTRC": _curve(gamma)})


def cmyk() -> bytes:
    """Inks that take light away as filters do: a table with two points a side, to Lab."""
    identity = bytes(range(256))
    colours = b""
    for c, m, y, k in itertools.product((0, 1), repeat=4):
        light = 0.0 if k else 1.0 - (0.3 * c + 0.5 * m + 0.1 * y)
        a, b = (0, 0) if k else (-35 * c + 70 * m - 5 * y, -45 * c - 5 * m + 90 * y)
        colours += bytes([round(255 * light), 128 + a // 2, 128 + b // 2])
    matrix = b"".join(struct.pack(">i", 65536 * (i == j)) for i in range(3) for j in range(3))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + identity * 4 + colours + identity * 3
    return _profile(b"CMYK", b"Lab ", {b"A2B0": table}, kind=b"prtr")


def _profile(space: bytes, connection: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr") -> bytes:
    text = b"text" + bytes(4) + b"made by a test\0"
    name = b"made by a test\0"
    description = b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78)
    tags = {b"desc": description, b"cprt": text, b"wtpt": _xyz((0.9642, 1.0, 0.8249)), **tags}
    place, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for tag, value in tags.items():
        value += bytes(-len(value) % 4)
        table += tag + struct.pack(">II", place + len(data), len(value))
        data += value
    white = struct.pack(">iii", 63190, 65536, 54061)
    header = (
        bytes(4)
        + bytes(4)
        + b"\x02\x10\0\0"
        + kind
        + space
        + connection
        + struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
        + b"acsp"
        + bytes(28)
        + white
        + bytes(48)
    )
    body = header[4:128] + struct.pack(">I", len(tags)) + table + data
    return struct.pack(">I", len(body) + 4) + body


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(struct.pack(">i", round(65536 * value)) for value in values)


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(256 * gamma)) + bytes(2)
