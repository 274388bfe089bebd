"""Find the integer kernels in a Relax module that was imported from canonical QDQ ONNX.

A chain is everything between the ``R.dequantize`` of its inputs and one ``R.quantize``. Chains are plain values with
NumPy arrays; nothing of the module is changed here. What matches no chain stays float.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import GenericConst

from toolchain.frontend.window import Window
from toolchain.kernels.spec import Pixels
from toolchain.lower.bindings import Activation, Bindings, channels_of
from toolchain.lower.importer import window_of
from toolchain.lower.movement import pixel_table, trace


@dataclass(frozen=True)
class Quantization:
    """Per-tensor quantization of activations: real = (code - zero_point) * scale; uint8, or uint16 if ``wide``."""

    scale: float
    zero_point: int
    wide: bool = False

    @property
    def most(self) -> int:
        """The largest code."""
        return 65535 if self.wide else 255

    def code(self, value: float) -> int:
        """The code of a number: float32 division, rounded half to even, saturated."""
        steps = np.rint(np.float32(value) / np.float32(self.scale)) + np.float32(self.zero_point)
        return int(np.clip(steps, 0, self.most))


@dataclass(frozen=True)
class Term:
    """A quantized tensor as an operand: the Relax variable of its codes, its shape's channels, its quantization."""

    var: Any
    channels: int
    quantization: Quantization


@dataclass(frozen=True, eq=False)
class ConvChain:
    """Convolution, activation, residual, activation, quantization.

    Attributes:
        conv: the Relax variable bound to the convolution.
        source: its input.
        weight: int8 (channels, channels_in / groups, kh, kw).
        weight_scale: float32 (channels,).
        bias: int32 (channels,).
        groups, pads, dilation: of the convolution; pads are (top, left).
        growth: rows and columns that its result has more than its input.
        before: activation before the residual (or the only one, where there is no residual).
        residual: the added tensor, or None.
        after: activation after the residual.
        output: quantization of the result.
    """

    conv: Any
    source: Term
    weight: np.ndarray
    weight_scale: np.ndarray
    bias: np.ndarray
    groups: int
    pads: tuple[int, int]
    dilation: tuple[int, int]
    before: Activation | None
    residual: Term | None
    after: Activation | None
    output: Quantization
    growth: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False)
class SumChain:
    """Sum of two quantized tensors, activation, quantization; with one term, a change of scale."""

    terms: tuple[Term, ...]
    channels: int
    after: Activation | None
    output: Quantization


@dataclass(frozen=True, eq=False)
class ConcatChain:
    """Concatenation of quantized tensors along the channels, quantization."""

    terms: tuple[Term, ...]
    output: Quantization


@dataclass(frozen=True, eq=False)
class InputChain:
    """The network's input, quantized."""

    channels: int
    output: Quantization


@dataclass(frozen=True, eq=False)
class ShuffleChain:
    """Depth-to-space of a quantized tensor, whose quantization stays."""

    source: Term
    pixels: Pixels
    output: Quantization


@dataclass(frozen=True, eq=False)
class SelectChain:
    """Some channels of a quantized tensor, whose quantization stays."""

    source: Term
    channels: tuple[int, ...]
    output: Quantization


@dataclass(frozen=True, eq=False)
class WindowChain:
    """A quantized tensor cut or continued at its borders; ``fill`` is the code of added pixels if they are constant."""

    source: Term
    window: Window
    fill: int
    output: Quantization


Chain = ConvChain | SumChain | ConcatChain | InputChain | ShuffleChain | SelectChain | WindowChain


class Matcher(Bindings):
    """Looks chains up in one Relax function, see `Bindings`."""

    def chain(self, var: Any) -> Chain | None:
        """The chain that ends in ``var = R.quantize(...)``; None if there is none that integer kernels cover."""
        call = self.definitions[var]
        output = per_tensor(call)
        if output is None:
            return None
        value, channels = call.args[0], channels_of(var)
        if value.same_as(self.parameter):
            return InputChain(channels, output)
        moved = self._shuffle(value, output) or self._placed(value, output)
        if moved is not None:
            return moved
        after, value = self.activation(value)
        if self.is_call(value, "relax.concat") and after is None and int(self.definitions[value].attrs.axis) == 1:
            terms = [self._term(part) for part in self.definitions[value].args[0].fields]
            return None if None in terms else ConcatChain(tuple(t for t in terms if t), output)
        single = self._term(value)
        if single is not None:
            return SumChain((single,), channels, after, output)
        conv = self._conv(value, after, None, None, output)
        if conv is not None:
            return conv
        if not self.is_call(value, "relax.add"):
            return None
        left, right = self.definitions[value].args
        first, second = self._term(left), self._term(right)
        if first and second:
            return SumChain((first, second), channels, after, output)
        if after is not None and after.slopes is not None:
            return None  # a kernel applies slopes to the accumulator, before it adds
        for branch, term in ((left, second), (right, first)):
            if term is not None and self.uses.get(branch) == 1:
                before, inner = self.activation(branch)
                conv = self._conv(inner, before, term, after, output)
                if conv is not None and channels_of(var) == conv.weight.shape[0]:
                    return conv
        return None

    def _shuffle(self, value: Any, output: Quantization) -> ShuffleChain | None:
        """The depth-to-space, in whatever spelling, that ``value`` is."""
        start, moves = trace(self.definitions, value)
        source = self._term(start) if moves else None
        if source is None or source.quantization != output or source.var.ty.shape is None:
            return None
        pixels = pixel_table(moves, source.var.ty.shape, *self.parameter.ty.shape.values[2:])
        return None if pixels is None else ShuffleChain(source, pixels, output)

    def _placed(self, value: Any, output: Quantization) -> SelectChain | WindowChain | None:
        """The choice of channels, or the cut or continued picture, that ``value`` is."""
        for name in ("relax.take", "relax.nn.pad"):
            if not self.is_call(value, name):
                continue
            call = self.definitions[value]
            source = self._term(call.args[0])
            if source is None or source.quantization != output:
                return None
            if name == "relax.take":
                indices = call.args[1]
                if call.attrs.axis is None or int(call.attrs.axis) != 1 or not isinstance(indices, GenericConst):
                    return None
                return SelectChain(source, tuple(int(i) for i in indices.value.numpy()), output)
            window = window_of(call)
            return None if window is None else WindowChain(source, window, output.code(window.value), output)
        return None

    def _conv(
        self,
        value: Any,
        before: Activation | None,
        residual: Term | None,
        after: Activation | None,
        output: Quantization,
    ) -> ConvChain | None:
        """A convolution with bias that ends in ``value``; None unless an integer kernel covers it."""
        if not self.is_call(value, "relax.add"):
            return None
        conv, bias = self.definitions[value].args
        if not self.is_call(conv, "relax.nn.conv2d") or not self.is_call(bias, "relax.reshape"):
            return None
        call = self.definitions[conv]
        source, weight = self._term(call.args[0]), self._constant(call.args[1])
        offsets = self._constant(self.definitions[bias].args[0])
        if source is None or weight is None or offsets is None or source.quantization is None:
            return None
        codes, scale, zero = weight
        attrs = call.attrs
        kernel, dilation = codes.shape[2:], [int(d) for d in attrs.dilation]
        top, left, bottom, right = (int(p) for p in attrs.padding)
        growth = (top + bottom - (kernel[0] - 1) * dilation[0], left + right - (kernel[1] - 1) * dilation[1])
        if [int(s) for s in attrs.strides] != [1, 1] or codes.dtype != np.int8 or np.any(zero):
            return None
        if offsets[0].dtype != np.int32:
            return None
        return ConvChain(
            conv,
            source,
            codes,
            np.broadcast_to(scale, codes.shape[:1]),
            offsets[0],
            int(attrs.groups),
            (top, left),
            (dilation[0], dilation[1]),
            before,
            residual,
            after,
            output,
            growth,
        )

    def _term(self, value: Any) -> Term | None:
        """``value`` as R.dequantize of a quantized activation."""
        if not self.is_call(value, "relax.dequantize"):
            return None
        call = self.definitions[value]
        quantization = per_tensor(call)
        if quantization is None or not isinstance(call.args[0], relax.Var):
            return None
        return Term(call.args[0], channels_of(value), quantization)

    def _constant(self, value: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """``value`` as R.dequantize of a constant: codes, scale, zero point."""
        if not self.is_call(value, "relax.dequantize"):
            return None
        args = self.definitions[value].args
        if not all(isinstance(arg, GenericConst) for arg in args):
            return None
        codes, scale, zero = (arg.value.numpy() for arg in args)
        return codes, scale, zero


def per_tensor(call: Any) -> Quantization | None:
    """Quantization of an R.quantize or R.dequantize of activations, if it is per tensor and uint8 or uint16."""
    scale, zero = call.args[1:3]
    if not isinstance(scale, GenericConst) or not isinstance(zero, GenericConst):
        return None
    scales, zeros = scale.value.numpy(), zero.value.numpy()
    if scales.size != 1 or zeros.size != 1 or zeros.dtype not in (np.uint8, np.uint16):
        return None
    return Quantization(float(scales.reshape(())), int(zeros.reshape(())), zeros.dtype == np.uint16)
