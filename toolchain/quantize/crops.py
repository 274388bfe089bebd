"""Cuts calibration crops out of photographs: the same ones every time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from toolchain.images import bicubic
from toolchain.images.units import extended
from toolchain.support.errors import CalibrationError

Item = TypeVar("Item")

_FEW = 2
_LEAST_CONTRAST = 8
_TRIES = 16  # places looked at for a crop that is to lie apart from others
_HELD_OUT = 3  # a stream of random numbers of its own


@dataclass(frozen=True)
class PhotoSource:
    """A calibration photo as the recipe names it: place in the given list, size in pixels, digest of its pixels."""

    index: int
    width: int
    height: int
    sha256: str


@dataclass(frozen=True)
class HeldOut:
    """A crop that chooses nothing and judges what was chosen: u8 (h, w, C), and its photo's place in the given list."""

    pixels: NDArray[np.uint8]
    photo: int


@dataclass(frozen=True)
class CropSet:
    """Crops, u8 (h, w, C), the photos they are from, and what the user should know about them.

    ``held_out`` are further crops, of the same photos elsewhere; they overlap the others as little as the photos' size
    allows, and are the same where a photo is no larger than a crop.
    """

    crops: tuple[NDArray[np.uint8], ...]
    held_out: tuple[HeldOut, ...]
    sources: tuple[PhotoSource, ...]
    warnings: tuple[str, ...]


def cut_crops(
    images: Sequence[NDArray[np.uint8]],
    *,
    channels: int,
    halo: int,
    size: int,
    per_image: int,
    shrink: int | Fraction,
    seed: int,
    unit: int = 1,
    smallest: tuple[int, int] = (1, 1),
) -> CropSet:
    """Choose crops of at most ``size`` x ``size`` pixels.

    Large photographs are smooth from pixel to pixel, low-resolution pictures are not: every second crop comes from the
    photo shrunk by ``shrink`` (1 for none), so that the set holds edges as sharp as those that the network will meet.

    Args:
        images: photos, u8 (h, w, channels).
        channels: what the network takes.
        halo: receptive-field radius in pixels.
        size: longest side of a crop.
        per_image: crops of each photo.
        shrink: the network's scale.
        seed: where crops are cut.
        unit: of how many pixels the sides of the network's pictures are multiples, and those of crops.
        smallest: height and width that the network takes at least.

    Raises:
        CalibrationError: no photo, wrong shape, all too small, or all of one flat colour.
    """
    kept, warnings = usable(images, channels=channels, halo=halo, smallest=smallest)
    least, size = max(2 * halo + 1, 16, *smallest), max(size, *smallest)
    crops, held_out = [], []
    for index in kept:
        chosen, apart = _cut(images[index], index, size, per_image, shrink, least, seed)
        crops += [_in_units(pixels, unit) for pixels in chosen]
        held_out += [HeldOut(_in_units(pixels, unit), index) for pixels in apart]
    sources = tuple(_source(images[index], index) for index in kept)
    return CropSet(tuple(crops), tuple(held_out), sources, warnings)


def usable(
    images: Sequence[NDArray[np.uint8]], *, channels: int, halo: int, smallest: tuple[int, int] = (1, 1)
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the places of the images that can calibrate a network, and what the user should know about the others.

    Args:
        images: photos, u8 (h, w, channels).
        channels: what the network takes.
        halo: receptive-field radius in pixels.
        smallest: height and width that the network takes at least.

    Raises:
        CalibrationError: no photo, wrong shape, all too small, or all of one flat colour.
    """
    if not images:
        raise CalibrationError("there are no calibration images", hint="give at least a few photographs")
    for index, image in enumerate(images):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != channels:
            raise CalibrationError(
                f"calibration image {index + 1} is {image.dtype} {image.shape}, not uint8 (height, width, {channels})"
            )
    field = 2 * halo + 1
    if not any(image.shape[0] >= smallest[0] and image.shape[1] >= smallest[1] for image in images):
        raise CalibrationError(
            f"every calibration image is smaller than the {smallest[1]} x {smallest[0]} pixels that the network takes "
            "at least",
            hint="give larger photographs",
        )
    field = max(field, *smallest)
    large = [index for index, image in enumerate(images) if min(image.shape[:2]) >= field]
    if not large:
        raise CalibrationError(
            f"every calibration image is smaller than the network's receptive field of {field} x {field} pixels",
            hint="give larger photographs",
        )
    kept = tuple(index for index in large if (images[index] != images[index][0, 0]).any())
    if not kept:
        raise CalibrationError("every calibration image is of one flat colour", hint="give photographs")
    return kept, _warnings(len(images), len(large), len(kept), field)


def stress(crops: Sequence[NDArray[np.uint8]], seed: int) -> tuple[NDArray[np.uint8], ...]:
    """Return a harder picture out of each crop: colours exchanged, contrast stretched to the full range, some inverted.

    A few photographs do not hold all colours and edges that a network will meet; ranges found on them alone can be far
    too narrow for channels that answer to one colour.
    """
    return tuple(_stressed(crop, np.random.default_rng([seed, index, 2])) for index, crop in enumerate(crops))


def spread(items: Sequence[Item], most: int) -> Sequence[Item]:
    """Return every item, or every second, or every third, so that there are ``most`` at most."""
    return items[:: -(-len(items) // most)]


def _stressed(crop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    mixed = crop[..., rng.permutation(crop.shape[2])].astype(np.float64)
    low, high = np.percentile(mixed, [1, 99], axis=(0, 1))
    # Noise of a nearly flat crop is not blown up to edges.
    mixed = (mixed - low) / np.maximum(high - low, _LEAST_CONTRAST) * 255
    if rng.random() < 0.5:
        mixed = 255 - mixed
    pixels: NDArray[np.uint8] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return pixels


def _warnings(given: int, large: int, kept: int, field: int) -> tuple[str, ...]:
    warnings = []
    if large < given:
        warnings.append(
            f"{given - large} of {given} images left out: smaller than the receptive field of {field} x {field}"
        )
    if kept < large:
        warnings.append(f"{large - kept} of {given} images left out: one flat colour")
    if kept <= _FEW:
        warnings.append(
            f"only {kept} calibration image{'s' if kept > 1 else ''}: ranges may be too narrow for other pictures"
        )
    return tuple(warnings)


def _cut(
    image: NDArray[np.uint8], index: int, size: int, per_image: int, shrink: int | Fraction, least: int, seed: int
) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.uint8]]]:
    """Crops of one photo, and one held out of the shrunk photo and of the photo itself."""
    rng = np.random.default_rng([seed, index])
    height, width = image.shape[:2]
    small = image
    if shrink > 1 and min(height, width) // shrink >= least:
        small = bicubic.shrink(image, shrink)
    given = (small, image)
    places = [(number % 2, *_place(given[number % 2], size, rng)) for number in range(per_image)]
    rng = np.random.default_rng([seed, index, _HELD_OUT])
    apart = []
    for kind in range(2):
        taken = np.array([place for other, *place in places if given[other] is given[kind]]).reshape(-1, 2)
        tried = [_place(given[kind], size, rng) for _ in range(_TRIES)]
        overlaps = [int(np.maximum(size - np.abs(taken - place), 0).prod(axis=1).sum()) for place in tried]
        apart.append((kind, *tried[int(np.argmin(overlaps))]))
    chosen, held_out = (
        [np.ascontiguousarray(given[kind][top : top + size, left : left + size]) for kind, top, left in wanted]
        for wanted in (places, apart)
    )
    return _unique(chosen), _unique(held_out)


def _place(image: NDArray[np.uint8], size: int, rng: np.random.Generator) -> tuple[int, int]:
    """Top and left of a crop."""
    height, width = image.shape[:2]
    return int(rng.integers(0, max(1, height - size + 1))), int(rng.integers(0, max(1, width - size + 1)))


def _in_units(pixels: NDArray[np.uint8], unit: int) -> NDArray[np.uint8]:
    """``pixels`` without what is more than whole units; with copies of the border where they are less than one."""
    height, width = (max(side // unit, 1) * unit for side in pixels.shape[:2])
    return extended(np.ascontiguousarray(pixels[:height, :width]), unit)


def _unique(crops: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    return list({(crop.shape, crop.tobytes()): crop for crop in crops}.values())


def _source(image: NDArray[np.uint8], index: int) -> PhotoSource:
    digest = hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()
    return PhotoSource(index, int(image.shape[1]), int(image.shape[0]), digest)
