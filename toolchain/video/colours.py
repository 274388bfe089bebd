"""Y'CbCr of video and RGB, in integers: the same bytes on every machine.

Samples of more than 8 bits are those of 8 times a power of two, of RGB too: white is 255 times that.

Sources: ITU-R BT.601-7, BT.709-6 and BT.2020-2, each in narrow ("limited") and full range; BT.470's and
SMPTE 170M's matrices are BT.601's.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8 | np.uint16]

_BITS = 16
_HALF = 1 << (_BITS - 1)
_ROWS = 32  # at once, so that sums stay in the cache
_LUMA = {  # what red and blue add to luma
    "bt601": (Fraction(299, 1000), Fraction(114, 1000)),
    "bt709": (Fraction(2126, 10000), Fraction(722, 10000)),
    "bt2020": (Fraction(2627, 10000), Fraction(593, 10000)),
}
MATRICES = tuple(_LUMA)


@dataclass(frozen=True)
class ColourSpace:
    """How Y'CbCr stands for RGB.

    Attributes:
        matrix: one of ``MATRICES``.
        full: 0..255 is black to white, not 16..235 (and 16..240 for chroma).
    """

    matrix: str
    full: bool

    @property
    def black(self) -> int:
        """Luma of black, of 8 bits."""
        return 0 if self.full else 16


def usual_space(width: int, height: int) -> ColourSpace:
    """Return what players take for a film of that size that does not say: BT.709 from 720 lines on."""
    return ColourSpace("bt709" if width >= 1280 or height > 576 else "bt601", full=False)


def yuv_to_rgb(luma: Pixels, blue: Pixels, red: Pixels, space: ColourSpace, depth: int = 8) -> Pixels:
    """Return planes (h, w) of ``depth`` bits, chroma as large as luma, as RGB (h, w, 3) of so many: sums rounded once,
    and cut to what there is.
    """
    gain, red_v, green_u, green_v, blue_u = _to_rgb(space)
    result = np.empty((*luma.shape, 3), luma.dtype)
    black, zero, most = space.black << (depth - 8), 1 << (depth - 1), (1 << depth) - 1
    for top in range(0, len(luma), _ROWS):
        rows = slice(top, top + _ROWS)
        y = luma[rows].astype(np.int32)
        y -= black
        y *= gain
        y += _HALF
        u, v = (plane[rows].astype(np.int32) - zero for plane in (blue, red))
        for place, total in enumerate((y + red_v * v, y - green_u * u - green_v * v, y + blue_u * u)):
            total >>= _BITS
            result[rows, :, place] = np.clip(total, 0, most, out=total)
    return result


def rgb_to_luma(pixels: Pixels, space: ColourSpace, depth: int = 8) -> Pixels:
    """Return luma (h, w) of RGB (h, w, 3), both of ``depth`` bits."""
    return _weighted(pixels, _to_yuv(space)[0], 0, depth)


def rgb_to_chroma(
    sums: npt.NDArray[np.integer], bits: int, space: ColourSpace, depth: int = 8
) -> tuple[Pixels, Pixels]:
    """Return blue and red difference, (h, w) each of ``depth`` bits.

    Args:
        sums: RGB (h, w, 3), of as many pixels as 2 to the power of ``bits``, 4 at most.
        bits: see there.
        space: what is returned.
        depth: bits of RGB and of what is returned, 10 at most.
    """
    _, blue, red = _to_yuv(space)
    return _weighted(sums, blue, bits, depth), _weighted(sums, red, bits, depth)


def _weighted(sums: npt.NDArray[np.integer], row: tuple[tuple[int, int, int], int], bits: int, depth: int) -> Pixels:
    """Return the mean of a row of the matrix, rounded once, and cut to what there is."""
    weights, zero = row[0], row[1] << (depth - 8)
    shift, most = _BITS + bits, (1 << depth) - 1
    result = np.empty(sums.shape[:2], np.uint8 if depth == 8 else np.uint16)
    for top in range(0, len(sums), _ROWS):
        rows = slice(top, top + _ROWS)
        total = weights[0] * sums[rows, :, 0].astype(np.int32)
        for place in (1, 2):
            total += weights[place] * sums[rows, :, place].astype(np.int32)
        total += (zero << shift) + (1 << (shift - 1))
        total >>= shift
        result[rows] = np.clip(total, 0, most, out=total)
    return result


def _fixed(value: Fraction) -> int:
    return round(value * (1 << _BITS))


def _ranges(space: ColourSpace) -> tuple[Fraction, Fraction]:
    """Return steps of luma and of chroma for one of RGB."""
    return (Fraction(1), Fraction(1)) if space.full else (Fraction(219, 255), Fraction(224, 255))


@functools.cache
def _to_rgb(space: ColourSpace) -> tuple[int, int, int, int, int]:
    """Return what luma adds to all, red difference to red, both take from green, blue difference adds to blue."""
    red, blue = _LUMA[space.matrix]
    green = 1 - red - blue
    luma, chroma = _ranges(space)
    return (
        _fixed(1 / luma),
        _fixed(2 * (1 - red) / chroma),
        _fixed(2 * (1 - blue) * blue / green / chroma),
        _fixed(2 * (1 - red) * red / green / chroma),
        _fixed(2 * (1 - blue) / chroma),
    )


@functools.cache
def _to_yuv(space: ColourSpace) -> tuple[tuple[tuple[int, int, int], int], ...]:
    """Return for each plane what red, green and blue add, and its zero of 8 bits. Green adds what the others leave:
    white is white, and greys have no colour.
    """
    red, blue = _LUMA[space.matrix]
    luma, chroma = _ranges(space)
    whole = _fixed(luma)
    y = (_fixed(red * luma), whole - _fixed(red * luma) - _fixed(blue * luma), _fixed(blue * luma))
    half = _fixed(chroma / 2)
    u_red, v_blue = _fixed(-red / (1 - blue) / 2 * chroma), _fixed(-blue / (1 - red) / 2 * chroma)
    return ((y, space.black), ((u_red, -half - u_red, half), 128), ((half, -half - v_blue, v_blue), 128))
