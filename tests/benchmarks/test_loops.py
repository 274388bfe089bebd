"""Cycles of compiled kernels by LLVM's models of Arm cores."""

from __future__ import annotations

import pytest

from arm_loops import estimate
from loops import CORES, find_mca
from tests.tune.specs import task
from toolchain.kernels.intrinsics import dot_product
from toolchain.kernels.tile import direct_tile
from toolchain.targets import find_target


@pytest.mark.parametrize("name", ["Cortex-A55", "Neoverse V1", "Cortex-A9"])
def test_a_kernel_is_slower_than_its_loop_and_its_loop_than_the_peak(name: str) -> None:
    mca = find_mca()
    if mca is None:
        pytest.skip("needs llvm-mca of LLVM 16 or later: apt install llvm-19")
    (core,) = (core for core in CORES if core.name == name)
    target, of = find_target(core.target), task(inputs=28, outputs=28)
    dot = dot_product(target.instruction_set)
    found = estimate(core, target, of, direct_tile(of.conv, dot.columns, dot), mca)
    assert 0.2 * core.peak < found.whole < found.loop <= core.peak
