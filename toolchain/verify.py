"""Verification: the compiled library must equal the integer reference in every byte, on telling pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toolchain.errors import VerificationError

Pixels = npt.NDArray[np.uint8]
Upscale = Callable[[Pixels], Pixels]


@dataclass(frozen=True)
class Case:
    """A picture to compare on: u8 (h, w, C), and what it is."""

    name: str
    pixels: Pixels


@dataclass(frozen=True)
class Verified:
    """A case on which library and reference were equal."""

    name: str
    height: int
    width: int
    values: int


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
    upscale: Upscale, reference: Upscale, cases: Sequence[Case], *, progress: Callable[[str], None] | None = None
) -> tuple[Verified, ...]:
    """Demand equal bytes on every case.

    Args:
        upscale: the compiled library.
        reference: the integer reference.
        cases: pictures to compare on.
        progress: called with the name of each case before it runs.

    Raises:
        VerificationError: naming the case and the first pixel that differs.
    """
    results = []
    for case in cases:
        if progress is not None:
            progress(case.name)
        compare(case.name, upscale(case.pixels), reference(case.pixels))
        results.append(Verified(case.name, case.pixels.shape[0], case.pixels.shape[1], case.pixels.size))
    return tuple(results)


def compare(name: str, found: Pixels, expected: Pixels) -> None:
    """Demand equal bytes of two pictures u8 (h, w, C).

    Raises:
        VerificationError: naming the picture and the first pixel that differs.
    """
    if found.shape != expected.shape:
        raise VerificationError(f"{name}: the library gives a picture of {found.shape}, the reference {expected.shape}")
    unlike = found != expected
    if unlike.any():
        row, column, channel = (int(index) for index in np.argwhere(unlike)[0])
        largest = int(np.abs(found.astype(int) - expected).max())
        raise VerificationError(
            f"{name}: library and integer reference differ in {int(unlike.sum())} of {unlike.size} values, by up to "
            f"{largest}, first at row {row}, column {column}, channel {channel}: "
            f"{int(found[row, column, channel])}, should be {int(expected[row, column, channel])}",
            hint="do not use this bundle; please report it",
        )
