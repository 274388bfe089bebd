"""What is computed place by place in a Relax module of floats: operators that one kernel does without writing what lies
between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax, tirx
from tvm.ir import GenericConst

from toolchain.kernels.formula import Compute, FloatStage, Operation
from toolchain.kernels.spec import Add, Addend, Bounds, Slopes
from toolchain.lower.bindings import Bindings, channels_of, is_picture
from toolchain.lower.depth_to_space import evaluate
from toolchain.lower.pairs import is_single
from toolchain.reference.steps import Activation

_PROBES = (48, 52)
_MOST = 6
"""Tensors that a kernel reads besides what it begins with, at most."""

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Region:
    """Operators that end in one variable.

    Attributes:
        leaves: the variables that they read, in order.
        arrays: their constants, a number for each channel.
        operations: numbered as those of `toolchain.kernels.formula.Compute`, where the first leaf is what is so far.
        inner: the variables that are computed in it.
    """

    leaves: tuple[Any, ...]
    arrays: tuple[Floats, ...]
    operations: tuple[Operation, ...]
    inner: frozenset[Any]

    def first(self, leaf: Any) -> Region:
        """Return the same with ``leaf`` as the first."""
        index = self.leaves.index(leaf)
        order = [index, *(i for i in range(len(self.leaves)) if i != index)]
        places = {old: new for new, old in enumerate(order)}
        operations = tuple(
            replace(operation, arguments=tuple(places.get(value, value) for value in operation.arguments))
            for operation in self.operations
        )
        return replace(self, leaves=tuple(self.leaves[i] for i in order), operations=operations)


@dataclass
class _Reading:
    """A region while it is read: leaves and arrays are numbered apart until all are known."""

    leaves: list[Any] = field(default_factory=list)
    arrays: list[Floats] = field(default_factory=list)
    operations: list[tuple[str, list[tuple[str, int]], tuple[float, ...]]] = field(default_factory=list)
    known: dict[Any, tuple[str, int]] = field(default_factory=dict)

    def leaf(self, var: Any) -> tuple[str, int]:
        if var not in self.leaves:
            self.leaves.append(var)
        return "leaf", self.leaves.index(var)

    def array(self, values: Floats) -> tuple[str, int]:
        self.arrays.append(values)
        return "array", len(self.arrays) - 1

    def add(self, name: str, arguments: Sequence[tuple[str, int]], numbers: tuple[float, ...] = ()) -> tuple[str, int]:
        self.operations.append((name, list(arguments), numbers))
        return "result", len(self.operations) - 1

    def finished(self, inner: set[Any]) -> Region:
        start = {"leaf": 0, "array": len(self.leaves), "result": len(self.leaves) + len(self.arrays)}
        operations = tuple(
            Operation(name, tuple(start[kind] + index for kind, index in arguments), numbers)
            for name, arguments, numbers in self.operations
        )
        return Region(tuple(self.leaves), tuple(self.arrays), operations, frozenset(inner))


class Regions:
    """Finds regions in the bindings of a Relax function."""

    def __init__(self, bindings: Bindings) -> None:
        self.bindings = bindings
        self._order = list(bindings.definitions)
        self._place = {var: index for index, var in enumerate(self._order)}
        self._readers: dict[Any, list[Any]] = {}
        for var, value in bindings.definitions.items():
            for read in relax.analysis.free_vars(value):
                self._readers.setdefault(read, []).append(var)
        self._sizes: dict[Any, tuple[tuple[int, ...], ...]] = {}

    def ending_in(self, root: Any) -> Iterator[Region]:
        """Yield regions of ``root``, the largest first; none where it is not computed place by place."""
        if self._operator(root) is None:
            return
        inner = {root}
        for var in reversed(self._order[: self._place[root]]):
            readers = self._readers.get(var, ())
            if readers and inner.issuperset(readers) and var is not self.bindings.result and self._inner(var, root):
                inner.add(var)
        for variables in (inner, {root}):
            region = self._region(root, variables)
            if len(region.leaves) <= _MOST + 1 and any(self.size(leaf) == self.size(root) for leaf in region.leaves):
                yield region

    def only_in(self, region: Region, var: Any) -> bool:
        """Return whether nothing but ``region`` reads ``var``."""
        return var is not self.bindings.result and region.inner.issuperset(self._readers.get(var, ()))

    def place(self, var: Any) -> int:
        """Return how many variables are bound before ``var``."""
        return self._place.get(var, -1)

    def size(self, var: Any) -> tuple[tuple[int, ...], ...]:
        """Return the shape of a variable for some pictures."""
        if var not in self._sizes:
            sizes = [{self.bindings.height: probe, self.bindings.width: probe + 1} for probe in _PROBES]
            self._sizes[var] = tuple(tuple(evaluate(side, at) for side in var.ty.shape) for at in sizes)
        return self._sizes[var]

    def _region(self, root: Any, inner: set[Any]) -> Region:
        reading = _Reading()
        self._read(root, inner, reading)
        return reading.finished(inner)

    def _inner(self, var: Any, root: Any) -> bool:
        """Whether ``var`` is as large as ``root`` and computed place by place."""
        return is_picture(var) and self._operator(var) is not None and self.size(var) == self.size(root)

    def _operator(self, var: Any) -> tuple[str, list[Any], tuple[float, ...]] | None:
        """Return the name, the operands and the numbers of the operation that ``var`` is: operands are variables that
        can be leaves, arrays and numbers; None where it is none.
        """
        bindings = self.bindings
        call = bindings.definitions.get(var)
        if call is None or not is_picture(var) or bindings.convolution(var) is not None:
            return None
        after, inner = bindings.activation(var)
        if after is not None:
            return None if not self._fits(inner, var) else _activation(after, inner)
        name = str(getattr(getattr(call, "op", None), "name", "")).removeprefix("relax.").removeprefix("nn.")
        if name == "power":
            exponent = self._constant(call.args[1], var)
            if not isinstance(exponent, float) or not self._fits(call.args[0], var):
                return None
            return "power", [call.args[0]], (exponent,)
        if name not in _PLAIN:
            return None
        operands = [self._constant(argument, var) for argument in call.args]
        given = [arg if found is None else found for arg, found in zip(call.args, operands, strict=True)]
        for operand in given:
            if not isinstance(operand, float | np.ndarray) and not self._fits(operand, var):
                return None
        return name, given, ()

    def _constant(self, value: Any, var: Any) -> float | Floats | None:
        """Return a constant as a number, or as one for each channel of ``var``."""
        call = self.bindings.definitions.get(value) if isinstance(value, relax.Var) else None
        if isinstance(call, relax.Call) and self.bindings.is_call(value, "relax.reshape"):
            given, shape = call.args[0], call.args[1].values
            if isinstance(given, GenericConst) and all(isinstance(side, int | tirx.IntImm) for side in shape):
                return self._laid(given.value.numpy().reshape([int(side) for side in shape]), var)
        return self._laid(value.value.numpy(), var) if isinstance(value, GenericConst) else None

    def _laid(self, array: np.ndarray, var: Any) -> float | Floats | None:
        if array.size == 1:
            return float(array.reshape(-1)[0])
        channels = channels_of(var)
        along = array.ndim in (3, 4) and array.size == array.shape[-3] == channels
        return array.reshape(-1).astype(np.float32) if along else None

    def _fits(self, operand: Any, var: Any) -> bool:
        """Whether ``operand`` may be read place by place for ``var``: as large, with as many channels or one, or of a
        single pixel.
        """
        if not isinstance(operand, relax.Var) or not is_picture(operand):
            return False
        if str(operand.ty.dtype) != "float32":
            return False
        if is_single(operand) and not is_single(var):
            return channels_of(operand) in (1, channels_of(var))
        return all(
            one[0] == two[0] == 1 and one[2:] == two[2:] and one[1] in (1, two[1])
            for one, two in zip(self.size(operand), self.size(var), strict=True)
        )

    def _read(self, value: Any, inner: set[Any], reading: _Reading) -> tuple[str, int]:
        """Return the number of ``value`` in ``reading``."""
        if isinstance(value, float):
            return reading.add("number", (), (value,))
        if isinstance(value, np.ndarray):
            return reading.array(value)
        if value not in inner:
            return reading.leaf(value)
        if value not in reading.known:
            found = self._operator(value)
            assert found is not None
            name, operands, numbers = found
            arguments = [self._read(operand, inner, reading) for operand in operands]
            reading.known[value] = reading.add(name, arguments, numbers)
        return reading.known[value]


def _activation(after: Activation, inner: Any) -> tuple[str, list[Any], tuple[float, ...]]:
    if after.slopes is not None:
        slopes = after.slopes.astype(np.float32)
        return "bend", [inner, slopes], ()
    return "clip", [inner], (after.low, after.high)


_PLAIN = frozenset(
    {
        *("add", "subtract", "multiply", "divide", "maximum", "minimum"),
        *("exp", "log", "sigmoid", "silu", "tanh", "erf", "softplus", "gelu", "gelu_tanh"),
        *("sqrt", "rsqrt", "square", "abs", "negative"),
    }
)
"""Relax's operators that are functions of the same names in `toolchain.kernels.float_functions`."""


def stages_of(region: Region, operands: Sequence[Addend]) -> tuple[tuple[FloatStage, ...], tuple[int, ...]]:
    """Return the stages that make a region of its first leaf, and which of the other leaves they read in turn.

    ``operands``: the leaves but the first, as kernels read them.
    """
    found: list[FloatStage] = []
    order: list[int] = []
    so_far, leaves = 0, len(region.leaves)
    results = leaves + len(region.arrays)
    for number, operation in enumerate(region.operations):
        others = [value for value in operation.arguments if value != so_far]
        if len(operation.arguments) - len(others) != 1:
            break
        if operation.name == "clip":
            found.append(Bounds(*operation.numbers))
        elif operation.name == "bend" and others[0] >= leaves:
            found.append(Slopes())
        elif operation.name == "add" and 0 < others[0] < leaves:
            found.append(Add(operands[others[0] - 1]))
            order.append(others[0] - 1)
        else:
            break
        so_far = results + number
    else:
        return tuple(found), tuple(order)
    return (Compute(tuple(operands), len(region.arrays), region.operations),), tuple(range(leaves - 1))
