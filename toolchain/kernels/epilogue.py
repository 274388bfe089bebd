"""Requantization as TVM expressions: the formulas of docs/decisions/0003, bit for bit those of the NumPy reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import tvm
from tvm import tirx
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.layout import PACK
from toolchain.kernels.spec import Add, Addend, Bounds, Operand, Requantize, Slopes, Stage, View

MAGIC = 12582912.0
"""1.5 * 2**23: adding it to a float32 of small magnitude rounds half to even and leaves the integer in the low bits."""


def real(value: float) -> Any:
    """Return a float32 constant."""
    return tirx.const(value, "float32")


def word(value: int) -> Any:
    """Return a uint32 constant."""
    return tirx.const(value, "uint32")


def lanes(value: Any) -> int:
    """Return numbers in a vector expression; 1 for a scalar."""
    return int(tvm.DataType(str(value.ty.dtype)).lanes)


def cast(kind: str, value: Any) -> Any:
    """Convert a scalar or vector to ``kind`` (a scalar type's name)."""
    return tirx.Cast(typed(kind, value), value)


def typed(kind: str, value: Any) -> str:
    """Return the type of as many ``kind`` as ``value`` has lanes."""
    return kind if lanes(value) == 1 else f"{kind}x{lanes(value)}"


def fence(value: Any) -> Any:
    """Keep LLVM from contracting the multiplication in ``value`` with a later addition into one FMA, whose single
    rounding would change bits.
    """
    return tirx.call_llvm_pure_intrin(typed("float32", value), "llvm.arithmetic.fence", value)


def code_bits(value: Any, requantize: Requantize) -> Any:
    """Clamp, round and offset a float32: an int32 of which the low eight, or sixteen, bits are the code."""
    bounded = tirx.max(tirx.min(value, real(requantize.high)), real(requantize.low))
    bits = tirx.reinterpret(typed("int32", value), bounded + real(MAGIC))
    return bits + tirx.const(requantize.zero_point, "int32") if requantize.zero_point else bits


def activate(acc: Any, multiplier: Any, slope: Any | None, residual_code: Any | None, requantize: Requantize) -> Any:
    """float32 value before the clamp, from the int32 accumulator (bias included) and the residual's int32 code."""

    def add(value: Any, operand: Addend) -> Any:
        assert isinstance(operand, Operand)
        return fence(value) + fence(dequantize(residual_code, operand.zero_point, operand.multiplier))

    return follow(cast("float32", acc) * multiplier, requantize.stages, [slope], add)


Adding: TypeAlias = Callable[[Any, Addend], Any]


def follow(value: Any, stages: Sequence[Stage], slopes: Sequence[Any], add: Adding | None = None) -> Any:
    """Put a float, or a vector of them, of one channel through ``stages``.

    Args:
        value: what they begin with.
        stages: one after the other.
        slopes: of the channel, one for each stage that has slopes.
        add: adds an operand's number to a value, where a stage does so.
    """
    bends = iter(slopes)
    for stage in stages:
        match stage:
            case Slopes():
                value = bend(value, next(bends))
            case Bounds(low, high):
                if low > -math.inf:
                    value = tirx.max(value, number(low, value))
                if high < math.inf:
                    value = tirx.min(value, number(high, value))
            case Add(operand):
                assert add is not None
                value = add(value, operand)
    return value


def bend(value: Any, slope: Any) -> Any:
    """``value``, multiplied by ``slope`` where it is negative."""
    return tirx.Select(value < number(0.0, value), value * slope, value)


def number(constant: float, value: Any) -> Any:
    """Return a constant of the type of one of the numbers of ``value``."""
    return tirx.const(constant, str(value.ty.dtype).partition("x")[0])


def dequantize(code: Any, zero_point: int, multiplier: float) -> Any:
    """float32(code - zero point) * multiplier for an int32 ``code``."""
    return cast("float32", code - tirx.const(zero_point, "int32")) * real(multiplier)


def flipped(words: Any, offset: int) -> Any:
    """Return words as they lie in memory from words of codes, or back, where codes are stored less ``offset`` (0 or
    128): as signed bytes, of which the top bit is the other one.
    """
    if not offset:
        return words
    mask = word(0x01010101 * offset)
    return tirx.bitwise_xor(words, mask if lanes(words) == 1 else tirx.Broadcast(mask, lanes(words)))


def outside_word(zero_point: int, offset: int) -> Any:
    """Return a word of zero points as it lies in memory, see `flipped`."""
    return word((zero_point ^ offset) * 0x01010101)


def within(first: Any, width: Any, lanes: int) -> Any:
    """Return for each of ``lanes`` columns from ``first`` on whether it is within the picture's width."""
    column = tirx.Ramp(tirx.Cast("int32", first), 1, lanes)
    return column < tirx.Broadcast(tirx.Cast("int32", width), lanes)


def bordered(words: Any, zero_point: int, inside: Any, offset: int) -> Any:
    """Return a word, or a vector of them, of codes as it lies in memory: zero points where it is not ``inside``."""
    outside = outside_word(zero_point, offset)
    count = lanes(words)
    return tirx.Select(inside, flipped(words, offset), outside if count == 1 else tirx.Broadcast(outside, count))


def extract(packed: Any, position: Any) -> Any:
    """Return the code at byte ``position`` (0..3, a number or a TVM expression) of a word, as int32."""
    shift = word(8 * position) if isinstance(position, int) else tirx.Cast("uint32", position * 8)
    return cast("int32", (packed >> shift) & word(255))


def combine(bits: list[Any]) -> Any:
    """Return four int32, of which the low bytes count, as one word."""
    words = [cast("uint32", b) for b in bits]
    packed = words[0] & word(255)
    packed = packed | ((words[1] & word(255)) << word(8))
    packed = packed | ((words[2] & word(255)) << word(16))
    return packed | (words[3] << word(24))


@dataclass(frozen=True)
class Packing:
    """How four float32 vectors, one a channel, are clamped, rounded and packed.

    Attributes:
        bytes: to words of codes of 8 bits.
        halves: to words of the high bytes, and of the low bytes, of codes of 16 bits.
    """

    bytes: Callable[[list[Any], Requantize], Any]
    halves: Callable[[list[Any], Requantize], tuple[Any, Any]]


def pack_words(values: list[Any], requantize: Requantize, view: View, packing: Packing) -> tuple[Any, ...]:
    """Return four float32 vectors, one a channel, clamped, rounded and packed into words for each of ``view``'s
    planes.
    """
    return packing.halves(values, requantize) if view.wide else (packing.bytes(values, requantize),)


def code_at(read: Callable[[Any], Any], view: View, block: Any, position: Any) -> Any:
    """Return the code at ``position`` of a word of block ``block`` of ``view`` as int32, where ``read`` gives the words
    of a buffer's block.
    """
    code = extract(read(view.start + block), position)
    return code * tirx.const(256, "int32") + extract(read(view.low + block), position) if view.wide else code


def residual_code(read: Callable[[Any], Any], residual: Operand, blocks: int, b: Any, p: int) -> Any:
    """Return the residual's codes as int32 for output channel 4*b + p, of ``blocks`` blocks, where ``read`` gives the
    words of a block of its buffer.
    """
    if residual.divide == 1 and residual.modulo == residual.view.count * PACK == blocks * PACK:
        return code_at(read, residual.view, b, p)
    slot = (b * PACK + p) // residual.divide % residual.modulo
    return code_at(read, residual.view, 0 if residual.view.count == 1 else slot // PACK, slot % PACK)


def pack_wide(values: list[Any], requantize: Requantize) -> tuple[Any, Any]:
    """Return four float32 vectors, one a channel, clamped, rounded and packed into words of high bytes and of low
    bytes.
    """
    return split([code_bits(value, requantize) for value in values])


def split(codes: list[Any]) -> tuple[Any, Any]:
    """Return four int32, of which the low sixteen bits count, as a word of high bytes and one of low bytes. What both
    are made of is named, here: LLVM does not see that all of it is the same.
    """
    bits = [cast("uint32", code) for code in codes]
    even, odd = (T.bind((a & word(0xFFFF)) | (b << word(16))) for a, b in zip(bits[:2], bits[2:], strict=True))
    bytes_ = word(0x00FF00FF)
    high = ((even >> word(8)) & bytes_) | (odd & word(0xFF00FF00))
    return high, (even & bytes_) | ((odd & bytes_) << word(8))


def pack_codes(values: list[Any], requantize: Requantize) -> Any:
    """Return four float32 vectors, one a channel, clamped, rounded and packed into words: plain arithmetic, any
    processor.
    """
    return combine([code_bits(value, requantize) for value in values])


PLAIN = Packing(pack_codes, pack_wide)
"""Plain arithmetic, on vectors or on single numbers."""
