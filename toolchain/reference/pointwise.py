"""Functions of single numbers, read off an ONNX graph and tabulated: what a region of such operators makes of each
code of the one tensor that it reads.

Every code's number is exact in float64, operators compute in float64, and only their result is rounded: a table is the
function itself, to one rounding. What is no number (the root of a negative one) counts as 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import onnx

from toolchain.reference.graph import Array, GraphView, attributes
from toolchain.reference.quantization import CodeArray, Quantization
from toolchain.reference.steps import Codes, TableStep

Function: TypeAlias = Callable[..., Array]
"""Of float64 operands (channels or 1, codes) and the node's attributes."""

_ALONG = -3
"""The axis of channels, from the end."""


def match_table(out: Codes, tensor: str, view: GraphView, known: Mapping[str, Codes]) -> TableStep | None:
    """Return the table of the operators that end in the float ``tensor``.

    Args:
        out: what it is rounded to.
        tensor: its name.
        view: of the graph.
        known: codes by the name of the float tensor that stands for them.

    Returns: None where an operator is not pointwise, several tensors are read, or constants differ from pixel to pixel.
    """
    region = _region(tensor, view, known)
    if region is None:
        return None
    source, nodes = region
    codes = known[source]
    values: dict[str, Array] = {source: real_codes(codes.quantization)}
    for node in reversed(nodes):
        operands = [_operand(name, values, view) if name else None for name in node.input]
        with np.errstate(all="ignore"):
            values[node.output[0]] = FUNCTIONS[node.op_type](*operands, **attributes(node))
    return TableStep(out, codes, tabulated(values[tensor], out.quantization))


def is_pointwise(node: onnx.NodeProto, view: GraphView) -> bool:
    """Return whether each number of a node's result is made of one number of each operand that is no constant, and
    whether constants are the same for all pixels.
    """
    if node.op_type not in FUNCTIONS or len([name for name in node.output if name]) != 1:
        return False
    constants = [view.constants[name] for name in node.input if name in view.constants]
    return len(constants) < len(node.input) and all(_per_channel(value, node) for value in constants)


def real_codes(given: Quantization) -> Array:
    """Return the number that each code stands for, float64 (1, codes)."""
    return ((np.arange(given.qmax + 1, dtype=np.float64) - given.zero_point) * np.float64(given.scale))[None]


def tabulated(values: Array, out: Quantization) -> CodeArray:
    """Round float64 ``values`` (rows, codes) to codes of ``out``."""
    steps = np.rint(np.where(np.isnan(values), 0.0, values) / np.float64(out.scale)) + out.zero_point
    codes: CodeArray = np.clip(steps, 0, out.qmax).astype(out.dtype)
    return codes


def _region(tensor: str, view: GraphView, known: Mapping[str, Codes]) -> tuple[str, list[onnx.NodeProto]] | None:
    """Return the one tensor that the operators read that end in ``tensor``, and they, the last first."""
    wanted, found, sources = {tensor}, list[onnx.NodeProto](), set[str]()
    for node in reversed(view.model.graph.node):
        if not wanted.intersection(node.output) - known.keys():
            continue
        if not is_pointwise(node, view):
            return None
        found.append(node)
        names = {name for name in node.input if name and name not in view.constants}
        sources |= {name for name in names if name in known}
        wanted |= names
    unmade = wanted - known.keys() - {name for node in found for name in node.output}
    if len(sources) != 1 or unmade:
        return None
    return sources.pop(), found


def _per_channel(value: Array, node: onnx.NodeProto) -> bool:
    """Whether a constant is one number, or one a channel."""
    if value.size == 1 or node.op_type == "BatchNormalization":
        return True
    return value.ndim in (3, 4) and value.size == value.shape[_ALONG]


def _operand(name: str, values: Mapping[str, Array], view: GraphView) -> Array:
    if name in values:
        return values[name]
    constant = view.constants[name]
    return np.asarray(constant if constant.dtype == np.bool_ else constant.astype(np.float64)).reshape(-1, 1)


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x))."""
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def softplus(x: Array) -> Array:
    """Return log(1 + exp(x))."""
    return np.asarray(np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))))


def erf(x: Array) -> Array:
    """Return the error function."""
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x))


def _elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0.0)), x)


def _selu(x: Array, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875) -> Array:
    return gamma * _elu(x, alpha)


def _gelu(x: Array, approximate: str = "none") -> Array:
    if approximate == "tanh":
        return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1.0 + erf(x / math.sqrt(2.0)))


def _clip(x: Array, low: Array | None = None, high: Array | None = None) -> Array:
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _shrink(x: Array, lambd: float = 0.5, bias: float = 0.0) -> Array:
    return np.where(x > lambd, x - bias, np.where(x < -lambd, x + bias, 0.0))


def _normalized(x: Array, scale: Array, bias: Array, mean: Array, variance: Array, **settings: Any) -> Array:
    deviation = np.sqrt(variance + settings.get("epsilon", 1e-5))
    return np.asarray((x - mean) / deviation * scale + bias)


def _cast(x: Array, to: int, **_: Any) -> Array:
    if to == onnx.TensorProto.BOOL:
        return np.asarray(x != 0)
    whole = np.issubdtype(onnx.helper.tensor_dtype_to_np_dtype(to), np.integer)
    return np.trunc(x) if whole else x.astype(np.float64)


def _several(function: Callable[[Array, Array], Array]) -> Function:
    def fold(first: Array, *others: Array) -> Array:
        for other in others:
            first = function(first, other)
        return first

    return fold


FUNCTIONS: Mapping[str, Function] = {
    # activations
    "Relu": lambda x: np.maximum(x, 0.0),
    "LeakyRelu": lambda x, alpha=0.01: np.where(x < 0, x * np.float64(np.float32(alpha)), x),
    "PRelu": lambda x, slope: np.where(x < 0, x * slope, x),
    "ThresholdedRelu": lambda x, alpha=1.0: np.where(x > alpha, x, 0.0),
    "Clip": _clip,
    "Elu": _elu,
    "Selu": _selu,
    "Celu": lambda x, alpha=1.0: np.maximum(x, 0.0) + np.minimum(alpha * np.expm1(x / alpha), 0.0),
    "Sigmoid": sigmoid,
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: np.clip(alpha * x + beta, 0.0, 1.0),
    "HardSwish": lambda x: x * (np.clip(x + 3.0, 0.0, 6.0) / 6.0),
    "Swish": lambda x, alpha=1.0: x * sigmoid(alpha * x),
    "Mish": lambda x: x * np.tanh(softplus(x)),
    "Gelu": _gelu,
    "Softplus": softplus,
    "Softsign": lambda x: x / (1.0 + np.abs(x)),
    "Shrink": _shrink,
    "BatchNormalization": _normalized,
    # functions
    **{name: getattr(np, name.lower()) for name in ("Abs", "Exp", "Log", "Sqrt", "Sign", "Floor", "Ceil")},
    **{name: getattr(np, name.lower()) for name in ("Sin", "Cos", "Tan", "Sinh", "Cosh", "Tanh")},
    "Asin": np.arcsin,
    "Acos": np.arccos,
    "Atan": np.arctan,
    "Asinh": np.arcsinh,
    "Acosh": np.arccosh,
    "Atanh": np.arctanh,
    "Erf": erf,
    "Neg": np.negative,
    "Reciprocal": np.reciprocal,
    "Round": np.rint,
    # arithmetic
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Pow": np.power,
    "Min": _several(np.minimum),
    "Max": _several(np.maximum),
    "Sum": _several(np.add),
    "Mean": lambda *values: sum(values) / len(values),
    # conditions
    "Equal": np.equal,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Xor": np.logical_xor,
    "Not": np.logical_not,
    "Where": np.where,
    "Cast": _cast,
    "Identity": lambda x: x,
}
"""By ONNX's names."""
