"""The functions that compute shapes are marked as free of aliasing, which they are.

TVM's LLVM backend drops what it knows of aliasing for the whole module as soon as one function lacks the mark:
accumulators then go through memory, and every kernel is four times slower.

Requires: nothing. Ensures: every TIR function has the mark.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import tirx


def _promise_no_alias(module: Any, _context: Any) -> Any:
    for symbol, function in module.functions.items():
        if isinstance(function, tirx.PrimFunc):
            module.update_func(symbol, function.with_attr("tirx.noalias", True))
    return module


promise_no_alias = tvm.transform.module_pass(_promise_no_alias, opt_level=0, name="PromiseNoAlias")
