"""A network quantized before any photograph is seen: codes without meaning, in the structure that it will have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolchain.quantize.calibrated import round_weights
from toolchain.quantize.plan import make_plan
from toolchain.quantize.qdq import pixel_quantization, write_qdq
from toolchain.reference.program import parse
from toolchain.reference.quantization import BITS, Quantization

if TYPE_CHECKING:
    import onnx

    from toolchain.frontend import SRModel


def stand_in(sr: SRModel) -> onnx.ModelProto:
    """Return the canonical QDQ model of ``sr``, all tensors of 8 bits, with made-up ranges: what it is made of is told
    by it.

    Raises:
        ModelError: the network cannot be quantized, or not be read as integer kernels.
    """
    plan = make_plan(sr)
    made_up = Quantization.of_range(-sr.value_range[1], 2 * sr.value_range[1], fallback=1.0, bits=BITS)
    quantizations = {plan.group[point]: made_up for point in plan.points}
    quantizations.update(dict.fromkeys(plan.pinned, pixel_quantization(sr.value_range)))
    weights, biases = round_weights(sr, plan, quantizations, "minmax")
    model = write_qdq(sr, plan, quantizations, weights, biases)
    parse(model)
    return model
