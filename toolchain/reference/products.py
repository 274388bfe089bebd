"""Products of two tensors, and the smaller or larger of two: how a QDQ graph spells them, and their arithmetic.

A product is ``float32(a - z_a) * (float32(b - z_b) * m)`` with ``m = float32(s_a * s_b / s_y)``: where b is a single
pixel, its part is the same for the whole picture. An extreme is that of both terms in steps of the output, as a sum's
are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.reference.arithmetic import finish, multiplier, scaled
from toolchain.reference.quantization import CodeArray, Quantization
from toolchain.reference.steps import Activation, Codes, ExtremeStep, ProductStep

Reals = NDArray[np.float32]


def read_pair(
    node: onnx.NodeProto, codes: Mapping[str, Codes], single: AbstractSet[str], out: Codes, after: Activation | None
) -> ProductStep | ExtremeStep | None:
    """Return the step that ``node`` and the activation after it are, where both operands are in ``codes`` and are not
    the same; ``single``: those of a single pixel.
    """
    if len(set(node.input)) != 2 or any(name not in codes for name in node.input):
        return None
    first, second = (codes[name] for name in node.input)
    match node.op_type:
        case "Mul":
            swapped = first.tensor in single and second.tensor not in single
            return ProductStep(out, (second, first) if swapped else (first, second), after)
        case "Min":
            return ExtremeStep(out, (first, second), "min", after)
        case "Max":
            return ExtremeStep(out, (first, second), "max", after)
    return None


def run_pair(step: ProductStep | ExtremeStep, values: Mapping[str, CodeArray]) -> CodeArray:
    """Return the codes (C, h, w) of ``step``, of ``values`` by name."""
    out = step.out.quantization
    if isinstance(step, ProductStep):
        return finish(np.multiply(*_factors(step, [values[factor.tensor] for factor in step.factors])), step.after, out)
    first, second = (in_steps(values[term.tensor], term.quantization, out) for term in step.terms)
    return finish(np.minimum(first, second) if step.kind == "min" else np.maximum(first, second), step.after, out)


def pair_ends(
    step: ProductStep | ExtremeStep, ends: tuple[tuple[CodeArray, CodeArray], tuple[CodeArray, CodeArray]]
) -> tuple[Reals, Reals]:
    """Return the smallest and largest number before the activation, in steps of the output, of both operands' smallest
    and largest codes (C, 1, 1). Rounding is monotone: they are at corners.
    """
    out = step.out.quantization
    if isinstance(step, ProductStep):
        corners = [np.multiply(*_factors(step, (first, second))) for first in ends[0] for second in ends[1]]
        return np.minimum.reduce(corners), np.maximum.reduce(corners)
    choose = np.minimum if step.kind == "min" else np.maximum
    low, high = (
        choose(*(in_steps(pair[end], term.quantization, out) for pair, term in zip(ends, step.terms, strict=True)))
        for end in (0, 1)
    )
    return low, high


def product_multiplier(step: ProductStep) -> np.float32:
    """Return float32(s_a * s_b / s_y), the product in float64."""
    first, second = (factor.quantization.scale for factor in step.factors)
    return np.float32(multiplier(first, second, step.out.quantization.scale))


def _factors(step: ProductStep, codes: Sequence[CodeArray]) -> tuple[Reals, Reals]:
    """Return the numbers whose products are numbers in steps of the output."""
    first, second = (factor.quantization.zero_point for factor in step.factors)
    return scaled(codes[0], first, np.asarray(1.0, np.float32)), scaled(
        codes[1], second, np.asarray(product_multiplier(step))
    )


def in_steps(codes: CodeArray, given: Quantization, out: Quantization) -> Reals:
    """Codes as real numbers in steps of ``out``."""
    return scaled(codes, given.zero_point, multiplier(given.scale, 1.0, out.scale))
