"""What is learned from: pieces of photographs, and what the float network makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from toolchain.images import Pixels
from toolchain.images.scale import Scale
from toolchain.quantize.crops import cut_crops
from toolchain.support.errors import CalibrationError

Teacher: TypeAlias = Callable[[Pixels], NDArray[np.float32]]
"""What the float network makes of a picture u8 (h, w, C): grey levels float32 (C, h * scale, w * scale), clipped to
0..255.
"""

FEWEST = 4
"""Photographs: one judges, the others are learned from."""
_JUDGES = 5
"""One of so many photographs judges and is not learned from."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A piece of a photograph, u8 (h, w, C), and what the float network makes of it."""

    pixels: Pixels
    wanted: NDArray[np.float32]


@dataclass(frozen=True)
class Cut:
    """How pieces are cut: ``side`` in pixels, ``each`` of a photograph; the rest as `cut_crops` has it."""

    side: int
    each: int
    channels: int
    halo: int
    shrink: Scale
    unit: int
    smallest: tuple[int, int]


def split(photographs: Sequence[Pixels]) -> tuple[list[Pixels], list[Pixels]]:
    """Return those to learn from, and those that judge.

    Raises:
        CalibrationError: they are too few.
    """
    if len(photographs) < FEWEST:
        raise CalibrationError(
            f"{len(photographs)} photographs are too few to learn from: what is learned is judged on others",
            hint=f"give at least {FEWEST}, better fifty",
        )
    judges = [index % _JUDGES == _JUDGES // 2 for index in range(len(photographs))]
    learned = [picture for picture, judge in zip(photographs, judges, strict=True) if not judge]
    return learned, [picture for picture, judge in zip(photographs, judges, strict=True) if judge]


def pieces(photographs: Sequence[Pixels], cut: Cut, teacher: Teacher, seed: int) -> list[Piece]:
    """Return square pieces, the same ones for the same ``seed``; every second one is of a photograph made smaller.

    Raises:
        CalibrationError: no photograph can be used, or none is as large as a piece.
    """
    found = cut_crops(
        photographs,
        channels=cut.channels,
        halo=cut.halo,
        size=cut.side,
        per_image=cut.each,
        shrink=cut.shrink,
        seed=seed,
        unit=cut.unit,
        smallest=cut.smallest,
    )
    side = -(-max(cut.side, *cut.smallest) // cut.unit) * cut.unit
    kept = [crop for crop in found.crops if crop.shape[:2] == (side, side)]
    if not kept:
        raise CalibrationError(
            f"no photograph has room for a piece of {side} x {side} pixels",
            hint="give larger photographs, or a smaller --patch",
        )
    if not any(np.ptp(crop) for crop in kept):
        raise CalibrationError("the photographs are of one colour: there is nothing to learn from")
    return [Piece(crop, teacher(crop)) for crop in kept]
