"""Functions of floats are those of NumPy in double precision, but for rounding."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from tests import arm
from tests.instruction_sets import ARM, PORTABLE
from toolchain.kernels.float_functions import FUNCTIONS, apply
from toolchain.kernels.function import function
from toolchain.kernels.vectors import vectors_for
from toolchain.targets import Target, find_target
from toolchain.targets.llvm import tvm_target

COUNT = 1 << 12
erf = np.vectorize(math.erf, otypes=[np.float64])


def normal_share(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + erf(x / math.sqrt(2)))


EXACT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp": np.exp,
    "log": np.log,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "erf": erf,
    "softplus": lambda x: np.logaddexp(0, x),
    "gelu": lambda x: x * normal_share(x),
    "gelu_tanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "square": np.square,
    "abs": np.abs,
    "negative": np.negative,
}
OTHERS = {"add", "subtract", "multiply", "divide", "maximum", "minimum", "number", "bend", "clip", "power"}
POSITIVE = {"log", "sqrt", "rsqrt"}


def applied(name: str, x: np.ndarray, target: Target, numbers: tuple[float, ...] = ()) -> np.ndarray:
    """What vectors of ``target`` give."""
    vectors = vectors_for(target, "float32")
    with IRBuilder() as builder, function("main"):
        given = T.arg("x", T.Buffer((x.size,), "float32"))
        made = T.arg("y", T.Buffer((x.size,), "float32"))
        with T.serial(0, x.size // vectors.lanes) as u:
            value = T.bind(given.vload([u * vectors.lanes], vectors.type))
            place = tirx.Ramp(u * vectors.lanes, 1, vectors.lanes)
            T.buffer_store(made, apply(name, numbers, [value]), [place])
    module = tvm.IRModule({"main": builder.get().with_attr("global_symbol", "main")})
    compiled, result = tvm.compile(module, target=tvm_target(target)), np.zeros(x.size, np.float32)
    if target.triple.startswith(("aarch64", "arm")):
        return arm.call(compiled, target, [x, result], name="main")
    output = tvm.runtime.tensor(result)
    compiled["main"](tvm.runtime.tensor(x), output)
    return output.numpy()


def check(name: str, target: Target) -> None:
    for low, high in ((-0.5, 0.5), (-12.0, 12.0), (-85.0, 85.0)):
        x = np.linspace(1e-6 if name in POSITIVE else low, high, COUNT).astype(np.float32)
        found, wanted = applied(name, x, target), EXACT[name](x.astype(np.float64))
        np.testing.assert_allclose(found, wanted, rtol=4e-7, atol=6e-7, err_msg=f"{low} to {high}")


def test_every_function_is_looked_at():
    assert EXACT.keys() | OTHERS == FUNCTIONS.keys()


@pytest.mark.parametrize("name", EXACT)
def test_is_the_exact_function(name: str):
    check(name, find_target("host"))


@pytest.mark.parametrize("name", ["silu", "gelu", "softplus"])
def test_without_any_instruction_set(name: str):
    check(name, PORTABLE)


@ARM
@pytest.mark.parametrize("name", ["sigmoid", "gelu"])
def test_arm(name: str, target: Target):
    check(name, target)


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0, 4.0, 0.5, 2.2, -1.5])
def test_powers(exponent: float):
    x = np.linspace(0.001, 2.0, COUNT).astype(np.float32)
    found = applied("power", x, find_target("host"), (exponent,))
    np.testing.assert_allclose(found, x.astype(np.float64) ** exponent, rtol=4e-6)


def test_limits_are_reached_without_a_nan():
    x = np.array([-np.inf, -1e30, -200.0, 200.0, 1e30, np.inf, 0.0, -0.0] * 2, np.float32)
    for name, low, high in (("sigmoid", 0.0, 1.0), ("tanh", -1.0, 1.0), ("erf", -1.0, 1.0)):
        found = applied(name, x, find_target("host"))
        np.testing.assert_allclose(found[[0, 1, 2]], low, atol=1e-6)
        np.testing.assert_allclose(found[[3, 4, 5]], high, atol=1e-6)
