"""How well each tensor of the integer network follows its float counterpart."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.fidelity.variants import balanced
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.quantized import QuantizedModel
from toolchain.reference.graph import Array, GraphView
from toolchain.reference.interpreter import IntegerReference
from toolchain.reference.quantization import CodeArray, Quantization

BINS = 64


@dataclass(frozen=True)
class TensorFidelity:
    """One activation tensor of the integer network beside the float network's.

    Attributes:
        name: of the tensor.
        operator: what computes it.
        estimator: what chose the range; "pixels" where it is pinned.
        low, high: the range that the codes span, in the tensor's units.
        seen_low, seen_high: what the float values span on the pictures compared.
        scale: of one code.
        zero_point: the code of 0.
        sqnr: signal to quantization noise in dB, errors of everything before it included. For the output, whose
            saturation is the picture's clip, against the float network's clipped values.
        own_sqnr: the same if only this tensor were rounded and saturated.
        cosine: similarity of float and integer values, 1 for the same direction.
        saturated: the share of float values that lie beyond the range by more than half a code.
        bits: of a code.
        used: the share of the codes between the smallest and the largest that occur.
        histogram: how the float values' codes are distributed, ``BINS`` shares of equally many codes.
    """

    name: str
    operator: str
    estimator: str
    low: float
    high: float
    seen_low: float
    seen_high: float
    scale: float
    zero_point: int
    bits: int
    sqnr: float
    own_sqnr: float
    cosine: float
    saturated: float
    used: float
    histogram: tuple[float, ...]


def compare_tensors(
    model: QuantizedModel, pictures: Sequence[NDArray[np.uint8]], *, progress: Callable[[int], None] | None = None
) -> tuple[TensorFidelity, ...]:
    """Run ``pictures``, u8 (h, w, C), through the float network and the integer reference, and compare every tensor.

    Args:
        model: with its float network.
        pictures: one at a time; memory holds the sums of the others only.
        progress: called with the index of each picture before it runs.

    Raises:
        ModelError: another tool quantized the model.
    """
    sr = balanced(model)
    view = GraphView(sr.model)
    recipes = {
        item.name: item for item in model.recipe.tensors if item.role == "activation" and item.name != view.input
    }
    sums = {
        name: _Sums(Quantization(item.scale[0], item.zero_point[0], item.bits), clipped=item.source == "pixels")
        for name, item in recipes.items()
    }
    exact, integer = FloatModel(sr.model, tuple(sums)), IntegerReference(model.model)
    for index, picture in enumerate(pictures):
        if progress is not None:
            progress(index)
        codes = integer.tensors(picture)
        for name, values in exact.run_all(to_float(picture, sr.value_range)).items():
            if name in sums:
                sums[name].add(values, codes[f"{name}_quantized"])
    return tuple(
        sums[name].result(name, view.producers[name].op_type, item.estimator) for name, item in recipes.items()
    )


class _Sums:
    """What is remembered of a tensor: sums over all its values so far."""

    def __init__(self, quantization: Quantization, *, clipped: bool) -> None:
        self.quantization, self.clipped = quantization, clipped
        self.low, self.high = math.inf, -math.inf
        self.count = self.saturated = 0
        self.signal = self.made = self.product = self.noise = self.own = 0.0
        self.codes = np.zeros(quantization.qmax + 1, np.int64)

    def add(self, values: Array, codes: CodeArray) -> None:
        """Take in the float values and the integer network's codes of the same shape."""
        wide = values.astype(np.float64)
        self.low, self.high = min(self.low, float(wide.min())), max(self.high, float(wide.max()))
        half = self.quantization.scale / 2
        beyond = (wide < self.quantization.low - half) | (wide > self.quantization.high + half)
        self.saturated += int(np.count_nonzero(beyond))
        if self.clipped:
            wide = wide.clip(self.quantization.low, self.quantization.high)
        real = self.quantization.dequantize(codes).astype(np.float64)
        rounded = self.quantization.quantize(values)
        alone = self.quantization.dequantize(rounded).astype(np.float64)
        self.count += wide.size
        self.signal += float(np.sum(wide * wide))
        self.made += float(np.sum(real * real))
        self.product += float(np.sum(wide * real))
        self.noise += float(np.sum((wide - real) ** 2))
        self.own += float(np.sum((wide - alone) ** 2))
        self.codes += np.bincount(rounded.reshape(-1), minlength=len(self.codes))

    def result(self, name: str, operator: str, estimator: str) -> TensorFidelity:
        """Return the figures of everything taken in."""
        met = np.flatnonzero(self.codes)
        length = math.sqrt(self.signal * self.made)
        shares = self.codes.reshape(BINS, -1).sum(axis=1) / self.count
        return TensorFidelity(
            name=name,
            operator=operator,
            estimator=estimator,
            low=self.quantization.low,
            high=self.quantization.high,
            seen_low=self.low,
            seen_high=self.high,
            scale=self.quantization.scale,
            zero_point=self.quantization.zero_point,
            bits=self.quantization.bits,
            sqnr=decibels(self.signal, self.noise),
            own_sqnr=decibels(self.signal, self.own),
            cosine=self.product / length if length else 1.0,
            saturated=self.saturated / self.count,
            used=float(met[-1] - met[0] + 1) / len(self.codes),
            histogram=tuple(float(share) for share in shares),
        )


def decibels(signal: float, noise: float) -> float:
    """10 log10(signal / noise); infinite without noise, and 0 dB where there is noise only."""
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else 0.0
