"""The kernels a network is made of, without deploying it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from toolchain.images import read_images
from toolchain.targets import Target

if TYPE_CHECKING:
    from toolchain.kernels.spec import Conv
    from toolchain.lower import Kernel, Lowered
    from toolchain.quantize import QuantizedModel

_SIDE = 48


def kernels_of(
    path: Path, target: Target, calibration: Path | Sequence[Path] | None = None, value_range: str | None = None
) -> tuple[Kernel[Conv], ...]:
    """Return the convolution kernels that ``target`` gets for an ONNX model, in order of execution; see
    `lowered_model`.
    """
    return lowered_model(path, target, calibration, value_range)[0].kernels


def lowered_model(
    path: Path, target: Target, calibration: Path | Sequence[Path] | None = None, value_range: str | None = None
) -> tuple[Lowered[Conv], int]:
    """Return what ``target`` gets for an ONNX model, and the channels of its pictures; see `quantize_quickly`.

    Raises:
        TargetError: there are no kernels for the target's instruction set.
    """
    from toolchain.kernels.intrinsics import dot_product
    from toolchain.lower import lower_model, lower_whole

    model, lower = quantize_quickly(path, calibration, value_range), lower_model if target.gpu is None else lower_whole
    return lower(model.model, dot_product(target.instruction_set)), model.channels


def quantize_quickly(
    path: Path, calibration: Path | Sequence[Path] | None = None, value_range: str | None = None
) -> QuantizedModel:
    """Return an ONNX model in QDQ. A float model is quantized in a hurry, without photographs on noise: the numbers do
    not change a kernel's speed.

    Raises:
        ModelError: the model cannot be used.
        CalibrationError: the photographs cannot be used.
    """
    from toolchain.frontend import is_quantized, load_model, normalize
    from toolchain.quantize import Settings, quantize
    from toolchain.quantize.foreign import canonicalize

    source = load_model(path)
    if is_quantized(source):
        return canonicalize(source, value_range=value_range)
    sr = normalize(source, value_range=value_range)
    images = [np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE, sr.channels), dtype=np.uint8)]
    if calibration is not None:
        images = list(read_images(calibration, channels=sr.channels, crop=_SIDE, crops_per_photo=1).images)
    hurry = Settings(
        activations="minmax",
        crop=_SIDE,
        crops_per_image=1,
        equalize=False,
        reconstruct=False,
        correct_bias=False,
        tame=False,
        augment=False,
    )
    return quantize(sr, images, hurry)
