"""EXIF and XMP of a picture that is turned upright and enlarged: changed where they would lie, kept elsewhere.

EXIF blocks are changed in place: camera makers' notes hold offsets that break when a block is written anew.
Source: CIPA DC-008 (Exif 2.32).
"""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from typing import Any

from PIL import Image

from toolchain.images.exif_block import EXIF, GPS, INTEROP, Block
from toolchain.images.photo import Metadata

_ORIENTATION, _COLOUR_SPACE, _WIDTH, _HEIGHT = 0x0112, 0xA001, 0xA002, 0xA003


LAYOUT = frozenset(
    {
        *range(254, 270),
        273,
        *range(277, 282),
        284,
        290,
        291,
        292,
        293,
        297,
        301,
        317,
        318,
        319,
        *range(320, 348),
        *range(512, 522),
        529,
        530,
        531,
        532,
        700,
        33723,
        34377,
        34675,
        37724,
        50838,
        50839,
    }
)
"""Tags that say how a TIFF file lays out its pixels, or what is carried by itself: no part of an EXIF block."""


def orientation_of(exif: bytes | None) -> int:
    """Return how a picture lies, 1 to 8 as EXIF counts; 1 (upright) where nothing sensible is said."""
    try:
        block = Block(exif or b"")
        for entry in block.entries(block.number("I", 4)):
            if entry.tag == _ORIENTATION:
                value = block.value(entry)
                return value if 1 <= value <= 8 else 1
    except ValueError:
        pass
    return 1


def described(metadata: Metadata, *, width: int, height: int, srgb: bool = False) -> Metadata:
    """Metadata of the upright picture ``width`` x ``height`` made from the one that ``metadata`` came with.

    EXIF and XMP say upright and the new size; the thumbnail of the old picture is dropped. An EXIF block that cannot be
    followed to its end is left out.

    Args:
        metadata: as the file held it.
        width: of the new picture, in pixels.
        height: the same.
        srgb: the pixels have been converted to sRGB.
    """
    exif = None if metadata.exif is None else _exif(metadata.exif, width, height, srgb)
    xmp = None if metadata.xmp is None else _xmp(metadata.xmp, width, height)
    return replace(metadata, exif=exif, xmp=xmp)


def values_of(exif: Image.Exif) -> dict[int, Any]:
    """Return the tags of EXIF's first directory that have a value: of others Pillow makes a KeyError."""
    return {tag: value for tag in exif if (value := exif.get(tag)) is not None}


def exif_of_tiff(values: dict[int, Any], exif: Image.Exif) -> bytes | None:
    """Return the EXIF block of a TIFF file, whose tags ``values`` lie among those of its pixels; None where there is
    nothing to keep.
    """
    kept = Image.Exif()
    for tag, value in values.items():
        if tag not in LAYOUT and tag not in (EXIF, GPS):
            kept[tag] = value
    for tag in (EXIF, GPS):
        inner = exif.get_ifd(tag)
        if inner:
            kept.get_ifd(tag).update({name: value for name, value in inner.items() if name != INTEROP})
    resolution = {282, 283, 296}  # a picture without any of its own has these too
    if not (set(kept) - resolution - {_ORIENTATION}) and kept.get(_ORIENTATION, 1) == 1:
        return None
    return bare_exif(kept.tobytes())


def bare_exif(block: object) -> bytes | None:
    """Return an EXIF block from its TIFF header on, without the words that JPEG puts in front of it."""
    if not isinstance(block, bytes) or not block:
        return None
    return block.removeprefix(b"Exif\0\0") or None


def _exif(exif: bytes, width: int, height: int, srgb: bool) -> bytes | None:
    try:
        block = Block(exif)
        first = block.number("I", 4)
        block.drop_second(first)
        numbers = {_ORIENTATION: 1, _WIDTH: width, _HEIGHT: height, **({_COLOUR_SPACE: 1} if srgb else {})}
        for entry in block.entries(first):
            if entry.tag in numbers:
                block.set(entry, numbers[entry.tag])
            elif entry.tag == EXIF:
                for inner in block.entries(block.value(entry)):
                    if inner.tag in numbers:
                        block.set(inner, numbers[inner.tag])
    except (ValueError, struct.error):
        return None
    return bytes(block.data)


def _xmp(xmp: bytes, width: int, height: int) -> bytes:
    values = {
        b"tiff:Orientation": 1,
        b"tiff:ImageWidth": width,
        b"tiff:ImageLength": height,
        b"exif:PixelXDimension": width,
        b"exif:PixelYDimension": height,
    }
    for name, value in values.items():
        pattern = name + rb"""(\s*=\s*["']|\s*>\s*)\d{1,10}(?=\s*["'<])"""
        xmp = re.sub(pattern, lambda found, n=name, v=value: n + found[1] + b"%d" % v, xmp)  # type: ignore[misc]
    return xmp
