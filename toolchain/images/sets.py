"""Photographs as pixels: one, or those of a folder that a network is calibrated or measured with."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolchain.images.opening import open_picture, suffixes
from toolchain.images.photo import Photo, Pixels, stacked, to_channels
from toolchain.support.cpu import usable_cores
from toolchain.support.errors import CalibrationError, InputError
from toolchain.support.parallel import in_order

_SIDE, _MOST = 1024, 128
_AT_ONCE = 2
"""Photographs that are decoded at once: each takes memory for all of it."""


@dataclass(frozen=True)
class Skipped:
    """A picture that was left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class ImageSet:
    """Pictures of a folder in the order of their names.

    Attributes:
        images: u8 (h, w, C) each, sizes differing.
        names: a name for each image; several crops of one file carry its name and their place.
        skipped: the files that could not be used.
    """

    images: tuple[Pixels, ...]
    names: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def read_photo(source: Path | bytes) -> Photo:
    """Read a picture wholly, the first of several frames, as ``open_picture`` describes it.

    Raises:
        InputError: as ``open_picture`` and ``Picture.rows``.
    """
    picture = open_picture(source)
    return stacked(list(picture.rows(0, picture.height)))


def read_calibration(source: Path | Sequence[Path], channels: int) -> ImageSet:
    """Return the photographs of a folder, or the files given, to calibrate a network of ``channels`` with.

    Memory is bounded: of a photograph no more than its middle, ``_SIDE`` pixels a side, is kept, and of more than
    ``_MOST`` photographs as many.

    Raises:
        InputError, CalibrationError: as ``read_images``.
    """
    return read_images(source, channels=channels, crop=_SIDE, crops_per_photo=1, most=_MOST)


def read_images(
    source: Path | Sequence[Path],
    *,
    channels: int = 3,
    crop: int | None = None,
    crops_per_photo: int = 4,
    smallest: int = 1,
    most: int | None = None,
) -> ImageSet:
    """Read every picture of a folder (or the files given) as u8 (h, w, ``channels``); alpha is dropped.

    Args:
        source: a folder, whose files with a picture's suffix are read in the order of their names, hidden ones not;
            or one file; or several.
        channels: 3 for RGB, 1 for luma (BT.601, as JPEG has it).
        crop: pictures larger than this in a direction are cut to it, at ``crops_per_photo`` places spread over the
            picture, the same at every run; None keeps pictures whole.
        crops_per_photo: at most so many crops of one picture.
        smallest: pictures with fewer pixels than this in a direction are skipped.
        most: of more pictures so many, spread evenly over the list, are read: memory does not grow with the folder.

    Raises:
        InputError: the folder does not exist.
        CalibrationError: not one picture can be used; the message tells why the first was not.
    """
    if isinstance(source, Path) and not source.exists():
        raise InputError(f"there is no folder {source}")
    images: list[Pixels] = []
    names: list[str] = []
    skipped: list[Skipped] = []
    files = picture_files(source) if isinstance(source, Path) else source
    used = files if most is None or len(files) <= most else [files[i * len(files) // most] for i in range(most)]

    def read(path: Path) -> Skipped | list[tuple[str, Pixels]]:
        try:
            pixels = to_channels(read_photo(path).pixels, channels)
        except InputError as error:
            return Skipped(path.name, error.message.replace(f"{path} ", ""))
        if min(pixels.shape[:2]) < smallest:
            return Skipped(path.name, f"has {pixels.shape[1]} x {pixels.shape[0]} pixels, needs {smallest} each way")
        return [(path.name + place, part) for place, part in _crops(pixels, crop, crops_per_photo)]

    # Threads would give one another the warning filters that each finds and puts back: here they are the same for all.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for found in in_order(read, used, min(_AT_ONCE, usable_cores())):
            if isinstance(found, Skipped):
                skipped.append(found)
                continue
            names += [name for name, _ in found]
            images += [part for _, part in found]
    if not images:
        where = source if isinstance(source, Path) else "the list"
        why = f": {skipped[0].name} {skipped[0].reason}" if skipped else " in it"
        raise CalibrationError(
            f"{where} has no usable picture{why}", hint="give a folder of photographs (PNG, JPEG, ...)"
        )
    if len(used) < len(files):
        spread = f"are not needed: {len(used)} that are spread evenly over them are used"
        skipped.append(Skipped(f"{len(files) - len(used)} of {len(files)} pictures", spread))
    return ImageSet(tuple(images), tuple(names), tuple(skipped))


def picture_files(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Return the files of a folder that are named as pictures are, in the order of their names, hidden ones not.

    Args:
        folder: the folder; a file is its own list.
        recursive: also those of the folders in it. Links to folders are not followed: they may lead in circles.
    """
    if folder.is_file():
        return [folder]
    known = suffixes()
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if recursive and not name.startswith("."))
        names = sorted(name for name in files if Path(name).suffix.lower() in known and not name.startswith("."))
        found += [path for path in (Path(place) / name for name in names) if path.is_file()]
    return found


def _crops(pixels: Pixels, size: int | None, count: int) -> list[tuple[str, Pixels]]:
    height, width = pixels.shape[:2]
    if size is None or (height <= size and width <= size):
        return [("", pixels)]
    rows, columns = max(0, height - size), max(0, width - size)
    parts = []
    # A Kronecker sequence spreads any number of places evenly; the first is the middle.
    for index in range(count):
        top = round(rows * ((0.5 + index * 0.7548776662466927) % 1.0))
        left = round(columns * ((0.5 + index * 0.5698402909980532) % 1.0))
        part = np.ascontiguousarray(pixels[top : top + size, left : left + size])
        parts.append((f"@{left},{top}", part))
    return parts
