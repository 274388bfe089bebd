"""Ranges of tensors that a file says nothing of: layers left out of quantization, tools that quantize inputs only."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from toolchain.frontend import SRModel
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.plan import QuantizationPlan
from toolchain.reference.quantization import WIDE_BITS, Quantization
from toolchain.support.errors import ModelError

_SIDES = (40, 56)
_MARGIN = 2.0
"""How much wider a range is taken than what was seen: a bit of sixteen."""


def measure(sr: SRModel, plan: QuantizationPlan, groups: Collection[str]) -> dict[str, Quantization]:
    """Return quantizations of 16 bits for groups of ``plan``, wider than what made pictures show.

    Nothing is known of photographs here, and files that leave tensors in float want them exact: 16 bits have room for
    both.

    Raises:
        ModelError: the network gives NaN or infinity.
    """
    names = {group: [name for name in plan.points if plan.group[name] == group] for group in groups}
    model = FloatModel(sr.model, [name for one in names.values() for name in one])
    low, high = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for pixels in _pictures(sr.channels):
        values = model.run_all(to_float(pixels, sr.value_range))
        for group, one in names.items():
            for name in one:
                if not np.isfinite(values[name]).all():
                    raise ModelError(f"the tensor '{name}' is NaN or infinite", hint="are the weights sound?")
                low[group] = min(low[group], float(values[name].min()))
                high[group] = max(high[group], float(values[name].max()))
    return {
        group: Quantization.of_range(_MARGIN * low[group], _MARGIN * high[group], bits=WIDE_BITS) for group in names
    }


def _pictures(channels: int) -> list[NDArray[np.uint8]]:
    """Flat ones at both ends, noise, and a gradient with edges: u8 (h, w, C), the same every time."""
    rng = np.random.default_rng(0)
    shape = (*_SIDES, channels)
    y, x, c = np.meshgrid(*(np.arange(size) for size in shape), indexing="ij")
    smooth = 127.5 + 127.5 * np.sin(y / 7 + c) * np.cos(x / 9)
    edges = np.where((y // 6 + x // 10 + c) % 2, 255 - smooth / 3, smooth / 3)
    flat = [np.full(shape, level, np.uint8) for level in (0, 255)]
    return [*flat, rng.integers(0, 256, shape, dtype=np.uint8), smooth.astype(np.uint8), edges.astype(np.uint8)]
