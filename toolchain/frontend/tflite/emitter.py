"""Writing the ONNX graph: tensors of the file by number, pictures channels-first, codes between quantizers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from toolchain.frontend.graph import Array
from toolchain.frontend.tflite.contents import Contents, Operator, Scales, Tensor
from toolchain.support.errors import ModelError

TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
"""Axes of channels-last pictures in the order of channels-first ones, and back."""

_MICROSOFT = "com.microsoft"  # its QuantizeLinear knows 16 bits in every opset
_PICTURE = 4


class Emitter:
    """Collects nodes and initializers.

    Attributes:
        contents: of the file.
        nodes: so far.
        initializers: so far.
        baked: a picture's size, as the file fixes it, stands in one of the nodes.
    """

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.baked = False
        self._names = {"input", "output"}
        self._values: dict[int, str] = {}  # by tensor: its float numbers, or its integers
        self._folded: dict[int, Array] = {}  # by tensor: constants that an operator made of constants
        self._codes: dict[int, str] = {}  # by tensor: its codes, unsigned at the graph's ends

    def tensor(self, place: int) -> Tensor:
        """Return what the file says of a tensor."""
        return self.contents.tensors[place]

    def name(self, wanted: str) -> str:
        """Return a name that nothing has yet."""
        name, count = wanted or "value", 1
        while name in self._names:
            name, count = f"{wanted}_{count}", count + 1
        self._names.add(name)
        return name

    def add(self, kind: str, inputs: Sequence[str], wanted: str = "", *, domain: str = "", **settings: Any) -> str:
        """Append a node and return the name of its one output, which is like ``wanted``."""
        name = self.name(wanted or f"{inputs[0]}_{kind.lower()}")
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, domain=domain, **settings))
        return name

    def array(self, value: Array, wanted: str) -> str:
        """Return the name of a new initializer."""
        name = self.name(wanted)
        self.initializers.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def number(self, value: float, wanted: str) -> str:
        """Return the name of a new float32 number."""
        return self.array(np.asarray(value, np.float32), wanted)

    def numbers(self, place: int) -> Array | None:
        """Return a constant as the numbers that it stands for, channels last; None of what is computed."""
        tensor = self.tensor(place)
        if place in self._folded or tensor.data is None:
            return self._folded.get(place)
        if tensor.scales is None:
            return tensor.data
        return dequantized(tensor.data, tensor.scales)

    def constant(self, operator: Operator, place: int) -> Array:
        """Return a constant input, as `numbers` has it.

        Raises:
            ModelError: it is computed.
        """
        found = self.numbers(operator.read(place))
        if found is None:
            raise ModelError(f"{operator} has an input {place} that is computed", hint="export it as a constant")
        return found

    def integers(self, operator: Operator, place: int) -> list[int]:
        """Return a constant input as whole numbers."""
        return [int(number) for number in self.constant(operator, place).ravel()]

    def read(self, place: int) -> str:
        """Return the name of a tensor's numbers: float, pictures channels-first; or int64.

        Raises:
            ModelError: nothing made it.
        """
        if place in self._values:
            return self._values[place]
        tensor = self.tensor(place)
        if place in self._codes and tensor.scales is not None:
            self._values[place] = self._quantizer("DequantizeLinear", self._codes[place], tensor, tensor.name)
            return self._values[place]
        numbers = self.numbers(place)
        if numbers is None:
            raise ModelError(f"the tensor '{tensor.name}' is read before it is made", hint="export the model again")
        wide = np.int64 if numbers.dtype.kind in "iu" else np.float32
        numbers = numbers.astype(wide if numbers.dtype.kind != "b" else numbers.dtype)
        numbers = numbers.transpose(TO_FIRST) if numbers.ndim == _PICTURE else numbers
        self._values[place] = self.array(numbers, tensor.name)
        return self._values[place]

    def last(self, place: int) -> str:
        """Return the name of a tensor's numbers as the file has them: channels last."""
        name = self.read(place)
        if self.tensor(place).rank != _PICTURE:
            return name
        return self.add("Transpose", [name], f"{name}_last", perm=TO_LAST)

    def write(self, place: int, name: str) -> None:
        """Let ``name``, pictures channels-first, stand for a tensor: rounded to codes where the file has codes."""
        tensor = self.tensor(place)
        if tensor.scales is None or tensor.dtype.kind not in "iu" or tensor.dtype.itemsize > 2:
            self._values[place] = name
            return
        self._codes[place] = self._quantizer("QuantizeLinear", name, tensor, f"{tensor.name}_codes")

    def fold(self, place: int, numbers: Array) -> None:
        """Let ``numbers``, as the file has them, be those of a tensor."""
        self._folded[place] = numbers

    def write_last(self, place: int, name: str) -> None:
        """Let ``name``, channels last, stand for a tensor, as `write` does."""
        if self.tensor(place).rank == _PICTURE:
            name = self.add("Transpose", [name], f"{name}_first", perm=TO_FIRST)
        self.write(place, name)

    def give(self, place: int, name: str) -> None:
        """Let the graph's input ``name`` stand for a tensor."""
        is_codes = self.tensor(place).scales is not None and self.tensor(place).dtype.kind in "iu"
        (self._codes if is_codes else self._values)[place] = name

    def result(self, place: int) -> str:
        """Return the name of what leaves the graph: codes where the file has codes."""
        return self._codes.get(place) or self.read(place)

    def _quantizer(self, kind: str, source: str, tensor: Tensor, wanted: str) -> str:
        scales = tensor.scales
        assert scales is not None
        if scales.scale.size != 1:
            raise ModelError(f"the tensor '{tensor.name}' has scales for each channel", hint="export it again")
        dtype, zero = tensor.dtype, int(scales.zero[0])
        if dtype == np.int8 and self._ends(tensor):
            dtype, zero = np.dtype(np.uint8), zero + 128  # pixels are codes without a sign
        if not np.iinfo(dtype).min <= zero <= np.iinfo(dtype).max:
            raise ModelError(f"the tensor '{tensor.name}' has a zero point of {zero}", hint="the file is damaged")
        scale = self.array(scales.scale.reshape(()), f"{wanted}_scale")
        point = self.array(np.asarray(zero, dtype), f"{wanted}_zero")
        domain = _MICROSOFT if dtype.itemsize > 1 else ""
        return self.add(kind, [source, scale, point], wanted, domain=domain)

    def _ends(self, tensor: Tensor) -> bool:
        return any(tensor is self.tensor(place) for place in (*self.contents.inputs, *self.contents.outputs))

    def weight(self, place: int, order: Sequence[int], group: Sequence[int] | None = None) -> str:
        """Return the name of a constant's numbers, its axes in another ``order``: codes stay codes before a
        DequantizeLinear.

        Args:
            place: of the tensor.
            order: which of the file's axes comes where.
            group: its shape before they are reordered; None as it is.

        Raises:
            ModelError: it is computed.
        """
        tensor = self.tensor(place)
        data = self._folded.get(place, tensor.data)
        if data is None:
            raise ModelError(f"the weights '{tensor.name}' are computed", hint="export them as constants")
        shaped = data.reshape(group or data.shape).transpose(order)
        if tensor.scales is None or place in self._folded:
            return self.array(shaped.astype(np.float32), tensor.name)
        scales = tensor.scales
        codes = self.array(shaped, f"{tensor.name}_codes")
        one = scales.scale.size == 1
        scale = self.array(scales.scale.reshape(()) if one else scales.scale, f"{tensor.name}_scale")
        zeros = scales.zero.astype(tensor.dtype)
        zero = self.array(zeros.reshape(()) if one else zeros, f"{tensor.name}_zero")
        axis = 0 if one else list(order).index(scales.axis)
        return self.add("DequantizeLinear", [codes, scale, zero], tensor.name, axis=axis)

    def bias(self, place: int) -> str:
        """Return the name of a bias's numbers."""
        tensor = self.tensor(place)
        if tensor.dtype == np.int32 and tensor.scales is not None:
            return self.weight(place, (0,))
        numbers = self.numbers(place)
        if numbers is None:
            raise ModelError(f"the bias '{tensor.name}' is computed", hint="export it as a constant")
        return self.array(numbers.astype(np.float32), tensor.name)


def dequantized(codes: Array, scales: Scales) -> Array:
    """Return the float32 numbers that codes stand for."""
    shape = [-1 if axis == scales.axis else 1 for axis in range(codes.ndim)] if scales.scale.size > 1 else []
    centred = codes.astype(np.int64) - scales.zero.reshape(shape)
    return (centred.astype(np.float32) * scales.scale.reshape(shape)).astype(np.float32)
