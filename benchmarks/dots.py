"""The fastest integer arithmetic an AVX512-VNNI core knows, as one TensorIR function."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tvm
from tvm.script import tirx as T


@T.prim_func(s_tir=True)
def dots(x: T.Buffer((16,), "uint32"), w: T.Buffer((16,), "int32"), y: T.Buffer((20, 16), "int32")) -> None:
    """200 000 rounds of 20 independent ``vpdpbusd`` of 16 pixels x 4 channels."""
    T.func_attr({"global_symbol": "dots", "tirx.noalias": True})
    with T.sblock("root"):
        T.reads(x[0:16], w[0:16])
        T.writes(y[0:20, 0:16])
        for _ in T.serial(0, 200_000):
            for c in T.unroll(0, 20):
                y[c, T.ramp(T.int32(0), 1, 16)] = T.call_llvm_pure_intrin(
                    T.llvm_lookup_intrinsic_id("llvm.x86.avx512.vpdpbusd.512"),
                    y.vload([c, 0], dtype="int32x16"),
                    T.reinterpret(x.vload([0], dtype="uint32x16"), dtype="uint8x64"),
                    T.reinterpret(w.vload([0], dtype="int32x16"), dtype="int8x64"),
                    dtype="int32x16",
                )


def compiled_dots() -> Callable[[], object]:
    """``dots`` as a call on one core, about a millisecond long."""
    target = tvm.target.Target({"kind": "llvm", "mcpu": "icelake-server", "num-cores": 1})
    library = tvm.compile(tvm.IRModule({"dots": dots}), target=target)
    arrays = [np.ones(16, "uint32"), np.ones(16, "int32"), np.zeros((20, 16), "int32")]
    arguments = [tvm.runtime.tensor(array) for array in arrays]
    entry = library.mod["dots"]
    return lambda: entry(*arguments)
