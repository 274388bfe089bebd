"""One network, the photographs it is calibrated with, and what several rows of the table make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from result_cache import digest, of_files
from toolchain.frontend import SRModel, load_model, normalize
from toolchain.images import ImageSet, read_calibration
from toolchain.images.bicubic import shrink
from toolchain.images.geometry import UNBOUNDED_HALO
from toolchain.images.metrics import luma
from toolchain.quantize.crops import cut_crops
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.representative import RepresentativeSet, represent
from toolchain.quantize.settings import Settings
from toolchain.workflows.evaluate import Picture, float_upscale, upscaled

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Case:
    """A high-resolution picture: shrunk (h, w, 3), itself, and what FP32 with its clip makes of the former."""

    name: str
    low: Pixels
    high: Picture
    fp32: Picture


class Photographs:
    """The calibration photographs, read once for luma and once for RGB networks."""

    def __init__(self, source: Path | Sequence[Path]) -> None:
        self.source = source
        self._read: dict[int, ImageSet] = {}

    def read(self, channels: int) -> ImageSet:
        """As `clipfree deploy` reads them; InputError or CalibrationError where there are none."""
        if channels not in self._read:
            self._read[channels] = read_calibration(self.source, channels)
        return self._read[channels]

    @cached_property
    def sha256(self) -> str:
        """Of the pixels, as an RGB network sees them."""
        return digest(*(image.tobytes() for image in self.read(3).images))


class Subject:
    """A network to quantize in several ways with the same natural crops. Everything is made when first asked for."""

    def __init__(self, model: Path, photographs: Photographs, value_range: str | None = None) -> None:
        self.name = model.stem
        self.sha256 = of_files([model])
        self.photographs = photographs
        self.sr: SRModel = normalize(load_model(model), value_range=value_range)

    @property
    def step(self) -> float:
        """What one step of a u8 pixel is in the network's floats."""
        low, high = self.sr.value_range
        return (high - low) / 255

    @cached_property
    def natural(self) -> tuple[Pixels, ...]:
        """The crops that `clipfree deploy` calibrates with, u8 (h, w, C)."""
        settings = Settings()
        return cut_crops(
            self.photographs.read(self.sr.channels).images,
            channels=self.sr.channels,
            halo=self.sr.halo if self.sr.halo < UNBOUNDED_HALO else 0,
            size=settings.crop,
            per_image=settings.crops_per_image,
            shrink=self.sr.scale,
            seed=settings.seed,
        ).crops

    @cached_property
    def representative(self) -> RepresentativeSet:
        """The same crops, tamed."""
        model = FloatModel(self.sr.model)
        return represent(
            lambda pixels: model.run(to_float(pixels, self.sr.value_range)), self.natural, self.sr.value_range
        )

    def cases(self, pictures: ImageSet) -> list[Case]:
        """The pictures cropped to multiples of the scale."""
        scale, channels = self.sr.scale, self.sr.channels
        fp32 = float_upscale(self.sr.model, self.sr.value_range, threads=1)
        found = []
        for name, image in zip(pictures.names, pictures.images, strict=True):
            high = image[: image.shape[0] // scale * scale, : image.shape[1] // scale * scale]
            low = shrink(high, scale)
            found.append(Case(name, low, (high, luma(high)), upscaled(low, fp32, channels, scale)))
        return found
