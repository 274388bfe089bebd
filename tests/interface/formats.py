"""Pixels of every format, and what the C interface should make of them: by the functions of `clipfree run`."""

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
from toolchain.runtime.photo import upscale_photo
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
    def space(self) -> ColourSpace:
        return ColourSpace(self.matrix, self.full)

    def form(self, height: int, width: int) -> FrameFormat:
        return FrameFormat(height, width, LAYOUTS["yuv420p"], self.space, self.site, bits=self.bits)


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
    enlarger = Enlarger(before.form(*planes[0].shape[:2]), channels, scale)
    planes_alone = before.format in LUMA and replace(before, format=0) == replace(after, format=0)
    if channels == 1 and planes_alone and after.format in LUMA and before.bits == after.bits:
        return list(enlarger.after(enlarger.run(enlarger.before(tuple(planes)), upscale)))
    if channels == 3 and before.bits == after.bits == 10:
        found = enlarger.run(enlarger.before(tuple(planes)), upscale)
        return _planes(found.pixels, after, found.remainder)
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


def _colours(planes: Sequence[np.ndarray], kind: Kind) -> tuple[np.ndarray, np.ndarray | None]:
    """Grey or RGB, and alpha."""
    if kind.format in LUMA:
        return Enlarger(kind.form(*planes[0].shape), 3, 1).before(tuple(planes)).pixels, None
    return (planes[0][:, :, :3], planes[0][:, :, 3]) if planes[0].shape[2] == 4 else (planes[0], None)


def _planes(pixels: np.ndarray, kind: Kind, rest: np.ndarray | None = None) -> list[np.ndarray]:
    """Luma and chroma of RGB, and of what 8 bits of it have left over."""
    if kind.bits > 8 and rest is None:
        rest = np.zeros(pixels.shape, np.int16)
    return list(Enlarger(kind.form(*pixels.shape[:2]), 3, 1).after(Given(pixels, (), rest)))


def empty(kind: Kind, size: tuple[int, int], scale: int | Fraction) -> list[np.ndarray]:
    """Room for the result of a picture of ``size``."""
    planes = random_planes(kind, *(enlarged(side, scale) for side in size), seed=99)
    return [plane.copy() for plane in laid_out(planes, kind)]
