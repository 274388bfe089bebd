"""Tames a set of natural images for a network: one function, whose reading of the abstract is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from toolchain.quantize.representative.frames import FRAMES
from toolchain.quantize.representative.largest import Network
from toolchain.quantize.representative.reading import Reading
from toolchain.quantize.representative.tamed import (
    Extremes,
    Outputs,
    OutputSpan,
    Pixels,
    Rejected,
    RepresentativeSet,
    TamedImage,
    extremes,
    inside,
)
from toolchain.quantize.representative.treatments import TREATMENTS, Treatment
from toolchain.support.errors import CalibrationError
from toolchain.support.parallel import in_order


def represent(
    run: Outputs,
    images: Sequence[Pixels],
    value_range: Extremes,
    reading: Reading | None = None,
    *,
    halo: int | None = None,
    at_once: int = 1,
    progress: Callable[[int], None] | None = None,
) -> RepresentativeSet:
    """Tame ``images`` for the network that ``run`` computes.

    Args:
        run: the clip-free float network: pixels u8 (h, w, C) in, outputs in network units out.
        images: natural images, u8 (h, w, C), of any sizes; at least one.
        value_range: the legal outputs, (0, 1) or (0, 255).
        reading: of the abstract; default ``Reading()``.
        halo: input pixels around a pixel on which its output depends; None: all, which takes longer.
        at_once: images that are looked at together, in threads.
        progress: called with the index of each image before it is looked at.

    An image that the reading cannot bring into range is rejected; the coverage then says what is missing.

    Raises:
        CalibrationError: the network gives NaN or infinity on an image.
    """
    reading = reading or Reading()
    network, treat = Network(run, halo), TREATMENTS[reading.overshoot]
    tamed: list[TamedImage] = []
    rejected: list[Rejected] = []
    natural: list[tuple[int, Pixels]] = []

    def patches() -> Iterator[tuple[int, tuple[int, int], Pixels]]:
        for index, image in enumerate(images):
            if progress is not None:
                progress(index)
            for place, pixels in _patches(image, reading.patch):
                natural.append((index, pixels))
                yield index, place, pixels

    for found in in_order(lambda patch: _tame(network, treat, *patch, value_range), patches(), at_once):
        if isinstance(found, TamedImage):
            tamed.append(found)
        else:
            rejected.append(found)
    for name in reading.frames:
        made = FRAMES[name](network, [pixels for _, pixels in natural], OutputSpan.of(tamed, value_range))
        tamed.extend(replace(frame, source=natural[frame.source][0] if frame.source >= 0 else -1) for frame in made)
    return RepresentativeSet(tuple(tamed), tuple(rejected), OutputSpan.of(tamed, value_range))


def _tame(
    network: Network, treat: Treatment, index: int, place: tuple[int, int], pixels: Pixels, wanted: Extremes
) -> TamedImage | Rejected:
    outputs = network.run(pixels)
    before = extremes(outputs)
    if not np.isfinite(before).all():
        raise CalibrationError(f"the network's output is NaN or infinite on calibration image {index + 1}")
    if inside(before, wanted):
        return TamedImage(pixels, index, "natural", 1.0, before, before, place)
    treated = treat(network, pixels, outputs, wanted)
    if treated is None:
        return Rejected(index, place, before)
    factor, moved, after = treated
    return TamedImage(moved, index, "contracted", factor, before, after, place)


def _patches(image: Pixels, side: int | None) -> Iterator[tuple[tuple[int, int], Pixels]]:
    """Yield the whole image, or patches that cover it: the last ones of a row and column overlap their neighbours."""
    height, width = image.shape[:2]
    rows, columns = _starts(height, side), _starts(width, side)
    for top in rows:
        for left in columns:
            yield (top, left), np.ascontiguousarray(image[top : top + (side or height), left : left + (side or width)])


def _starts(length: int, side: int | None) -> list[int]:
    if side is None or length <= side:
        return [0]
    return [*range(0, length - side, side), length - side]
