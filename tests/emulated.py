"""The kernels for VNNI on any x86 with AVX2: the same templates, each 512-bit instruction written as two of AVX2.

Everything of a kernel but the instructions themselves runs where the CPU has none of them: layouts, schedules,
epilogues, packing.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from tvm import tirx

from toolchain.kernels.intrinsics import REGISTRY
from toolchain.kernels.intrinsics.instruction_set import InstructionSet
from toolchain.kernels.intrinsics.vnni import Products, make_avx, make_avx512
from toolchain.kernels.intrinsics.x86_pack import AVX2, Instructions
from toolchain.targets import Target, find_target


def products(lanes: int) -> Products:
    """Sums of products of bytes and of 16-bit numbers, by AVX2's products of 16-bit numbers."""

    def of_halves(sums: Any, left: Any, right: Any) -> Any:
        # As they wrap around, which signed sums must not.
        found = tirx.call_llvm_pure_intrin("int32x8", "llvm.x86.avx2.pmadd.wd", left, right)
        return tirx.reinterpret("int32x8", _unsigned(sums) + _unsigned(found))

    def of_bytes(sums: Any, codes: Any, weights: Any) -> Any:
        quarters = []
        for start in (0, 16):
            operands = [tirx.Cast("int16x16", _part(vector, range(start, start + 16))) for vector in (codes, weights)]
            pairs = tirx.call_llvm_pure_intrin("int32x8", "llvm.x86.avx2.pmadd.wd", *operands)
            quarters.append(_part(pairs, range(0, 8, 2)) + _part(pairs, range(1, 8, 2)))
        return sums + _joined(*quarters)

    return Products(lanes, *((found if lanes == 8 else in_halves(found)) for found in (of_bytes, of_halves)))


def in_halves(instruction: Callable[..., Any]) -> Callable[..., Any]:
    """An instruction on the halves of its vectors."""
    return lambda *vectors: _joined(*(instruction(*(_half(vector, index) for vector in vectors)) for index in (0, 1)))


AVX512 = Instructions(16, *map(in_halves, (AVX2.round, AVX2.narrow, AVX2.saturate, AVX2.halves, AVX2.shuffle)))


def emulated(target: Target) -> Target:
    """``target``, which has VNNI, for CPUs with AVX2; its instruction set becomes one that `dot_product` knows."""
    name, avx2 = f"{target.instruction_set}-emulated", find_target("x86-avx2")
    if target.instruction_set.startswith("avx512vnni"):
        dot = functools.partial(make_avx512, name, AVX512, products(16))
    else:
        dot = functools.partial(make_avx, name, AVX2, products(8))
    REGISTRY[name] = InstructionSet(name, ("avx2",), dot)
    return dataclasses.replace(avx2, name=f"{target.name}-emulated", instruction_set=name, cores=target.cores)


def _unsigned(vector: Any) -> Any:
    return tirx.reinterpret("uint32x8", vector)


def _half(vector: Any, index: int) -> Any:
    count = vector.ty.dtype.lanes // 2
    return _part(vector, range(index * count, index * count + count))


def _part(vector: Any, order: range) -> Any:
    return tirx.Shuffle([vector], [tirx.const(index, "int32") for index in order])


def _joined(low: Any, high: Any) -> Any:
    return tirx.Shuffle([low, high], [tirx.const(index, "int32") for index in range(2 * low.ty.dtype.lanes)])
