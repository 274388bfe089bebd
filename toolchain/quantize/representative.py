"""Representative images that make a clip needless, from the float network's outputs alone.

After "clip-free quantization pipeline" (CFQP; Kalay, Bilecen, Ayazoglu, arXiv:2308.11365), of which only the abstract
is public: this is our reading. A calibrator that records the extremes of a network's output finds more than the pixel
range, because super-resolution overshoots at edges; a clip is then needed to undo it. Here every image whose output
overshoots is contracted about mid-grey by the largest factor that keeps the output in range, and frames are added until
the outputs touch both ends. The recorded range is then the pixel range, and integer saturation does what the clip did.
No labels, no inner tensors and no training are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.arithmetic import Quantization

Pixels: TypeAlias = NDArray[np.uint8]
Extremes: TypeAlias = tuple[float, float]
Outputs: TypeAlias = Callable[[Pixels], NDArray[np.float32]]

_HALVINGS = 9  # a contraction factor is found to 1/512
_TRIES = 24
_DARK, _BRIGHT = 95, 160


@dataclass(frozen=True)
class TamedImage:
    """One image of the set and its proof.

    Attributes:
        pixels: u8 (h, w, C).
        source: index of the natural image it was made from; -1 for a flat frame.
        kind: "natural" (unchanged), "contracted", "flat", or "end" (built so that the output touches an end).
        factor: contraction factor, 1 for unchanged.
        before: smallest and largest output, in the network's units, of the natural image.
        after: the same for ``pixels``.
    """

    pixels: Pixels
    source: int
    kind: Literal["natural", "contracted", "flat", "end"]
    factor: float
    before: Extremes
    after: Extremes


@dataclass(frozen=True)
class Coverage:
    """What the outputs of the whole set span, in the network's units; ``tolerance`` is half a pixel step."""

    low: float
    high: float
    wanted: Extremes
    tolerance: float

    @property
    def touches_low(self) -> bool:
        """Whether the smallest output is the lower end to within half a pixel step."""
        return abs(self.low - self.wanted[0]) <= self.tolerance

    @property
    def touches_high(self) -> bool:
        """Whether the largest output is the upper end to within half a pixel step."""
        return abs(self.high - self.wanted[1]) <= self.tolerance

    @property
    def inside(self) -> bool:
        """Whether no output leaves the range."""
        return self.wanted[0] <= self.low and self.high <= self.wanted[1]

    @property
    def proved(self) -> bool:
        """Whether a calibrator that records extremes finds the pixel range with this set."""
        return self.inside and self.touches_low and self.touches_high

    def quantization(self) -> Quantization:
        """What a calibrator that records extremes would write for the output."""
        return Quantization.of_range(self.low, self.high)


@dataclass(frozen=True)
class RepresentativeSet:
    """The tamed images, the indices of natural ones that could not be tamed, and what the outputs cover."""

    images: tuple[TamedImage, ...]
    rejected: tuple[int, ...]
    coverage: Coverage


def represent(run: Outputs, images: Sequence[Pixels], value_range: Extremes) -> RepresentativeSet:
    """Tame ``images`` for the network that ``run`` computes.

    Args:
        run: the clip-free float network: pixels u8 (h, w, C) in, outputs in network units out.
        images: natural images, u8 (h, w, C).
        value_range: the legal outputs, (0, 1) or (0, 255).

    An image whose output leaves the range however strongly it is contracted is rejected; the coverage then says what is
    missing.
    """
    tamed, rejected = [], []
    for index, pixels in enumerate(images):
        found = _tame(run, pixels, index, value_range)
        if found is None:
            rejected.append(index)
        else:
            tamed.append(found)
    tamed.extend(_flat_frames(run, images, value_range))
    step = (value_range[1] - value_range[0]) / 255
    coverage = _coverage(tamed, value_range, step / 2)
    for bright in (False, True):
        if not (coverage.touches_high if bright else coverage.touches_low):
            frame = _end_frame(run, images, value_range, bright=bright)
            tamed.extend([frame] if frame else [])
    return RepresentativeSet(tuple(tamed), tuple(rejected), _coverage(tamed, value_range, step / 2))


def contract(pixels: Pixels, factor: float, anchor: float = 127.5) -> Pixels:
    """Pixels moved towards ``anchor``: ``anchor + factor * (pixels - anchor)``, rounded half to even, saturated."""
    moved = anchor + factor * (pixels.astype(np.float64) - anchor)
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)


def _extremes(values: NDArray[np.float32]) -> Extremes:
    return float(values.min()), float(values.max())


def _inside(found: Extremes, wanted: Extremes) -> bool:
    return wanted[0] <= found[0] and found[1] <= wanted[1]


def _coverage(images: Sequence[TamedImage], wanted: Extremes, tolerance: float) -> Coverage:
    middle = (wanted[0] + wanted[1]) / 2
    low = min((image.after[0] for image in images), default=middle)
    high = max((image.after[1] for image in images), default=middle)
    return Coverage(low, high, wanted, tolerance)


def _largest(
    run: Outputs, make: Callable[[float], Pixels], wanted: Extremes, most: float
) -> tuple[float, Pixels, Extremes] | None:
    """Bisect for the largest factor in (0, most) whose image keeps the output in range; None where none found does."""
    low, high = 0.0, most
    best = None
    for _ in range(_HALVINGS):
        factor = (low + high) / 2
        pixels = make(factor)
        found = _extremes(run(pixels))
        if _inside(found, wanted):
            low, best = factor, (factor, pixels, found)
        else:
            high = factor
    return best


def _tame(run: Outputs, pixels: Pixels, index: int, wanted: Extremes) -> TamedImage | None:
    before = _extremes(run(pixels))
    if _inside(before, wanted):
        return TamedImage(pixels, index, "natural", 1.0, before, before)
    best = _largest(run, lambda factor: contract(pixels, factor), wanted, 1.0)
    if best is None:
        return None
    factor, moved, after = best
    return TamedImage(moved, index, "contracted", factor, before, after)


def _flat_frames(run: Outputs, images: Sequence[Pixels], wanted: Extremes) -> list[TamedImage]:
    """The darkest and the brightest flat frame, of the first image's size, whose outputs are in range."""
    frames = []
    for levels in (range(32), range(255, 223, -1)):
        before = None
        for level in levels:
            pixels = np.full_like(images[0], level)
            found = _extremes(run(pixels))
            before = before or found
            if _inside(found, wanted):
                frames.append(TamedImage(pixels, -1, "flat", 1.0, before, found))
                break
    return frames


def _end_frame(run: Outputs, images: Sequence[Pixels], wanted: Extremes, *, bright: bool) -> TamedImage | None:
    """Natural detail on one side of grey, its contrast raised until the output touches one end."""
    tolerance = (wanted[1] - wanted[0]) / 255 / 2
    for attempt in range(_TRIES):
        index = attempt % len(images)
        anchor = (_DARK + 3 * (attempt // len(images))) if bright else (_BRIGHT - 3 * (attempt // len(images)))
        side = np.maximum(images[index], anchor) if bright else np.minimum(images[index], anchor)
        best = _largest(run, lambda factor, side=side, anchor=anchor: contract(side, factor, anchor), wanted, 4.0)  # type: ignore[misc]
        if best is None:
            continue
        factor, pixels, after = best
        if abs(after[bright] - wanted[bright]) <= tolerance:
            return TamedImage(pixels, index, "end", factor, _extremes(run(images[index])), after)
    return None
