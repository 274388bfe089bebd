"""The fastest integer arithmetic that a core's instruction sets know, on registers, as TensorIR functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from toolchain.kernels.function import function
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.intrinsics.vnni import products
from toolchain.kernels.layout import PACK
from toolchain.kernels.winograd import transforms
from toolchain.targets import Target
from toolchain.targets.llvm import tvm_target

_VECTORS, _LEFT, _RIGHT = 64, 5, 2
"""Groups of vectors of codes; sums of each of five with each of two vectors of weights."""

_MACS = 128_000
"""Of every group and sum, over all rounds; `ceiling.GMAC` is that of them all."""


_BYTES = {
    "avx2": ("llvm.x86.avx2.pmadd.ub.sw", "llvm.x86.avx2.pmadd.wd"),
    "sse4": ("llvm.x86.ssse3.pmadd.ub.sw.128", "llvm.x86.sse2.pmadd.wd"),
}

Step = Callable[[Any, Any, Any], Any]
"""Vectors uint32 (lanes,) of sums, of codes and of weights to the new sums, as TVM expressions."""


@dataclass(frozen=True)
class Way:
    """A way to multiply and add.

    Attributes:
        name: of the algorithm.
        step: its instructions.
        macs: multiply-accumulates of a direct convolution for which a step stands.
    """

    name: str
    step: Step
    macs: float


def ways(instruction_set: str) -> tuple[Way, ...]:
    """What kernels of x86's ``instruction_set`` sum up by, the direct one first."""
    dot = dot_product(instruction_set)
    lanes, pairs = dot.lanes, dot.pairs
    assert pairs is not None
    of_pairs = pairs.multiply_add

    def halves(sums: Any, codes: Any, weights: Any) -> Any:
        left, right = (tirx.reinterpret(f"int16x{2 * lanes}", vector) for vector in (codes, weights))
        return of_pairs(sums, left, right)

    winograd = Way("Winograd", halves, 2 * lanes * transforms.SAVING)
    if instruction_set not in _BYTES:

        def quarters(sums: Any, codes: Any, weights: Any) -> Any:
            return _as_words(products(lanes).bytes(*_typed(sums, codes, weights)))

        return Way("direct", quarters, PACK * lanes), winograd
    multiply, add = _BYTES[instruction_set]

    def pairs_of_bytes(sums: Any, codes: Any, weights: Any) -> Any:
        _, left, right = _typed(sums, codes, weights)
        both = tirx.call_llvm_pure_intrin(f"int16x{2 * lanes}", multiply, left, right)
        ones = tirx.Broadcast(tirx.const(1, "int16"), 2 * lanes)
        return sums + _as_words(tirx.call_llvm_pure_intrin(f"int32x{lanes}", add, both, ones))

    return Way("direct", halves, 2 * lanes), Way("byte pairs", pairs_of_bytes, PACK * lanes), winograd


def compiled(way: Way, target: Target) -> Callable[[], object]:
    """A call of ``way`` on one core, about a millisecond long."""
    lanes = dot_product(target.instruction_set).lanes
    words = f"uint32x{lanes}"
    with IRBuilder() as builder, function("dots"):
        x = T.arg("x", T.Buffer((_VECTORS, _LEFT, lanes), "uint32"))
        w = T.arg("w", T.Buffer((_RIGHT, lanes), "uint32"))
        y = T.arg("y", T.Buffer((_LEFT, _RIGHT, lanes), "uint32"))
        places = [(i, j) for i in range(_LEFT) for j in range(_RIGHT)]
        sums = T.alloc_buffer((_LEFT, _RIGHT, lanes), "uint32", scope="local")
        for i, j in places:
            T.buffer_store(sums, y.vload([i, j, 0], words), [i, j, tirx.Ramp(0, 1, lanes)])
        with T.serial(0, round(_MACS / way.macs)), T.serial(0, _VECTORS) as k:
            for i, j in places:
                total = way.step(sums.vload([i, j, 0], words), x.vload([k, i, 0], words), w.vload([j, 0], words))
                T.buffer_store(sums, total, [i, j, tirx.Ramp(0, 1, lanes)])
        for i, j in places:
            T.buffer_store(y, sums.vload([i, j, 0], words), [i, j, tirx.Ramp(0, 1, lanes)])
    module = tvm.IRModule({"dots": builder.get().with_attr("global_symbol", "dots")})
    entry = tvm.compile(module, target=tvm_target(target))["dots"]
    random = np.random.default_rng(0)
    shapes = (_VECTORS, _LEFT, lanes), (_RIGHT, lanes), (_LEFT, _RIGHT, lanes)
    arguments = [tvm.runtime.tensor(random.integers(0, 2**32, shape, dtype=np.uint32)) for shape in shapes]
    return lambda: entry(*arguments)


def _typed(sums: Any, codes: Any, weights: Any) -> tuple[Any, Any, Any]:
    lanes = int(tvm.DataType(str(sums.ty.dtype)).lanes)
    kinds = f"int32x{lanes}", f"uint8x{PACK * lanes}", f"int8x{PACK * lanes}"
    first, second, third = (
        tirx.reinterpret(kind, value) for kind, value in zip(kinds, (sums, codes, weights), strict=True)
    )
    return first, second, third


def _as_words(value: Any) -> Any:
    lanes = int(tvm.DataType(str(value.ty.dtype)).lanes)
    return tirx.reinterpret(f"uint32x{lanes}", value)
