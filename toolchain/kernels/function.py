"""The frame of every kernel and driver in TVM's script builder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T


@contextmanager
def function(name: str) -> Iterator[None]:
    """Yield a function called ``name`` whose buffers do not overlap, to be written inside."""
    with T.prim_func(is_private=True, s_tir=True):
        T.func_name(name)
        T.func_attr({"tirx.noalias": True})
        yield


def int64(value: int) -> Any:
    """Return the constant ``value`` as loops and indices count."""
    return tirx.const(value, "int64")


def declare(*sizes: Any) -> None:
    """Make variables arguments of the function, here, under their names."""
    for var in sizes:
        T.arg(var.name, var)
