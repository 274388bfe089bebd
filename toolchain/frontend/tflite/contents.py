"""What a TensorFlow Lite file holds, taken apart and checked: everything in it may be wrong.

The package `tflite` knows where the format keeps what; it is generated from the format's schema and checks nothing. All
that is wanted of a file is therefore read here, once, into plain values: offsets that lead out of the file, counts that
it cannot hold and texts that are none end here.
"""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from toolchain.frontend.graph import Array
from toolchain.frontend.tflite.options import OPTIONS
from toolchain.support.errors import ModelError

_MOST = 1 << 16
"""Most tensors, operators or buffers of a file; super-resolution networks have some hundreds."""
_MOST_BYTES = 512 << 20
_TYPES: Final[Mapping[int, np.dtype[Any]]] = {
    0: np.dtype(np.float32),
    1: np.dtype(np.float16),
    2: np.dtype(np.int32),
    3: np.dtype(np.uint8),
    4: np.dtype(np.int64),
    6: np.dtype(np.bool_),
    7: np.dtype(np.int16),
    9: np.dtype(np.int8),
}
_INT4, _INT8 = 17, np.dtype(np.int8)
_WRONG = (struct.error, IndexError, ValueError, TypeError, OverflowError, KeyError, AttributeError, AssertionError)
_DAMAGED = "export or download it again"

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Scales:
    """How codes are read: ``(code - zero) * scale``, one or one a channel, which lie along ``axis``."""

    scale: Array
    zero: Array
    axis: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor as the file has it, channels last.

    Attributes:
        name: for people; several may have one.
        shape: in the file; a size that is free stands as -1.
        dtype: of NumPy.
        scales: of codes, None where numbers are what they are.
        data: of a constant, else None.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scales: Scales | None
    data: Array | None

    @property
    def rank(self) -> int:
        """How many axes it has."""
        return len(self.shape)


@dataclass(frozen=True, eq=False)
class Operator:
    """An operator: its kind in the format's capital letters, its tensors by number (-1: left out), its options."""

    kind: str
    index: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"operator {self.kind} (number {self.index})"

    def read(self, place: int) -> int:
        """Return the tensor at ``place`` of the inputs.

        Raises:
            ModelError: there is none.
        """
        if place >= len(self.inputs) or self.inputs[place] < 0:
            raise ModelError(f"{self} lacks its input {place}", hint=_DAMAGED)
        return self.inputs[place]

    @property
    def output(self) -> int:
        """The first output."""
        if not self.outputs or self.outputs[0] < 0:
            raise ModelError(f"{self} has no output", hint=_DAMAGED)
        return self.outputs[0]


@dataclass(frozen=True, eq=False)
class Contents:
    """What a file holds: its first graph."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_contents(path: Path, data: bytes) -> Contents:
    """Take the file at ``path``, whose bytes are ``data``, apart.

    Raises:
        ModelError: the package that knows the format is missing; the file is damaged, or uses what is not read here.
    """
    try:
        schema = importlib.import_module("tflite")
    except ImportError as error:
        raise ModelError(
            f"{path} is a TensorFlow Lite model, and the package that reads them is not installed",
            hint="pip install 'clipfree[tflite]'",
        ) from error
    try:
        return _Reader(path, data, schema).contents()
    except _WRONG as error:
        raise ModelError(f"{path} is a damaged or truncated TensorFlow Lite file", hint=_DAMAGED) from error


class _Reader:
    def __init__(self, path: Path, data: bytes, schema: Any) -> None:
        self.path, self.schema, self.size = path, schema, len(data)
        self.model = schema.Model.GetRootAs(data, 0)
        self.budget = _MOST_BYTES
        names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
        codes = self._many(self.model.OperatorCodesLength(), self.model.OperatorCodes)
        self.kinds = [self._kind(code, names) for code in codes]
        self.buffers = self._many(self.model.BuffersLength(), self.model.Buffers)

    def _many(self, count: int, get: Callable[[int], Item]) -> list[Item]:
        if count > min(_MOST, self.size):
            raise ValueError(count)
        return [get(index) for index in range(count)]

    def _numbers(self, length: int, get: Callable[[], Any]) -> Array:
        """Return a vector; what is left out has a length of 0, and comes as a number."""
        if length * 4 > self.size:
            raise ValueError(length)
        return np.asarray(get()) if length else np.zeros(0, np.int64)

    @staticmethod
    def _kind(code: Any, names: Mapping[int, str]) -> str:
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        kind = names.get(number, f"number {number}")
        custom = code.CustomCode() if kind == "CUSTOM" else None
        return f"CUSTOM '{custom.decode()[:60]}'" if custom else kind

    def contents(self) -> Contents:
        if not self.model.SubgraphsLength():
            raise ValueError("no graph")
        graph = self.model.Subgraphs(0)
        tensors = tuple(
            self._tensor(one, place) for place, one in enumerate(self._many(graph.TensorsLength(), graph.Tensors))
        )
        places = range(len(tensors))
        given = self._many(graph.OperatorsLength(), graph.Operators)
        operators = tuple(self._operator(one, index, places) for index, one in enumerate(given))
        inputs = self._places(graph.InputsLength(), graph.InputsAsNumpy, places)
        outputs = self._places(graph.OutputsLength(), graph.OutputsAsNumpy, places)
        return Contents(tensors, operators, inputs, outputs)

    def _places(self, length: int, get: Callable[[], Any], allowed: range) -> tuple[int, ...]:
        found = tuple(int(place) for place in self._numbers(length, get))
        if any(place != -1 and place not in allowed for place in found):
            raise ValueError("no such tensor")
        return found

    def _tensor(self, tensor: Any, place: int) -> Tensor:
        # Converters write all names that were fused into one; the first tells enough.
        name = (tensor.Name() or b"").decode(errors="replace").split(";")[0] or f"tensor {place}"
        shape = self._shape(tensor)
        kind = tensor.Type()
        if kind not in _TYPES and kind != _INT4:
            word = next((n for n, number in vars(self.schema.TensorType).items() if number == kind), str(kind))
            raise ModelError(f"{self.path}: the tensor '{name}' is of type {word.lower()}", hint="export it in float32")
        if tensor.Sparsity() is not None:
            raise ModelError(f"{self.path}: the tensor '{name}' is stored sparsely", hint="export it without sparsity")
        dtype = _TYPES.get(kind, _INT8)
        return Tensor(name, shape, dtype, self._scales(tensor, shape), self._data(tensor, shape, kind))

    def _shape(self, tensor: Any) -> tuple[int, ...]:
        shape = [int(d) for d in self._numbers(tensor.ShapeLength(), tensor.ShapeAsNumpy)]
        signature = [int(d) for d in self._numbers(tensor.ShapeSignatureLength(), tensor.ShapeSignatureAsNumpy)]
        if any(d < 0 for d in shape) or len(shape) > 8 or (signature and len(signature) != len(shape)):
            raise ValueError(shape)
        return tuple(-1 if free < 0 else size for size, free in zip(shape, signature or shape, strict=True))

    def _scales(self, tensor: Any, shape: Sequence[int]) -> Scales | None:
        given = tensor.Quantization()
        if given is None or not given.ScaleLength():
            return None
        scale = self._numbers(given.ScaleLength(), given.ScaleAsNumpy).astype(np.float32)
        zero = self._numbers(given.ZeroPointLength(), given.ZeroPointAsNumpy).astype(np.int64)
        zero = zero if zero.size else np.zeros(scale.size, np.int64)
        axis = int(given.QuantizedDimension())
        if not (np.isfinite(scale).all() and (scale > 0).all()) or zero.size not in (1, scale.size):
            raise ValueError("scale")
        if scale.size > 1 and (axis not in range(len(shape)) or shape[axis] != scale.size):
            raise ValueError("axis")
        return Scales(scale, np.broadcast_to(zero, scale.shape), axis)

    def _data(self, tensor: Any, shape: tuple[int, ...], kind: int) -> Array | None:
        place = tensor.Buffer()
        if place not in range(len(self.buffers)):
            raise ValueError(place)
        buffer = self.buffers[place]
        length = buffer.DataLength()
        if not length:
            return None
        if length > self.size or tensor.IsVariable():
            raise ValueError(length)
        values = 1
        for size in shape:
            values *= max(size, 0)
        self.budget -= 8 * values
        if self.budget < 0:
            raise ModelError(f"{self.path} holds too many numbers", hint="is it a super-resolution network?")
        raw = np.asarray(buffer.DataAsNumpy(), np.uint8).tobytes()
        if kind == _INT4:
            halves = np.frombuffer(raw, np.uint8)
            nibbles = np.stack([halves & 15, halves >> 4], -1).ravel()[:values].astype(np.int8)
            signed: Array = np.where(nibbles > 7, nibbles - 16, nibbles)
            return signed.astype(np.int8).reshape(shape)
        found: Array = np.frombuffer(raw, _TYPES[kind].newbyteorder("<"))
        return found.astype(_TYPES[kind]).reshape(shape)

    def _operator(self, operator: Any, index: int, places: range) -> Operator:
        kind = self.kinds[operator.OpcodeIndex()]
        inputs = self._places(operator.InputsLength(), operator.InputsAsNumpy, places)
        outputs = self._places(operator.OutputsLength(), operator.OutputsAsNumpy, places)
        return Operator(kind, index, inputs, outputs, self._options(operator, kind))

    def _options(self, operator: Any, kind: str) -> Mapping[str, Any]:
        known = OPTIONS.get(kind)
        if known is None:
            return {}
        name, fields = known
        table = operator.BuiltinOptions()
        options = getattr(self.schema, name)()
        if table is None:  # all are as the format has them by default
            return dict.fromkeys(fields, 0)
        if operator.BuiltinOptionsType() != getattr(self.schema.BuiltinOptions, name):
            raise ValueError(kind)
        options.Init(table.Bytes, table.Pos)
        return {one: getattr(options, one)() for one in fields}
