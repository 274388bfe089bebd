"""What runs in place of VNNI where the CPU has none is tried on every CPU with AVX2, so that it stays right."""

from __future__ import annotations

import dataclasses

import pytest

from tests.emulated import emulated
from tests.instruction_sets import AVXVNNI, PORTABLE
from tests.kernels.harness import check
from tests.kernels.test_conv import CASES, Case
from toolchain.kernels.intrinsics import REGISTRY, dot_product
from toolchain.kernels.intrinsics.instruction_set import InstructionSet
from toolchain.kernels.tile import WINOGRAD, Tile
from toolchain.support.cpu import this_cpu
from toolchain.targets import Target, find_target

AVX512VNNI = find_target("x86-avx512vnni")


@pytest.mark.skipif(bool(find_target("x86-avx2").missing_on(this_cpu())), reason="this CPU has no AVX2")
@pytest.mark.parametrize("target", [AVX512VNNI, AVXVNNI], ids=["avx512vnni", "avxvnni"])
@pytest.mark.parametrize(
    "case",
    [
        Case(32, 8, fill=(255, -128), zero_in=0, zero_out=255),
        CASES["slopes and residual"],
        CASES["16 bits everywhere"],
        Case(16, 32, groups=2, height=6, width=40, tile=Tile(1, 4, algorithm=WINOGRAD)),
    ],
    ids=["extreme", "residual", "16 bits", "Winograd"],
)
def test_the_emulation_is_exact(case: Case, target: Target) -> None:
    check(case, emulated(target))


def test_an_instruction_set_is_one_object_in_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = dataclasses.replace(dot_product("portable"), name="wide", lanes=8, columns=16)
    monkeypatch.setitem(REGISTRY, "wide", InstructionSet("wide", (), lambda: wide))
    check(CASES["slopes and residual"], dataclasses.replace(PORTABLE, instruction_set="wide"))
