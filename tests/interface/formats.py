"""Pixels of every format, and what the C interface should make of them: by the functions of `clipfree run`, and of
more than 8 bits by the same arithmetic, written out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from PIL import Image

from tests.interface.library import BGR, BGRA, GREY, I010, I420, NV12, NV21, P010, PLANAR, RGB, RGBA, Network, Picture
from toolchain.images import Photo, to_channels
from toolchain.images.scale import enlarged, plain
from toolchain.runtime.photo import bicubic_integers, upscale_photo
from toolchain.video.colours import MATRICES, ColourSpace
from toolchain.video.enlarge import Enlarger, Given
from toolchain.video.frames import LAYOUTS, SITES, FrameFormat

COLOURS = (RGB, BGR, PLANAR, RGBA, BGRA)
LUMA = (NV12, NV21, I420, P010, I010)
ALL = (GREY, *COLOURS, *LUMA)
Upscale = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Kind:
    """A format, and what its numbers stand for."""

    format: int
    matrix: str = "bt601"
    full: bool = False
    site: str = "left"

    @property
    def bits(self) -> int:
        return 10 if self.format in (P010, I010) else 8

    @property
    def step(self) -> Fraction:
        """Of luma or chroma for one of 8 bits."""
        return Fraction(1023, 255) if self.full else Fraction(4)

    @property
    def space(self) -> ColourSpace:
        return ColourSpace(self.matrix, self.full)

    def form(self, height: int, width: int) -> FrameFormat:
        return FrameFormat(height, width, LAYOUTS["yuv420p"], self.space, self.site)


def network_scale(network: Network) -> int | Fraction:
    return plain(Fraction(network.info.scale_num, network.info.scale_den))


# -- arrays in memory --------------------------------------------------------------------------------------------------


def random_planes(kind: Kind, height: int, width: int, seed: int = 0) -> list[np.ndarray]:
    """Grey (h, w, 1), colours (h, w, 3 or 4), or three planes of luma and chroma."""
    rng = np.random.default_rng(seed)
    if kind.format not in LUMA:
        channels = 1 if kind.format == GREY else 4 if kind.format in (RGBA, BGRA) else 3
        return [rng.integers(0, 256, (height, width, channels), dtype=np.uint8)]
    shapes = kind.form(height, width).shapes
    return [rng.integers(0, 1 << kind.bits, shape).astype(np.uint16 if kind.bits > 8 else np.uint8) for shape in shapes]


def laid_out(planes: Sequence[np.ndarray], kind: Kind) -> list[np.ndarray]:
    """What is in memory of `random_planes`."""
    if kind.format == PLANAR:
        return list(planes[0].transpose(2, 0, 1).copy())
    if kind.format in (BGR, BGRA):
        return [planes[0][..., [2, 1, 0, 3][: planes[0].shape[2]]].copy()]
    if kind.format not in LUMA:
        return [planes[0]]
    luma, blue, red = (plane << 6 if kind.format == P010 else plane for plane in planes)
    if kind.format in (I420, I010):
        return [luma, blue, red]
    return [luma, np.stack([red, blue] if kind.format == NV21 else [blue, red], axis=-1)]


def picture(arrays: Sequence[np.ndarray], kind: Kind) -> Picture:
    """How arrays of `laid_out`, or parts of larger ones, lie."""
    made = Picture(ctypes.sizeof(Picture), kind.format, *arrays[0].shape[:2])
    made.matrix, made.range = 1 + MATRICES.index(kind.matrix), 2 if kind.full else 1
    made.site = 1 + list(SITES).index(kind.site)
    for index, array in enumerate(arrays):
        made.planes[index], made.strides[index] = array.ctypes.data, array.strides[0]
    made.pixels = arrays  # which live as long
    return made


def noise_planes(kind: Kind, height: int, width: int) -> list[np.ndarray]:
    """Planes whose bytes in memory, from the first plane to the last, are those of `program.c`."""
    arrays = laid_out(random_planes(kind, height, width), kind)
    count = np.arange(sum(array.nbytes for array in arrays), dtype=np.uint64)
    noise = (count * count >> np.uint64(3)).astype(np.uint8)
    for array in arrays:
        array[...] = noise[: array.nbytes].view(array.dtype).reshape(array.shape)
        noise = noise[array.nbytes :]
    if kind.format == PLANAR:
        return [np.stack(arrays, axis=-1)]
    if kind.format in (BGR, BGRA):
        return [arrays[0][..., [2, 1, 0, 3][: arrays[0].shape[2]]].copy()]
    if kind.format not in LUMA:
        return arrays
    if len(arrays) == 2:
        pair = arrays[1][..., ::-1] if kind.format == NV21 else arrays[1]
        arrays = [arrays[0], pair[..., 0].copy(), pair[..., 1].copy()]
    return [array >> 6 if kind.format == P010 else array & 1023 if kind.format == I010 else array for array in arrays]


# -- what is made of them ----------------------------------------------------------------------------------------------


def made(
    planes: Sequence[np.ndarray], before: Kind, after: Kind, upscale: Upscale, channels: int, scale: int | Fraction
):
    """Planes of the result."""
    if (
        channels == 1
        and {before.format, after.format} <= set(LUMA)
        and replace(before, format=0) == replace(after, format=0)
        and before.bits == after.bits
    ):
        return _by_planes(planes, before, upscale, scale)
    pixels, alpha = _colours(planes, before)
    if after.format == GREY:
        if channels == 1:
            luma = pixels if pixels.shape[2] == 1 else np.asarray(Image.fromarray(pixels).convert("YCbCr"))[:, :, :1]
            return [upscale(np.ascontiguousarray(luma))]
        return [to_channels(upscale(to_channels(pixels, 3)), 1)]
    if channels == 3 or pixels.shape[2] == 1:
        large = to_channels(upscale(to_channels(pixels, channels)), 3)
    else:
        large = upscale_photo(Photo(pixels), upscale, channels=1, scale=scale).pixels
    if after.format in LUMA:
        return _planes(large, after)
    if after.format not in (RGBA, BGRA):
        return [large]
    if alpha is None:
        return [np.dstack([large, np.full(large.shape[:2], 255, np.uint8)])]
    zero = Photo(np.zeros((*alpha.shape, 3), np.uint8), alpha)
    transparency = upscale_photo(
        zero, lambda p: np.zeros((*large.shape[:2], 3), np.uint8), channels=3, scale=scale
    ).alpha
    return [np.dstack([large, transparency])]


def _by_planes(planes, kind: Kind, upscale: Upscale, scale) -> list[np.ndarray]:
    enlarger = Enlarger(kind.form(*planes[0].shape), 1, scale)
    if kind.bits == 8:
        return list(enlarger.after(enlarger.run(enlarger.before(tuple(planes)), upscale)))
    luma = planes[0].astype(np.int32)
    reduced = (2 * luma * 255 + 1023) // 2046 if kind.full else np.minimum((luma + 2) >> 2, 255)
    large = upscale(reduced.astype(np.uint8)[:, :, None])[:, :, 0].astype(np.int32)
    rest = bicubic_integers(luma - _raised(reduced, kind), scale)[: large.shape[0], : large.shape[1]]
    form = kind.form(*planes[0].shape)
    shift = tuple((scale - 1) * (0.5 - site) / (2 * scale) for site in (form.down, form.across))
    rows, columns = form.enlarged(scale).shapes[1]
    chroma = [bicubic_integers(plane.astype(np.int32), scale, shift)[:rows, :columns] for plane in planes[1:]]
    return [np.clip(plane, 0, 1023).astype(np.uint16) for plane in (_raised(large, kind) + rest, *chroma)]


def _raised(values: np.ndarray, kind: Kind) -> np.ndarray:
    return (values * 1023 + 127) // 255 if kind.full else values * 4


def _colours(planes, kind: Kind) -> tuple[np.ndarray, np.ndarray | None]:
    """Grey or RGB, and alpha."""
    if kind.format not in LUMA:
        return (planes[0][:, :, :3], planes[0][:, :, 3]) if planes[0].shape[2] == 4 else (planes[0], None)
    form = kind.form(*planes[0].shape)
    if kind.bits == 8:
        return Enlarger(form, 3, 1).before(tuple(planes)).pixels, None
    shift = (0.25 - form.down / 2, 0.25 - form.across / 2)
    size = planes[0].shape
    blue, red = (
        np.clip(bicubic_integers(plane.astype(np.int32), 2, shift)[: size[0], : size[1]], 0, 1023).astype(np.int64)
        - 512
        for plane in planes[1:]
    )
    luma, (gain, red_v, green_u, green_v, blue_u) = planes[0].astype(np.int64), _to_rgb(kind)
    y = (luma - 4 * kind.space.black) * gain + (1 << 17)
    sums = (y + red_v * red, y - green_u * blue - green_v * red, y + blue_u * blue)
    return np.dstack([np.clip(one >> 18, 0, 255) for one in sums]).astype(np.uint8), None


_WEIGHTS = {"bt601": (2990, 1140), "bt709": (2126, 722), "bt2020": (2627, 593)}


def _fixed(value: Fraction) -> int:
    return round(value * 65536)


def _parts(kind: Kind) -> tuple[Fraction, Fraction, Fraction, Fraction, Fraction]:
    """What red, green and blue add to luma; steps of luma and chroma of 10 bits, over 4."""
    red, blue = (Fraction(one, 10000) for one in _WEIGHTS[kind.matrix])
    steps = (kind.step / 4,) * 2 if kind.full else (Fraction(219, 255), Fraction(224, 255))
    return red, 1 - red - blue, blue, *steps


def _to_rgb(kind: Kind) -> tuple[int, ...]:
    red, green, blue, luma, chroma = _parts(kind)
    factors = (1 / luma, 2 * (1 - red) / chroma, 2 * (1 - blue) * blue / green / chroma)
    return tuple(map(_fixed, (*factors, 2 * (1 - red) * red / green / chroma, 2 * (1 - blue) / chroma)))


def _planes(pixels: np.ndarray, kind: Kind) -> list[np.ndarray]:
    form = kind.form(*pixels.shape[:2])
    if kind.bits == 8:
        return list(Enlarger(form, 3, 1).after(Given(pixels)))
    red, _, blue, luma, chroma = _parts(kind)
    whole, half = _fixed(luma), _fixed(chroma / 2)
    y = (_fixed(red * luma), whole - _fixed(red * luma) - _fixed(blue * luma), _fixed(blue * luma))
    u_red, v_blue = _fixed(-red / (1 - blue) / 2 * chroma), _fixed(-blue / (1 - red) / 2 * chroma)
    rows = ((y, kind.space.black), ((u_red, -half - u_red, half), 128), ((half, -half - v_blue, v_blue), 128))
    sums, power = pixels.astype(np.int64), 0
    for axis, site in enumerate((form.down, form.across)):
        count = sums.shape[axis]
        place = np.arange(0, count, 2)
        after = sums.take(np.minimum(place + 1, count - 1), axis)
        if site == 0.5:
            sums, power = sums.take(place, axis) + after, power + 1
        else:
            sums, power = sums.take(np.maximum(place - 1, 0), axis) + 2 * sums.take(place, axis) + after, power + 2
    result = []
    for (weights, zero), values, bits in zip(
        rows, (pixels.astype(np.int64), sums, sums), (0, power, power), strict=True
    ):
        total = values @ np.array(weights, np.int64) + (zero << (16 + bits)) + (1 << (13 + bits))
        result.append(np.clip(total >> (14 + bits), 0, 1023).astype(np.uint16))
    return result


def empty(kind: Kind, size: tuple[int, int], scale: int | Fraction) -> list[np.ndarray]:
    """Room for the result of a picture of ``size``."""
    planes = random_planes(kind, *(enlarged(side, scale) for side in size), seed=99)
    return [plane.copy() for plane in laid_out(planes, kind)]
