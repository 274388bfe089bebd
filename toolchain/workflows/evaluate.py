"""Quality of a deployed network: what it makes of low-resolution pictures, against the high-resolution ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from toolchain.frontend.explain import explain
from toolchain.frontend.session import FloatSession
from toolchain.frontend.smallest import smallest_picture
from toolchain.frontend.unit import unit_of
from toolchain.images import Photo
from toolchain.images.bicubic import enlarge
from toolchain.images.metrics import luma, psnr, shaved, ssim
from toolchain.images.pairs import Pair, PairSet
from toolchain.images.scale import Scale
from toolchain.images.units import check_size, in_units
from toolchain.reference.evaluator import evaluator
from toolchain.runtime.photo import upscale_photo
from toolchain.support.errors import InputError, ModelError
from toolchain.support.notebook import table

if TYPE_CHECKING:
    import onnx

Pixels = npt.NDArray[np.uint8]
Upscale = Callable[[Pixels], Pixels]


@dataclass(frozen=True)
class Quality:
    """Quality of one picture against another.

    Luma (BT.601) is that of a luma network's own output, as papers measure it, not of the RGB picture made with it.

    Attributes:
        psnr_rgb: PSNR over RGB in dB.
        psnr_y: PSNR over luma in dB.
        ssim: SSIM of luma.
        flip: mean FLIP over RGB, 0 (equal) to 1, where it was asked for.
    """

    psnr_rgb: float
    psnr_y: float
    ssim: float
    flip: float | None = None


@dataclass(frozen=True)
class QualityRow:
    """One picture.

    Attributes:
        name: of its file.
        height: of the high-resolution picture, in pixels.
        width: the same.
        bundle: the bundle's picture against the original.
        bicubic: the low-resolution picture, enlarged bicubically, against the original.
        compared: the picture of what the bundle is compared with, against the original; None without such.
        against_compared: the bundle's picture against that one.
    """

    name: str
    height: int
    width: int
    bundle: Quality
    bicubic: Quality
    compared: Quality | None = None
    against_compared: Quality | None = None


@dataclass(frozen=True)
class Evaluation:
    """What was measured, and how.

    Attributes:
        rows: a picture each.
        mean: of the rows.
        shave: border pixels left out on each side.
        scale: of the network.
        degradation: where the low-resolution pictures are from, see `PairSet.origin`.
    """

    rows: tuple[QualityRow, ...]
    mean: QualityRow
    shave: int
    scale: Scale
    degradation: str

    @property
    def drop(self) -> float | None:
        """PSNR of luma in dB that the bundle loses to what it is compared with, in the mean; None without such."""
        if self.mean.compared is None:
            return None
        ours, theirs = self.mean.bundle.psnr_y, self.mean.compared.psnr_y
        return 0.0 if ours == theirs else theirs - ours

    def _repr_html_(self) -> str:
        """Return a table for notebooks."""
        compared = self.mean.compared is not None
        head = ["picture", "PSNR Y, dB", "SSIM Y", "bicubic, dB", *(["compared, dB"] * compared)]
        rows = (
            [row.name, row.bundle.psnr_y, row.bundle.ssim, row.bicubic.psnr_y, *_figure(row.compared)]
            for row in (*self.rows, self.mean)
        )
        return table(head, rows)


def _figure(quality: Quality | None) -> list[float]:
    return [] if quality is None else [quality.psnr_y]


def evaluate(
    upscale: Upscale,
    pictures: PairSet,
    *,
    channels: int,
    scale: int | Fraction,
    shave: int | None = None,
    compared: Upscale | None = None,
    perceptual: Perceptual | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Evaluation:
    """Measure PSNR and SSIM on pictures whose high-resolution originals are known.

    Args:
        upscale: the bundle: u8 (h, w, ``channels``) to u8 (h*scale, w*scale, ``channels``).
        pictures: RGB at both sizes.
        channels: of the network; a luma network's chroma is enlarged bicubically.
        scale: of the network.
        shave: border pixels left out on each side; default: ``scale``.
        compared: what the bundle is compared with, with the same shapes: the float network, as a rule.
        perceptual: measures two pictures u8 (h, w, 3) as `Quality.flip`; None: it is not measured.
        progress: called with (name, index from 0, count) before each picture.

    Raises:
        InputError: no picture is large enough.
    """
    border = math.ceil(scale) if shave is None else shave
    rows = []
    plain = enlarge if pictures.degradation is None else pictures.degradation.enlarge
    meter = _Meter(border, perceptual)
    for index, pair in enumerate(pictures.pairs):
        if min(pair.high.shape[:2]) < max(scale, 2 * border + 1):
            continue
        if progress is not None:
            progress(pair.name, index, len(pictures.pairs))
        found = upscaled(pair.low, upscale, channels, scale)
        exact = None if compared is None else upscaled(pair.low, compared, channels, scale)
        rows.append(meter.row(pair, found, plain(pair.low, scale), exact))
    if not rows:
        raise InputError(f"no picture is larger than the border of {border} pixels that is left out")
    return Evaluation(tuple(rows), _mean(rows), border, scale, pictures.origin)


def float_upscale(model: onnx.ModelProto, value_range: tuple[float, float], *, threads: int | None = None) -> Upscale:
    """Return a normalized float network through onnxruntime as a function on pixels; its output is clipped and rounded
    to u8. It raises TooSmallError for pictures of which the network leaves nothing: onnxruntime need not.

    Args:
        model: ``input`` (1, C, h, w) to ``output`` (1, C, h*scale, w*scale), float32.
        value_range: what its numbers mean: black and white.
        threads: to use; None for all.
    """
    session = FloatSession(model, threads=threads)
    low, high = value_range
    step, unit, smallest = np.float32((high - low) / 255), unit_of(model), smallest_picture(model)

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

    whole = in_units(upscale, unit)

    def checked(pixels: Pixels) -> Pixels:
        check_size(pixels.shape, smallest)
        large: Pixels = whole(pixels)
        return large

    return checked


def quality(found: Pixels, expected: Pixels, shave: int) -> Quality:
    """PSNR and SSIM of two pictures u8 (h, w, 3), ``shave`` pixels left out at each border."""
    return compare((found, luma(found)), (expected, luma(expected)), shave)


Perceptual = Callable[[Pixels, Pixels], float]
Picture = tuple[npt.NDArray[Any], npt.NDArray[np.float64]]
"""RGB (h, w, 3) in grey levels, and its luma (h, w)."""


def compare(found: Picture, expected: Picture, shave: int) -> Quality:
    """PSNR and SSIM of two pictures of one size, ``shave`` pixels left out at each border."""
    a, b = (shaved(picture, shave) for picture, _ in (found, expected))
    y, z = (shaved(plane, shave) for _, plane in (found, expected))
    return Quality(psnr(a, b), psnr(y, z), ssim(y, z))


def upscaled(low: Pixels, upscale: Upscale, channels: int, scale: int | Fraction) -> Picture:
    """``low``, u8 (h, w, 3), enlarged, and the luma of that, which is a luma network's own output.

    Back from RGB it would not be: what chroma, enlarged bicubically, puts beyond 0..255 is cut off there.
    """
    made: list[Pixels] = []

    def remembered(pixels: Pixels) -> Pixels:
        made.append(upscale(pixels))
        return made[-1]

    pixels = upscale_photo(Photo(low), remembered, channels=channels, scale=scale).pixels
    return pixels, luma(made[-1] if channels == 1 else pixels)


@dataclass(frozen=True)
class _Meter:
    """How two pictures are compared: ``shave`` border pixels are left out."""

    shave: int
    perceptual: Perceptual | None

    def row(self, pair: Pair, found: Picture, bicubic: Pixels, exact: Picture | None) -> QualityRow:
        original = (pair.high, luma(pair.high))
        height, width = pair.high.shape[:2]
        plain = self.of((bicubic, luma(bicubic)), original)
        row = QualityRow(pair.name, height, width, self.of(found, original), plain)
        if exact is None:
            return row
        return replace(row, compared=self.of(exact, original), against_compared=self.of(found, exact))

    def of(self, found: Picture, expected: Picture) -> Quality:
        quality = compare(found, expected, self.shave)
        if self.perceptual is None:
            return quality
        return replace(quality, flip=self.perceptual(shaved(found[0], self.shave), shaved(expected[0], self.shave)))


def _mean(rows: Sequence[QualityRow]) -> QualityRow:
    def of(qualities: list[Quality | None]) -> Quality | None:
        found = [quality for quality in qualities if quality is not None]
        if not found:
            return None
        known = [field.name for field in fields(Quality) if getattr(found[0], field.name) is not None]
        return Quality(**{name: float(np.mean([getattr(quality, name) for quality in found])) for name in known})

    bundle, bicubic = of([row.bundle for row in rows]), of([row.bicubic for row in rows])
    assert bundle is not None
    assert bicubic is not None
    return QualityRow(
        "mean", 0, 0, bundle, bicubic, of([row.compared for row in rows]), of([row.against_compared for row in rows])
    )
