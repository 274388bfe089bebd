"""What LLVM takes a target's system for decides which conventions code keeps to, seen in numbers and in assembly."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest
import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from tests import arm
from tests.instruction_sets import ARM
from tests.kernels.test_assembly import assembly, kernels
from toolchain.frontend.resize import Sampling
from toolchain.kernels.function import function
from toolchain.kernels.resize import resize_axis
from toolchain.targets import Target, find_target
from toolchain.targets.llvm import tvm_target, with_vendor

WHOLE = {  # numbers that are exact in float32, too large for 32 bits but for some
    "int64": np.array([0, 1, -1, 7, -(2**20), 3 * 2**31, -5 * 2**40, 2**62], np.int64),
    "uint64": np.array([0, 1, 7, 2**31, 2**32, 3 * 2**40, 2**62, 2**63], np.uint64),
}


def compiled(kernel: tirx.PrimFunc, target: Target) -> tvm.runtime.Executable:
    return tvm.compile(tvm.IRModule({"main": kernel.with_attr("global_symbol", "main")}), target=tvm_target(target))


def conversion(given: str, wanted: str, count: int) -> tirx.PrimFunc:
    with IRBuilder() as builder, function("conversion"):
        x = T.arg("x", T.Buffer((count,), given))
        y = T.arg("y", T.Buffer((count,), wanted))
        with T.serial(0, count) as i:
            T.buffer_store(y, tirx.Cast(wanted, x[i]), [i])
    return builder.get()


@ARM
@pytest.mark.parametrize("real", ["float32", "float64"])
@pytest.mark.parametrize("whole", WHOLE)
def test_numbers_of_64_bits_become_floats_and_back(target: Target, whole: str, real: str):
    arm.emulator(target)  # skips before it compiles
    numbers = WHOLE[whole]
    floats = numbers.astype(real)
    for given, wanted in ((numbers, floats), (floats, numbers)):
        kernel = compiled(conversion(str(given.dtype), str(wanted.dtype), len(given)), target)
        got = arm.call(kernel, target, [given, np.zeros_like(wanted)], name="main")
        np.testing.assert_array_equal(got, wanted, err_msg=f"{given.dtype} to {wanted.dtype}")


@ARM
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_interpolation_is_that_of_this_machine(target: Target, mode: str):
    arm.emulator(target)
    kernel = resize_axis(Sampling(mode, "half_pixel", "floor", -0.75, False), 2, 1, Fraction(5, 2))
    x = np.random.default_rng(0).normal(size=(1, 2, 3, 8)).astype(np.float32)
    y = np.zeros((1, 2, 3, 20), np.float32)
    got = arm.call(compiled(kernel, target), target, [x, y], name="main")
    given, result = tvm.runtime.tensor(x), tvm.runtime.tensor(y)
    compiled(kernel, find_target("host"))["main"](given, result)
    assert len(np.unique(got)) >= x.size
    np.testing.assert_allclose(got, result.numpy(), rtol=1e-5, atol=1e-6)


def test_android_s_own_register_is_left_alone():
    """x18 holds the shadow stack of the system's functions."""
    own = re.compile(r"\b[xw]18\b")
    text, other = (
        "".join(assembly(kernel, find_target(name)) for kernel in kernels(find_target(name)).values())
        for name in ("android-arm64", "cortex-a76")
    )
    assert not own.search(text)
    assert own.search(other), "nothing here needs so many registers: test is blind"


@pytest.mark.parametrize(
    ("triple", "whole"),
    [
        ("armv7a-linux-gnueabihf", "armv7a-unknown-linux-gnueabihf"),
        ("aarch64-linux-android", "aarch64-unknown-linux-android"),
        ("x86_64-pc-linux-gnu", "x86_64-pc-linux-gnu"),
        ("x86_64-unknown-linux-gnu", "x86_64-unknown-linux-gnu"),
    ],
)
def test_a_triple_for_llvm_names_a_vendor(triple: str, whole: str):
    assert with_vendor(triple) == whole
