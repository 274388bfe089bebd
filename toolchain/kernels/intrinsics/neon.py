"""Arm's NEON: dot products of bytes (``sdot``), products of matrices (``usmmla``), and what older cores have instead.

``sdot`` takes four weights out of a register of sixteen, "by element": one intrinsic serves four output channels, and
no weight is spread over a register of its own. ``usmmla`` makes twice as many products, see `toolchain.kernels.matrix`.

Without them, bytes are multiplied to 16 bits, and neighbouring products are added to the sums. That gives one sum a
pixel if the register holds channels 0 and 1 of every pixel, and another one 2 and 3; the compiler shares that
rearrangement among the channels of a register tile. Where no weight is -128, two products are added in 16 bits first:
that saves one instruction of four. Else (-128) * (-128) twice would not fit.

Winograd's products are of 16 bits, and ``smlal`` by element adds four of them to four sums.

Except for ``usmmla`` both factors are signed: codes are stored less 128.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.s_tir import TensorIntrin
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.epilogue import PLAIN, fence
from toolchain.kernels.intrinsics.byte_table import TBL
from toolchain.kernels.intrinsics.dot import Body, Dot, Pairs, dot_function
from toolchain.kernels.intrinsics.instruction_set import InstructionSet
from toolchain.kernels.intrinsics.matrix import MatrixDot
from toolchain.kernels.intrinsics.neon_pack import PACK_NEON, joined, part


def make_dotprod() -> Dot:
    """ARMv8.2 with dot products: Cortex-A55, A76 and all later ones."""
    dot = Dot(
        "neon-dotprod",
        4,
        "int8",
        False,
        "clipfree.dot.neon-dotprod",
        vectors=4,
        channels=4,
        columns=16,
        registers=32,
        pack=PACK_NEON,
        table=TBL,
        together=4,
        offset=128,
        reduce="blocks",
    )

    def body(a: Any, b: Any, c: Any) -> None:
        codes = tirx.reinterpret("int8x16", a.vload([0], "uint32x4"))
        weights = tirx.reinterpret("int32x4", b.vload([0], "int8x16"))
        for channel in range(dot.together):
            spread = tirx.reinterpret("int8x16", tirx.Shuffle([weights], [_index(channel)] * 4))
            sums = _call("int32x4", "llvm.aarch64.neon.sdot", c.vload([channel, 0], "int32x4"), codes, spread)
            T.buffer_store(c, sums, [channel, tirx.Ramp(0, 1, 4)])

    return _registered(dot, body)


def make_i8mm() -> Dot:
    """ARMv8.2 with i8mm: unsigned codes times signed weights, two pixels times two channels at once."""

    def multiply(sums: Any, codes: Any, weights: Any) -> Any:
        return _call("int32x4", "llvm.aarch64.neon.usmmla", sums, codes, weights)

    return MatrixDot(
        "neon-i8mm",
        4,
        "int8",
        False,
        None,
        vectors=4,
        channels=4,
        columns=16,
        registers=32,
        pack=PACK_NEON,
        table=TBL,
        together=2,
        reduce="blocks",
        depth=8,
        whole_taps=True,
        multiply=multiply,
    )


def make_plain() -> Dot:
    """ARMv8.0: Cortex-A53 and A72."""

    def add(sums: Any, products: Any) -> Any:
        # Fenced, or LLVM would first add the pairs of several products: one more instruction for each. On both sides,
        # or sums would be loaded with another type than they are stored with, which keeps them in memory.
        return _fenced(_fenced(sums) + _call("int32x4", "llvm.aarch64.neon.saddlp", products))

    dot = Dot(
        "neon",
        8,
        "int8",
        False,
        "clipfree.dot.neon",
        vectors=2,
        channels=4,
        columns=32,
        registers=16,
        pack=PACK_NEON,
        table=TBL,
        offset=128,
        reduce="blocks",
        symmetric="clipfree.dot.neon.symmetric",
        pairs=_by_element("llvm.aarch64.neon.smull", channels=8),
    )
    return _pairwise(dot, "llvm.aarch64.neon.smull", add)


def make_armv7() -> Dot:
    """ARMv7 with NEON: Cortex-A7 and A9."""

    def add(sums: Any, products: Any) -> Any:
        return _call("int32x4", "llvm.arm.neon.vpadals", sums, products)

    dot = Dot(
        "armv7-neon",
        8,
        "int8",
        False,
        "clipfree.dot.armv7-neon",
        vectors=1,
        channels=4,
        columns=32,
        registers=8,
        pack=PLAIN,
        offset=128,
        reduce="blocks",
        symmetric="clipfree.dot.armv7-neon.symmetric",
        pairs=_by_element("llvm.arm.neon.vmulls", channels=4),
    )
    return _pairwise(dot, "llvm.arm.neon.vmulls", add)


def _by_element(multiply: str, *, channels: int) -> Pairs:
    """Sum up products of 16-bit numbers of eight pixels, a weight taken out of a register of eight: ``smlal``.

    Args:
        multiply: LLVM's name of the instruction that makes four 32-bit products of four numbers.
        channels: of the default tile, at most.
    """

    def arranged(numbers: Any) -> Any:
        """Return all of the first channel, then all of the second."""
        return tirx.Shuffle([numbers], [_index(2 * pixel + channel) for channel in (0, 1) for pixel in range(8)])

    def multiply_add(sums: Any, numbers: Any, weights: tuple[Any, int]) -> Any:
        vector, place = weights
        halves = [part(sums, start, 4) for start in (0, 4)]
        for channel in (0, 1):
            factor = tirx.Shuffle([vector], [_index(2 * place + channel)] * 4)
            for index in (0, 1):
                product = _call("int32x4", multiply, part(numbers, 8 * channel + 4 * index, 4), factor)
                # Fenced, or LLVM would first add the products of both channels to each other.
                total = tirx.reinterpret("int32x4", halves[index] + tirx.reinterpret("uint32x4", product))
                halves[index] = tirx.reinterpret("uint32x4", _fenced(total) if channel == 0 else total)
        return joined(halves)

    return Pairs(multiply_add, arranged, by_element=True, vectors=1, channels=channels, fewest=8)


def _pairwise(dot: Dot, multiply: str, add: Callable[[Any, Any], Any]) -> Dot:
    """Register ``dot``, of eight pixels, and its form for symmetric weights.

    Args:
        dot: to register.
        multiply: LLVM's name of the instruction that makes eight 16-bit products of eight bytes.
        add: adds neighbouring ones of eight products to four sums.
    """

    def body(a: Any, b: Any, c: Any, *, symmetric: bool) -> None:
        words = tirx.reinterpret("int16x16", a.vload([0], "uint32x8"))
        codes = [
            tirx.reinterpret("int8x16", tirx.Shuffle([words], [_index(2 * pixel + half) for pixel in range(8)]))
            for half in (0, 1)
        ]
        pairs = [tirx.reinterpret("int16", b.vload([2 * half], "int8x2")) for half in (0, 1)]
        weights = [tirx.reinterpret("int8x16", tirx.Broadcast(pair, 8)) for pair in pairs]
        for index in (0, 1):
            first, second = (
                _call("int16x8", multiply, part(x, 8 * index, 8), part(w, 8 * index, 8))
                for x, w in zip(codes, weights, strict=True)
            )
            sums = c.vload([4 * index], "int32x4")
            sums = add(sums, first + second) if symmetric else add(add(sums, first), second)
            T.buffer_store(c, sums, [tirx.Ramp(4 * index, 1, 4)])

    assert dot.symmetric is not None
    _register(dot, dot.symmetric, functools.partial(body, symmetric=True))
    return _registered(dot, functools.partial(body, symmetric=False))


def _fenced(value: Any) -> Any:
    """128 bits that LLVM does not look into, as int32x4: its fence is one for floats."""
    return tirx.reinterpret("int32x4", fence(tirx.reinterpret("float32x4", value)))


def _registered(dot: Dot, body: Body) -> Dot:
    assert dot.intrinsic is not None
    _register(dot, dot.intrinsic, body)
    return dot


def _register(dot: Dot, name: str, body: Body) -> None:
    meaning, instructions = (
        dot_function(dot.lanes, "int8", what, together=dot.together, offset=dot.offset) for what in (None, body)
    )
    TensorIntrin.register(name, meaning, instructions, override=True)


def _index(value: int) -> Any:
    return tirx.const(value, "int32")


def _call(dtype: str, instruction: str, *arguments: Any) -> Any:
    return tirx.call_llvm_pure_intrin(dtype, instruction, *arguments)


INSTRUCTION_SETS = (
    InstructionSet("neon-i8mm", ("i8mm",), make_i8mm),
    InstructionSet("neon-dotprod", ("dotprod",), make_dotprod),
    InstructionSet("neon", ("neon",), make_plain),
    InstructionSet("armv7-neon", ("neon",), make_armv7),
)
