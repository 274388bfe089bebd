"""The instruction sets there are kernels for, as test parameters: where this CPU lacks VNNI, by AVX2's instructions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulated import emulated
from toolchain.support.cpu import this_cpu
from toolchain.targets import Target, find_target

PORTABLE = Target("portable", "no intrinsics", "x86_64-linux-gnu", "x86-64", (), "portable", (), 2)
# The same instruction as AVX-VNNI's, in AVX-512's encoding: more processors have that.
AVXVNNI = Target(
    "avxvnni",
    "dot products of 256 bits",
    "x86_64-linux-gnu",
    "icelake-server",
    (),
    "avxvnni",
    find_target("x86-avx512vnni").requires,
    2,
)
AVX512VNNI, CASCADELAKE, AVX2, SSE4 = (
    find_target(name) for name in ("x86-avx512vnni", "x86-cascadelake", "x86-avx2", "x86-sse4")
)
TARGETS = (AVX512VNNI, CASCADELAKE, AVX2, SSE4, AVXVNNI, PORTABLE)


def param(target: Target) -> Any:
    """``target`` as a test's parameter, which skips where this CPU cannot run it."""
    cpu = this_cpu()
    missing = target.missing_on(cpu)
    if missing and "vnni" in target.instruction_set:
        target = emulated(target)
        missing = target.missing_on(cpu)
    reason = f"this CPU has no {', '.join(missing)}" if missing else f"this machine is {cpu.machine}, not x86_64"
    marks = pytest.mark.skipif(bool(missing) or cpu.machine != "x86_64", reason=reason)
    return pytest.param(target, id=target.instruction_set, marks=marks)


X86 = [param(target) for target in TARGETS]
EVERY = pytest.mark.parametrize("target", X86)
"""Those of x86, most of which this machine has itself."""

ARM_TARGETS = tuple(find_target(name) for name in ("cortex-a53", "cortex-a76", "neoverse-n2", "cortex-a7"))
EMULATED = [pytest.param(target, id=target.instruction_set, marks=pytest.mark.emulator) for target in ARM_TARGETS]
ARM = pytest.mark.parametrize("target", EMULATED)
"""The instruction sets of Arm, whose code runs under an emulator where there is one."""

ALL = pytest.mark.parametrize("target", [*X86, *EMULATED])
