"""Calls of kernels in the lowered ``main``, and the list of them that `toolchain.lower.stream` takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from tvm import relax, tirx

from toolchain.kernels.average import Average
from toolchain.kernels.bands import Read, Step
from toolchain.kernels.driver import whole
from toolchain.kernels.float_spec import FloatGlobalPool, FloatOperation
from toolchain.kernels.layout import Geometry
from toolchain.kernels.network import Call, Picture, Tensor
from toolchain.kernels.spec import GlobalPool, Operation, View
from toolchain.lower.bindings import Bindings
from toolchain.lower.depth_to_space import evaluate

_SIDE = 48
_TRIED = (1, 7, 24)
"""Sizes in units at which rates must be exact."""
Extent = tuple[Any, Any]
"""Height and width of a tensor, as TVM expressions of the picture's."""
SINGLE: Extent = (tirx.const(1, "int64"), tirx.const(1, "int64"))
"""Of a tensor of a single pixel."""

AnyOperation: TypeAlias = Operation | Average | FloatOperation


@dataclass(frozen=True, eq=False)
class Source:
    """An operand of a kernel: a variable, what it is, the rows that are read above and below a row, and how many of its
    rows there are for one of the kernel.
    """

    var: Any
    what: Tensor | Picture
    above: int = 0
    below: int = 0
    stride: int = 1


@dataclass(frozen=True, eq=False)
class Invocation:
    """A kernel with what it is given, wherever its result goes.

    Attributes:
        name: of its function; a number makes it one of its own.
        function: what it is.
        sources: its operands.
        operation: what it computes.
        constants: its arrays.
        scale: rows and columns of a tensor that it writes for each that it reads.
        placed: it is told which rows it computes, see `Call`.
    """

    name: str
    function: Any
    sources: tuple[Source, ...]
    operation: AnyOperation
    constants: tuple[np.ndarray, ...] = ()
    scale: int = 1
    placed: bool = False


@dataclass(frozen=True, eq=False)
class Launch:
    """A kernel that runs on the whole picture.

    Attributes:
        call: the kernel; its step numbers the tensors in the order in which they are first written.
        constants: its arrays.
        result: what it writes.
        operation: what it computes, for those who make kernels of their own of it.
        scale: pixels of what it reads, in steps of its stride, for one of the picture, in each direction; 0 where it
            has a single one.
        extents: of what it reads, in steps of its stride, and of what it writes.
        sources: its operands.
        var: the variable of what it writes.
        buffer: the variable of what it writes a part of; None where that is new.
        exact: it works on rows, and ``scale`` is so for a picture of any size.
    """

    call: Call
    constants: tuple[np.ndarray, ...]
    result: Tensor | Picture
    operation: AnyOperation
    scale: Fraction | int
    extents: tuple[Extent, Extent]
    sources: tuple[Source, ...]
    var: Any
    buffer: Any = None
    exact: bool = False


class Calls:
    """Emits calls of kernels.

    Args:
        builder: inside the new function's dataflow block.
        pixels: its parameter, uint8 (height, width, channels).
        geometry: of the packed tensors.
        bindings: of the imported ``main``, in whose sizes the parameter's are counted.
    """

    def __init__(self, builder: relax.BlockBuilder, pixels: Any, geometry: Geometry, bindings: Bindings) -> None:
        self.builder, self.pixels, self.geometry, self.bindings = builder, pixels, geometry, bindings
        self.extent: Extent = (pixels.ty.shape[0], pixels.ty.shape[1])
        self.launches: list[Launch] = []
        self.tensors: list[Tensor] = []
        self.extents: list[Extent] = []
        """Height and width of each tensor."""
        self.integer = True
        """Nothing but kernels has been called."""
        self.whole: dict[str, None] = {}
        """The operators of the ONNX model whose kernels want whole tensors, so that no rows can stream."""
        self.origins: dict[str, None] = {}
        """The operators of the ONNX model, as far as known, that are more than kernels; in order of execution."""
        self._names: dict[str, int] = {}
        self._numbers: dict[Any, int] = {}

    def launch(
        self,
        given: Invocation,
        view: View | None,
        result: Tensor | Picture,
        extent: Extent,
        buffer: Any = None,
    ) -> Any:
        """Run a kernel that writes ``view`` of ``result``: a new tensor, or ``buffer``. Where it writes the picture,
        there is no view. ``extent`` is of what it reads, in steps of its stride. Returns the variable of what it wrote.
        """
        symbol = self.add(given.name, given.function)
        reads = tuple(
            Read(self._numbers.get(source.var), source.above, source.below, source.stride) for source in given.sources
        )
        writes = None
        if isinstance(result, Tensor):
            writes = len(self.tensors) if buffer is None else self._numbers[buffer]
        shapes = tuple((array.shape, str(array.dtype)) for array in given.constants)
        scale = result.scale if isinstance(result, Picture) else given.scale
        call = Call(symbol.name_hint, Step(reads, writes, scale), shapes, view, given.placed)
        operands = [source.what for source in given.sources]
        driver = self.add(f"run_{symbol.name_hint}", whole(call, operands, result, self.geometry))
        arguments = [
            *(source.var for source in given.sources),
            *(relax.const(array, str(array.dtype)) for array in given.constants),
            *self._scalars(extent),
        ]
        made: Extent = extent if scale == 1 else (extent[0] * scale, extent[1] * scale)
        if isinstance(result, Picture):
            kind = relax.TensorType((*made, result.channels), "uint8")
        else:
            kind = self.packed(result, made)
        if buffer is None:
            var = self.builder.emit(relax.call_tir(driver, relax.Tuple(arguments), kind))
        else:
            inplace = relax.op.call_tir_inplace(driver, relax.Tuple([*arguments, buffer]), len(arguments), kind)
            var = self.builder.emit(inplace)
        if isinstance(result, Tensor) and buffer is None:
            self._number(var, result, made)
        elif writes is not None:
            self._numbers[var] = writes
        exact = self._exact(extent)
        self._launched(call, given, result, (extent, made), var, buffer, exact=exact)
        return var

    def layer(
        self, given: Invocation, view: View, result: Tensor, extents: tuple[Extent, Extent], origin: str = ""
    ) -> Any:
        """Run a function ``(inputs..., constants..., height, tiles, width, the same of the result, result)`` on whole
        tensors, from the first extent to the second; it writes ``view``, all of ``result``. Returns its variable.
        ``origin``: the operator of the ONNX model that wants it.
        """
        self.whole[origin or given.name] = None
        symbol = self.add(given.name, given.function)
        constants = [relax.const(array, str(array.dtype)) for array in given.constants]
        sizes = [size for extent in extents for size in self._scalars(extent)]
        operands = [*(source.var for source in given.sources), *constants, *sizes]
        var = self.builder.emit(relax.call_tir(symbol, relax.Tuple(operands), self.packed(result, extents[1])))
        step = Step(tuple(Read(self._numbers.get(source.var)) for source in given.sources), len(self.tensors))
        self._number(var, result, extents[1])
        self._launched(Call(symbol.name_hint, step, (), view), given, result, extents, var)
        return var

    def _launched(
        self,
        call: Call,
        given: Invocation,
        result: Tensor | Picture,
        extents: tuple[Extent, Extent],
        var: Any,
        buffer: Any = None,
        *,
        exact: bool = False,
    ) -> None:
        what = call, given.constants, result, given.operation, self._scale(extents[0]), extents, given.sources
        self.launches.append(Launch(*what, var, buffer, exact))

    def call(self, name: str, function: Any, inputs: Sequence[Any], result: Any, extent: Extent) -> Any:
        """Call a function ``(inputs..., height, tiles, width, result)`` that is no kernel between packed tensors."""
        self.integer = False
        arguments = relax.Tuple([*inputs, *self._scalars(extent)])
        return self.builder.emit(relax.call_tir(self.add(name, function), arguments, result))

    def beside(self, origin: str) -> None:
        """Note that the operator ``origin`` of the ONNX model (empty: unknown) is not done by kernels."""
        if origin:
            self.origins[origin] = None

    def pool(
        self,
        source: Source,
        given: GlobalPool | FloatGlobalPool,
        functions: tuple[Any, Any],
        row: tuple[int, str],
        result: Tensor,
        extent: Extent,
        origin: str,
    ) -> Any:
        """Run two functions, as those of `toolchain.kernels.global_pool`: the first makes numbers of every row of
        ``source``, which has that ``extent``, the second the tensor ``result`` of a single pixel. Returns its variable.
        ``row``: how many numbers, and their type; ``origin``: the operator of the ONNX model that wants it.
        """
        self.whole[origin or "global pooling"] = None
        rows, pixel = functions
        sizes, kind = self._scalars(extent), relax.TensorType((extent[0], row[0]), row[1])
        first = self.builder.emit(relax.call_tir(self.add("pool_rows", rows), relax.Tuple([source.var, *sizes]), kind))
        symbol = self.add("pool_all", pixel)
        kind = self.packed(result, SINGLE)
        var = self.builder.emit(relax.call_tir(symbol, relax.Tuple([first, *sizes]), kind))
        step = Step((Read(self._numbers.get(source.var)),), len(self.tensors))
        self._number(var, result, SINGLE)
        call = Call(symbol.name_hint, step, (), given.target)
        extents = extent, SINGLE
        self.launches.append(Launch(call, (), result, given, self._scale(extent), extents, (source,), var))
        return var

    def add(self, name: str, function: Any) -> Any:
        """Add a function to the module; a number makes its name one of its own."""
        self._names[name] = self._names.get(name, 0) + 1
        unique = name if self._names[name] == 1 else f"{name}_{self._names[name]}"
        return self.builder.add_func(function.with_attr("global_symbol", unique), unique)

    def packed(self, tensor: Tensor, extent: Extent) -> Any:
        """Return the Relax type of a packed tensor."""
        return relax.TensorType(self.geometry.shape(tensor.blocks, *self._scalars(extent)[:2]), tensor.dtype)

    def _number(self, var: Any, tensor: Tensor, extent: Extent) -> None:
        """Count a tensor of its own."""
        self._numbers[var] = len(self.tensors)
        self.tensors.append(tensor)
        self.extents.append(extent)

    def enlarged(self, extent: Extent) -> Fraction | int:
        """Return pixels of a tensor of this extent for one pixel of the picture; 0 where it has a single pixel."""
        return _plain(self._rate(extent[0]) * self._rate(extent[1]))

    def _scale(self, extent: Extent) -> Fraction | int:
        return _plain(self._rate(extent[0]))

    def _exact(self, extent: Extent) -> bool:
        """Return whether rows and columns are as many for one of the picture, whatever its size."""
        unit = self.bindings.unit
        rate, sizes = self._rate(extent[0]), [count * unit for count in _TRIED]
        return all(evaluate(side, self.bindings.at(size, size)) == size * rate for size in sizes for side in extent)

    def _rate(self, size: Any) -> Fraction:
        """Return how many rows or columns there are for one of the picture, borders apart; 0 where there is one."""
        if isinstance(size, int | tirx.IntImm):
            return Fraction(0)
        unit = self.bindings.unit
        count = evaluate(size, self.bindings.at(_SIDE * unit, _SIDE * unit))
        return Fraction(max(round(count / _SIDE), 1), unit)

    def _scalars(self, extent: Extent) -> list[Any]:
        return scalars(self.geometry, extent)


def _plain(number: Fraction) -> Fraction | int:
    return number.numerator if number.denominator == 1 else number


def scalars(geometry: Geometry, extent: Extent) -> list[Any]:
    """Return what every function is told of the picture's size: height, column tiles, width."""
    height, width = extent
    return [height, tirx.floordiv(width + (geometry.columns - 1), geometry.columns), width]
