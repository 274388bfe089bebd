"""The epilogue of integer kernels, from what steps say of activations."""

from __future__ import annotations

import numpy as np

from toolchain.kernels.spec import Operand, Requantize
from toolchain.reference.quantization import Quantization
from toolchain.reference.steps import Activation


def requantization(
    before: Activation | None, after: Activation | None, output: Quantization, residual: Operand | None
) -> tuple[Requantize, np.ndarray | None]:
    """Return the epilogue, and its slopes: the activation that comes last becomes bounds on the codes."""
    scale, zero = np.float64(output.scale), output.zero_point
    slopes = next((a.slopes for a in (after, before) if a is not None and a.slopes is not None), None)
    low, high = -zero, output.qmax - zero
    if after is not None and after.slopes is None:
        low = max(low, int(np.rint(max(after.low / scale, -1e9))))
        high = min(high, int(np.rint(min(after.high / scale, 1e9))))
    bounds = None
    if before is not None and before.slopes is None:
        with np.errstate(over="ignore"):  # the largest float32 is a limit of many exporters, and none
            bounds = (float(np.float32(before.low / scale)), float(np.float32(before.high / scale)))
    return Requantize(low, high, zero, slopes is not None, bounds, residual), slopes
