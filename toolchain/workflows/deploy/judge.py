"""Says how much quantization cost, and where it cost too much: which tensors did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolchain.images.metrics import Loss, decibels

if TYPE_CHECKING:
    from toolchain.frontend import SRModel
    from toolchain.images import ImageSet
    from toolchain.quantize import QuantizedModel, Settings

ENOUGH = 35.0
"""In dB, against the float network: below, differences can be seen."""


def judge(
    sr: SRModel, model: QuantizedModel, photos: ImageSet, settings: Settings | None
) -> tuple[Loss, tuple[str, ...]]:
    """Return the loss of ``model`` against the float network ``sr``, and warnings where it is below ``ENOUGH``.

    Args:
        sr: the float network.
        model: quantized from it.
        photos: that it was calibrated on; crops that chose nothing are taken.
        settings: of the quantization.
    """
    from toolchain.quantize.fidelity import find_culprits
    from toolchain.quantize.loss import measure_loss
    from toolchain.quantize.pipeline import calibration_crops
    from toolchain.quantize.settings import DEFAULTS

    held_out = calibration_crops(sr, photos.images, settings or DEFAULTS).held_out
    loss, worst = measure_loss(sr, model.model, held_out, photos.names)
    if loss.worst >= ENOUGH:
        return loss, ()
    culprits = find_culprits(model, worst)
    named = ", ".join(f"'{part}' ({decibels(error):.1f} dB if nothing else is quantized)" for part, error in culprits)
    where = f"{loss.psnr:.1f} dB" if loss.psnr < ENOUGH else f"{loss.worst:.1f} dB on a crop of {loss.photograph}"
    return loss, (
        f"INT8 is no nearer to the float network than {where}, which can be seen (below {ENOUGH:g} dB); "
        f"most is lost in {named}; `clipfree fidelity` shows more, {_remedy([part.kind for part, _ in culprits])}",
    )


def _remedy(kinds: Sequence[str]) -> str:
    """Advise what suits parts of these kinds: weights have 8 bits in any case."""
    finer, otherwise = "--max-loss or --bits keeps tensors finer", "--weights rounds weights in other ways"
    ways = {"activation": finer, "weights": otherwise}
    return ", ".join(way for kind, way in ways.items() if kind in kinds)
