"""The largest change of a picture that keeps a network's output in range, found by bisection.

Nearly all runs of the network are on small parts of the picture: a factor that is too large at one place is too large.
Which places decide is found out by trying: the whole picture, at the factor that suits the places known so far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.representative.tamed import Extremes, Outputs, Pixels, extremes, inside

Treated: TypeAlias = tuple[float, Pixels, Extremes]
"""A factor, the image changed by it, and the extremes of its outputs."""
Change: TypeAlias = Callable[[Pixels, float], Pixels]
"""An image, or a part of it, and a factor to the image changed by it, each pixel for itself."""

_HALVINGS = 9  # a factor is found to 1/512
_AROUND = 2  # input pixels around the one at which an output leaves the range that are looked at with it
_FAR = 20
"""Input pixels around an output that are looked at: in deep networks it depends on more, but hardly."""
_ROUNDS = 6
_SMALL = 0.2  # of the picture: larger parts are not worth it


@dataclass(frozen=True)
class Network:
    """The clip-free float network.

    Attributes:
        run: pixels u8 (h, w, C) to outputs (..., h * scale, w * scale), in network units.
        halo: input pixels around a pixel on which its output depends; None: all.
    """

    run: Outputs
    halo: int | None = None


@dataclass(frozen=True)
class _Part:
    """Pixels of an image that suffice for the outputs of some: slices of rows and columns, the latter of the part's."""

    taken: tuple[slice, slice]
    judged: tuple[slice, slice]


def largest_factor(
    network: Network,
    image: Pixels,
    change: Change,
    wanted: Extremes,
    most: float = 1.0,
    known: NDArray[np.float32] | None = None,
) -> Treated | None:
    """Bisect for the largest factor in (0, most) by which ``image`` may be changed so that the network's output lies in
    the range ``wanted``; None where none found does.

    Args:
        network: the network.
        image: u8 (h, w, C).
        change: what is done to it.
        wanted: the range.
        most: factors are below.
        known: outputs of the network for a picture like it, which show where it may leave the range.
    """

    def whole(factor: float) -> bool:
        return inside(extremes(network.run(change(image, factor))), wanted)

    parts: list[_Part] = []

    def places(factor: float) -> bool:
        return all(inside(_at(network, change(image[part.taken], factor), part), wanted) for part in parts)

    halo = min(network.halo or 0, _FAR)
    worth = network.halo is not None and (2 * (halo + _AROUND) + 1) ** 2 <= _SMALL * image[..., 0].size
    if worth and known is not None:
        parts += _where_outside(known, image.shape[:2], halo, wanted)
    for _ in range(_ROUNDS if worth else 0):
        factor = _bisect(places, most)
        if factor is None:
            return None
        changed = change(image, factor)
        outputs = network.run(changed)
        found = extremes(outputs)
        if inside(found, wanted):
            # Where less was looked at than an output depends on, a larger factor may suit all the same.
            if halo == network.halo or not whole(factor + most / 2**_HALVINGS):
                return factor, changed, found
            break
        beyond = _where_outside(outputs, image.shape[:2], halo, wanted)
        if not beyond:
            break
        parts += beyond
    factor = _bisect(whole, most)
    if factor is None:
        return None
    changed = change(image, factor)
    return factor, changed, extremes(network.run(changed))


def _bisect(suits: Callable[[float], bool], most: float) -> float | None:
    low, high, best = 0.0, most, None
    for _ in range(_HALVINGS):
        factor = (low + high) / 2
        if suits(factor):
            low = best = factor
        else:
            high = factor
    return best


def _at(network: Network, pixels: Pixels, part: _Part) -> Extremes:
    outputs = network.run(pixels)
    scale = outputs.shape[-1] // pixels.shape[1]
    rows, columns = (slice(side.start * scale, side.stop * scale) for side in part.judged)
    return extremes(outputs[..., rows, columns])


def _where_outside(outputs: NDArray[np.float32], size: Sequence[int], halo: int, wanted: Extremes) -> list[_Part]:
    """Return the parts around the smallest and the largest output, as far as those leave the range; none where borders
    are cut off, so that one cannot tell which input pixels belong to an output.
    """
    planes = outputs.reshape(-1, *outputs.shape[-2:])
    scale = planes.shape[2] // size[1]
    if planes.shape[1:] != (size[0] * scale, size[1] * scale):
        return []
    found = []
    for plane, beyond in (
        (planes.min(axis=0), planes.min() < wanted[0]),
        (-planes.max(axis=0), planes.max() > wanted[1]),
    ):
        if beyond:
            place = np.unravel_index(int(plane.argmin()), plane.shape)
            found.append(_part([int(index) // scale for index in place], size, halo))
    return found


def _part(place: Sequence[int], size: Sequence[int], halo: int) -> _Part:
    taken, judged = [], []
    for middle, length in zip(place, size, strict=True):
        first, last = max(middle - _AROUND, 0), min(middle + _AROUND + 1, length)
        start = max(first - halo, 0)
        taken.append(slice(start, min(last + halo, length)))
        judged.append(slice(first - start, last - start))
    return _Part((taken[0], taken[1]), (judged[0], judged[1]))
