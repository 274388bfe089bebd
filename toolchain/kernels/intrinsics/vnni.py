"""VNNI: ``vpdpbusd`` multiplies 4 unsigned codes of each pixel with 4 broadcast signed weights; exact in int32.

AVX512-VNNI has it for 16 pixels, AVX-VNNI, in processors without AVX-512, for eight.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.s_tir import TensorIntrin
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.intrinsics.dot import Dot, dot_function
from toolchain.kernels.intrinsics.instruction_set import InstructionSet
from toolchain.kernels.intrinsics.x86_pack import AVX2, AVX512, Instructions, packer

MultiplyAdd = Callable[[Any, Any, Any], Any]
"""The instruction as TVM expressions: sums int32 (lanes,), codes uint8 (4 * lanes,) and weights int8 (4 * lanes,) to
the sums with the products of every four neighbours added."""


def vpdpbusd(lanes: int) -> MultiplyAdd:
    """The instruction on ``lanes`` 32-bit numbers, in AVX-512's encoding."""

    def multiply_add(sums: Any, codes: Any, weights: Any) -> Any:
        # LLVM 22 takes <64 x i8> operands where the intrinsic stocked by TVM passes <16 x i32>.
        return tirx.call_llvm_pure_intrin(
            f"int32x{lanes}", f"llvm.x86.avx512.vpdpbusd.{32 * lanes}", sums, codes, weights
        )

    return multiply_add


def make(name: str, instructions: Instructions, multiply_add: MultiplyAdd, *, registers: int) -> Dot:
    """Register the intrinsic of instruction set ``name`` with TVM and describe it."""
    lanes, intrinsic = instructions.lanes, f"clipfree.dot.{name}"

    def body(a: Any, b: Any, c: Any) -> None:
        weights = tirx.Broadcast(tirx.reinterpret("int32", b.vload([0], "int8x4")), lanes)
        sums = multiply_add(
            c.vload([0], f"int32x{lanes}"),
            tirx.reinterpret(f"uint8x{4 * lanes}", a.vload([0], f"uint32x{lanes}")),
            tirx.reinterpret(f"int8x{4 * lanes}", weights),
        )
        T.buffer_store(c, sums, [tirx.Ramp(0, 1, lanes)])

    TensorIntrin.register(intrinsic, dot_function(lanes, "int8"), dot_function(lanes, "int8", body), override=True)
    return Dot(
        name,
        lanes,
        "int8",
        False,
        intrinsic,
        vectors=1,
        channels=8,
        columns=2 * lanes,
        registers=registers,
        pack=packer(instructions),
    )


INSTRUCTION_SETS = (
    # Intel since Ice Lake, AMD since Zen 4.
    InstructionSet(
        "avx512vnni",
        ("avx512vnni", "avx512bw"),
        functools.partial(make, "avx512vnni", AVX512, vpdpbusd(16), registers=32),
    ),
    # Intel since Alder Lake, AMD since Zen 5.
    InstructionSet("avxvnni", ("avxvnni",), functools.partial(make, "avxvnni", AVX2, vpdpbusd(8), registers=16)),
)
