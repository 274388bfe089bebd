"""How low-resolution pictures are made of high-resolution ones, to see what a network makes of them."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from toolchain.images import bicubic, imresize
from toolchain.support.errors import InputError

Pixels: TypeAlias = npt.NDArray[np.uint8]
Resize: TypeAlias = Callable[[Pixels, int | Fraction], Pixels]
"""Of u8 (h, w, C) and how many times."""

KNOWN = "bicubic, matlab-bicubic, area, none, noise:SIGMA, jpeg:QUALITY"


@dataclass(frozen=True)
class Degradation:
    """A way to degrade pictures.

    Attributes:
        name: as it is chosen.
        text: what it does, for people.
        apply: makes the low-resolution picture, by a network's scale.
        enlarge: makes a picture as large as the network's of it, without a network.
    """

    name: str
    text: str
    apply: Resize
    enlarge: Resize = bicubic.enlarge


def find_degradation(name: str | None, scale: int | Fraction) -> Degradation:
    """Return the degradation called ``name`` (see `KNOWN`) for a network of ``scale``.

    Args:
        name: None for the usual one: Pillow's bicubic filter, or nothing where the network does not enlarge.
        scale: of the network.

    Raises:
        InputError: there is none of that name, its number is none, or it does not fit the scale.
    """
    if name is None:
        name = "none" if scale == 1 else "bicubic"
    kind, _, number = name.partition(":")
    found = _SIZED.get(name) or (_made(kind, number) if kind in _MAKERS else None)
    if name == "none":
        found = Degradation("none", "pictures are given as they are", _same)
    if found is None:
        raise InputError(f"--degradation {name} is not known", hint=f"there are: {KNOWN}")
    if (found.name in _SIZED) == (scale == 1):
        why = "enlarges nothing" if scale == 1 else f"enlarges {scale} times"
        fitting = "none, noise:SIGMA, jpeg:QUALITY" if scale == 1 else ", ".join(_SIZED)
        raise InputError(f"--degradation {name} does not fit: the network {why}", hint=f"there are: {fitting}")
    return found


def _same(pixels: Pixels, _scale: int | Fraction) -> Pixels:
    return pixels


def _area(pixels: Pixels, scale: int | Fraction) -> Pixels:
    if isinstance(scale, Fraction):
        raise InputError(
            f"--degradation area does not fit: the network enlarges {scale} times",
            hint="take bicubic or matlab-bicubic: no whole number of pixels becomes one",
        )
    height, width = (side // scale for side in pixels.shape[:2])
    parts = pixels[: height * scale, : width * scale].reshape(height, scale, width, scale, -1)
    sums = parts.sum(axis=(1, 3), dtype=np.int64)
    means: Pixels = ((2 * sums + scale * scale) // (2 * scale * scale)).astype(np.uint8)
    return means


_SIZED = {
    found.name: found
    for found in (
        Degradation("bicubic", "pictures are shrunk by Pillow's bicubic filter", bicubic.shrink),
        Degradation("matlab-bicubic", "pictures are shrunk as by MATLAB's imresize", imresize.shrink, imresize.enlarge),
        Degradation("area", "pictures are shrunk by the mean of the pixels that become one", _area),
    )
}


def _noisy(pixels: Pixels, _scale: int | Fraction, *, sigma: float) -> Pixels:
    noise = np.random.default_rng(0).normal(0.0, sigma, pixels.shape)
    return np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8)


def _jpeg(pixels: Pixels, _scale: int | Fraction, *, quality: int) -> Pixels:
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file).convert("RGB"))


_MAKERS = {"noise": "a standard deviation in grey levels such as noise:25", "jpeg": "a quality such as jpeg:30"}


def _made(kind: str, number: str) -> Degradation:
    """Return noise or JPEG of some strength."""
    known = number.isascii() and number.replace(".", "", kind == "noise").isdigit() and len(number) < 8
    value = float(number) if known else 0.0
    if not 0 < value <= (255 if kind == "noise" else 100):
        raise InputError(f"--degradation {kind}:{number} is not understood", hint=f"give {_MAKERS[kind]}")
    if kind == "noise":
        text = f"pictures get Gaussian noise of {value:g} grey levels"
        return Degradation(f"noise:{number}", text, functools.partial(_noisy, sigma=value))
    text = f"pictures go through JPEG of quality {value:g}"
    return Degradation(f"jpeg:{number}", text, functools.partial(_jpeg, quality=int(value)))
