"""AVX512-VNNI: ``vpdpbusd`` multiplies 16 pixels x 4 unsigned codes with 4 broadcast signed weights; exact in int32."""

from __future__ import annotations

from tvm.s_tir import TensorIntrin
from tvm.script import tirx as T

from toolchain.kernels.intrinsics.dot import Dot, dot_function
from toolchain.kernels.intrinsics.x86_pack import AVX512, packer

NAME = "clipfree.dot.avx512vnni"


def make() -> Dot:
    """Register the intrinsic and describe it."""

    @T.prim_func(s_tir=True)
    def dot(
        A: T.Buffer((16,), "uint32", offset_factor=1),
        B: T.Buffer((4,), "int8", offset_factor=1),
        C: T.Buffer((16,), "int32", offset_factor=1, scope="local"),
    ) -> None:
        with T.sblock("root"):
            T.reads(C[0:16], A[0:16], B[0:4])
            T.writes(C[0:16])
            # LLVM 22 takes <64 x i8> operands where the intrinsic stocked by TVM passes <16 x i32>.
            C[T.ramp(T.int32(0), 1, 16)] = T.call_llvm_pure_intrin(
                T.llvm_lookup_intrinsic_id("llvm.x86.avx512.vpdpbusd.512"),
                C.vload([0], dtype="int32x16"),
                T.reinterpret(A.vload([0], dtype="uint32x16"), dtype="uint8x64"),
                T.reinterpret(T.broadcast(T.reinterpret(B.vload([0], "int8x4"), dtype="int32"), 16), dtype="int8x64"),
                dtype="int32x16")

    TensorIntrin.register(NAME, dot_function(16, "int8"), dot, override=True)
    return Dot("avx512vnni", 16, "int8", False, NAME, vectors=1, channels=8, columns=32, registers=32,
               pack=packer(AVX512))
