"""Reading photographs: every common kind of picture becomes 8-bit grey or RGB pixels, with alpha kept apart."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from toolchain.errors import CalibrationError, InputError

Pixels = npt.NDArray[np.uint8]

MAX_PIXELS = 150_000_000
"""Larger pictures are refused: they are rather an attack on memory than a photograph."""

_SIDE, _MOST = 1024, 128

# What Pillow's decoders raise on damaged files.
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, struct.error)


@dataclass(frozen=True)
class Photo:
    """One picture, upright.

    Attributes:
        pixels: u8 (h, w, 1) for a grey picture, (h, w, 3) RGB for any other.
        alpha: u8 (h, w), or None where the picture is opaque by format.
        icc_profile: the colour profile found in the file, to be written into what is made of it.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    icc_profile: bytes | None = None


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


def read_photo(path: Path) -> Photo:
    """Read a picture: any mode, 8 or 16 bit (reduced by round(v / 257)), turned upright by its EXIF orientation.

    Raises:
        InputError: missing, not a picture, damaged, of more than ``MAX_PIXELS``, or of a kind without 8-bit meaning.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata and of sizes that are checked here
        try:
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise InputError(
                        f"{path} has {image.width} x {image.height} pixels, "
                        f"more than the {MAX_PIXELS // 10**6} million that are read", hint="crop or downscale it first",
                    )  # fmt: skip
                return _decode(path, image)
        except FileNotFoundError:
            raise InputError(f"there is no file {path}") from None
        except IsADirectoryError:
            raise InputError(f"{path} is a folder, not a picture") from None
        except PermissionError:
            raise InputError(f"{path} may not be read by this user") from None
        except UnidentifiedImageError:
            raise InputError(f"{path} is not a picture that can be read") from None
        except Image.DecompressionBombError:
            raise InputError(f"{path} has more than the {MAX_PIXELS // 10**6} million pixels that are read") from None
        except _DAMAGED as error:
            raise InputError(f"{path} is damaged: {error}") from error


def read_calibration(source: Path | Sequence[Path], channels: int) -> ImageSet:
    """The photographs of a folder, or the files given, to calibrate a network of ``channels`` with.

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
    files = _picture_files(source) if isinstance(source, Path) else source
    used = files if most is None or len(files) <= most else [files[i * len(files) // most] for i in range(most)]
    for path in used:
        try:
            pixels = to_channels(read_photo(path).pixels, channels)
        except InputError as error:
            skipped.append(Skipped(path.name, error.message.replace(f"{path} ", "")))
            continue
        if min(pixels.shape[:2]) < smallest:
            skipped.append(
                Skipped(path.name, f"has {pixels.shape[1]} x {pixels.shape[0]} pixels, needs {smallest} each way")
            )
            continue
        for place, part in _crops(pixels, crop, crops_per_photo):
            images.append(part)
            names.append(path.name + place)
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


def to_channels(pixels: Pixels, channels: int) -> Pixels:
    """Grey (h, w, 1) or RGB (h, w, 3) u8 pixels as u8 (h, w, ``channels``); luma is JPEG's (BT.601, full range)."""
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    return np.asarray(Image.fromarray(pixels).convert("L"))[:, :, None]


def _picture_files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    suffixes = Image.registered_extensions()
    files = (path for path in folder.iterdir() if path.suffix.lower() in suffixes and not path.name.startswith("."))
    return sorted(path for path in files if path.is_file())


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


def _decode(path: Path, image: Image.Image) -> Photo:
    profile = image.info.get("icc_profile")
    wide = _wide(path, image)
    if wide is not None:
        orientation = image.getexif().get(0x0112, 1)
        reduced = _turn(reduce_16_bit(wide), int(orientation))
    else:
        upright = ImageOps.exif_transpose(image)
        transparent = "transparency" in upright.info or upright.mode in ("RGBA", "LA", "PA", "RGBa", "La")
        grey = upright.mode in ("1", "L", "LA", "La")
        mode = {(True, True): "LA", (True, False): "L", (False, True): "RGBA", (False, False): "RGB"}[grey, transparent]
        reduced = np.asarray(upright.convert(mode))
    if reduced.ndim == 2:
        reduced = reduced[:, :, None]
    colours = 1 if reduced.shape[2] < 3 else 3
    alpha = np.ascontiguousarray(reduced[:, :, -1]) if reduced.shape[2] in (2, 4) else None
    pixels = np.ascontiguousarray(reduced[:, :, :colours])
    return Photo(pixels, alpha, profile if isinstance(profile, bytes) else None)


def reduce_16_bit(values: npt.NDArray[np.integer]) -> Pixels:
    """16-bit samples to 8 bit: round(v / 257), so that 0, 65535 and every 8-bit value times 257 are met exactly."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _wide(path: Path, image: Image.Image) -> npt.NDArray[np.integer] | None:
    """The samples (h, w) or (h, w, C) of a 16-bit picture, or None if it has 8 bits or fewer."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode == "I":
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise InputError(f"{path} has 32-bit samples beyond 0..65535", hint="save it with 8 or 16 bits")
        return values.astype(np.uint16)
    if image.mode == "F":
        raise InputError(f"{path} has floating-point samples", hint="save it with 8 or 16 bits")
    raw = _raw_mode(image)
    if raw not in ("RGB;16B", "RGB;16L", "RGBA;16B", "RGBA;16L"):
        return None
    # Pillow keeps only the upper byte of 16-bit colours. Decoding as the other byte order gives the lower one.
    other = raw[:-1] + ("L" if raw.endswith("B") else "B")
    upper = np.asarray(image).astype(np.uint16)
    with Image.open(path) as again:
        again.tile = [
            tile._replace(args=other if isinstance(tile.args, str) else (other, *tuple(tile.args or ())[1:]))
            for tile in again.tile
        ]
        lower = np.asarray(again)
    samples: npt.NDArray[np.integer] = upper * np.uint16(256) + lower
    return samples


def _raw_mode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", None)
    if not tiles:
        return ""
    arguments = tiles[0].args if hasattr(tiles[0], "args") else ""
    return arguments if isinstance(arguments, str) else str(arguments[0]) if arguments else ""


def _turn(pixels: Pixels, orientation: int) -> Pixels:
    turns = {
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: p.swapaxes(0, 1)[:, ::-1],
        7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: p.swapaxes(0, 1)[::-1],
    }
    return turns[orientation](pixels) if orientation in turns else pixels
