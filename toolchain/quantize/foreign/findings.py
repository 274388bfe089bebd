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
_WHOLE, _MOST = 1e-3, 128
_GRID = 4096  # finer than ratios of 8-bit codes are apart, coarser than float32 rounds


@dataclass
class Findings:
    """What the other tool decided.

    Attributes:
        ranges: quantizations by tensor.
        joined: the quantization of the Concat that each tensor is a part of.
        inputs: quantizations of the graph's input.
        even: all quantizations of activations are signed, without a zero point.
        fine: weights of convolutions whose codes have 16 bits.
    """

    ranges: dict[str, Quantization] = field(default_factory=dict)
    joined: dict[str, Quantization] = field(default_factory=dict)
    inputs: list[Quantization] = field(default_factory=list)
    even: bool = True
    fine: int = 0
    _steps: dict[bytes, float] = field(default_factory=dict)
    _exact: dict[bytes, float] = field(
        default_factory=dict
    )  # of few bits, several channels may be alike but for a factor
    _scales: set[float] = field(default_factory=set)

    def note_weight(self, real: Array, scales: Array) -> None:
        """Note the scale of each channel of a weight; ``scales`` broadcast to ``real``, which is float32."""
        for channels in (0, 1) if real.ndim >= 3 else ():
            wide = np.moveaxis(np.broadcast_to(scales, real.shape), channels, 0).reshape(real.shape[channels], -1)
            for row, own in zip(outputs_first(real, channels), wide, strict=True):
                if (own == own[0]).all():
                    key, largest = _key(row)
                    self._steps[key] = float(own[0]) / largest
                    self._exact[row.tobytes()] = float(own[0])
                    self._scales.add(float(own[0]))

    def scales_of(self, rows: Iterable[Array]) -> Array:
        """Return float64 (O,), by the weights of each channel its scale; 0 where nothing is known of it.

        A channel that was multiplied by a number since, as folded scalings and ends do, has its scale multiplied too:
        its codes are the same.
        """
        return np.array([self._scale_of(row) for row in rows])

    def _scale_of(self, row: Array) -> float:
        if (row := np.ascontiguousarray(row)).tobytes() in self._exact:
            return self._exact[row.tobytes()]
        key, largest = _key(row)
        return self._steps[key] * largest if key in self._steps else self._by_steps(row.astype(np.float64).ravel())

    def _by_steps(self, row: Array) -> float:
        """Return the largest scale of the file of which all weights of a channel are whole multiples; 0 without any.

        A channel of a transposed convolution is spread over several when that becomes a plain one.
        """
        if not row.any() or not self._scales:
            return 0.0
        scales = np.array(sorted(self._scales, reverse=True))
        steps = row[None] / scales[:, None]
        whole = (np.abs(steps - np.rint(steps)) < _WHOLE).all(axis=1) & (np.abs(steps) < _MOST + 0.5).all(axis=1)
        return float(scales[np.argmax(whole)]) if whole.any() else 0.0


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
