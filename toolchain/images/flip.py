"""FLIP: how much of a difference people see who flip between two pictures (Andersson et al., HPG 2020)."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from toolchain.support.errors import InputError

Pixels = npt.NDArray[np.uint8]


def load_flip() -> Callable[[Pixels, Pixels], float]:
    """Return NVIDIA's implementation: mean FLIP, 0 (equal) to 1, of two pictures u8 (h, w, 3) of sRGB, at 67 pixels per
    degree (0.7 m from a screen of 0.7 m and 3840 pixels).

    Raises:
        InputError: it is not installed.
    """
    try:
        evaluate = importlib.import_module("flip_evaluator").evaluate
    except ImportError as error:
        raise InputError(
            "FLIP is not installed", hint="pip install 'clipfree[perceptual]', or leave --perceptual away"
        ) from error

    def flip(found: Pixels, expected: Pixels) -> float:
        reference, test = (pixels.astype(np.float32) / np.float32(255) for pixels in (expected, found))
        _, mean, _ = evaluate(reference, test, "LDR", applyMagma=False)
        return float(mean)

    return flip
