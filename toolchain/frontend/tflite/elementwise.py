"""Operators on two tensors element by element, joins, and changes of numbers."""

from __future__ import annotations

from typing import Final

import numpy as np
from onnx import TensorProto

from toolchain.frontend.tflite.activations import finish
from toolchain.frontend.tflite.contents import Operator
from toolchain.frontend.tflite.emitter import TO_FIRST, Emitter
from toolchain.support.errors import ModelError

_KINDS: Final = {
    "ADD": "Add",
    "SUB": "Sub",
    "MUL": "Mul",
    "DIV": "Div",
    "MINIMUM": "Min",
    "MAXIMUM": "Max",
    "POW": "Pow",
}


def operand(emitter: Emitter, operator: Operator, place: int) -> str:
    """Return the name of an input as it is to be broadcast to pictures, where the output is one."""
    number = operator.read(place)
    tensor = emitter.tensor(number)
    if emitter.tensor(operator.output).rank != 4 or tensor.rank in (0, 4):
        return emitter.read(number)
    numbers = emitter.numbers(number)
    if numbers is not None:
        shaped = numbers.reshape((1,) * (4 - tensor.rank) + numbers.shape).transpose(TO_FIRST)
        return emitter.array(shaped.astype(np.float32), tensor.name)
    axes = emitter.array(np.arange(4 - tensor.rank), "axes")
    wide = emitter.add("Unsqueeze", [emitter.read(number), axes])
    return emitter.add("Transpose", [wide], perm=TO_FIRST)


def _two(emitter: Emitter, operator: Operator) -> None:
    inputs = [operand(emitter, operator, place) for place in (0, 1)]
    name = emitter.tensor(operator.output).name
    finish(emitter, operator, emitter.add(_KINDS[operator.kind], inputs, name))


def _squared_difference(emitter: Emitter, operator: Operator) -> None:
    difference = emitter.add("Sub", [operand(emitter, operator, place) for place in (0, 1)])
    emitter.write(operator.output, emitter.add("Mul", [difference, difference]))


def _several(emitter: Emitter, operator: Operator) -> None:
    total = operand(emitter, operator, 0)
    for place in range(1, len(operator.inputs)):
        total = emitter.add("Add", [total, operand(emitter, operator, place)])
    emitter.write(operator.output, total)


def axis_of(operator: Operator, axis: int, rank: int) -> int:
    """Return where an axis of the file is in ONNX.

    Raises:
        ModelError: there is no such axis.
    """
    if not -rank <= axis < rank:
        raise ModelError(f"{operator} names axis {axis} of {rank}", hint="the file is damaged")
    return TO_FIRST.index(axis % rank) if rank == 4 else axis % rank


def _join(emitter: Emitter, operator: Operator) -> None:
    rank = emitter.tensor(operator.output).rank
    axis = axis_of(operator, int(operator.options["Axis"]), rank)
    inputs = [emitter.read(operator.read(place)) for place in range(len(operator.inputs))]
    name = emitter.tensor(operator.output).name
    finish(emitter, operator, emitter.add("Concat", inputs, name, axis=axis))


def _same(emitter: Emitter, operator: Operator) -> None:
    """Numbers become codes, codes numbers, or codes others: each end says how it is read."""
    numbers, made = emitter.numbers(operator.read(0)), emitter.tensor(operator.output)
    if numbers is not None and made.dtype == np.float32:  # weights that are stored as float16, or in integers
        emitter.fold(operator.output, numbers.astype(np.float32))
        return
    emitter.write(operator.output, emitter.read(operator.read(0)))


def _cast(emitter: Emitter, operator: Operator) -> None:
    given, wanted = emitter.tensor(operator.read(0)), emitter.tensor(operator.output)
    source = emitter.read(operator.read(0))
    integers = given.dtype.kind in "iu" and given.dtype.itemsize > 1 and wanted.dtype.kind in "iu"
    if integers and wanted.dtype.itemsize > 1:
        emitter.write(operator.output, source)
        return
    kinds = {"f": TensorProto.FLOAT, "b": TensorProto.BOOL}
    kind = TensorProto.UINT8 if wanted.dtype == np.uint8 else kinds.get(wanted.dtype.kind, TensorProto.INT64)
    emitter.write(operator.output, emitter.add("Cast", [source], wanted.name, to=kind))


OPERATORS: Final = {
    **dict.fromkeys(_KINDS, _two),
    "SQUARED_DIFFERENCE": _squared_difference,
    "ADD_N": _several,
    "CONCATENATION": _join,
    "QUANTIZE": _same,
    "DEQUANTIZE": _same,
    "CAST": _cast,
}
