"""Functions of single numbers in a Relax module, tabulated: what `toolchain.reference.pointwise` reads off the ONNX
graph, found a second time in what TVM's importer makes of it.

Operators compute in float64; what their result is rounded to is said by `toolchain.reference.pointwise.tabulated`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tvm import relax
from tvm.ir import GenericConst

from toolchain.lower.bindings import Bindings
from toolchain.reference.pointwise import erf, real_codes, sigmoid, tabulated
from toolchain.reference.steps import Codes, TableStep

Array: TypeAlias = NDArray[Any]

_AXIS = 1
"""Of channels."""


def match_table(bindings: Bindings, value: Any, out: Codes, codes: Callable[[Any], Codes | None]) -> TableStep | None:
    """Return the table of the operators that end in the float ``value``.

    Args:
        bindings: of the function.
        value: a variable of it.
        out: what it is rounded to.
        codes: the codes that a variable stands for, if it does.

    Returns: None where an operator is not pointwise, several tensors are read, or constants differ from pixel to pixel.
    """
    reader = _Reader(bindings, codes)
    try:
        with np.errstate(all="ignore"):
            found = reader.value(value)
    except _NotPointwiseError:
        return None
    if reader.source is None or not isinstance(found, np.ndarray):
        return None
    table = tabulated(found, out.quantization)
    return TableStep(out, reader.source, table)


class _NotPointwiseError(Exception):
    """Some operator is no function of single numbers."""


class _Reader:
    """Evaluates variables for every code of the one source: arrays (1 or channels, codes), constants (channels, 1)."""

    def __init__(self, bindings: Bindings, codes: Callable[[Any], Codes | None]) -> None:
        self.bindings, self.codes = bindings, codes
        self.source: Codes | None = None
        self._done: dict[Any, Array] = {}

    def value(self, value: Any) -> Array:
        """Return what a variable, or a constant, becomes."""
        if isinstance(value, GenericConst):
            return _constant(value.value.numpy())
        if value not in self._done:
            self._done[value] = self._evaluated(value)
        return self._done[value]

    def _evaluated(self, value: Any) -> Array:
        found = self.codes(value)
        if found is not None:
            if self.source is not None and self.source.tensor != found.tensor:
                raise _NotPointwiseError
            self.source = found
            return real_codes(found.quantization)
        call = self.bindings.definitions.get(value)
        if isinstance(call, relax.Var):
            return self.value(call)
        if isinstance(call, relax.TupleGetItem) and call.index == 0:
            return self._normalized(call.tuple_value)
        if not isinstance(call, relax.Call):
            raise _NotPointwiseError
        name = str(getattr(call.op, "name", ""))
        if name == "relax.call_tir":
            return self._clipped(call)
        if name == "relax.reshape" and isinstance(call.args[0], GenericConst):
            shape = [int(extent) if isinstance(extent, int) else int(extent.value) for extent in call.args[1].values]
            return _constant(call.args[0].value.numpy().reshape(shape))
        if name == "relax.nn.prelu":
            return self._bent(call)
        function = FUNCTIONS.get(name)
        if function is None:
            raise _NotPointwiseError
        return np.asarray(function(call, *(self.value(argument) for argument in call.args if _is_tensor(argument))))

    def _clipped(self, call: Any) -> Array:
        """Half of a Clip, see `Bindings.activation`."""
        function = {"maximum": np.maximum, "minimum": np.minimum}.get(call.args[0].name_hint.rstrip("0123456789_"))
        operands = call.args[1].fields
        if function is None or len(operands) < 2:
            raise _NotPointwiseError
        return np.asarray(function(self.value(operands[0]), self.value(operands[1])))

    def _bent(self, call: Any) -> Array:
        """PRelu, whose slopes lie along the channels, reshaped or not."""
        slope = call.args[1]
        slope = self.bindings.definitions.get(slope, slope) if isinstance(slope, relax.Var) else slope
        slope = slope.args[0] if isinstance(slope, relax.Call) else slope
        if not isinstance(slope, GenericConst) or int(call.attrs.axis) != _AXIS:
            raise _NotPointwiseError
        x, slopes = self.value(call.args[0]), slope.value.numpy().astype(np.float64).reshape(-1, 1)
        return np.where(x < 0, x * slopes, x)

    def _normalized(self, given: Any) -> Array:
        """Batch normalization by constants."""
        if not self.bindings.is_call(given, "relax.nn.batch_norm"):
            raise _NotPointwiseError
        call = self.bindings.definitions[given]
        arrays = [argument for argument in call.args[1:] if isinstance(argument, GenericConst)]
        if len(arrays) != len(call.args) - 1 or int(call.attrs.axis) != _AXIS:
            raise _NotPointwiseError
        x = self.value(call.args[0])
        scale, offset, mean, variance = (array.value.numpy().astype(np.float64).reshape(-1, 1) for array in arrays)
        return np.asarray((x - mean) / np.sqrt(variance + float(call.attrs.epsilon)) * scale + offset)


def _is_tensor(argument: Any) -> bool:
    return isinstance(argument, relax.Var | GenericConst) and not isinstance(argument.ty, relax.ShapeType)


def _constant(value: Array) -> Array:
    """Return a constant as (channels, 1): it is one number, or one a channel."""
    if value.size != 1 and not (value.ndim in (3, 4) and value.size == value.shape[-3]):
        raise _NotPointwiseError
    return np.asarray(value if value.dtype == np.bool_ else value.astype(np.float64)).reshape(-1, 1)


def _cast(call: Any, x: Array) -> Array:
    kind = np.dtype(str(call.attrs.dtype))
    if kind == np.bool_:
        return np.asarray(x != 0)
    return np.trunc(x) if np.issubdtype(kind, np.integer) else x.astype(np.float64)


def _clip(call: Any, x: Array) -> Array:
    low, high = (float(bound.value) for bound in call.args[1:])
    return np.clip(x, low, high)


def _gelu_tanh(_: Any, x: Array) -> Array:
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda _, *operands: function(*operands)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "relax.nn.relu": lambda _, x: np.maximum(x, 0.0),
    "relax.nn.leakyrelu": lambda call, x: np.where(x < 0, x * np.float64(np.float32(call.attrs.alpha)), x),
    "relax.nn.silu": lambda _, x: x * sigmoid(x),
    "relax.nn.gelu": lambda _, x: 0.5 * x * (1.0 + erf(x / math.sqrt(2.0))),
    "relax.nn.gelu_tanh": _gelu_tanh,
    "relax.sigmoid": _plain(sigmoid),
    "relax.erf": _plain(erf),
    "relax.clip": _clip,
    "relax.astype": _cast,
    "relax.zeros_like": lambda _, x: np.zeros_like(x),
    "relax.ones_like": lambda _, x: np.ones_like(x),
    "relax.round": _plain(np.rint),
    "relax.rsqrt": lambda _, x: 1.0 / np.sqrt(x),
    "relax.square": lambda _, x: x * x,
    "relax.asin": _plain(np.arcsin),
    "relax.acos": _plain(np.arccos),
    "relax.atan": _plain(np.arctan),
    "relax.asinh": _plain(np.arcsinh),
    "relax.acosh": _plain(np.arccosh),
    "relax.atanh": _plain(np.arctanh),
    **{
        f"relax.{name}": _plain(getattr(np, name))
        for name in (
            *("abs", "exp", "log", "sqrt", "sign", "floor", "ceil", "negative"),
            *("sin", "cos", "tan", "sinh", "cosh", "tanh"),
            *("add", "subtract", "multiply", "divide", "power", "maximum", "minimum"),
            *("equal", "greater", "greater_equal", "less", "less_equal", "where", "isnan", "isinf", "isfinite"),
            *("logical_and", "logical_or", "logical_xor", "logical_not"),
        )
    },
}
"""By Relax's names: of the call and its operands."""
