"""Find what float kernels cover in a Relax module that was imported from a normalized float model.

A chain is what one kernel computes. Chains are plain values; nothing of the module is changed here. What matches no
chain is left to the compiler.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import relax
from tvm.ir import GenericConst

from toolchain.kernels.spec import DepthToSpace
from toolchain.lower.bindings import Bindings, channels_of, is_picture
from toolchain.lower.depth_to_space import evaluate, pixel_table, trace
from toolchain.reference.convolution import Convolution
from toolchain.reference.steps import Activation

_PROBES = (48, 52)


@dataclass(frozen=True, eq=False)
class FloatConvChain:
    """Convolution with bias, activation, residual, activation.

    Attributes:
        accumulator: the Relax variable bound to the convolution itself.
        source: the variable of its input.
        convolution: what it is, with float32 weights and biases.
        before: activation before the residual, or the only one.
        residual: the variable that is added, or None.
        after: activation after the residual.
    """

    accumulator: Any
    source: Any
    convolution: Convolution
    before: Activation | None = None
    residual: Any = None
    after: Activation | None = None


@dataclass(frozen=True, eq=False)
class FloatSumChain:
    """Sum of two variables, or one variable, and an activation."""

    terms: tuple[Any, ...]
    after: Activation | None


@dataclass(frozen=True, eq=False)
class FloatConcatChain:
    """Concatenation of variables along the channels."""

    parts: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class FloatShuffleChain:
    """Depth-to-space, in whatever spelling, of a variable."""

    source: Any
    pixels: DepthToSpace


FloatChain = FloatConvChain | FloatSumChain | FloatConcatChain | FloatShuffleChain


class FloatMatcher(Bindings):
    """Looks chains up in one Relax function, see `Bindings`."""

    def chain(self, var: Any) -> FloatChain | None:
        """Return the chain that ends in ``var``; None if float kernels do not cover it."""
        if var not in self.definitions or not is_picture(var):
            return None
        after, value = self.activation(var)
        if after is None or self.uses.get(value) == 1:
            found = self._conv(value, after) or self._joined(value, after)
            if found is not None:
                return found
        if after is not None:
            return FloatSumChain((value,), after)
        if self.is_call(var, "relax.concat") and int(self.definitions[var].attrs.axis) == 1:
            return FloatConcatChain(tuple(self.definitions[var].args[0].fields))
        return self._shuffle(var)

    def _shuffle(self, var: Any) -> FloatShuffleChain | None:
        """Return the depth-to-space that ``var`` is."""
        source, moves = trace(self.definitions, var)
        if not moves or not is_picture(source):
            return None
        pixels = pixel_table(moves, source.ty.shape, self.height, self.width)
        return None if pixels is None else FloatShuffleChain(source, pixels)

    def _joined(self, value: Any, after: Activation | None) -> FloatConvChain | FloatSumChain | None:
        """Return a sum, with the convolution that ends in one of its operands."""
        if not self.is_call(value, "relax.add"):
            return None
        left, right = self.definitions[value].args
        if not self._alike(left, right):
            return None
        for branch, other in ((left, right), (right, left)):
            if self.uses.get(branch) == 1 and channels_of(branch) == channels_of(value):
                before, inner = self.activation(branch)
                conv = self._conv(inner, before, other, after)
                if conv is not None and (before is None or self.uses.get(inner) == 1):
                    return conv
        return FloatSumChain((left, right), after)

    def _conv(
        self, value: Any, before: Activation | None, residual: Any = None, after: Activation | None = None
    ) -> FloatConvChain | None:
        """Return a convolution with bias that ends in ``value``; None unless a float kernel covers it."""
        found = self.convolution(value)
        if found is None or not all(isinstance(constant, GenericConst) for constant in found[1:]):
            return None
        conv, weight, bias = found
        convolution = self.convolution_of(conv, weight.value.numpy(), bias.value.numpy().reshape(-1))
        top, left, bottom, right = convolution.pads
        if (top + bottom, left + right) != convolution.reach or convolution.strides != (1, 1):
            return None
        return FloatConvChain(conv, self.definitions[conv].args[0], convolution, before, residual, after)

    def _alike(self, left: Any, right: Any) -> bool:
        """Whether kernels can add two operands: tensors of one size, with equal channels or one."""
        for operand in (left, right):
            if not isinstance(operand, relax.Var) or not is_picture(operand):
                return False
        for probe in _PROBES:
            sizes = {self.height: probe, self.width: probe + 1}
            one, two = ([evaluate(side, sizes) for side in var.ty.shape] for var in (left, right))
            if one[0] != 1 or two[0] != 1 or one[2:] != two[2:] or (one[1] != two[1] and 1 not in (one[1], two[1])):
                return False
        return True
