"""Cuts calibration crops out of photographs: the same ones every time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from toolchain.errors import CalibrationError

_FEW = 2
_LEAST_CONTRAST = 8


@dataclass(frozen=True)
class Source:
    """A calibration photo as the recipe names it: place in the given list, size in pixels, digest of its pixels."""

    index: int
    width: int
    height: int
    sha256: str


@dataclass(frozen=True)
class CropSet:
    """Crops, u8 (h, w, C), the photos they are from, and what the user should know about them."""

    crops: tuple[NDArray[np.uint8], ...]
    sources: tuple[Source, ...]
    warnings: tuple[str, ...]


def cut_crops(
    images: Sequence[NDArray[np.uint8]], *, channels: int, halo: int, size: int, per_image: int, shrink: int, seed: int
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

    Raises:
        CalibrationError: no photo, wrong shape, all too small, or all of one flat colour.
    """
    kept, warnings = usable(images, channels=channels, halo=halo)
    field = 2 * halo + 1
    crops = [
        crop for index in kept for crop in _cut(images[index], index, size, per_image, shrink, max(field, 16), seed)
    ]
    sources = tuple(_source(images[index], index) for index in kept)
    return CropSet(tuple(crops), sources, warnings)


def usable(
    images: Sequence[NDArray[np.uint8]], *, channels: int, halo: int
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The places of the images that can calibrate a network, and what the user should know about the others.

    Args:
        images: photos, u8 (h, w, channels).
        channels: what the network takes.
        halo: receptive-field radius in pixels.

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
    large = [index for index, image in enumerate(images) if min(image.shape[:2]) >= field]
    if not large:
        raise CalibrationError(
            f"every calibration image is smaller than the network's receptive field of {field} x {field} pixels",
            hint="give larger photographs",
        )
    kept = tuple(index for index in large if np.ptp(images[index].reshape(-1, channels), axis=0).any())
    if not kept:
        raise CalibrationError("every calibration image is of one flat colour", hint="give photographs")
    return kept, _warnings(len(images), len(large), len(kept), field)


def stress(crops: Sequence[NDArray[np.uint8]], seed: int) -> tuple[NDArray[np.uint8], ...]:
    """A harder picture out of each crop: colours exchanged, contrast stretched to the full range, some inverted.

    A few photographs do not hold all colours and edges that a network will meet; ranges found on them alone can be far
    too narrow for channels that answer to one colour.
    """
    return tuple(_stressed(crop, np.random.default_rng([seed, index, 2])) for index, crop in enumerate(crops))


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
    image: NDArray[np.uint8], index: int, size: int, per_image: int, shrink: int, least: int, seed: int
) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng([seed, index])
    height, width = image.shape[:2]
    small = image
    if shrink > 1 and min(height, width) // shrink >= least:
        small = _shrunk(image, shrink)
    crops = []
    for number in range(per_image):
        given = small if number % 2 == 0 else image
        top = int(rng.integers(0, max(1, given.shape[0] - size + 1)))
        left = int(rng.integers(0, max(1, given.shape[1] - size + 1)))
        crops.append(np.ascontiguousarray(given[top : top + size, left : left + size]))
    unique = {(crop.shape, crop.tobytes()): crop for crop in crops}
    return list(unique.values())


def _shrunk(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    size = (image.shape[1] // factor, image.shape[0] // factor)
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(image[..., c])).resize(size, Image.Resampling.BICUBIC))
        for c in range(image.shape[2])
    ]
    return np.stack(planes, axis=-1)


def _source(image: NDArray[np.uint8], index: int) -> Source:
    digest = hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()
    return Source(index, int(image.shape[1]), int(image.shape[0]), digest)
