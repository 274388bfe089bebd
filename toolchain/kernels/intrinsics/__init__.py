"""One file per instruction set: how four codes of several pixels are multiplied with four weights and accumulated."""

from __future__ import annotations

import functools
from collections.abc import Callable

from toolchain.errors import TargetError
from toolchain.kernels.intrinsics.dot import Dot

NEEDS = {
    "avx512vnni": ("avx512vnni", "avx512bw"),
    "avxvnni": ("avxvnni",),
    "avx2": ("avx2",),
    "sse4": ("ssse3",),
    "neon-i8mm": ("i8mm",),
    "neon-dotprod": ("dotprod",),
    "neon": ("neon",),
    "armv7-neon": ("neon",),
    "portable": (),
    "opencl": (),
}
"""The instruction sets there are kernels for, each with the features that LLVM must enable for them."""


@functools.cache  # parsing the intrinsic takes as long as compiling a small kernel
def dot_product(instruction_set: str) -> Dot:
    """The dot product of ``instruction_set`` (a name from a target's TOML), registered with TVM.

    Raises:
        TargetError: no kernels exist for that instruction set.
    """
    from toolchain.kernels.intrinsics import neon, pmaddwd, portable, vnni

    makers: dict[str, Callable[[], Dot]] = {
        "avx512vnni": vnni.make_avx512,
        "avxvnni": vnni.make_avx,
        "avx2": pmaddwd.make_avx2,
        "sse4": pmaddwd.make_sse4,
        "neon-i8mm": neon.make_i8mm,
        "neon-dotprod": neon.make_dotprod,
        "neon": neon.make_plain,
        "armv7-neon": neon.make_armv7,
        "portable": portable.make,
        "opencl": portable.make_opencl,
    }
    if instruction_set not in makers:
        raise TargetError(f"there are no kernels for the instruction set {instruction_set!r}",
                          hint="known: " + ", ".join(makers))
    return makers[instruction_set]()
