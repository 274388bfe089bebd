"""By how much a network enlarges pictures: a whole number, or a fraction such as 3/2."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, TypeAlias

from toolchain.support.serialization import Between

Scale: TypeAlias = Annotated[int | Fraction, Between(1, 64)]
"""Output pixels per input pixel and direction; a fraction is never a whole number."""


def plain(scale: Fraction | int) -> int | Fraction:
    """Return a scale that is a whole number as one."""
    return scale.numerator if scale.denominator == 1 else scale


def enlarged(side: int, scale: int | Fraction) -> int:
    """Return how many pixels become of a side, rounded down."""
    return side * scale.numerator // scale.denominator


def shrunk(side: int, scale: int | Fraction) -> int:
    """Return of how many pixels no more than ``side`` become."""
    return side * scale.denominator // scale.numerator


def cropped(side: int, scale: int | Fraction) -> int:
    """Return the most pixels of ``side`` that are those of an enlarged picture, exactly."""
    return side // scale.numerator * scale.numerator


def suffix_of(scale: int | Fraction) -> str:
    """Return what a file's name says of a scale, such as "x2" or "x3-2"."""
    return f"x{str(scale).replace('/', '-')}"
