"""Verification: the compiled library must equal the integer reference in every byte, on telling pictures.

Where operators stay float, their last bits depend on who computes them; a value that lies on the edge between two codes
may then be rounded to either, and `FLOAT_TOLERANCE` says how far pixels may differ for that. Wholly integer networks
have no such excuse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toolchain.errors import VerificationError

FLOAT_TOLERANCE = 2
"""Codes by which pixels may differ where a part of the network runs in float: a neighbour's code at the end of the
float part, enlarged by what follows."""

Pixels = npt.NDArray[np.uint8]
Upscale = Callable[[Pixels], Pixels]


@dataclass(frozen=True)
class Case:
    """A picture to compare on: u8 (h, w, C), and what it is."""

    name: str
    pixels: Pixels


@dataclass(frozen=True)
class Verified:
    """A case on which library and reference agreed: ``difference`` is the largest, in codes, 0 where all is integer."""

    name: str
    height: int
    width: int
    values: int
    difference: int = 0


def make_cases(channels: int, natural: Pixels | None = None, *, seed: int = 0) -> tuple[Case, ...]:
    """Pictures for ``verify``: odd sizes, sizes below and around vector widths, noise, extremes, and a photograph.

    Args:
        channels: 1 or 3.
        natural: a photograph u8 (h, w, channels) to cut crops from.
        seed: of the noise.
    """
    rng = np.random.default_rng(seed)

    def noise(height: int, width: int) -> Pixels:
        return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)

    cases = [
        Case("noise", noise(33, 47)),
        Case("black", np.zeros((9, 19, channels), np.uint8)),
        Case("white", np.full((17, 9, channels), 255, np.uint8)),
        # Zeros and 255s side by side drive accumulators and overshoot to their ends.
        Case("black and white noise", noise(24, 31) // 128 * np.uint8(255)),
        Case("one pixel", noise(1, 1)),
        Case("one row", noise(1, 37)),
        Case("one column", noise(29, 1)),
        Case("narrow", noise(5, 3)),
    ]
    if natural is not None:
        cases += [Case("photograph", natural[:48, :64]), Case("photograph, odd size", natural[-41:, -53:])]
    return tuple(Case(case.name, np.ascontiguousarray(case.pixels)) for case in cases)


def verify(
    upscale: Upscale, reference: Upscale, cases: Sequence[Case], *, tolerance: int = 0,
    progress: Callable[[str], None] | None = None,
) -> tuple[Verified, ...]:  # fmt: skip
    """Demand equal bytes, or pixels within ``tolerance``, on every case.

    Args:
        upscale: the compiled library.
        reference: the integer reference.
        cases: pictures to compare on.
        tolerance: in codes; 0 for networks that are wholly integer, `FLOAT_TOLERANCE` for others.
        progress: called with the name of each case before it runs.

    Raises:
        VerificationError: naming the case and the first pixel that differs.
    """
    results = []
    for case in cases:
        if progress is not None:
            progress(case.name)
        difference = compare(case.name, upscale(case.pixels), reference(case.pixels), tolerance=tolerance)
        results.append(Verified(case.name, case.pixels.shape[0], case.pixels.shape[1], case.pixels.size, difference))
    return tuple(results)


def compare(name: str, found: Pixels, expected: Pixels, *, tolerance: int = 0) -> int:
    """Demand equal bytes of two pictures u8 (h, w, C), or values within ``tolerance``; returns the largest difference.

    Raises:
        VerificationError: naming the picture and the first pixel that differs.
    """
    if found.shape != expected.shape:
        raise VerificationError(f"{name}: the library gives a picture of {found.shape}, the reference {expected.shape}")
    distance = np.abs(found.astype(int) - expected)
    largest = int(distance.max(initial=0))
    unlike = distance > tolerance
    if unlike.any():
        row, column, channel = (int(index) for index in np.argwhere(unlike)[0])
        raise VerificationError(
            f"{name}: library and integer reference differ in {int(unlike.sum())} of {unlike.size} values, by up to "
            f"{largest}, first at row {row}, column {column}, channel {channel}: "
            f"{int(found[row, column, channel])}, should be {int(expected[row, column, channel])}",
            hint="do not use this bundle; please report it",
        )
    return largest


def tolerance_for(float_operators: Sequence[str]) -> int:
    """Codes by which the library of a network may differ from the reference, given the operators that stayed float."""
    return FLOAT_TOLERANCE if float_operators else 0


def verdict(cases: Sequence[Verified]) -> str:
    """What was found, for people."""
    largest = max((case.difference for case in cases), default=0)
    if not largest:
        return "equal to the integer reference, byte for byte,"
    return f"within {largest} code{'s' * (largest > 1)} of the reference, of which a part is float,"
