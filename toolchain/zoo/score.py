"""What a trained network reaches on sets of high-resolution pictures, for its card."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from toolchain.frontend import load_model, normalize
from toolchain.images import read_images
from toolchain.images.degradation import find_degradation
from toolchain.images.pairs import degraded
from toolchain.workflows.evaluate import evaluate, float_upscale


def score(model: Path, sets: Sequence[Path]) -> dict[str, float]:
    """Return mean PSNR of luma in dB by the set's folder name, and "border": the pixels left out on each side.

    Raises:
        InputError: a folder does not exist or has no usable picture.
    """
    network = normalize(load_model(model))
    upscale = float_upscale(network.model, network.value_range)
    reached: dict[str, float] = {}
    for folder in sets:
        pictures = degraded(read_images(folder), find_degradation(None, network.scale), network.scale)
        found = evaluate(upscale, pictures, channels=network.channels, scale=network.scale)
        reached[folder.name] = round(found.mean.bundle.psnr_y, 2)
    return reached | {"border": math.ceil(network.scale)} if reached else {}
