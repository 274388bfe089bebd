"""What ``vpmaddubsw`` makes of a quantized network: products are added two by two in 16 bits, and saturate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.quantize import IntegerReference
from toolchain.reference.convolution import Convolution
from toolchain.reference.quantization import CodeArray
from toolchain.reference.steps import ConvStep

PAIRINGS = ("channels", "blocks of four channels", "from the second channel", "taps along columns")


class Saturating(Convolution):
    """A convolution whose products are added in pairs, which depend on ``pairing``."""

    pairing = ""

    def bands(self, codes: CodeArray, zero_point: int) -> Iterator[tuple[slice, NDArray[np.int32]]]:
        assert not self.transposed
        channels, kh, kw = codes.shape[0] // self.group, *self.weight.shape[2:]
        top, left, bottom, right = self.pads
        padded = np.pad(codes.astype(np.int32), ((0, 0), (top, bottom), (left, right)), constant_values=zero_point)
        out_h, out_w = self.output_size(*codes.shape[1:])
        taps = [
            padded[:, y * self.dilations[0] :, x * self.dilations[1] :][
                :,
                : (out_h - 1) * self.strides[0] + 1 : self.strides[0],
                : (out_w - 1) * self.strides[1] + 1 : self.strides[1],
            ]
            for y in range(kh)
            for x in range(kw)
        ]
        columns = np.stack(taps, axis=1).reshape(self.group, channels, kh * kw, -1)
        weights = self.grouped().astype(np.int32)  # (group, O / group, I / group, kh, kw)
        sums = np.zeros((*weights.shape[:2], columns.shape[-1]), np.int32)
        for given, row, total in zip(columns, weights, sums, strict=True):
            laid = self.lay(given.reshape(channels, kh, kw, -1)[None])[0]
            for weight, result in zip(self.lay(row[..., None])[..., 0], total, strict=True):
                products = (laid * weight[:, None]).reshape(-1, 2, laid.shape[-1]).sum(axis=1)
                result += np.clip(products, -(2**15), 2**15 - 1).sum(axis=0)
        sums -= zero_point * weights.sum(axis=(2, 3, 4))[..., None]
        found = sums.reshape(self.outputs, out_h, out_w) + self.bias[:, None, None]
        yield slice(0, out_h), found.astype(np.int32)

    def lay(self, values: NDArray[np.int32]) -> NDArray[np.int32]:
        """(n, I, kh, kw, m) in the order in which they are multiplied: (n, K, m), K even."""
        n, channels, *_, m = values.shape
        if self.pairing == "blocks of four channels":
            values = np.pad(values, ((0, 0), (0, -channels % 4), (0, 0), (0, 0), (0, 0)))
        swapped = self.pairing == "taps along columns"
        laid = values.transpose((0, 3, 2, 1, 4) if swapped else (0, 2, 3, 1, 4)).reshape(n, -1, m)
        first = int(self.pairing == "from the second channel")
        return np.pad(laid, ((0, 0), (first, (laid.shape[1] + first) % 2), (0, 0)))


def saturating(model: onnx.ModelProto, pairing: str) -> IntegerReference:
    """The integer reference with such convolutions."""
    kind = type("Saturating", (Saturating,), {"pairing": pairing})
    reference = IntegerReference(model)
    steps = tuple(
        replace(step, convolution=kind(**{f.name: getattr(step.convolution, f.name) for f in fields(Convolution)}))
        if isinstance(step, ConvStep)
        else step
        for step in reference.program.steps
    )
    reference.program = replace(reference.program, steps=steps)
    return reference
