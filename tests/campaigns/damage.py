"""Damage to files: bytes as disks and networks spoil them, and fields as somebody hostile would fill them."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

HOSTILE: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    3,
    255,
    1.5,
    -0.0,
    1e-300,
    1e300,
    2**31 - 1,
    2**31,
    2**63 - 1,
    2**63,
    -(2**63),
    10**30,
    float("nan"),
    float("inf"),
    "",
    "x",
    "0",
    "../../etc/passwd",
    "/dev/zero",
    "a" * 100_000,
    "\ud800",
    "\0",
    "é\u202e",
    [],
    {},
    [[]],
    [None],
    [1],
    [1, 2],
    ["x"],
    {"a": 1},
    [0] * 1000,
)
"""What a field of a text format may hold instead of what it should."""


def spoil(data: bytes, rng: np.random.Generator) -> bytes:
    """``data`` with flipped bits, a lost end, a hole of zeros, a part twice, or a part of noise."""
    if not data:
        return data
    spoilt = bytearray(data)
    way = rng.integers(6)
    if way == 0:
        return bytes(spoilt[: rng.integers(len(spoilt))])
    if way in (1, 2):
        for place in rng.integers(0, len(spoilt), 1 if way == 1 else int(rng.integers(2, 30))):
            spoilt[place] ^= 1 << rng.integers(8)
        return bytes(spoilt)
    start = int(rng.integers(len(spoilt)))
    end = min(len(spoilt), start + int(rng.integers(1, 200)))
    if way == 3:
        spoilt[start:end] = bytes(end - start)
    elif way == 4:
        spoilt[end:end] = spoilt[start:end]
    else:
        spoilt[start:end] = rng.bytes(end - start)
    return bytes(spoilt)


def spoil_header(data: bytes, rng: np.random.Generator, size: int = 64) -> bytes:
    """``data`` with numbers in its first bytes that are far too large, small or negative."""
    spoilt = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        width = int(rng.choice([1, 2, 4, 8]))
        place = int(rng.integers(0, max(1, min(size, len(spoilt)) - width)))
        value = (0, 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1)[rng.integers(5)]
        spoilt[place : place + width] = value.to_bytes(width, str(rng.choice(["little", "big"])))  # type: ignore[arg-type]
    return bytes(spoilt)


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all fields in nested dictionaries and lists."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        yield (*above, key)
        yield from places(item, (*above, key))


def change(table: Any, rng: np.random.Generator) -> tuple[Any, str]:
    """A copy with one field replaced by something hostile, removed, or added; and what was done, for people."""
    changed = copy.deepcopy(table)
    paths = list(places(changed))
    path = paths[int(rng.integers(len(paths)))]
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    name, way = ".".join(map(str, path)), rng.random()
    if way < 0.08:
        del holder[path[-1]]
        return changed, f"without {name}"
    if way < 0.12 and isinstance(holder, dict):
        holder["unheard of"] = HOSTILE[int(rng.integers(len(HOSTILE)))]
        return changed, f"more beside {name}"
    if way < 0.2 and isinstance(holder, list) and holder:
        holder.extend(copy.deepcopy(holder[path[-1]]) for _ in range(int(rng.choice([1, 2, 1000]))))
        return changed, f"{name} again and again"
    old = holder[path[-1]]
    number = isinstance(old, int | float) and not isinstance(old, bool)
    if number and rng.random() < 0.5:
        holder[path[-1]] = type(old)(old * rng.choice([-1, 0, 2, 3, 10, 1000]) + rng.choice([-1, 0, 1]))
    else:
        holder[path[-1]] = HOSTILE[int(rng.integers(len(HOSTILE)))]
    return changed, f"{name} = {str(holder[path[-1]])[:40]!r}"


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file, its checksum right."""
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
