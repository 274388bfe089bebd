"""How far a network in integers is from the float one, on crops that chose nothing in its quantization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray

from toolchain.images.metrics import Loss, decibels
from toolchain.quantize.crops import HeldOut, spread
from toolchain.quantize.drop import PsnrDrop
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.support.parallel import in_order

if TYPE_CHECKING:
    from toolchain.frontend import SRModel

_MOST, _WORST = 32, 4
"""Crops that are enough to judge by, and to find out where the worst of them suffer."""


class Comparison:
    """Pictures as the float network gives them, to hold variants of it against."""

    def __init__(self, sr: SRModel, pictures: Sequence[NDArray[np.uint8]]) -> None:
        """Run the float network on ``pictures``, u8 (h, w, C)."""
        self._range = sr.value_range
        self._feeds = [to_float(picture, sr.value_range) for picture in pictures]
        self._exact = self._outputs(sr.model)

    def errors(self, network: onnx.ModelProto) -> NDArray[np.float64]:
        """Return mean squared errors in grey levels, one a picture, of a network whose Q and DQ nodes round in
        float32.
        """
        low, high = self._range
        found = zip(self._outputs(network), self._exact, strict=True)
        return np.array([np.mean((one - other) ** 2) for one, other in found]) * (255 / (high - low)) ** 2

    def mean(self, errors: NDArray[np.float64]) -> float:
        """Return the mean over the values of all pictures, of errors for each of them."""
        return float(np.average(errors, weights=[values.size for values in self._exact]))

    def _outputs(self, network: onnx.ModelProto) -> list[NDArray[np.float64]]:
        model = FloatModel(network)
        # A picture is shown clipped, whatever the network gives.
        return list(in_order(lambda feed: np.clip(model.run(feed).astype(np.float64), *self._range), self._feeds))


def enough(held_out: Sequence[HeldOut]) -> Sequence[HeldOut]:
    """As many crops as are enough to judge by, spread over those given."""
    return spread(held_out, _MOST)


def measure_loss(
    sr: SRModel, model: onnx.ModelProto, held_out: Sequence[HeldOut], names: Sequence[str]
) -> tuple[Loss, tuple[NDArray[np.uint8], ...]]:
    """Compare ``model``, canonical QDQ, with the float network ``sr`` that it quantizes; and the worst crops.

    Args:
        sr: the float network, its final clip taken off.
        model: rounded in float32 here, which gives the integer network's pixels but for a code here and there.
        held_out: crops that chose nothing; no more than are enough are looked at.
        names: of the photos.
    """
    judges = enough(held_out)
    comparison = Comparison(sr, [crop.pixels for crop in judges])
    errors = comparison.errors(model)
    order = np.argsort(-errors, kind="stable")
    worst = judges[order[0]]
    mean, most = decibels(comparison.mean(errors)), decibels(errors[order[0]])
    loss = Loss(mean, most, len(judges), names[worst.photo], PsnrDrop(sr, judges)(model))
    return loss, tuple(judges[index].pixels for index in order[:_WORST])
