"""Which part costs what: the float network with one part quantized, and the quantized one with one part in float."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.fidelity.variants import Part, balanced, list_parts, write_variant
from toolchain.quantize.loss import Comparison
from toolchain.quantize.quantized import QuantizedModel

_KIND, _GUILTY, _NAMED = 0.5, 0.25, 3
"""The part of the error that parts of a kind make which are looked at, the part of the worst one's error that makes a
culprit beside it, and how many are named."""


@dataclass(frozen=True)
class Blame:
    """What quantizing one part costs: mean squared errors of the output against the float network's, in grey levels.

    Attributes:
        part: what is blamed.
        alone: error if only this part is quantized.
        without: error if everything but this part is quantized.
        gain: by how much the error of the whole falls without it: error of all, less ``without``. Negative where
            other parts make up for this one's errors, as rounded weights and corrected biases do.
    """

    part: Part
    alone: float
    without: float
    gain: float


@dataclass(frozen=True)
class BlameReport:
    """Every part in graph order, and the error of the whole (``everything``), by the same measure."""

    everything: float
    blames: tuple[Blame, ...]


class OutputLoss:
    """How far the output is from the float network's if some parts are quantized, by rounding in float32."""

    def __init__(self, model: QuantizedModel, pictures: Sequence[NDArray[np.uint8]]) -> None:
        """Run the float network of ``model`` on ``pictures``, u8 (h, w, C); ModelError where it is not known."""
        self._model = model
        self._comparison = Comparison(balanced(model), pictures)

    def __call__(self, quantized: Iterable[Part]) -> float:
        """Return the mean squared error, in grey levels, if just these parts are quantized."""
        return self._comparison.mean(self._comparison.errors(write_variant(self._model, frozenset(quantized))))


def count_runs(model: QuantizedModel) -> int:
    """Return how many variants ``assign_blame`` runs."""
    return 2 * len(list_parts(model)) + 1


def assign_blame(
    model: QuantizedModel,
    pictures: Sequence[NDArray[np.uint8]],
    *,
    progress: Callable[[str, int], None] | None = None,
) -> BlameReport:
    """Quantize each part alone, and all but each, by rounding in float32.

    Args:
        model: with its float network.
        pictures: u8 (h, w, C).
        progress: called with (the part looked at, number of variants done) before each variant runs.

    Raises:
        ModelError: another tool quantized the model.
    """
    parts = list_parts(model)
    tell = progress or (lambda text, done: None)
    error = OutputLoss(model, pictures)
    tell("everything quantized", 0)
    everything = error(parts)
    blames = []
    for index, part in enumerate(parts):
        tell(str(part), 2 * index + 1)
        alone = error([part])
        tell(str(part), 2 * index + 2)
        without = error([other for other in parts if other != part])
        blames.append(Blame(part, alone, without, everything - without))
    return BlameReport(everything, tuple(blames))


def find_culprits(
    model: QuantizedModel, pictures: Sequence[NDArray[np.uint8]], suspected: Callable[[Part], bool] = lambda part: True
) -> tuple[tuple[Part, float], ...]:
    """Return the parts that cost most, worst first, each with the error of the output if only it is quantized.

    Args:
        model: with its float network.
        pictures: u8 (h, w, C), those that suffer.
        suspected: whether a part can be blamed.

    Raises:
        ModelError: another tool quantized the model.
    """
    error, parts = OutputLoss(model, pictures), [part for part in list_parts(model) if suspected(part)]
    everything = error(parts)
    # Weights are rounded so that they make up for errors of activations before them, and look guilty without these.
    for kind in ("activation", "weights"):
        alone = {part: error([part]) for part in parts if part.kind == kind}
        if sum(alone.values()) >= _KIND * everything:
            break
    worst = sorted(alone.items(), key=lambda item: -item[1])
    return tuple((part, found) for part, found in worst[:_NAMED] if found >= _GUILTY * worst[0][1])
