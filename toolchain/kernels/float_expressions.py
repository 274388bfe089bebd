"""What float kernels do with vectors of pixels, as TVM expressions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.epilogue import MAGIC, cast, follow, lanes, real
from toolchain.kernels.float_functions import Apply, apply, held
from toolchain.kernels.formula import Compute, FloatStage
from toolchain.kernels.layout import SIDE
from toolchain.kernels.spec import Add, Addend, Slopes
from toolchain.kernels.vectors import Vectors


def load(buffer: Any, operand: Addend, h: Any, c: Any, v: Any, vectors: Vectors) -> Any:
    """Return the operand's vector for output channel c at row h, from column v on."""
    channel = operand.view.start + c // operand.divide % operand.modulo
    if operand.single:
        return tirx.Broadcast(buffer[0, channel, SIDE], vectors.lanes)
    return buffer.vload([h, channel, v + SIDE], vectors.type)


def constants_of(stages: Sequence[FloatStage]) -> int:
    """Return how many arrays of a number a channel stages take."""
    return sum(stage.arrays if isinstance(stage, Compute) else stage == Slopes() for stage in stages)


def followed(
    value: Any,
    stages: Sequence[FloatStage],
    constants: Sequence[Any],
    read: Callable[[int], Any],
    apply: Apply = apply,
) -> Any:
    """Put a number, or a vector of them, of one channel through ``stages``.

    Args:
        value: what they begin with.
        stages: one after the other.
        constants: the channel's, of all `constants_of`.
        read: gives a number of one of the tensors that stages read, by its place among them.
        apply: gives the result of a formula's operation.
    """
    given, number = iter(constants), 0
    for stage in stages:
        match stage:
            case Compute(operands, arrays, operations):
                kind = value.ty.dtype
                values = [value, *(read(number + index) for index in range(len(operands)))]
                values = [held(cast("float32", one)) for one in [*values, *(next(given) for _ in range(arrays))]]
                for operation in operations:
                    arguments = [values[index] for index in operation.arguments]
                    values.append(apply(operation.name, operation.numbers, arguments))
                value, number = tirx.Cast(kind, values[-1]), number + len(operands)
            case Add():
                value, number = value + read(number), number + 1
            case Slopes():
                value = follow(value, [stage], [next(given)])
            case _:
                value = follow(value, [stage], [])
    return value


def inside(value: Any, v: Any, width: Any, vectors: Vectors) -> Any:
    """Return the vector that starts at column v; zero from column ``width`` on."""
    return tirx.Select(_less(v, 1, width, vectors.lanes), value, vectors.all(0.0))


def within(v: Any, width: Any, lanes: int, step: int) -> Any:
    """Return for each column from v on, in steps, whether it lies in a picture of ``width``."""
    return tirx.And(_less(v, step, width, lanes), tirx.Not(_less(v, step, 0, lanes)))


def _less(v: Any, step: int, bound: Any, lanes: int) -> Any:
    columns = tirx.Ramp(tirx.Cast("int32", v), step, lanes)
    return columns < tirx.Broadcast(tirx.Cast("int32", bound), lanes)


def ramp(start: Any, lanes: int) -> Any:
    """Return ``lanes`` places from ``start`` on."""
    return tirx.Ramp(start, 1, lanes)


def shuffled(given: Sequence[Any], places: Sequence[int]) -> Any:
    """Return numbers of several vectors, counted through all of them, as one."""
    return T.bind(tirx.Shuffle(list(given), [tirx.const(place, "int32") for place in places]))


def weighted(values: Sequence[Any], weights: Sequence[Any]) -> Any:
    """Return the sum of values times their weights, from the first on."""
    return reduce(operator.add, map(operator.mul, values, weights))


def code(value: Any, gain: float) -> Any:
    """Return pixels uint8 of a float vector or number: ``value * gain``, saturated to 0..255, rounded half to even."""
    bounded = tirx.max(tirx.min(cast("float32", value) * real(gain), real(255.0)), real(0.0))
    kind = "int32" if lanes(value) == 1 else f"int32x{lanes(value)}"
    return cast("uint8", tirx.reinterpret(kind, bounded + real(MAGIC)))
