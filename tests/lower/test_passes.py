"""Our passes on TVM modules for CPUs, before and after, and that they change no number."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tvm
from tvm import relax, tirx
from tvm.ir.base import assert_structural_equal
from tvm.script import ir as I
from tvm.script import relax as R
from tvm.script import tirx as T

from tests.lower.compiled import picture
from tests.lower.nets import Net
from toolchain.backends.cpu.passes.order_shapes import order_shapes
from toolchain.backends.cpu.passes.promise_no_alias import promise_no_alias
from toolchain.backends.cpu.passes.schedule_kernels import schedule_kernels
from toolchain.backends.cpu.pipeline import FINISH, PLAN
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.tile import default_tile
from toolchain.lower import lower_layers
from toolchain.quantize import IntegerReference
from toolchain.support.cpu import this_cpu
from toolchain.targets import find_target
from toolchain.targets.llvm import tvm_target


@I.ir_module
class Shapes:
    """Sizes in the order of a hash table."""

    @T.prim_func(private=True)
    def shapes(H: T.Buffer((4,), "int64")):
        H[T.int64(3)] = H[T.int64(0)] * T.int64(2)
        H[T.int64(2)] = H[T.int64(1)] + T.int64(1)

    @T.prim_func(private=True)
    def kernel(A: T.Buffer((4,), "int64"), B: T.Buffer((4,), "int64")):
        T.func_attr({"tirx.noalias": True})
        for i in range(4):
            A[i] = B[i]

    @R.function
    def main(x: R.Tensor((1,), "float32")) -> R.Tensor((1,), "float32"):
        return x


@I.ir_module
class ShapesInOrder:
    @T.prim_func(private=True)
    def shapes(H: T.Buffer((4,), "int64")):
        H[T.int64(2)] = H[T.int64(1)] + T.int64(1)
        H[T.int64(3)] = H[T.int64(0)] * T.int64(2)

    @T.prim_func(private=True)
    def kernel(A: T.Buffer((4,), "int64"), B: T.Buffer((4,), "int64")):
        T.func_attr({"tirx.noalias": True})
        for i in range(4):
            A[i] = B[i]

    @R.function
    def main(x: R.Tensor((1,), "float32")) -> R.Tensor((1,), "float32"):
        return x


@I.ir_module
class ShapesMarked:
    @T.prim_func(private=True)
    def shapes(H: T.Buffer((4,), "int64")):
        T.func_attr({"tirx.noalias": True})
        H[T.int64(3)] = H[T.int64(0)] * T.int64(2)
        H[T.int64(2)] = H[T.int64(1)] + T.int64(1)

    @T.prim_func(private=True)
    def kernel(A: T.Buffer((4,), "int64"), B: T.Buffer((4,), "int64")):
        T.func_attr({"tirx.noalias": True})
        for i in range(4):
            A[i] = B[i]

    @R.function
    def main(x: R.Tensor((1,), "float32")) -> R.Tensor((1,), "float32"):
        return x


def copied(module: tvm.IRModule) -> tvm.IRModule:
    """Our passes change modules in place."""
    return tvm.ir.load_json(tvm.ir.save_json(module))


@pytest.mark.parametrize(
    ("step", "expected"), [(order_shapes, ShapesInOrder), (promise_no_alias, ShapesMarked)], ids=["order", "promise"]
)
def test_before_and_after(step: tvm.transform.Pass, expected: tvm.IRModule):
    after = step(copied(Shapes))
    assert_structural_equal(after, expected)
    assert_structural_equal(step(after), expected)
    with pytest.raises(ValueError, match="StructuralEqual"):
        assert_structural_equal(copied(Shapes), expected)


BEFORE = """
height, 4, tiles * 16, 1, 1, 1, 4
  acc
1, height, tiles * 4
  out
"""
AFTER = """
height, tiles * 2, 1
  1
    unroll 4
      unroll 2
        unroll 1
          vectorized 4
            acc_init
    1, 1, 1
      unroll 4
        unroll 2
          1
            acc_update_o
  unroll 1
    unroll 2
      out
"""


def outline(function: tirx.PrimFunc) -> str:
    """Loops and blocks of a function, one a line, in their nesting."""
    lines = []
    for line in function.script().split("\n"):
        depth = (len(line) - len(line.lstrip())) // 4
        loop = re.match(r"\s*for .* in (?:T\.)?(\w+)\((.*)\):", line)
        block = re.match(r'\s*with T\.sblock\("(\w+)"\):', line)
        if loop is not None:
            kind = "" if loop[1] in ("grid", "range") else f"{loop[1]} "
            lines.append((depth, kind + re.sub(r"T\.int64\((\d+)\)", r"\1", loop[2])))
        if block is not None:
            lines.append((depth, block[1]))
    first = min(depth for depth, _ in lines)
    return "\n".join("  " * (depth - first) + text for depth, text in lines)


@pytest.mark.skipif(this_cpu().machine != "x86_64", reason="runs code for x86")
def test_a_kernel_is_scheduled_by_its_tile():
    """Before: three loops over pixels and channels. After: a tile of 8 pixels and 4 channels, summed in registers."""
    net = Net()
    model = net.model(net.conv(net.conv(net.input, 4, 1), 12, 1), 2)
    dot = dot_product("sse4")
    lowered = lower_layers(model, dot)
    tiles = {kernel.name: default_tile(kernel.conv, lowered.geometry.columns, dot) for kernel in lowered.kernels}
    name = lowered.kernels[0].name
    assert outline(lowered.module[name]) == BEFORE.strip()
    others = {
        symbol: function for symbol, function in lowered.module.functions.items() if symbol.name_hint not in tiles
    }
    scheduled = schedule_kernels(lowered.kernels, tiles, dot)(lowered.module)
    assert outline(scheduled[name]) == AFTER.strip()
    assert all(scheduled[symbol].same_as(function) for symbol, function in others.items())
    executable = relax.build(PLAN(scheduled), target=tvm_target(find_target("x86-sse4")), relax_pipeline=FINISH)
    pixels = picture(9, 13, 3)
    got = relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(pixels)).numpy()
    np.testing.assert_array_equal(got, IntegerReference(model).run(pixels))
