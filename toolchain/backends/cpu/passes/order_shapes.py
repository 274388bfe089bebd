"""The statements that compute sizes, ``H[slot] = ...``, are sorted by their slots.

TVM writes them in the order of a hash table of addresses, another one in every process; they do not depend on each
other. Without this, equal deployments would differ in their libraries, and only there.

Requires: sizes are computed in TIR functions (VMShapeLower). Ensures: equal modules have equal text.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import tirx


def _order_shapes(module: Any, _context: Any) -> Any:
    for symbol, function in module.functions.items():
        if isinstance(function, tirx.PrimFunc) and isinstance(function.body, tirx.SeqStmt):
            stores = list(function.body.seq)
            if all(isinstance(store, tirx.BufferStore) and len(store.indices) == 1 for store in stores):
                ordered = sorted(stores, key=lambda store: int(store.indices[0]))
                module.update_func(symbol, function.with_body(tirx.SeqStmt(ordered)))
    return module


order_shapes = tvm.transform.module_pass(_order_shapes, opt_level=0, name="OrderShapes")
