"""Functions of float numbers as TVM expressions, of single ones or of vectors, without calls of a library.

All are computed in float32, to a few units in the last place of numbers about 1; what they give is as well-behaved as
what it is made of: no argument makes a NaN of what has a limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from typing import Any, TypeAlias

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.epilogue import MAGIC, bend, cast, lanes, real, typed

_LN2 = (0.693359375, -2.12194440e-4)
"""Of which the first has few bits: products with it and whole numbers are exact."""

_LEAST, _MOST = -87.0, 88.0
"""Between these, e to a number is a normal float32."""

_EXP = tuple(1 / math.factorial(power) for power in range(7, -1, -1))
"""Of Taylor's series, the highest power first: within half a logarithm of two of 0, its error is 5e-9."""

_ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592, 0.0)
_ERF_PLACE = 0.3275911
"""Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: an error of 1.5e-7 at most."""

_MANTISSA, _EXPONENT, _HALF, _MAGIC_BITS = 0x007FFFFF, 23, 0x3F000000, 0x4B400000
"""Bits of a float32: of its fraction, where its exponent begins, those of 0.5 and of `MAGIC`."""


def held(value: Any) -> Any:
    """``value`` with a place in a register: TVM puts what is merely bound to a name in the place of each use, and
    functions of functions grow beyond measure.
    """
    kind, count = str(value.ty.dtype), lanes(value)
    place = T.alloc_buffer((count,), kind.partition("x")[0], scope="local")
    IRBuilder.name("held", place)
    T.buffer_store(place, value, [tirx.Ramp(0, 1, count) if count > 1 else 0])
    return place.vload([0], kind) if count > 1 else place[0]


def exp(x: Any) -> Any:
    """E to ``x``."""
    x = held(tirx.max(tirx.min(x, real(_MOST)), real(_LEAST)))
    whole = held(_bits(x * real(1 / math.log(2)) + real(MAGIC)) - _integer(_MAGIC_BITS))
    steps = held(cast("float32", whole))
    rest = held(x - steps * real(_LN2[0]) - steps * real(_LN2[1]))
    power = whole << _integer(_EXPONENT)
    return tirx.reinterpret(typed("float32", x), _bits(held(_polynomial(_EXP, rest))) + power)


def log(x: Any) -> Any:
    """Return the natural logarithm, of what is positive; of nothing, that of the least normal number."""
    bits = held(_bits(tirx.max(x, real(2.0**-126))))
    mantissa = held(
        tirx.reinterpret(typed("float32", x), (bits & _integer(_MANTISSA)) | _integer(_HALF))  # 0.5 to 1
    )
    low = mantissa < real(math.sqrt(0.5))
    near = held(tirx.Select(low, mantissa + mantissa, mantissa))
    whole = cast("float32", (bits >> _integer(_EXPONENT)) - _integer(126))
    power = held(tirx.Select(low, whole - real(1.0), whole))
    # Of (1 + s) / (1 - s) = near the logarithm is 2 (s + s**3 / 3 + ...), with s within 0.172 of 0.
    s = held((near - real(1.0)) / (near + real(1.0)))
    series = _polynomial([2 / 9, 2 / 7, 2 / 5, 2 / 3, 2.0], held(s * s))
    return power * real(_LN2[0]) + (power * real(_LN2[1]) + s * series)


def sigmoid(x: Any) -> Any:
    """One over one and e to minus ``x``."""
    return real(1.0) / (real(1.0) + exp(real(0.0) - x))


def tanh(x: Any) -> Any:
    """Return the hyperbolic tangent: near 0 by a series, which keeps its digits."""
    square = held(x * x)
    near = x * _polynomial([62 / 2835, -17 / 315, 2 / 15, -1 / 3, 1.0], square)
    far = real(1.0) - real(2.0) / (exp(x + x) + real(1.0))
    return tirx.Select(square < real(0.04), near, far)


def erf(x: Any) -> Any:
    """Return the error function."""
    size = held(tirx.max(x, real(0.0) - x))
    t = held(real(1.0) / (real(1.0) + size * real(_ERF_PLACE)))
    far = held(real(1.0) - _polynomial(_ERF, t) * exp(real(0.0) - size * size))
    return tirx.Select(x < real(0.0), real(0.0) - far, far)


def softplus(x: Any) -> Any:
    """Return the logarithm of one and e to ``x``."""
    size = held(tirx.max(x, real(0.0) - x))
    return tirx.max(x, real(0.0)) + log(real(1.0) + exp(real(0.0) - size))


def gelu(x: Any) -> Any:
    """``x`` times the share of a normal distribution below it."""
    half = held(x * real(0.5))
    return half + half * erf(x * real(math.sqrt(0.5)))


def gelu_tanh(x: Any) -> Any:
    """`gelu` by its usual approximation."""
    half, cubic = held(x * real(0.5)), x + x * x * x * real(0.044715)
    return half + half * tanh(held(cubic * real(math.sqrt(2 / math.pi))))


def power(exponent: float, x: Any) -> Any:
    """``x`` to a constant power: by products where that is a small whole number, else of what is not negative."""
    if exponent in (1.0, 2.0, 3.0, 4.0):
        return reduce(lambda so_far, _: so_far * x, range(int(exponent) - 1), x)
    if exponent == 0.5:
        return _sqrt(x)
    return tirx.Select(x > real(0.0), exp(log(x) * real(exponent)), x * real(0.0))


def clip(low: float, high: float, x: Any) -> Any:
    """``x`` within bounds, either of which may be infinite."""
    if low > -math.inf:
        x = tirx.max(x, real(low))
    return tirx.min(x, real(high)) if high < math.inf else x


def _sqrt(x: Any) -> Any:
    return tirx.call_llvm_pure_intrin(typed("float32", x), "llvm.sqrt", x)


def _bits(x: Any) -> Any:
    return tirx.reinterpret(typed("int32", x), x)


def _integer(value: int) -> Any:
    return tirx.const(value, "int32")


def _polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """Return a polynomial, the highest power first."""
    return reduce(lambda value, coefficient: value * x + real(coefficient), coefficients[1:], real(coefficients[0]))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "maximum": tirx.max,
    "minimum": tirx.min,
    "number": real,
    "bend": bend,
    "clip": clip,
    "power": power,
    "exp": exp,
    "log": log,
    "sigmoid": sigmoid,
    "silu": lambda x: x * sigmoid(x),
    "tanh": tanh,
    "erf": erf,
    "softplus": softplus,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "sqrt": _sqrt,
    "rsqrt": lambda x: real(1.0) / _sqrt(x),
    "square": lambda x: x * x,
    "abs": lambda x: tirx.max(x, real(0.0) - x),
    "negative": lambda x: real(0.0) - x,
}
"""By name: of the operation's constants, and then its arguments."""


Apply: TypeAlias = Callable[[str, Sequence[float], Sequence[Any]], Any]
"""Of a name, its constants and its arguments: how a backend does a formula's operation."""


def apply(name: str, numbers: Sequence[float], arguments: Sequence[Any]) -> Any:
    """Return the result of a formula's operation (`toolchain.kernels.formula`), of float32 numbers or vectors."""
    made = partial(FUNCTIONS[name], *numbers)(*arguments)
    return made if name == "number" else held(made)
