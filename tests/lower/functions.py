"""Functions of single numbers as networks spell them, and what they are, written independently."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tests.lower.nets import Net


class Spelling(NamedTuple):
    """How a network writes a function, and the function, of one float."""

    write: Callable[[Net, str], str]
    function: Callable[[float], float]


def _op(name: str, **attributes: object) -> Callable[[Net, str], str]:
    return lambda net, x: net.node(name, x, **attributes)


def _gelu(net: Net, x: str) -> str:
    inner = net.node("Erf", net.node("Div", x, net.const(math.sqrt(2))))
    return net.node("Mul", net.node("Mul", x, net.node("Add", inner, net.const(1.0))), net.const(0.5))


def _gelu_by_tanh(net: Net, x: str) -> str:
    cubic = net.node("Mul", net.node("Pow", x, net.const(3.0)), net.const(0.044715))
    inner = net.node("Tanh", net.node("Mul", net.node("Add", x, cubic), net.const(math.sqrt(2 / math.pi))))
    return net.node("Mul", net.node("Mul", x, net.const(0.5)), net.node("Add", inner, net.const(1.0)))


def _hard_swish(net: Net, x: str) -> str:
    gate = net.node("Clip", net.node("Add", x, net.const(3.0)), net.const(0.0), net.const(6.0))
    return net.node("Div", net.node("Mul", x, gate), net.const(6.0))


def _folded(net: Net, x: str) -> str:
    return net.node("Min", net.node("Max", x, net.const(0.1), net.node("Neg", x)), net.const(0.6))


def _where(net: Net, x: str) -> str:
    below = net.node("Not", net.node("GreaterOrEqual", x, net.const(0.2)))
    return net.node("Where", below, net.node("Sin", x), net.node("Mean", x, net.const(0.4), x))


def _softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


def _elu(x: float, alpha: float = 1.0) -> float:
    return x if x > 0 else alpha * (math.exp(x) - 1)


SPELLINGS = {
    "sigmoid": Spelling(_op("Sigmoid"), lambda x: 1 / (1 + math.exp(-x))),
    "tanh": Spelling(_op("Tanh"), math.tanh),
    "silu": Spelling(lambda net, x: net.node("Mul", x, net.node("Sigmoid", x)), lambda x: x / (1 + math.exp(-x))),
    "gelu": Spelling(_gelu, lambda x: x * (1 + math.erf(x / 2**0.5)) / 2),
    "gelu by tanh": Spelling(
        _gelu_by_tanh, lambda x: x * (1 + math.tanh((2 / math.pi) ** 0.5 * (x + 0.044715 * x**3))) / 2
    ),
    "hard swish": Spelling(_op("HardSwish"), lambda x: x * min(max(x + 3, 0), 6) / 6),
    "hard swish in words": Spelling(_hard_swish, lambda x: x * min(max(x + 3, 0), 6) / 6),
    "hard sigmoid": Spelling(_op("HardSigmoid", alpha=0.25), lambda x: min(max(x / 4 + 0.5, 0), 1)),
    "mish": Spelling(
        lambda net, x: net.node("Mul", x, net.node("Tanh", net.node("Softplus", x))),
        lambda x: x * math.tanh(_softplus(x)),
    ),
    "elu": Spelling(_op("Elu", alpha=0.5), lambda x: _elu(x, 0.5)),
    "selu": Spelling(_op("Selu"), lambda x: 1.0507009873554805 * _elu(x, 1.6732632423543772)),
    "celu": Spelling(_op("Celu", alpha=2.0), lambda x: x if x > 0 else 2 * (math.exp(x / 2) - 1)),
    "softplus": Spelling(_op("Softplus"), _softplus),
    "softsign": Spelling(_op("Softsign"), lambda x: x / (1 + abs(x))),
    "thresholded": Spelling(_op("ThresholdedRelu", alpha=0.25), lambda x: x if x > 0.25 else 0.0),
    "shrink": Spelling(
        _op("Shrink", lambd=0.125, bias=0.0625), lambda x: math.copysign(abs(x) - 0.0625, x) * (abs(x) > 0.125)
    ),
    "gamma": Spelling(
        lambda net, x: net.node("Pow", net.node("Abs", x), net.const(0.4375)), lambda x: abs(x) ** 0.4375
    ),
    "root": Spelling(lambda net, x: net.node("Sqrt", net.node("Relu", x)), lambda x: max(x, 0) ** 0.5),
    "exp": Spelling(_op("Exp"), math.exp),
    "log": Spelling(
        lambda net, x: net.node("Log", net.node("Add", net.node("Abs", x), net.const(0.5))),
        lambda x: math.log(abs(x) + 0.5),
    ),
    "steep": Spelling(
        lambda net, x: net.node("Neg", net.node("LeakyRelu", x, alpha=1.5)), lambda x: -x * (1.5 if x < 0 else 1)
    ),
    "folded": Spelling(_folded, lambda x: min(max(0.1, abs(x)), 0.6)),
    "where": Spelling(_where, lambda x: math.sin(x) if x < 0.2 else (2 * x + 0.4) / 3),
    "reciprocal": Spelling(
        lambda net, x: net.node("Reciprocal", net.node("Add", net.node("Mul", x, x), net.const(2.0))),
        lambda x: 1 / (x * x + 2),
    ),
}
"""By a name."""

COLUMNS = np.linspace(0.5, 1.5, 8)
"""What `per_channel` multiplies 8 channels by."""


def per_channel(net: Net, x: str) -> str:
    """A batch normalization behind nothing, and a curve: x * COLUMNS - 0.1 squared."""
    ones, zeros = np.ones(8), np.zeros(8)
    scaled = net.node(
        "BatchNormalization", x, *map(net.const, (COLUMNS, zeros - 0.1, zeros, ones - 1e-5)), epsilon=1e-5
    )
    return net.node("Mul", scaled, scaled)
