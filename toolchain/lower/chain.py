"""Find the integer kernels in a Relax module that was imported from canonical QDQ ONNX.

A chain is everything between the ``R.dequantize`` of its inputs and one ``R.quantize``. Chains are plain values with
NumPy arrays; nothing of the module is changed here. What matches no chain stays float.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from tvm import relax
from tvm.ir import GenericConst

from toolchain.kernels.spec import DepthToSpace
from toolchain.lower.averages import match_average
from toolchain.lower.bindings import Bindings, channels_of
from toolchain.lower.channel_pools import match_channel_pool
from toolchain.lower.depth_to_space import pixel_table, trace
from toolchain.lower.down import covers, pool, squares
from toolchain.lower.importer import window_of
from toolchain.lower.normalization import match_normalization
from toolchain.lower.pairs import is_single, match_pair, match_pool
from toolchain.lower.pointwise import match_table
from toolchain.lower.resize_chain import match_resize
from toolchain.reference.quantization import Quantization
from toolchain.reference.steps import (
    Activation,
    Codes,
    ConcatStep,
    ConvStep,
    InputStep,
    IntegerStep,
    PoolStep,
    SelectStep,
    SpaceToDepthStep,
    SumStep,
    WindowStep,
)


@dataclass(frozen=True, eq=False)
class DepthToSpaceStep:
    """Depth-to-space, in whatever spelling, of a tensor whose quantization stays."""

    out: Codes
    source: Codes
    pixels: DepthToSpace


Step: TypeAlias = IntegerStep | DepthToSpaceStep


class Matcher(Bindings):
    """Looks chains up in one Relax function, see `Bindings`."""

    def chain(self, var: Any) -> Step | None:
        """Match the chain that ends in ``var = R.quantize(...)``; None if there is none that integer kernels cover."""
        call = self.definitions[var]
        quantization = per_tensor(call)
        if quantization is None:
            return None
        out, value = Codes(var, quantization), call.args[0]
        return self._step(var, out, value) or match_table(self, value, out, self._codes)

    def _step(self, var: Any, out: Codes, value: Any) -> Step | None:
        if value.same_as(self.parameter):
            return InputStep(out)
        moved = (
            self._shuffle(value, out) or self._placed(value, out) or match_normalization(self, value, self._codes, out)
        )
        if moved is not None:
            return moved
        after, value = self.activation(value)
        if after is None and self.joins_channels(value):
            parts = [self._codes(part) for part in self.definitions[value].args[0].fields]
            return None if None in parts else ConcatStep(out, tuple(part for part in parts if part))
        resized = match_resize(self, self._codes, out, value, after)
        if resized is not None:
            return resized
        single = self._codes(value)
        if single is not None:
            return SumStep(out, (single,), after)
        other = (
            match_pair(self, value, self._codes, out, after)
            or match_pool(self, value, self._codes, out, after)
            or match_average(self, value, self._codes, out, after)
            or match_channel_pool(self, value, self._codes, out, after)
            or self._conv(value, out, None, None, after)
        )
        if other is not None:
            return other
        if not self.is_call(value, "relax.add"):
            return None
        left, right = self.definitions[value].args
        first, second = self._codes(left), self._codes(right)
        if first and second:
            return SumStep(out, (first, second), after)
        if after is not None and after.slopes is not None:
            return None  # a kernel applies slopes to the accumulator, before it adds
        for branch, residual in ((left, second), (right, first)):
            if residual is not None and self.uses.get(branch) == 1 and is_single(residual.tensor) == is_single(branch):
                before, inner = self.activation(branch)
                conv = self._conv(inner, out, before, residual, after)
                if conv is not None and channels_of(var) == conv.convolution.outputs:
                    return conv
        return None

    def _shuffle(self, value: Any, out: Codes) -> DepthToSpaceStep | SpaceToDepthStep | None:
        """Return the depth-to-space, or the space-to-depth, that ``value`` is."""
        start, moves = trace(self.definitions, value)
        source = self._codes(start) if moves else None
        if source is None or source.quantization != out.quantization or source.tensor.ty.shape is None:
            return None
        pixels = pixel_table(moves, source.tensor.ty.shape, self.height, self.width)
        return squares(self, value, out, source) if pixels is None else DepthToSpaceStep(out, source, pixels)

    def _placed(self, value: Any, out: Codes) -> SelectStep | WindowStep | PoolStep | None:
        """Return the choice of channels, the cut or continued picture, or the largest codes, that ``value`` is."""
        if self.is_call(value, "relax.nn.max_pool2d"):
            return pool(self, value, out, self._codes(self.definitions[value].args[0]))
        for name in ("relax.take", "relax.nn.pad"):
            if not self.is_call(value, name):
                continue
            call = self.definitions[value]
            source = self._codes(call.args[0])
            if source is None or source.quantization != out.quantization:
                return None
            if name == "relax.take":
                indices = call.args[1]
                if call.attrs.axis is None or int(call.attrs.axis) != 1 or not isinstance(indices, GenericConst):
                    return None
                return SelectStep(out, source, tuple(int(i) for i in indices.value.numpy()))
            window = window_of(call)
            return None if window is None else WindowStep(out, source, window, out.quantization.code(window.value))
        return None

    def _conv(
        self, value: Any, out: Codes, before: Activation | None, residual: Codes | None, after: Activation | None
    ) -> ConvStep | None:
        """Return a convolution with bias that ends in ``value``; None unless an integer kernel covers it."""
        found = self.convolution(value)
        if found is None:
            return None
        conv, *constants = found
        source, (weight, bias) = self._codes(self.definitions[conv].args[0]), map(self._constant, constants)
        if source is None or weight is None or bias is None:
            return None
        codes, scale, zero = weight
        if codes.dtype != np.int8 or np.any(zero) or bias[0].dtype != np.int32:
            return None
        scale, convolution = np.broadcast_to(scale, codes.shape[:1]), self.convolution_of(conv, codes, bias[0])
        if not covers(self, source.tensor, convolution.strides, convolution.pads, convolution.reach):
            return None
        return ConvStep(out, conv, source, convolution, scale, before, residual, after)

    def _codes(self, value: Any) -> Codes | None:
        """``value`` as R.dequantize of a quantized activation."""
        if not self.is_call(value, "relax.dequantize"):
            return None
        call = self.definitions[value]
        quantization = per_tensor(call)
        if quantization is None or not isinstance(call.args[0], relax.Var):
            return None
        return Codes(call.args[0], quantization)

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
    return Quantization(float(scales.reshape(())), int(zeros.reshape(())), 8 * zeros.dtype.itemsize)
