"""Training pairs out of a folder of photographs: antialiased bicubic low resolution, random crops, eight symmetries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from toolchain.support.errors import InputError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}


@dataclass(frozen=True)
class Pair:
    """One photograph: ``low`` is uint8 (h, w, channels), ``high`` is uint8 (h*scale, w*scale, channels)."""

    name: str
    low: np.ndarray
    high: np.ndarray


def downscale(high: Image.Image, scale: int) -> Image.Image:
    """Antialiased bicubic reduction by ``scale``; the picture's sides must be multiples of it."""
    return high.resize((high.width // scale, high.height // scale), Image.Resampling.BICUBIC)


def load_pairs(
    folder: Path, scale: int, *, channels: int = 3, sizes: tuple[float, ...] = (1.0,), patch: int = 1
) -> list[Pair]:
    """Read every photograph of ``folder``, at each of ``sizes`` (a factor on the photograph's side lengths).

    ``channels`` is 3 for RGB, 1 for luma (BT.601, as JPEG has it).

    Raises:
        InputError: no such folder, no usable photograph, or none as large as a patch.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}", hint="name a folder of PNG or JPEG photographs")
    pairs: list[Pair] = []
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
        try:
            photo = Image.open(path).convert("RGB")
        except OSError:
            continue
        for size in sizes:
            width, height = (int(side * size) // scale * scale for side in photo.size)
            if min(width, height) < patch * scale:
                continue
            scaled = (
                photo
                if size == 1.0
                else photo.resize((int(photo.width * size), int(photo.height * size)), Image.Resampling.LANCZOS)
            )
            high = scaled.crop((0, 0, width, height)).convert("RGB" if channels == 3 else "L")
            pairs.append(Pair(f"{path.name}@{size:g}", _array(downscale(high, scale)), _array(high)))
    if not pairs:
        raise InputError(
            f"{folder} holds no photograph of at least {patch * scale} x {patch * scale} pixels",
            hint="name a folder of PNG or JPEG photographs",
        )
    return pairs


def batches(
    pairs: list[Pair], scale: int, *, patch: int, batch: int, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Endless random batches: float32 (batch, c, patch, patch) and (batch, c, patch*scale, patch*scale) in 0..1.

    Every photograph is drawn equally often at every size: drawn by area, the full-size ones, which are the softest,
    would crowd out the detail of the reduced ones. Half of the patches are dimmed to 0.7 or 0.5 of their intensity,
    which XLSR's authors found to help quantization.
    """
    channels = pairs[0].low.shape[2]
    while True:
        low = np.empty((batch, patch, patch, channels), np.float32)
        high = np.empty((batch, patch * scale, patch * scale, channels), np.float32)
        for i, index in enumerate(rng.integers(len(pairs), size=batch)):
            pair = pairs[index]
            y = int(rng.integers(pair.low.shape[0] - patch + 1))
            x = int(rng.integers(pair.low.shape[1] - patch + 1))
            a = pair.low[y : y + patch, x : x + patch]
            b = pair.high[y * scale : (y + patch) * scale, x * scale : (x + patch) * scale]
            turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
            if mirrored:
                a, b = a[:, ::-1], b[:, ::-1]
            intensity = float(rng.choice([1.0, 1.0, 0.7, 0.5])) / 255.0
            low[i] = np.rot90(a, turns) * np.float32(intensity)
            high[i] = np.rot90(b, turns) * np.float32(intensity)
        yield np.ascontiguousarray(low.transpose(0, 3, 1, 2)), np.ascontiguousarray(high.transpose(0, 3, 1, 2))


def _array(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).reshape(picture.height, picture.width, -1)
