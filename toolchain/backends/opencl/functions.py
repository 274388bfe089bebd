"""The operations of a formula (`toolchain.kernels.formula`) in OpenCL C: its own functions and the prelude's."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from typing import Any

from toolchain.backends.opencl.primitives import call, follow, real
from toolchain.kernels.float_functions import held
from toolchain.kernels.spec import Bounds


def _power(exponent: float, x: Any) -> Any:
    """``x`` to a constant power: by products where that is a small whole number."""
    if exponent in (1.0, 2.0, 3.0, 4.0):
        return reduce(operator.mul, [x] * int(exponent))
    return call("float32", "sqrt", x) if exponent == 0.5 else call("float32", "power", x, real(exponent))


def _clip(low: float, high: float, x: Any) -> Any:
    return follow([x], Bounds(low, high))[0]


_CALLED: Mapping[str, str] = {
    "maximum": "fmax",
    "minimum": "fmin",
    "bend": "prelu",
    "exp": "bounded_exp",
    "log": "bounded_log",
    "abs": "fabs",
    **{name: name for name in ("sigmoid", "silu", "tanh", "erf", "softplus", "gelu", "gelu_tanh", "sqrt", "rsqrt")},
}
"""What functions are called in the code."""

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "number": real,
    "clip": _clip,
    "power": _power,
    "square": lambda x: x * x,
    "negative": lambda x: real(0.0) - x,
    **{name: partial(call, "float32", called) for name, called in _CALLED.items()},
}
"""By the names of `toolchain.kernels.float_functions.FUNCTIONS`: of an operation's constants, then its arguments."""


def apply(name: str, numbers: Sequence[float], arguments: Sequence[Any]) -> Any:
    """Return the result of a formula's operation, of float32 numbers, as a variable of the kernel."""
    made = partial(FUNCTIONS[name], *numbers)(*arguments)
    return made if name == "number" else held(made)
