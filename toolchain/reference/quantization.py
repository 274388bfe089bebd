"""Codes and the real numbers that they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from toolchain.reference.graph import Array

QMIN, QMAX = 0, 255
BITS, WIDE_BITS = 8, 16
"""Bits of a tensor's codes: of most tensors, and of those that are kept finer."""

CodeArray: TypeAlias = NDArray[np.unsignedinteger[Any]]
"""uint8 codes, or uint16 where the tensor has 16 bits."""


@dataclass(frozen=True)
class Quantization:
    """How codes of an activation are read: ``real = (code - zero_point) * scale``. ``scale`` is the float32 of the
    file, widened; codes have ``bits`` bits, 8 or 16.
    """

    scale: float
    zero_point: int
    bits: int = BITS

    @classmethod
    def of_range(cls, low: float, high: float, *, fallback: float = 1.0, bits: int = BITS) -> Quantization:
        """Span [low, high], widened to hold 0, so that 0 is a code of its own. Of 16 bits, that code has two equal
        bytes, for devices that fill memory with bytes; the span moves by 0.2 % at most.

        Args:
            low: smallest real value to represent.
            high: largest real value to represent.
            fallback: the range's width where the tensor is always zero and any scale would do.
            bits: of the codes.
        """
        low, high = min(float(low), 0.0), max(float(high), 0.0)
        width = high - low
        if not width > np.finfo(np.float32).tiny * 2**16:
            low, width = 0.0, fallback
        qmax = 2**bits - 1
        scale = float(np.float32(width / qmax))
        equal = 1 if bits == BITS else 257
        return cls(scale, equal * int(np.clip(np.rint(-low / scale / equal), QMIN, qmax // equal)), bits)

    @property
    def wide(self) -> bool:
        """Whether codes have 16 bits."""
        return self.bits == WIDE_BITS

    @property
    def qmax(self) -> int:
        """The largest code; the smallest is 0."""
        return int(2**self.bits - 1)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of codes: uint8 or uint16."""
        return np.dtype(np.uint16 if self.wide else np.uint8)

    @property
    def low(self) -> float:
        """The real value of code 0."""
        return (QMIN - self.zero_point) * self.scale

    @property
    def high(self) -> float:
        """The real value of the largest code."""
        return (self.qmax - self.zero_point) * self.scale

    def quantize(self, values: Array) -> CodeArray:
        """Do ONNX's QuantizeLinear: float32 division, round half to even, saturate."""
        steps = np.rint(values.astype(np.float32) / np.float32(self.scale))
        codes: CodeArray = np.clip(steps + np.float32(self.zero_point), QMIN, self.qmax).astype(self.dtype)
        return codes

    def code(self, value: float) -> int:
        """Quantize one number."""
        return int(self.quantize(np.asarray(value)))

    def dequantize(self, codes: CodeArray) -> NDArray[np.float32]:
        """Do ONNX's DequantizeLinear: (code - zero_point) * scale, one float32 product."""
        centred = (codes.astype(np.int32) - self.zero_point).astype(np.float32)
        real: NDArray[np.float32] = centred * np.float32(self.scale)
        return real
