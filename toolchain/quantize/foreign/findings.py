"""What another tool decided when it quantized a network: ranges of activations, scales of weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from toolchain.quantize.weights import outputs_first
from toolchain.reference.graph import Array
from toolchain.reference.quantization import Quantization
from toolchain.support.errors import ModelError

HINT = "deploy the float model instead: it is quantized here"
WIDE = (np.dtype(np.int16), np.dtype(np.uint16))
NARROW = (np.dtype(np.int8), np.dtype(np.uint8))
_GRID = 4096  # finer than ratios of 8-bit codes are apart, coarser than float32 rounds


@dataclass
class Findings:
    """What the other tool decided.

    Attributes:
        ranges: quantizations by tensor.
        joined: the quantization of the Concat that each tensor is a part of.
        inputs: quantizations of the graph's input.
        even: all quantizations of activations are signed, without a zero point.
    """

    ranges: dict[str, Quantization] = field(default_factory=dict)
    joined: dict[str, Quantization] = field(default_factory=dict)
    inputs: list[Quantization] = field(default_factory=list)
    even: bool = True
    _steps: dict[bytes, float] = field(default_factory=dict)

    def note_weight(self, real: Array, scales: Array) -> None:
        """Note the scale of each channel of a weight; ``scales`` broadcast to ``real``, which is float32."""
        for channels in (0, 1) if real.ndim >= 3 else ():
            wide = np.moveaxis(np.broadcast_to(scales, real.shape), channels, 0).reshape(real.shape[channels], -1)
            for row, own in zip(outputs_first(real, channels), wide, strict=True):
                if (own == own[0]).all():
                    key, largest = _key(row)
                    self._steps[key] = float(own[0]) / largest

    def scales_of(self, rows: Iterable[Array]) -> Array:
        """Return float64 (O,), by the weights of each channel its scale; 0 where nothing is known of it.

        A channel that was multiplied by a number since, as folded scalings and ends do, has its scale multiplied too:
        its codes are the same.
        """
        return np.array([self._steps.get(key, 0.0) * largest for key, largest in map(_key, rows)])


def _key(row: Array) -> tuple[bytes, float]:
    """Return the weights of a channel but for a factor, and the largest of them."""
    flat = row.astype(np.float64).ravel()
    largest = float(flat[np.argmax(np.abs(flat))]) if flat.size else 0.0
    if not largest:
        return flat.astype(np.int16).tobytes(), 1.0
    return np.rint(flat * (_GRID / largest)).astype(np.int16).tobytes(), abs(largest)


def per_tensor(tensor: str, scale: Array, zero: Array) -> Quantization:
    """Return what the quantizer of an activation says, as if its codes were unsigned.

    Raises:
        ModelError: it is per channel, or of other bits than 8 or 16.
    """
    if scale.size != 1:
        raise ModelError(f"the tensor '{tensor}' is quantized per channel", hint=HINT)
    if zero.dtype not in (*NARROW, *WIDE):
        raise ModelError(f"the tensor '{tensor}' is quantized to {zero.dtype}, not to 8 or 16 bits", hint=HINT)
    zero_point = int(zero.reshape(())) - int(np.iinfo(zero.dtype).min)
    return Quantization(float(scale.reshape(())), zero_point, 8 * zero.dtype.itemsize)
