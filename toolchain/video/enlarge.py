"""A frame enlarged: luma by the network and chroma bicubically, or all by a network of RGB; in integers throughout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from toolchain.images import Photo
from toolchain.runtime.photo import bicubic_integers, bicubic_remainder, upscale_photo
from toolchain.video.colours import rgb_to_chroma, rgb_to_luma, yuv_to_rgb
from toolchain.video.frames import FrameFormat, Pixels, Samples

Upscale = Callable[[Pixels], Pixels]
"""u8 (h, w, C) to u8 (h*scale, w*scale, C)."""


@dataclass(frozen=True)
class Given:
    """What the network gets of a frame, or has made of it: u8 (h, w, C); and what it does not see, enlarged: planes,
    and what 8 bits leave over of deeper samples, i16 (h*scale, w*scale, C).
    """

    pixels: Pixels
    others: tuple[Samples, ...] = ()
    remainder: npt.NDArray[np.int16] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        parts = [self.pixels, *self.others, *([] if self.remainder is None else [self.remainder])]
        return sum(part.nbytes for part in parts)


@dataclass(frozen=True)
class Enlarger:
    """Enlarges frames, in three steps that may run in threads of their own.

    A luma network gets luma as it is, in its range; chroma is enlarged bicubically, and stays where it lies on luma. A
    network of RGB gets chroma enlarged to luma's size; what it makes is averaged down again. Of 10 bits a network gets
    the upper 8, rounded; what that leaves over is enlarged bicubically and added, as of photographs of 16 bits.

    Attributes:
        form: of the frames.
        channels: of the network, 1 or 3.
        scale: of the network.
    """

    form: FrameFormat
    channels: int
    scale: int | Fraction

    def before(self, planes: tuple[Samples, ...]) -> Given:
        """Make the network's input of the planes of a frame."""
        form = self.form
        if form.layout.planes == 1:
            return self._given(planes[0].reshape(form.height, form.width, -1))
        if self.channels == 3:
            blue, red = (_to_luma(plane, form) for plane in planes[1:])
            return self._given(yuv_to_rgb(planes[0], blue, red, form.space, form.bits))
        down, across = ((self.scale - 1) * (0.5 - site) / (2 * self.scale) for site in (form.down, form.across))
        shape = form.enlarged(self.scale).shapes[1]
        large = tuple(_bicubic(plane, self.scale, (down, across), shape, form.bits) for plane in planes[1:])
        return self._given(planes[0][:, :, None], large)

    def run(self, given: Given, upscale: Upscale) -> Given:
        """Run the network."""
        if self.form.layout.planes > 1:
            return replace(given, pixels=upscale(given.pixels))
        photo = upscale_photo(Photo(given.pixels), upscale, channels=self.channels, scale=self.scale)
        return replace(given, pixels=photo.pixels)

    def after(self, made: Given) -> tuple[Samples, ...]:
        """Make planes of the network's output."""
        form, pixels = self.form, self._whole(made)
        if form.layout.rgb:
            return (pixels,)
        if form.layout.planes == 1 or self.channels == 1:
            return (pixels[:, :, 0], *made.others)
        return (
            rgb_to_luma(pixels, form.space, form.bits),
            *rgb_to_chroma(*_joined(pixels, form), form.space, form.bits),
        )

    def _given(self, samples: Samples, others: tuple[Samples, ...] = ()) -> Given:
        """Split samples (h, w, C) into what the network gets, and what that leaves over, enlarged."""
        over = self.form.bits - 8
        if not over:
            return Given(samples.astype(np.uint8, copy=False), others)
        upper = np.minimum((samples + (1 << (over - 1))) >> over, 255).astype(np.uint8)
        rest = samples.astype(np.int16) - (upper.astype(np.int16) << over)
        return Given(upper, others, bicubic_remainder(rest, self.scale))

    def _whole(self, made: Given) -> Samples:
        """Join what was split."""
        if made.remainder is None:
            return made.pixels
        joined = (made.pixels.astype(np.int16) << (self.form.bits - 8)) + made.remainder
        whole: Samples = np.clip(joined, 0, (1 << self.form.bits) - 1).astype(np.uint16)
        return whole


def _bicubic(
    plane: Samples, scale: int | Fraction, shift: tuple[float, float], shape: tuple[int, ...], bits: int
) -> Samples:
    large = bicubic_integers(plane.astype(np.int32), scale, shift)[: shape[0], : shape[1]]
    return np.clip(large, 0, (1 << bits) - 1).astype(plane.dtype)


def _to_luma(plane: Samples, form: FrameFormat) -> Samples:
    """Return a chroma plane with a sample for each of luma."""
    shape, across = (form.height, form.width), 0.25 - form.across / 2
    if form.layout.down == 2:
        return _bicubic(plane, 2, (0.25 - form.down / 2, across), shape, form.bits)
    if form.layout.across == 2:  # every other row of what has twice as many is the one that was there
        return np.ascontiguousarray(_bicubic(plane, 2, (0.25, across), (2 * form.height, form.width), form.bits)[::2])
    return plane


def _joined(pixels: Samples, form: FrameFormat) -> tuple[npt.NDArray[np.integer], int]:
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
