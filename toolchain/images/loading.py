"""Decoding: a frame of a file as a pyvips image, in a colour space known here, whose rows are fetched top to bottom.

JPEG, PNG and TIFF are decoded by libvips while their rows are asked for, so that memory does not grow with the picture;
everything else by Pillow, a frame at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from PIL import Image

from toolchain.images import colour
from toolchain.images.samples import Samples

# libvips tells of odd files there; what matters is said in our words.
logging.getLogger("pyvips").addHandler(logging.NullHandler())
pyvips.cache_set_max(0)  # files may change between two looks at them

_CHUNK = 8 << 20  # bytes fetched at a time
_TURNS = {3: "d180", 5: "d270", 6: "d90", 7: "d90", 8: "d270"}
KINDS = {
    "uchar": "u1",
    "char": "i1",
    "ushort": "u2",
    "short": "i2",
    "uint": "u4",
    "int": "i4",
    "float": "f4",
    "double": "f8",
}
"""libvips' number formats that samples can have, as NumPy names them."""

_BY_LIBVIPS = ("JPEG", "PNG", "TIFF")


@dataclass(frozen=True)
class Frame:
    """What is decoded.

    Attributes:
        source: path of the file, or its bytes.
        format: as Pillow names it.
        number: of the frame, or page.
        orientation: how it lies, 1 to 8 as EXIF counts.
        profile: of CMYK, the colour profile, where it can be used.
        animated: Pillow decodes it, as RGB with alpha whatever it is.
        lab: its pixels are CIELAB.
    """

    source: Path | bytes
    format: str
    number: int = 0
    orientation: int = 1
    profile: bytes | None = None
    animated: bool = False
    lab: bool = False

    @property
    def by_libvips(self) -> bool:
        """Whether libvips decodes it."""
        return self.format in _BY_LIBVIPS and not (self.animated or self.lab)

    @property
    def streams(self) -> bool:
        """Whether it is decoded row by row."""
        return self.by_libvips and self.orientation in (1, 2)


def decode(frame: Frame, image: Image.Image | None = None) -> Any:
    """Return the frame as a pyvips image as the file has it: not turned, in the file's colour space.

    Args:
        frame: what to decode.
        image: the same file opened by Pillow, for what Pillow decodes.

    Raises:
        pyvips.Error, and Pillow's errors: it is damaged.
    """
    return _by_libvips(frame) if image is None else _by_pillow(frame, image)


def load(frame: Frame, image: Image.Image | None = None) -> Any:
    """Return the frame as a pyvips image, upright, grey or RGB, with or without alpha; CMYK and Lab have become sRGB.

    Raises:
        As ``decode``.
    """
    decoded = decode(frame, image)
    if decoded.interpretation == "cmyk":
        decoded = colour.cmyk_to_srgb(decoded, frame.profile)
    if decoded.interpretation == "lab":
        decoded = colour.lab_to_srgb(decoded)
    return _upright(decoded, frame.orientation)


def rows(image: Any, count: int) -> Iterator[Samples]:
    """Yield the samples of a pyvips image, top to bottom, (at most ``count``, w, bands) at a time.

    Raises:
        pyvips.Error: what follows is damaged.
    """
    region = pyvips.Region.new(image)
    kind = np.dtype(KINDS[image.format])
    step = max(1, min(count, _CHUNK // (image.width * image.bands * kind.itemsize)))
    for top in range(0, image.height, count):
        bottom = min(image.height, top + count)
        parts = [
            np.frombuffer(region.fetch(0, at, image.width, min(step, bottom - at)), kind)
            for at in range(top, bottom, step)
        ]
        yield np.concatenate(parts).reshape(bottom - top, image.width, image.bands)


def _by_libvips(frame: Frame) -> Any:
    options: dict[str, Any] = {"access": "sequential" if frame.streams else "random", "fail_on": "error"}
    if frame.format == "TIFF":
        options["page"] = frame.number
    if isinstance(frame.source, bytes):
        return pyvips.Image.new_from_buffer(frame.source, "", **options)
    return pyvips.Image.new_from_file(str(frame.source), **options)


def _by_pillow(frame: Frame, image: Image.Image) -> Any:
    image.seek(frame.number)
    samples, space = _pillow_samples(image, animated=frame.animated)
    return pyvips.Image.new_from_array(samples, interpretation=space)


def _pillow_samples(image: Image.Image, *, animated: bool) -> tuple[Samples, str]:
    """Return samples and what libvips calls their interpretation."""
    if image.mode == "LAB":
        # L is 0..255 for 0..100; a and b are signed.
        raw = np.asarray(image)
        signed = np.ascontiguousarray(raw[:, :, 1:]).view(np.int8)
        return np.dstack([raw[:, :, :1] * np.float32(100 / 255), signed.astype(np.float32)]), "lab"
    if image.mode == "CMYK":
        return np.asarray(image), "cmyk"
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16), "grey16"
    if image.mode in ("I", "F"):
        return np.asarray(image), "b-w"
    transparent = animated or "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La")
    grey = image.mode in ("1", "L", "LA", "La") and not animated
    mode = {(True, True): "LA", (True, False): "L", (False, True): "RGBA", (False, False): "RGB"}[grey, transparent]
    return np.asarray(image.convert(mode)), "b-w" if grey else "srgb"


def _upright(image: Any, orientation: int) -> Any:
    """Turn and mirror by EXIF's ``orientation``."""
    if orientation in (2, 5, 7):
        image = image.fliphor()
    if orientation == 4:
        return image.flipver()
    return image.rot(_TURNS[orientation]) if orientation in _TURNS else image
