"""AVX2 and SSE4: ``pmaddwd`` on 16-bit operands, exact.

``vpmaddubsw`` would take bytes directly, but it adds two products with 16-bit saturation: 255*127 + 255*127 does not
fit. Here the four codes of a word are split into the pairs (0, 2) and (1, 3) of 16-bit numbers by a mask and a shift,
which the compiler shares between the output channels of a register tile; each pair costs one ``pmaddwd`` and one add.
"""

from __future__ import annotations

import functools
from typing import Any

from tvm import tirx
from tvm.s_tir import TensorIntrin
from tvm.script import tirx as T

from toolchain.kernels.intrinsics.dot import Dot, dot_function
from toolchain.kernels.intrinsics.instruction_set import InstructionSet
from toolchain.kernels.intrinsics.x86_pack import AVX2, SSE4, Instructions, packer


def _make(name: str, instructions: Instructions, instruction: str) -> Dot:
    lanes, half = instructions.lanes, 2 * instructions.lanes

    @T.prim_func(s_tir=True)
    def dot(
        A: T.Buffer((lanes,), "uint32", offset_factor=1),
        B: T.Buffer((4,), "int16", offset_factor=1),
        C: T.Buffer((lanes,), "int32", offset_factor=1, scope="local"),
    ) -> None:
        with T.sblock("root"):
            T.reads(C[0:lanes], A[0:lanes], B[0:4])
            T.writes(C[0:lanes])
            C[T.ramp(T.int32(0), 1, lanes)] = (
                C.vload([0], dtype=f"int32x{lanes}")
                + T.call_llvm_pure_intrin(
                    T.llvm_lookup_intrinsic_id(instruction),
                    T.reinterpret(
                        T.bitwise_and(A.vload([0], dtype=f"uint32x{lanes}"), T.broadcast(T.uint32(0x00FF00FF), lanes)),
                        dtype=f"int16x{half}",
                    ),
                    T.reinterpret(
                        T.broadcast(T.reinterpret(B.vload([0], "int16x2"), dtype="int32"), lanes), dtype=f"int16x{half}"
                    ),
                    dtype=f"int32x{lanes}",
                )
                + T.call_llvm_pure_intrin(
                    T.llvm_lookup_intrinsic_id(instruction),
                    T.reinterpret(
                        T.bitwise_and(
                            T.shift_right(A.vload([0], dtype=f"uint32x{lanes}"), T.broadcast(T.uint32(8), lanes)),
                            T.broadcast(T.uint32(0x00FF00FF), lanes),
                        ),
                        dtype=f"int16x{half}",
                    ),
                    T.reinterpret(
                        T.broadcast(T.reinterpret(B.vload([2], "int16x2"), dtype="int32"), lanes), dtype=f"int16x{half}"
                    ),
                    dtype=f"int32x{lanes}",
                )
            )

    intrinsic = f"clipfree.dot.{name}"
    TensorIntrin.register(intrinsic, dot_function(lanes, "int16", paired=True), dot, override=True)

    def pairs(sums: Any, left: Any, right: Any) -> Any:
        products = tirx.call_llvm_pure_intrin(f"int32x{lanes}", instruction, left, right)
        return sums + tirx.reinterpret(f"uint32x{lanes}", products)

    return Dot(
        name,
        lanes,
        "int16",
        True,
        intrinsic,
        vectors=2,
        channels=4,
        columns=4 * lanes,
        registers=16,
        pack=packer(instructions),
        pairs=pairs,
    )


INSTRUCTION_SETS = (
    # Eight pixels a register.
    InstructionSet("avx2", ("avx2",), functools.partial(_make, "avx2", AVX2, "llvm.x86.avx2.pmadd.wd")),
    # Four pixels a register; every x86-64 processor since 2008.
    InstructionSet("sse4", ("ssse3",), functools.partial(_make, "sse4", SSE4, "llvm.x86.sse2.pmadd.wd")),
)
