"""Operators without a kernel of ours stay Relax operators on float32 (1, C, h, w), which TVM compiles its own way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import relax
from tvm.ir import GlobalVar

from toolchain.kernels.window import pad_floats
from toolchain.lower.bindings import Bindings, channels_of
from toolchain.lower.calls import Calls
from toolchain.lower.depth_to_space import MOVES
from toolchain.lower.importer import window_of
from toolchain.lower.resizing import OPERATOR, resize_floats
from toolchain.support.errors import ModelError

_NOT_COMPILED = ("relax.cumsum", "relax.cumprod", "relax.sort", "relax.argsort", "relax.topk")
"""TVM has them, but no code of them without libraries of its own."""


class Operators:
    """Copies operators of the imported module into the new one, on demand.

    Args:
        bindings: of the imported ``main``.
        functions: of the imported module.
        calls: of the new ``main``.
        known: the float tensor of a variable that kernels compute; None for all others.
    """

    def __init__(self, bindings: Bindings, functions: Any, calls: Calls, known: Callable[[Any], Any | None]) -> None:
        self.bindings, self.functions, self.calls, self.known = bindings, functions, calls, known
        self.names: list[str] = []
        """The operators copied so far, but for those that only move data, change its type or work on single numbers."""
        self._done: dict[Any, Any] = {}

    def value(self, value: Any) -> Any:
        """Return the tensor ``value`` of the imported module, in the new one.

        Raises:
            ModelError: an operator that cannot be copied.
        """
        if value not in self._done:
            known = self.known(value)
            self._done[value] = self._copy(value) if known is None else known
            if known is None and getattr(value.ty, "ndim", 0) != 0:
                self.calls.beside(self.bindings.origin(value))
        return self._done[value]

    def _copy(self, value: Any) -> Any:
        call = self.bindings.definitions.get(value)
        builder = self.calls.builder
        if call is None:
            return value
        if isinstance(call, relax.Var):
            return self.value(call)
        if isinstance(call, relax.TupleGetItem):
            return builder.emit(relax.TupleGetItem(self.value(call.tuple_value), call.index))
        name = getattr(call.op, "name", "") if isinstance(call, relax.Call) else ""
        if not name or name in _NOT_COMPILED:
            what = self.bindings.origin(value)
            raise ModelError(
                f"{f'operator {what}' if what else 'a part of the network'} has neither a kernel nor an operator of the"
                " compiler",
                hint="replace uncommon operators by convolutions and activations",
            )
        window = window_of(call) if call.op.name == "relax.nn.pad" else None
        if window is not None:
            # TVM reads beyond pictures that are smaller than what is mirrored.
            self.names.append("pad" if window.grows else "crop")
            (height, width), (rows, columns) = (var.ty.shape.values[2:] for var in (call.args[0], value))
            symbol = self.calls.add("pad", pad_floats(channels_of(value), window))
            sizes = [height, width, rows, columns]
            return builder.emit(relax.call_tir(symbol, relax.Tuple([self.value(call.args[0]), *sizes]), value.ty))
        if call.op.name == OPERATOR:
            self.names.append("resize")
            return resize_floats(call, self.value(call.args[0]), builder, self.calls.add)
        arguments = [self._argument(argument) for argument in call.args]
        name = call.op.name.split(".")[-1]
        if name == "call_tir":
            name = call.args[0].name_hint.rstrip("0123456789")  # of several functions of one name
        if call.op.name not in {*MOVES, "relax.astype"} and getattr(value.ty, "ndim", -1) != 0:
            self.names.append(name)
        return builder.emit(relax.Call(call.op, arguments, call.attrs, call.ty_args))

    def _argument(self, argument: Any) -> Any:
        if isinstance(argument, relax.Tuple):
            return relax.Tuple([self._argument(field) for field in argument.fields])
        if isinstance(argument, GlobalVar):
            return self.calls.add(argument.name_hint, self.functions[argument])
        return self.value(argument) if isinstance(argument, relax.Var) else argument
