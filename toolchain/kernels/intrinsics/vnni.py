"""VNNI: ``vpdpbusd`` multiplies 4 unsigned codes of each pixel with 4 broadcast signed weights; exact in int32. Half as
many products of 16 bits are what ``vpdpwssd`` makes: it sums up Winograd's.

AVX512-VNNI has it for 16 pixels, AVX-VNNI, in processors without AVX-512, for eight.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.s_tir import TensorIntrin
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.intrinsics.byte_table import PERMUTES, ByteTable, by_shuffles
from toolchain.kernels.intrinsics.dot import Dot, Pairs, dot_function
from toolchain.kernels.intrinsics.instruction_set import InstructionSet
from toolchain.kernels.intrinsics.x86_pack import AVX2, AVX512, Instructions, packer
from toolchain.kernels.layout import PACK

MultiplyAdd = Callable[[Any, Any, Any], Any]
"""An instruction as TVM expressions: sums int32 (lanes,) and two vectors of as many bits, to the sums with the products
of neighbours added: of every four uint8 with four int8, or of every two int16."""


@dataclass(frozen=True)
class Products:
    """The instructions of VNNI on ``lanes`` 32-bit numbers.

    Attributes:
        lanes: sums in a vector.
        bytes: ``vpdpbusd``.
        halves: ``vpdpwssd``.
    """

    lanes: int
    bytes: MultiplyAdd
    halves: MultiplyAdd


def products(lanes: int) -> Products:
    """Return the instructions on ``lanes`` 32-bit numbers, in AVX-512's encoding."""

    def instruction(name: str) -> MultiplyAdd:
        # LLVM 22 takes <64 x i8> operands where the intrinsic stocked by TVM passes <16 x i32>.
        return lambda *operands: tirx.call_llvm_pure_intrin(
            f"int32x{lanes}", f"llvm.x86.avx512.{name}.{32 * lanes}", *operands
        )

    return Products(lanes, instruction("vpdpbusd"), instruction("vpdpwssd"))


def make(
    name: str,
    instructions: Instructions,
    multiply: Products,
    *,
    registers: int,
    vectors: int,
    fewest: int,
    tile: int = PACK,
    table: ByteTable | None = None,
) -> Dot:
    """Register the intrinsic of instruction set ``name`` with TVM and describe it; Winograd is the default from
    ``fewest`` input channels on, with ``tile`` output channels at most. ``table``: where there are better ones than
    shuffles.
    """
    lanes, intrinsic = instructions.lanes, f"clipfree.dot.{name}"

    def body(a: Any, b: Any, c: Any) -> None:
        weights = tirx.Broadcast(tirx.reinterpret("int32", b.vload([0], "int8x4")), lanes)
        sums = multiply.bytes(
            c.vload([0], f"int32x{lanes}"),
            tirx.reinterpret(f"uint8x{4 * lanes}", a.vload([0], f"uint32x{lanes}")),
            tirx.reinterpret(f"int8x{4 * lanes}", weights),
        )
        T.buffer_store(c, sums, [tirx.Ramp(0, 1, lanes)])

    def pairs(sums: Any, left: Any, right: Any) -> Any:
        found = multiply.halves(tirx.reinterpret(f"int32x{lanes}", sums), left, right)
        return tirx.reinterpret(f"uint32x{lanes}", found)

    TensorIntrin.register(intrinsic, dot_function(lanes, "int8"), dot_function(lanes, "int8", body), override=True)
    return Dot(
        name,
        lanes,
        "int8",
        False,
        intrinsic,
        vectors=vectors,
        brief=2,
        channels=4,
        columns=4 * lanes,
        registers=registers,
        pack=packer(instructions),
        table=table or by_shuffles(lanes, instructions.shuffle),
        reduce="blocks",
        pairs=Pairs(pairs, channels=tile, fewest=fewest),
    )


make_avx512 = functools.partial(make, registers=32, vectors=4, fewest=32, tile=3 * PACK)
"""Make the dot product of 512-bit registers."""

make_avx = functools.partial(make, registers=16, vectors=2, fewest=16)
"""Make the dot product of 256-bit registers."""

INSTRUCTION_SETS = (
    # Intel since Ice Lake, AMD since Zen 4.
    InstructionSet(
        "avx512vnni",
        ("avx512vnni", "avx512bw", "avx512vbmi"),
        functools.partial(make_avx512, "avx512vnni", AVX512, products(16), table=PERMUTES),
    ),
    # Intel's Cascade Lake and Cooper Lake: tables by shuffles, as they cannot permute bytes.
    InstructionSet(
        "avx512vnni-bw",
        ("avx512vnni", "avx512bw"),
        functools.partial(make_avx512, "avx512vnni-bw", AVX512, products(16)),
    ),
    # Intel since Alder Lake, AMD since Zen 5.
    InstructionSet("avxvnni", ("avxvnni",), functools.partial(make_avx, "avxvnni", AVX2, products(8))),
)
