"""How many multiply-accumulates a second one core can do at most: dot products on registers, and nothing else."""

from __future__ import annotations

import numpy as np
import tvm
from tvm.script import tirx as T

ACCUMULATORS, LANES, STEPS = 20, 16, 200_000


@T.prim_func(s_tir=True)
def dots(x: T.Buffer((16,), "uint32"), w: T.Buffer((16,), "int32"), y: T.Buffer((20, 16), "int32")) -> None:
    """STEPS rounds of 20 independent ``vpdpbusd`` of 16 pixels x 4 channels."""
    T.func_attr({"global_symbol": "dots", "tirx.noalias": True})
    with T.sblock("root"):
        T.reads(x[0:16], w[0:16])
        T.writes(y[0:20, 0:16])
        for _ in T.serial(0, 200_000):
            for c in T.unroll(0, 20):
                y[c, T.ramp(T.int32(0), 1, 16)] = T.call_llvm_pure_intrin(
                    T.llvm_lookup_intrinsic_id("llvm.x86.avx512.vpdpbusd.512"), y.vload([c, 0], dtype="int32x16"),
                    T.reinterpret(x.vload([0], dtype="uint32x16"), dtype="uint8x64"),
                    T.reinterpret(w.vload([0], dtype="int32x16"), dtype="int8x64"), dtype="int32x16")


def vnni_ceiling() -> float:
    """GMAC/s of one core with AVX512-VNNI, the best of 20 tries."""
    target = tvm.target.Target({"kind": "llvm", "mcpu": "icelake-server", "num-cores": 1})
    library = tvm.compile(tvm.IRModule({"dots": dots}), target=target)
    arrays = [np.ones(LANES, "uint32"), np.ones(LANES, "int32"), np.zeros((ACCUMULATORS, LANES), "int32")]
    arguments = [tvm.runtime.tensor(array) for array in arrays]
    seconds = library.mod.time_evaluator("dots", tvm.cpu(), number=1, repeat=20)(*arguments).results
    return STEPS * ACCUMULATORS * LANES * 4 / min(seconds) / 1e9


if __name__ == "__main__":
    print(f"{vnni_ceiling():.0f} GMAC/s")
