"""Quality of a deployed network: high-resolution pictures are shrunk, upscaled and compared with themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from toolchain.frontend.explain import explain
from toolchain.frontend.session import FloatSession
from toolchain.images import ImageSet, Photo
from toolchain.images.bicubic import enlarge, shrink
from toolchain.images.metrics import luma, psnr, shaved, ssim
from toolchain.reference.evaluator import evaluator
from toolchain.runtime.photo import upscale_photo
from toolchain.support.errors import InputError, ModelError

if TYPE_CHECKING:
    import onnx

Pixels = npt.NDArray[np.uint8]
Upscale = Callable[[Pixels], Pixels]


@dataclass(frozen=True)
class Quality:
    """Quality of one picture against another: PSNR in dB over RGB and over BT.601 luma, SSIM of luma.

    Luma is that of a luma network's own output, as papers measure it, not of the RGB picture made with it.
    """

    psnr_rgb: float
    psnr_y: float
    ssim: float


@dataclass(frozen=True)
class QualityRow:
    """One picture.

    Attributes:
        name: of its file.
        height: of the high-resolution picture, in pixels.
        width: the same.
        bundle: the bundle's picture against the original.
        bicubic: Pillow's bicubic enlargement against the original.
        compared: the float network's picture against the original, if one was given.
        against_float: the bundle's picture against the float network's.
    """

    name: str
    height: int
    width: int
    bundle: Quality
    bicubic: Quality
    compared: Quality | None = None
    against_float: Quality | None = None


@dataclass(frozen=True)
class Evaluation:
    """Rows, their means, and how they were measured: ``shave`` border pixels left out on each side."""

    rows: tuple[QualityRow, ...]
    mean: QualityRow
    shave: int
    scale: int


def evaluate(
    upscale: Upscale,
    pictures: ImageSet,
    *,
    channels: int,
    scale: int,
    shave: int | None = None,
    compared: Upscale | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Evaluation:
    """Measure PSNR and SSIM on high-resolution pictures u8 (h, w, 3), cropped to multiples of ``scale``.

    The low-resolution picture is made by Pillow's bicubic filter, which is antialiased, as MATLAB's ``imresize``.

    Args:
        upscale: the bundle: u8 (h, w, ``channels``) to u8 (h*scale, w*scale, ``channels``).
        pictures: high-resolution RGB.
        channels: of the network; a luma network's chroma is enlarged bicubically.
        scale: of the network.
        shave: border pixels left out on each side; default: ``scale``.
        compared: the float network, with the same shapes.
        progress: called with (name, index from 0, count) before each picture.

    Raises:
        InputError: no picture is large enough.
    """
    border = scale if shave is None else shave
    rows = []
    for index, (name, image) in enumerate(zip(pictures.names, pictures.images, strict=True)):
        high = image[: image.shape[0] // scale * scale, : image.shape[1] // scale * scale]
        if min(high.shape[:2]) < max(scale, 2 * border + 1):
            continue
        if progress is not None:
            progress(name, index, len(pictures.images))
        rows.append(_row(name, high, upscale, channels, scale, border, compared))
    if not rows:
        raise InputError(f"no picture is larger than the border of {border} pixels that is left out")
    return Evaluation(tuple(rows), _mean(rows), border, scale)


def float_upscale(model: onnx.ModelProto, value_range: tuple[float, float], *, threads: int | None = None) -> Upscale:
    """Return a normalized float network through onnxruntime as a function on pixels; its output is clipped and rounded
    to u8.

    Args:
        model: ``input`` (1, C, h, w) to ``output`` (1, C, h*scale, w*scale), float32.
        value_range: what its numbers mean: black and white.
        threads: to use; None for all.
    """
    session = FloatSession(model, threads=threads)
    low, high = value_range
    step = np.float32((high - low) / 255)

    def upscale(pixels: Pixels) -> Pixels:
        planes = pixels.transpose(2, 0, 1)[None].astype(np.float32) * step + np.float32(low)
        try:
            (result,) = session.run(["output"], planes)
        except ModelError as error:
            if error.__cause__ is None or not explain(error.__cause__).operator.startswith("Pad"):
                raise
            # onnxruntime does not mirror a picture that is smaller than its frame; NumPy does.
            result = evaluator(model).run(["output"], {"input": planes})[0]
        codes = np.clip(np.rint((result[0] - np.float32(low)) / step), 0, 255).astype(np.uint8)
        return np.ascontiguousarray(codes.transpose(1, 2, 0))

    return upscale


def quality(found: Pixels, expected: Pixels, shave: int) -> Quality:
    """PSNR and SSIM of two pictures u8 (h, w, 3), ``shave`` pixels left out at each border."""
    return compare((found, luma(found)), (expected, luma(expected)), shave)


Picture = tuple[npt.NDArray[Any], npt.NDArray[np.float64]]
"""RGB (h, w, 3) in grey levels, and its luma (h, w)."""


def compare(found: Picture, expected: Picture, shave: int) -> Quality:
    """PSNR and SSIM of two pictures of one size, ``shave`` pixels left out at each border."""
    a, b = (shaved(picture, shave) for picture, _ in (found, expected))
    y, z = (shaved(plane, shave) for _, plane in (found, expected))
    return Quality(psnr(a, b), psnr(y, z), ssim(y, z))


def upscaled(low: Pixels, upscale: Upscale, channels: int, scale: int) -> Picture:
    """``low``, u8 (h, w, 3), enlarged, and the luma of that, which is a luma network's own output.

    Back from RGB it would not be: what chroma, enlarged bicubically, puts beyond 0..255 is cut off there.
    """
    made: list[Pixels] = []

    def remembered(pixels: Pixels) -> Pixels:
        made.append(upscale(pixels))
        return made[-1]

    pixels = upscale_photo(Photo(low), remembered, channels=channels, scale=scale).pixels
    return pixels, luma(made[-1] if channels == 1 else pixels)


def _row(
    name: str, high: Pixels, upscale: Upscale, channels: int, scale: int, shave: int, compared: Upscale | None
) -> QualityRow:
    low = shrink(high, scale)
    original = (high, luma(high))
    found = upscaled(low, upscale, channels, scale)
    row = QualityRow(
        name, high.shape[0], high.shape[1], compare(found, original, shave), quality(enlarge(low, scale), high, shave)
    )
    if compared is None:
        return row
    exact = upscaled(low, compared, channels, scale)
    return replace(row, compared=compare(exact, original, shave), against_float=compare(found, exact, shave))


def _mean(rows: Sequence[QualityRow]) -> QualityRow:
    def of(qualities: list[Quality | None]) -> Quality | None:
        found = [quality for quality in qualities if quality is not None]
        if not found:
            return None
        return Quality(*(float(np.mean([getattr(q, name) for q in found])) for name in ("psnr_rgb", "psnr_y", "ssim")))

    bundle, bicubic = of([row.bundle for row in rows]), of([row.bicubic for row in rows])
    assert bundle is not None
    assert bicubic is not None
    return QualityRow(
        "mean", 0, 0, bundle, bicubic, of([row.compared for row in rows]), of([row.against_float for row in rows])
    )
