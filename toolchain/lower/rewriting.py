"""Copy bindings of a Relax function into another one, with other variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import relax
from tvm.ir import PrimType


def emitted(builder: relax.BlockBuilder, binding: Any, known: Mapping[Any, Any]) -> Any:
    """Emit what ``binding`` binds; returns its new variable. ``known``: the new variables by the old ones."""
    if isinstance(binding.value.ty, PrimType):
        return binding.value  # the builder bound what computes a size
    made = _replaced(binding.value, known)
    # A match also defines sizes: those of a picture that is counted in units.
    return builder.match_cast(made, binding.ty) if isinstance(binding, relax.MatchCast) else builder.emit(made)


def _replaced(expression: Any, known: Mapping[Any, Any]) -> Any:
    if isinstance(expression, relax.Var):
        return known.get(expression, expression)  # sizes are variables too
    if isinstance(expression, relax.Tuple):
        return relax.Tuple([_replaced(value, known) for value in expression.fields])
    if isinstance(expression, relax.TupleGetItem):
        return relax.TupleGetItem(_replaced(expression.tuple_value, known), expression.index)
    if isinstance(expression, relax.Call):
        arguments = [_replaced(argument, known) for argument in expression.args]
        return relax.Call(expression.op, arguments, expression.attrs, expression.ty_args)
    return expression
