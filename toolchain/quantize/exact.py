"""16 bits where they cost no product: what a kernel gives to float operators only.

A Tanh or Sigmoid behind a convolution was rounded twice in 8 bits, at its input, whose range is wide and of which it
needs the middle, and at its output. Its input now has 16 bits: the convolution's sums are exact, so it is as if the
float operator read them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolchain.quantize.plan import QuantizationPlan
from toolchain.quantize.qdq import for_bits
from toolchain.reference.quantization import WIDE_BITS
from toolchain.support.errors import ModelError

if TYPE_CHECKING:
    from toolchain.frontend import SRModel


def exact_bits(sr: SRModel, plan: QuantizationPlan) -> dict[str, int]:
    """Return 16 for every group of ``plan`` that only float operators read; none where an operator of the network has
    no form in the opset of 16 bits.
    """
    if plan.exact:
        try:
            for_bits(sr.model, [WIDE_BITS])
        except ModelError:
            return {}
    return dict.fromkeys(sorted(plan.exact), WIDE_BITS)
