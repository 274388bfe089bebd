"""Concatenations of 16 bits, of which all but the first channels have 8.

Codes of 8 bits whose step is 256 of the concatenation's become codes of 16 bits whose low bytes are all alike: the zero
point's. Where nothing but convolutions reads them, such bytes are neither written nor multiplied, see
`toolchain.kernels.view.View`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolchain.kernels.intrinsics.dot import Dot
from toolchain.kernels.intrinsics.matrix import MatrixDot
from toolchain.kernels.layout import PACK
from toolchain.lower.bindings import channels_of
from toolchain.lower.chain import Matcher, Step
from toolchain.lower.down import growth
from toolchain.lower.reading import read
from toolchain.reference.quantization import Quantization
from toolchain.reference.steps import ConcatStep, ConvStep

_STEPS = 256
"""Steps of a code of 16 bits in one of 8."""


def is_coarse(part: Quantization, whole: Quantization) -> bool:
    """Return whether codes of ``part`` are the high bytes of the codes that they become in ``whole``, whose low bytes
    are the zero point's.
    """
    same = whole.scale * _STEPS == part.scale and whole.zero_point == (_STEPS + 1) * part.zero_point
    return same and whole.wide and not part.wide


def count_fine(matcher: Matcher, chains: Mapping[Any, Step], var: Any, dot: Dot) -> int | None:
    """Return in how many of the blocks of the concatenation ``var`` low bytes have to be stored; None: in all.

    Args:
        matcher: of the module.
        chains: of its variables.
        var: the concatenation's.
        dot: by which convolutions read it.
    """
    step = chains[var]
    if not isinstance(step, ConcatStep) or len({part.tensor for part in step.parts}) < len(step.parts):
        return None
    coarse = [is_coarse(part.quantization, step.out.quantization) for part in step.parts]
    first = coarse.index(True) if True in coarse else len(coarse)
    if first == len(coarse) or not all(coarse[first:]):
        return None
    widths = [channels_of(part.tensor) for part in step.parts]
    if any(width % PACK for width in widths[:-1]):
        return None  # such a concatenation is copied
    fine = sum(widths[:first]) // PACK
    readers = [chain for chain in chains.values() if isinstance(chain, ConvStep) and chain.source.tensor == var]
    known = len(readers) == _uses(matcher, var)
    return fine if fine and known and all(_reads(reader, chains, fine, dot) for reader in readers) else None


def _uses(matcher: Matcher, var: Any) -> int:
    """Return how often the numbers are used that ``var`` holds the codes of; -1 where these are used otherwise."""
    real = [
        name
        for name, value in matcher.definitions.items()
        if matcher.is_call(name, "relax.dequantize") and value.args[0] == var
    ]
    if matcher.uses.get(var, 0) != len(real):
        return -1
    return sum(matcher.uses.get(name, 0) for name in real)


def _reads(reader: ConvStep, chains: Mapping[Any, Step], fine: int, dot: Dot) -> bool:
    """Whether the kernel of a convolution reads the tensor as it lies, and leaves out its last low bytes."""
    given, reading = reader.convolution, read(reader, chains)
    # Matrices take two blocks at a time of what has one tap.
    odd = isinstance(dot, MatrixDot) and given.weight.shape[2:] == (1, 1) and fine % 2
    plain = reading.border is None and reading.added is None and given.strides == (1, 1) and given.group == 1
    return plain and not odd and max(growth(reader)) <= 0
