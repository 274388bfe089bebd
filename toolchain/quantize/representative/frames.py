"""Frames that are added to the tamed images, so that their outputs touch both ends of the range."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from toolchain.quantize.representative.largest import Network, largest_factor
from toolchain.quantize.representative.tamed import (
    Extremes,
    OutputSpan,
    Pixels,
    TamedImage,
    extremes,
    inside,
)
from toolchain.quantize.representative.treatments import contract

Frames: TypeAlias = Callable[[Network, Sequence[Pixels], OutputSpan], list[TamedImage]]
"""(network, natural images, what the set covers so far) to frames that are to be added; ``source`` is the place among
the images given."""

_TRIES = 24
_DARK, _BRIGHT = 95, 160


def flat(network: Network, images: Sequence[Pixels], covered: OutputSpan) -> list[TamedImage]:
    """Return the darkest and the brightest flat frame, of the first image's size, whose outputs are in range."""
    frames = []
    for levels in (range(32), range(255, 223, -1)):
        before: Extremes | None = None
        for level in levels:
            pixels = np.full_like(images[0], level)
            if before is not None and not inside(extremes(network.run(_as_flat(network, pixels))), covered.wanted):
                continue
            found = extremes(network.run(pixels))
            before = before or found
            if inside(found, covered.wanted):
                frames.append(TamedImage(pixels, -1, "flat", 1.0, before, found))
                break
    return frames


def _as_flat(network: Network, pixels: Pixels) -> Pixels:
    """Return the part of a flat frame that holds all there is of it: its borders, and a pixel that sees none."""
    side = pixels.shape[0] if network.halo is None else 2 * network.halo + 1
    return pixels[:side, :side]


def edge(network: Network, images: Sequence[Pixels], covered: OutputSpan) -> list[TamedImage]:
    """For each end that is not touched yet, natural detail on one side of grey, its contrast raised until it is."""
    found = []
    if not covered.touches_low:
        found.append(_end_frame(network, images, covered, bright=False))
    if not covered.touches_high:
        found.append(_end_frame(network, images, covered, bright=True))
    return [frame for frame in found if frame is not None]


def _end_frame(network: Network, images: Sequence[Pixels], covered: OutputSpan, *, bright: bool) -> TamedImage | None:
    wanted = covered.wanted
    for attempt in range(_TRIES):
        index = attempt % len(images)
        anchor = (_DARK + 3 * (attempt // len(images))) if bright else (_BRIGHT - 3 * (attempt // len(images)))
        side = np.maximum(images[index], anchor) if bright else np.minimum(images[index], anchor)
        best = largest_factor(network, side, partial(contract, anchor=anchor), wanted, 4.0)
        if best is None:
            continue
        factor, pixels, after = best
        if abs(after[bright] - wanted[bright]) <= covered.tolerance:
            return TamedImage(pixels, index, "end", factor, extremes(network.run(images[index])), after)
    return None


FRAMES: Final[dict[str, Frames]] = {"flat": flat, "edge": edge}
