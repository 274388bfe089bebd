"""How many bits the codes of a tensor have, and how people write that: TENSOR=16, or TENSOR=16:CHANNELS."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from toolchain.reference.quantization import BITS, WIDE_BITS
from toolchain.support.errors import CalibrationError, InputError

Bits: TypeAlias = int | tuple[int, ...]
"""Of all codes of a tensor; or the channels whose codes have 16, while those of the others have 8."""

_WORD = re.compile(r"(?P<name>.+)=(?:(?P<bits>\d+)|16:(?P<channels>\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*))", re.DOTALL)
_MOST = 1 << 16
"""Channels that a tensor may have here."""


def read_bits(word: str) -> tuple[str, Bits]:
    """Return the tensor or pattern that is named, and its bits: "a=16" or "a=16:0-3,8".

    Raises:
        InputError: it is not understood.
    """
    found = _WORD.fullmatch(word)
    bits: Bits = int(found["bits"]) if found and found["bits"] else ()
    if found and found["channels"]:
        bits = tuple(sorted({channel for part in found["channels"].split(",") for channel in _channels(part)}))
    if not found or bits == ():
        raise InputError(
            f"--bits {word} is not understood", hint="say TENSOR=16, PATTERN=16, or TENSOR=16:0-3,8 for some channels"
        )
    return found["name"], bits


def _channels(part: str) -> range:
    first, _, last = part.partition("-")
    return range(int(first), min(int(last or first), _MOST) + 1)


def write_bits(name: str, bits: Bits) -> str:
    """Return the word that `read_bits` reads."""
    return f"{name}={bits}" if isinstance(bits, int) else f"{name}={WIDE_BITS}:{','.join(_ranges(bits))}"


def _ranges(channels: Sequence[int]) -> Iterator[str]:
    """Yield channels as "0-3" and "8"."""
    for channel in sorted(channels):
        if channel - 1 in channels:
            continue
        last = channel
        while last + 1 in channels:
            last += 1
        yield str(channel) if last == channel else f"{channel}-{last}"


def check_bits(name: str, bits: Bits) -> None:
    """Raise CalibrationError if no tensor can have these bits."""
    if isinstance(bits, int) and bits not in (BITS, WIDE_BITS):
        raise CalibrationError(f"'{name}' cannot have {bits} bits", hint=f"say {BITS} or {WIDE_BITS}")
    if not isinstance(bits, int) and (not bits or min(bits) < 0):
        raise CalibrationError(f"'{name}' gets {WIDE_BITS} bits in none of its channels")
