"""What an instruction set contributes to the convolution template."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm.script import tirx as T
from tvm.tirx import PrimFunc

from toolchain.kernels.epilogue import pack_codes
from toolchain.kernels.spec import Requantize


@dataclass(frozen=True)
class Dot:
    """A dot product of ``lanes`` pixels x 4 channels with one group of 4 weights, accumulated in int32.

    Attributes:
        name: the instruction set, as targets name it.
        lanes: pixels per vector register.
        weight_dtype: how weights are stored, "int8" or "int16".
        paired: the four weights are stored in the order 0, 2, 1, 3 (see `weight_position`).
        intrinsic: name under which it is registered with TVM's tensorize; None: left to LLVM's vectorizer.
        vectors: default number of pixel vectors per register tile.
        channels: default number of output channels per register tile.
        columns: pixels in a column tile of a network's tensors, a multiple of ``lanes``: widths are rounded up to it.
        registers: vector registers there are: a tile with more accumulators would keep them in memory.
        pack: four float32 vectors of ``lanes`` pixels, one a channel, clamped, rounded and packed into words, see
            `toolchain.kernels.epilogue.pack_codes`.
    """

    name: str
    lanes: int
    weight_dtype: str
    paired: bool
    intrinsic: str | None
    vectors: int
    channels: int
    columns: int
    registers: int
    pack: Callable[[list[Any], Requantize], Any] = pack_codes


def weight_position(k: Any, paired: bool) -> Any:
    """Where the weight of channel ``k`` (0..3, a number or a TVM expression) of a group of four is stored."""
    return k % 2 * 2 + k // 2 if paired else k


def description(lanes: int, weight_dtype: str, *, paired: bool) -> PrimFunc:
    """C[i] += sum_k byte_k(A[i]) * B[k]: what a dot product means, in the words tensorize compares with a kernel."""

    @T.prim_func(s_tir=True)
    def dot(
        A: T.Buffer((lanes,), "uint32", offset_factor=1),
        B: T.Buffer((4,), weight_dtype, offset_factor=1),
        C: T.Buffer((lanes,), "int32", offset_factor=1, scope="local"),
    ) -> None:
        with T.sblock("root"):
            T.reads(C[0:lanes], A[0:lanes], B[0:4])
            T.writes(C[0:lanes])
            for i in T.serial(0, lanes):
                for k in T.serial(0, 4):
                    with T.sblock("update"):
                        vi, vk = T.axis.remap("SR", [i, k])
                        T.reads(C[vi], A[vi], B[weight_position(vk, paired)])
                        T.writes(C[vi])
                        C[vi] = C[vi] + T.cast(
                            T.bitwise_and(T.shift_right(A[vi], T.cast(vk, "uint32") * T.uint32(8)), T.uint32(255)),
                            "int32") * T.cast(B[weight_position(vk, paired)], "int32")

    return dot
