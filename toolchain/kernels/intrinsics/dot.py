"""What an instruction set contributes to the convolution template."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T
from tvm.tirx import PrimFunc

from toolchain.kernels.epilogue import PLAIN, Packing
from toolchain.kernels.intrinsics.byte_table import ByteTable
from toolchain.kernels.layout import PACK

Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Pairs:
    """Sums of products of 16-bit numbers of two channels, as TVM expressions.

    Attributes:
        multiply_add: sums uint32 (lanes,), numbers int16 (2 * lanes,), the weights of an output channel, to the sums.
        arranged: numbers int16 (2 * lanes,), the two of each lane side by side, in the order that ``multiply_add``
            takes them in.
        by_element: weights are taken out of a vector of those for four output channels: the vector int16 (8,) and the
            channel. Else they are spread, int16 (2 * lanes,).
        vectors, channels: of the default tile, the latter at most.
        fewest: input channels of a group from which Winograd is the default: with fewer, transforms take longer than
            the products they save.
    """

    multiply_add: Callable[[Any, Any, Any], Any]
    arranged: Callable[[Any], Any] = lambda numbers: numbers
    by_element: bool = False
    vectors: int = 2
    channels: int = PACK
    fewest: int = 0


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
        brief: the same for sums of few words (`toolchain.kernels.tile.BRIEF`); None: no other number.
        channels: default number of output channels per register tile.
        columns: pixels in a column tile of a network's tensors, a multiple of ``lanes``: widths are rounded up to it.
        registers: vector registers there are: a tile with more accumulators would keep them in memory.
        pack: how vectors of ``lanes`` pixels, one a channel, are clamped, rounded and packed into words.
        table: looks bytes up in tables of 256; None: there is no such instruction.
        together: output channels that the intrinsic computes at once, 1 or 4; their weights are stored side by side.
        reduce: default outer loop of a sum, see `toolchain.kernels.tile.Tile`.
        symmetric: name of a faster intrinsic for weights of which none is -128; None: there is none.
        offset: codes are stored less this number: 128 where the instruction wants signed bytes, else 0.
        depth: codes of a pixel that it multiplies at once.
        whole_taps: loops over taps are unrolled whatever the tile says.
        pairs: what `toolchain.kernels.winograd` sums up by; None where it has nothing to gain.
        pointwise: 1x1 kernels do a row for some channels before the next ones, with their sums unrolled.
        bytes: a dot product by instructions that add two products in 16 bits, faster and exact where no two
            neighbouring weights exceed them; None: there are none, or they are not faster.
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
    pack: Packing = PLAIN
    table: ByteTable | None = None
    together: int = 1
    offset: int = 0
    reduce: Literal["taps", "blocks"] = "taps"
    symmetric: str | None = None
    depth: int = PACK
    whole_taps: bool = False
    pairs: Pairs | None = None
    brief: int | None = None
    pointwise: bool = False
    bytes: Dot | None = None

    def stored(self, weights: Integers) -> Integers:
        """Return weights (channels, channels in / groups, kh, kw) as kernels take them: (channels / together, blocks in
        / groups, kh, kw, together * 4), both numbers of channels being multiples of four.
        """
        channels, inputs, kh, kw = weights.shape
        order = [0, 2, 1, 3] if self.paired else [0, 1, 2, 3]
        split = weights.reshape(channels // self.together, self.together, inputs // PACK, PACK, kh, kw)
        laid = split[:, :, :, order].transpose(0, 2, 4, 5, 1, 3)
        shape = self.weight_shape(channels, inputs // PACK, (kh, kw))
        return np.ascontiguousarray(laid.reshape(shape).astype(self.weight_dtype))

    def weight_shape(self, channels: int, blocks: int, kernel: tuple[int, int]) -> tuple[int, int, int, int, int]:
        """Return the shape of `stored` weights of ``channels`` output channels, each over ``blocks`` blocks of input
        channels.
        """
        return channels // self.together, *self.steps(blocks, kernel), self.together * self.depth

    def steps(self, blocks: int, kernel: tuple[int, int]) -> tuple[int, int, int]:
        """Return the extents of the loops of a sum: blocks of input channels, rows of taps, and taps of a row."""
        return blocks, *kernel

    def place(self, channel: Any, k: Any) -> tuple[Any, Any]:
        """Return the first and last index of the weight of output ``channel`` for channel ``k`` (0..3) of a block, in
        `stored` weights; numbers or TVM expressions.
        """
        return channel // self.together, channel % self.together * PACK + weight_position(k, self.paired)

    def folded(
        self, bias: Integers, weights: Integers, zero_point: int, *, wide: bool = False, low: int | None = None
    ) -> npt.NDArray[np.int32]:
        """Return the start values of the sums over codes as they are stored, given those over codes less
        ``zero_point``; of ``wide`` ones, codes of 16 bits, each byte of which is stored less ``offset``. ``low``: of
        how many of a group's channels, the first ones, low bytes are read, those of the others being the zero point's;
        None: of all.

        They may wrap around: sums do so too, and end where they belong.
        """
        sums = weights.astype(np.int64).sum(axis=(1, 2, 3))
        offset = self.offset * (257 if wide else 1)
        starts: npt.NDArray[np.int64] = bias.astype(np.int64) - (zero_point - offset) * sums
        if wide and low is not None:
            starts += (zero_point % 256 - self.offset) * weights[:, low:].astype(np.int64).sum(axis=(1, 2, 3))
        return starts.astype(np.int32)


def weight_position(k: Any, paired: bool) -> Any:
    """Return where the weight of channel ``k`` (0..3, a number or a TVM expression) of a group of four is stored."""
    return k % 2 * 2 + k // 2 if paired else k


def byte_of(word: Any, k: Any, offset: int) -> Any:
    """Return byte ``k`` of ``word`` as int32, in the words tensorize compares; a signed one where there is an
    ``offset``.
    """
    byte = word >> (tirx.Cast("uint32", k) * tirx.const(8, "uint32"))
    return tirx.Cast("int32", tirx.Cast("int8", byte) if offset else byte & tirx.const(255, "uint32"))


Body = Callable[[Any, Any, Any], None]
"""Writes the instructions that add to C, given the buffers A, B and C."""


def dot_function(
    lanes: int, weight_dtype: str, body: Body | None = None, *, paired: bool = False, together: int = 1, offset: int = 0
) -> PrimFunc:
    """C[o, i] += sum_k byte_k(A[i]) * B[o, k] for ``together`` channels o and ``lanes`` pixels i.

    Without a ``body``: what a dot product means, in the words tensorize compares with a kernel.
    """
    wide = together > 1
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("dot")
        a = T.arg("A", T.Buffer((lanes,), "uint32", offset_factor=1))
        b = T.arg("B", T.Buffer((together * PACK,), weight_dtype, offset_factor=1))
        shape, strides = ((together, lanes), [tirx.Var("stride", "int64"), 1]) if wide else ((lanes,), None)
        c = T.arg("C", T.Buffer(shape, "int32", strides=strides, offset_factor=1, scope="local"))
        with T.sblock("root"):
            everything = c[0:together, 0:lanes] if wide else c[0:lanes]
            T.reads(everything, a[0:lanes], b[0 : together * PACK])
            T.writes(everything)
            if body is not None:
                body(a, b, c)
            else:
                with T.grid(*([together] * wide), lanes, PACK) as loops, T.sblock("update"):
                    *outer, i, k = T.axis.remap("S" * wide + "SR", loops)
                    index = outer[0] * PACK if wide else 0
                    weight = b[index + weight_position(k, paired)]
                    T.reads(c[(*outer, i)], a[i], weight)
                    T.writes(c[(*outer, i)])
                    value = c[(*outer, i)] + byte_of(a[i], k, offset) * tirx.Cast("int32", weight)
                    T.buffer_store(c, value, [*outer, i])
    return builder.get()
