"""Bands of a picture: whole rows, with as many around them as the network looks at, enlarged one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from toolchain.images import Photo, stacked
from toolchain.images.scale import enlarged
from toolchain.runtime.tiles import ALIGNED, plan_spans


@dataclass(frozen=True)
class Band:
    """Rows of a picture, up to its row ``bottom``; ``above`` and ``below`` these more are there to be looked at."""

    photo: Photo
    above: int
    below: int
    bottom: int

    def inner(self, large: Photo, scale: int | Fraction) -> Photo:
        """Return the rows that the band stands for, of the band enlarged by ``scale``."""
        end = len(self.photo.pixels) - self.below
        return large.rows(enlarged(self.above, scale), enlarged(end, scale))


def bands(
    parts: Iterable[Photo], height: int, rows: int, margin: int, aligned: int = ALIGNED, step: int = 1
) -> Iterator[Band]:
    """Cut rows as they come into bands of at most ``rows``, each with ``margin`` more at each side where there are any.

    Args:
        parts: the picture, top to bottom.
        height: of the picture.
        rows: of a band.
        margin: rows around it.
        aligned: bands with their margin begin at multiples of it.
        step: bands begin at multiples of it.
    """
    held: list[Photo] = []
    first = last = 0  # rows held
    parts = iter(parts)
    for span in plan_spans(height, rows, margin, aligned, step):
        while last < span.source_end:
            part = next(parts)
            held.append(part)
            last += len(part.pixels)
        together = stacked(held)
        photo = together.rows(span.source_begin - first, span.source_end - first)
        yield Band(photo, span.begin - span.source_begin, span.source_end - span.end, span.end)
        held, first = [together.rows(span.source_begin - first, last - first)], span.source_begin
