"""One file per instruction set: how four codes of several pixels are multiplied with four weights and accumulated."""

from __future__ import annotations

import functools

from toolchain.errors import TargetError
from toolchain.kernels.intrinsics.dot import Dot


@functools.cache  # parsing the intrinsic takes as long as compiling a small kernel
def dot_product(instruction_set: str) -> Dot:
    """The dot product of ``instruction_set`` (a name from a target's TOML), registered with TVM.

    Raises:
        TargetError: no kernels exist for that instruction set.
    """
    from toolchain.kernels.intrinsics import avx512vnni, pmaddwd, portable

    makers = {
        "avx512vnni": avx512vnni.make,
        "avx2": pmaddwd.make_avx2,
        "sse4": pmaddwd.make_sse4,
        "portable": portable.make,
    }
    if instruction_set not in makers:
        raise TargetError(f"there are no kernels for the instruction set {instruction_set!r}",
                          hint="known: " + ", ".join(makers))
    return makers[instruction_set]()
