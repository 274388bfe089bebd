"""Verification: the compiled library must equal the integer reference in every byte, on telling pictures.

Where operators stay float, their last bits depend on who computes them; a value that lies on the edge between two codes
may then be rounded to either, and `FLOAT_TOLERANCE` says how far pixels may differ for that. Wholly integer networks
have no such excuse. A network that is deployed in float is held against the float model, within a stated bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from toolchain.support.errors import TooSmallError, VerificationError
from toolchain.targets.precision import FLOAT16, FLOAT32

FLOAT_TOLERANCE = 2
"""Codes by which pixels may differ where a part of the network runs in float: a neighbour's code at the end of the
float part, enlarged by what follows."""

Pixels = npt.NDArray[np.uint8]
Upscale = Callable[[Pixels], Pixels]


@dataclass(frozen=True)
class Standard:
    """What a library is held against: its name, and the codes by which pixels may differ."""

    name: str
    tolerance: int = 0


EXACT = Standard("integer reference")
_FLOAT = {
    FLOAT32: Standard("float model in onnxruntime", 1),
    FLOAT16: Standard("float model in onnxruntime", 8),
}


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
    upscale: Upscale,
    reference: Upscale,
    cases: Sequence[Case],
    standard: Standard = EXACT,
    *,
    progress: Callable[[str], None] | None = None,
) -> tuple[Verified, ...]:
    """Demand equal bytes, or pixels within the standard's tolerance, on every case that the network leaves anything of.

    Args:
        upscale: the compiled library.
        reference: the standard, as a function.
        cases: pictures to compare on.
        standard: see `standard_for`.
        progress: called with the name of each case before it runs.

    Raises:
        VerificationError: naming the case and the first pixel that differs; or all are too small.
    """
    results = []
    for case in cases:
        if progress is not None:
            progress(case.name)
        try:
            expected = reference(case.pixels)
        except TooSmallError:
            continue
        difference = compare(case.name, upscale(case.pixels), expected, standard)
        results.append(Verified(case.name, case.pixels.shape[0], case.pixels.shape[1], case.pixels.size, difference))
    if not results:
        raise VerificationError("no picture that is verified is large enough for this network")
    return tuple(results)


def agreeing(ways: Sequence[Upscale]) -> Upscale:
    """Return the first of several ways to run one library, which fails where another makes other bytes."""
    first, *others = ways

    def upscale(pixels: Pixels) -> Pixels:
        found = first(pixels)
        for other in others:
            if not np.array_equal(found, other(pixels)):
                raise VerificationError(
                    f"of {pixels.shape[0]} x {pixels.shape[1]} pixels the library makes one picture for programs in C, "
                    "and another for TVM",
                    hint="do not use this bundle; please report it",
                )
        return found

    return upscale


def compare(name: str, found: Pixels, expected: Pixels, standard: Standard = EXACT) -> int:
    """Demand equal bytes of two pictures u8 (h, w, C), or values within the standard's tolerance; returns the largest
    difference.

    Raises:
        VerificationError: naming the picture and the first pixel that differs.
    """
    if found.shape != expected.shape:
        raise VerificationError(f"{name}: the library gives a picture of {found.shape}, the reference {expected.shape}")
    distance = np.abs(found.astype(int) - expected)
    largest = int(distance.max(initial=0))
    unlike = distance > standard.tolerance
    if unlike.any():
        row, column, channel = (int(index) for index in np.argwhere(unlike)[0])
        raise VerificationError(
            f"{name}: library and {standard.name} differ in {int(unlike.sum())} of {unlike.size} values, by up to "
            f"{largest}, first at row {row}, column {column}, channel {channel}: "
            f"{int(found[row, column, channel])}, should be {int(expected[row, column, channel])}",
            hint="do not use this bundle; please report it",
        )
    return largest


def standard_for(precision: str, float_operators: Sequence[str]) -> Standard:
    """Return what a network is held against, given its precision and, in INT8, the operators that stayed float."""
    if precision in _FLOAT:
        return _FLOAT[precision]
    return Standard("integer reference, of which a part is float", FLOAT_TOLERANCE) if float_operators else EXACT


def verdict(cases: Sequence[Verified], standard: Standard) -> str:
    """Return what was found, for people."""
    largest = max((case.difference for case in cases), default=0)
    if not largest:
        return f"equal to the {standard.name}, byte for byte,"
    return (
        f"within {largest} code{'s' * (largest > 1)} of 255 of the {standard.name}, where {standard.tolerance} "
        f"{'is' if standard.tolerance == 1 else 'are'} allowed,"
    )
