"""VNNI: ``vpdpbusd`` multiplies 4 unsigned codes of each pixel with 4 broadcast signed weights; exact in int32.

AVX512-VNNI has it for 16 pixels, AVX-VNNI, in processors without AVX-512, for eight.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.s_tir import TensorIntrin
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.intrinsics.dot import Dot, dot_function
from toolchain.kernels.intrinsics.x86_pack import AVX2, AVX512, packer


def make_avx512() -> Dot:
    """Intel since Ice Lake, AMD since Zen 4."""
    name = _register("avx512vnni", 16)
    return Dot("avx512vnni", 16, "int8", False, name, vectors=1, channels=8, columns=32, registers=32,
               pack=packer(AVX512))


def make_avx() -> Dot:
    """Intel since Alder Lake, AMD since Zen 5."""
    name = _register("avxvnni", 8)
    return Dot("avxvnni", 8, "int8", False, name, vectors=1, channels=8, columns=16, registers=16, pack=packer(AVX2))


def _register(instruction_set: str, lanes: int) -> str:
    def body(a: Any, b: Any, c: Any) -> None:
        weights = tirx.Broadcast(tirx.reinterpret("int32", b.vload([0], "int8x4")), lanes)
        # LLVM 22 takes <64 x i8> operands where the intrinsic stocked by TVM passes <16 x i32>.
        sums = tirx.call_llvm_pure_intrin(
            f"int32x{lanes}", f"llvm.x86.avx512.vpdpbusd.{32 * lanes}", c.vload([0], f"int32x{lanes}"),
            tirx.reinterpret(f"uint8x{4 * lanes}", a.vload([0], f"uint32x{lanes}")),
            tirx.reinterpret(f"int8x{4 * lanes}", weights))  # fmt: skip
        T.buffer_store(c, sums, [tirx.Ramp(0, 1, lanes)])

    name = f"clipfree.dot.{instruction_set}"
    TensorIntrin.register(name, dot_function(lanes, "int8"), dot_function(lanes, "int8", body), override=True)
    return name
