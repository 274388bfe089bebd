"""A picture as the toolchain works on it: 8-bit grey or RGB pixels, and apart from them whatever else its file held."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Metadata:
    """What a picture's file says about it.

    Attributes:
        icc_profile: the colour profile of the pixels, for RGB or grey; None stands for sRGB.
        exif: an EXIF block, from its TIFF header on.
        xmp: an XMP packet.
        dpi: pixels per inch, across and down.
    """

    icc_profile: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True)
class Photo:
    """A picture, or some whole rows of one, upright.

    Attributes:
        pixels: u8 (h, w, 1) for a grey picture, (h, w, 3) RGB for any other.
        alpha: u8 (h, w), or None where the picture is opaque by format.
        remainder: of a picture of 16 bits, what the 8 bits of ``pixels``, and behind them of ``alpha``, leave over:
            i16 (h, w, channels), -128..128, to be added to 257 times these; None for a picture of 8 bits.
        metadata: of the file.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    remainder: npt.NDArray[np.int16] | None = None
    metadata: Metadata = field(default_factory=Metadata)

    @property
    def planes(self) -> Pixels:
        """Pixels and alpha, u8 (h, w, 1 to 4)."""
        return self.pixels if self.alpha is None else np.concatenate([self.pixels, self.alpha[:, :, None]], axis=2)

    @property
    def nbytes(self) -> int:
        """Bytes that the arrays take."""
        return sum(0 if array is None else array.nbytes for array in (self.pixels, self.alpha, self.remainder))

    def rows(self, top: int, bottom: int) -> Photo:
        """Return the rows from ``top`` up to ``bottom``, without copying them."""
        return Photo(
            self.pixels[top:bottom],
            None if self.alpha is None else self.alpha[top:bottom],
            None if self.remainder is None else self.remainder[top:bottom],
            self.metadata,
        )

    def opaque(self) -> Photo:
        """Return the picture without its alpha channel."""
        remainder = None if self.remainder is None else self.remainder[:, :, : self.pixels.shape[2]]
        return Photo(self.pixels, None, remainder, self.metadata)


def stacked(parts: list[Photo]) -> Photo:
    """Return rows under rows as one picture; all parts are of one kind, the metadata is the first's."""
    if len(parts) == 1:
        return parts[0]

    def joined(arrays: list[Any]) -> Any:
        return None if arrays[0] is None else np.concatenate(arrays)

    return Photo(
        joined([part.pixels for part in parts]),
        joined([part.alpha for part in parts]),
        joined([part.remainder for part in parts]),
        parts[0].metadata,
    )


def to_channels(pixels: Pixels, channels: int) -> Pixels:
    """Grey (h, w, 1) or RGB (h, w, 3) u8 pixels as u8 (h, w, ``channels``); luma is JPEG's (BT.601, full range)."""
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    return np.asarray(Image.fromarray(pixels).convert("L"))[:, :, None]
