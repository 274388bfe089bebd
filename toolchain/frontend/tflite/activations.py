"""Activations, alone and fused into other operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from toolchain.frontend.tflite.contents import Operator
from toolchain.frontend.tflite.emitter import Emitter
from toolchain.support.errors import ModelError

_LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU_0_TO_1": (0.0, 1.0),
}
_FUSED = {0: "", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH"}
_SAME: Final[Mapping[str, str]] = {
    "RELU": "Relu",
    "TANH": "Tanh",
    "LOGISTIC": "Sigmoid",
    "HARD_SWISH": "HardSwish",
    "ELU": "Elu",
    "ABS": "Abs",
    "NEG": "Neg",
    "SQRT": "Sqrt",
    "EXP": "Exp",
    "LOG": "Log",
    "SIN": "Sin",
    "COS": "Cos",
    "FLOOR": "Floor",
    "CEIL": "Ceil",
    "ROUND": "Round",
}


def activated(emitter: Emitter, name: str, kind: str) -> str:
    """Return ``name`` after the activation ``kind``, in the format's words; as it is where that is empty."""
    if not kind:
        return name
    if kind in _LIMITS:
        bounds = [emitter.number(end, f"{name}_{kind.lower()}") for end in _LIMITS[kind]]
        return emitter.add("Clip", [name, *bounds])
    return emitter.add(_SAME[kind], [name])


def finish(emitter: Emitter, operator: Operator, name: str) -> None:
    """Apply the activation that is fused into an operator, and write its output.

    Raises:
        ModelError: an activation that is not known.
    """
    number = operator.options.get("FusedActivationFunction", 0)
    if number not in _FUSED:
        raise ModelError(f"{operator} has an activation of number {number}", hint="export it with another activation")
    emitter.write(operator.output, activated(emitter, name, _FUSED[number]))


def _alone(emitter: Emitter, operator: Operator) -> None:
    emitter.write(operator.output, activated(emitter, emitter.read(operator.read(0)), operator.kind))


def _leaky(emitter: Emitter, operator: Operator) -> None:
    alpha = float(operator.options["Alpha"])
    emitter.write(operator.output, emitter.add("LeakyRelu", [emitter.read(operator.read(0))], alpha=alpha))


def _prelu(emitter: Emitter, operator: Operator) -> None:
    slopes = emitter.constant(operator, 1).astype(np.float32)
    if slopes.size not in (1, slopes.shape[-1] if slopes.ndim else 1):
        raise ModelError(f"{operator} has slopes of its own at every pixel", hint="share them along height and width")
    slope = emitter.array(slopes.reshape(-1, 1, 1), f"{emitter.tensor(operator.read(1)).name}_slopes")
    emitter.write(operator.output, emitter.add("PRelu", [emitter.read(operator.read(0)), slope]))


def _gelu(emitter: Emitter, operator: Operator) -> None:
    source = emitter.read(operator.read(0))
    half, one = (emitter.number(number, "gelu") for number in (0.5, 1.0))
    if operator.options["Approximate"]:
        cubic, root = (emitter.number(number, "gelu") for number in (0.044715, np.sqrt(2 / np.pi)))
        cube = emitter.add("Mul", [emitter.add("Mul", [source, source]), source])
        inner = emitter.add("Mul", [emitter.add("Add", [source, emitter.add("Mul", [cube, cubic])]), root])
        gate = emitter.add("Tanh", [inner])
    else:
        root = emitter.number(np.sqrt(0.5), "gelu")
        gate = emitter.add("Erf", [emitter.add("Mul", [source, root])])
    whole = emitter.add("Mul", [source, emitter.add("Add", [gate, one])])
    emitter.write(operator.output, emitter.add("Mul", [whole, half]))


def _square(emitter: Emitter, operator: Operator) -> None:
    source = emitter.read(operator.read(0))
    emitter.write(operator.output, emitter.add("Mul", [source, source]))


def _inverse_root(emitter: Emitter, operator: Operator) -> None:
    root = emitter.add("Sqrt", [emitter.read(operator.read(0))])
    emitter.write(operator.output, emitter.add("Reciprocal", [root]))


OPERATORS: Final = {
    **dict.fromkeys((*_SAME, *_LIMITS), _alone),
    "LEAKY_RELU": _leaky,
    "PRELU": _prelu,
    "GELU": _gelu,
    "SQUARE": _square,
    "RSQRT": _inverse_root,
}
