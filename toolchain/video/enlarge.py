"""A frame enlarged: luma by the network and chroma bicubically, or all by a network of RGB; in integers throughout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from toolchain.images import Photo
from toolchain.runtime.photo import bicubic_integers, upscale_photo
from toolchain.video.colours import rgb_to_chroma, rgb_to_luma, yuv_to_rgb
from toolchain.video.frames import FrameFormat, Pixels

Upscale = Callable[[Pixels], Pixels]
"""u8 (h, w, C) to u8 (h*scale, w*scale, C)."""


@dataclass(frozen=True)
class Given:
    """What the network gets of a frame, or has made of it: u8 (h, w, C); and planes that it does not see, enlarged."""

    pixels: Pixels
    others: tuple[Pixels, ...] = ()


@dataclass(frozen=True)
class Enlarger:
    """Enlarges frames, in three steps that may run in threads of their own.

    A luma network gets luma as it is, in its range; chroma is enlarged bicubically, and stays where it lies on luma. A
    network of RGB gets chroma enlarged to luma's size; what it makes is averaged down again.

    Attributes:
        form: of the frames.
        channels: of the network, 1 or 3.
        scale: of the network.
    """

    form: FrameFormat
    channels: int
    scale: int | Fraction

    def before(self, planes: tuple[Pixels, ...]) -> Given:
        """Make the network's input of the planes of a frame."""
        form = self.form
        if form.layout.planes == 1:
            return Given(planes[0].reshape(form.height, form.width, -1))
        if self.channels == 3:
            blue, red = (_to_luma(plane, form) for plane in planes[1:])
            return Given(yuv_to_rgb(planes[0], blue, red, form.space))
        down, across = ((self.scale - 1) * (0.5 - site) / (2 * self.scale) for site in (form.down, form.across))
        shape = form.enlarged(self.scale).shapes[1]
        large = tuple(_bicubic(plane, self.scale, (down, across), shape) for plane in planes[1:])
        return Given(planes[0][:, :, None], large)

    def run(self, given: Given, upscale: Upscale) -> Given:
        """Run the network."""
        if self.form.layout.planes > 1:
            return Given(upscale(given.pixels), given.others)
        photo = upscale_photo(Photo(given.pixels), upscale, channels=self.channels, scale=self.scale)
        return Given(photo.pixels)

    def after(self, made: Given) -> tuple[Pixels, ...]:
        """Make planes of the network's output."""
        if self.form.layout.rgb:
            return (made.pixels,)
        if self.form.layout.planes == 1 or self.channels == 1:
            return (made.pixels[:, :, 0], *made.others)
        return (
            rgb_to_luma(made.pixels, self.form.space),
            *rgb_to_chroma(*_joined(made.pixels, self.form), self.form.space),
        )


def _bicubic(plane: Pixels, scale: int | Fraction, shift: tuple[float, float], shape: tuple[int, ...]) -> Pixels:
    large = bicubic_integers(plane.astype(np.int32), scale, shift)[: shape[0], : shape[1]]
    return np.clip(large, 0, 255).astype(np.uint8)


def _to_luma(plane: Pixels, form: FrameFormat) -> Pixels:
    """Return a chroma plane with a sample for each of luma."""
    shape, across = (form.height, form.width), 0.25 - form.across / 2
    if form.layout.down == 2:
        return _bicubic(plane, 2, (0.25 - form.down / 2, across), shape)
    if form.layout.across == 2:  # every other row of what has twice as many is the one that was there
        return np.ascontiguousarray(_bicubic(plane, 2, (0.25, across), (2 * form.height, form.width))[::2])
    return plane


def _joined(pixels: Pixels, form: FrameFormat) -> tuple[npt.NDArray[np.integer], int]:
    """Sum up RGB around each chroma sample; returns also how many pixels it is of, as a power of two."""
    sums: npt.NDArray[np.integer] = pixels
    bits = 0
    for axis, joined, site in ((0, form.layout.down, form.down), (1, form.layout.across, form.across)):
        if joined == 2:
            between = site == 0.5
            sums, bits = _pairs(sums.astype(np.uint16), axis, between=between), bits + (1 if between else 2)
    return sums, bits


def _pairs(values: npt.NDArray[np.uint16], axis: int, *, between: bool) -> npt.NDArray[np.uint16]:
    """Return the sum of each pair along an axis, or of the four halves around each pair's first; beyond the edges the
    outermost values go on.
    """
    ahead = (slice(None),) * axis
    even, odd = values[(*ahead, slice(0, None, 2))], values[(*ahead, slice(1, None, 2))]
    last = values[(*ahead, slice(-1, None))]
    after = odd if odd.shape == even.shape else np.concatenate([odd, last], axis)
    if between:
        return even + after
    before = np.concatenate([values[(*ahead, slice(0, 1))], odd], axis)[(*ahead, slice(0, even.shape[axis]))]
    return before + 2 * even + after
