"""AVX2 and SSE4: ``pmaddwd`` on 16-bit operands, exact.

``pmaddubsw`` takes bytes directly, but it adds two products with 16-bit saturation: 255*127 + 255*127 does not fit. So
the four codes of a word are split into the pairs (0, 2) and (1, 3) of 16-bit numbers by a mask and a shift, which the
compiler shares between the output channels of a register tile; each pair costs one ``pmaddwd`` and one add.

Where no two neighbouring weights saturate, the sums of ``pmaddubsw`` are exact too: one ``pmaddwd`` with ones adds its
two sums of a word, and one add is left of two, and nothing to split (`Dot.bytes`).
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from tvm import tirx
from tvm.s_tir import TensorIntrin
from tvm.script import tirx as T
from tvm.script.ir_builder import tirx as B

from toolchain.kernels.intrinsics.byte_table import by_shuffles
from toolchain.kernels.intrinsics.dot import Dot, Pairs, dot_function
from toolchain.kernels.intrinsics.instruction_set import InstructionSet
from toolchain.kernels.intrinsics.x86_pack import AVX2, SSE4, Instructions, packer


def _make(name: str, instructions: Instructions, instruction: str, of_bytes: str, *, pointwise: bool = False) -> Dot:
    lanes, half = instructions.lanes, 2 * instructions.lanes

    @T.prim_func(s_tir=True)
    def of_halves(
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
    TensorIntrin.register(intrinsic, dot_function(lanes, "int16", paired=True), of_halves, override=True)

    def pairs(sums: Any, left: Any, right: Any) -> Any:
        products = tirx.call_llvm_pure_intrin(f"int32x{lanes}", instruction, left, right)
        return sums + tirx.reinterpret(f"uint32x{lanes}", products)

    def multiply_bytes(a: Any, b: Any, c: Any) -> None:
        weights = tirx.Broadcast(tirx.reinterpret("int32", b.vload([0], "int8x4")), lanes)
        codes = tirx.reinterpret(f"uint8x{2 * half}", a.vload([0], f"uint32x{lanes}"))
        weights = tirx.reinterpret(f"int8x{2 * half}", weights)
        sums = tirx.call_llvm_pure_intrin(f"int16x{half}", of_bytes, codes, weights)
        ones = tirx.Broadcast(tirx.const(1, "int16"), half)
        words = tirx.call_llvm_pure_intrin(f"int32x{lanes}", instruction, sums, ones)
        B.buffer_store(c, c.vload([0], f"int32x{lanes}") + words, [tirx.Ramp(0, 1, lanes)])

    safe = f"{intrinsic}.bytes"
    meaning, body = dot_function(lanes, "int8"), dot_function(lanes, "int8", multiply_bytes)
    TensorIntrin.register(safe, meaning, body, override=True)
    dot = Dot(
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
        table=by_shuffles(lanes, instructions.shuffle),
        pairs=Pairs(pairs),
        pointwise=pointwise,
    )
    return replace(dot, bytes=replace(dot, weight_dtype="int8", paired=False, intrinsic=safe))


INSTRUCTION_SETS = (
    # Eight pixels a register.
    InstructionSet(
        "avx2", ("avx2",), functools.partial(_make, "avx2", AVX2, "llvm.x86.avx2.pmadd.wd", "llvm.x86.avx2.pmadd.ub.sw")
    ),
    # Four pixels a register; every x86-64 processor since 2008.
    InstructionSet(
        "sse4",
        ("ssse3", "sse4.1"),
        functools.partial(
            _make, "sse4", SSE4, "llvm.x86.sse2.pmadd.wd", "llvm.x86.ssse3.pmadd.ub.sw.128", pointwise=True
        ),
    ),
)
