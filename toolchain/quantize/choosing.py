"""Who gets how many bits: the one of the ways to choose them that the settings ask for."""

from __future__ import annotations

from dataclasses import replace

from toolchain.quantize.calibrated import Calibrated, Rounded
from toolchain.quantize.settings import MUCH
from toolchain.quantize.sparing import spare
from toolchain.quantize.spending import Spent, within_budget, within_loss
from toolchain.quantize.trading import trade
from toolchain.support.progress import Stages, Tell, untold

_CHOOSING, _SPARING = "choosing tensors for 16 bits", "sparing weights' bits"


def spend(calibrated: Calibrated, found: Rounded, progress: Tell = untold) -> Spent:
    """Choose tensors of 16 bits and weights of fewer than 8, as the settings say.

    Args:
        calibrated: the network.
        found: the same with 8 bits but where the user decided.
        progress: is told how far it is.

    Raises:
        CalibrationError: no choice keeps all bounds of cost.
    """
    if calibrated.settings.costs:
        return trade(calibrated, found, progress)
    if not calibrated.settings.spare_weights:
        return _finer(calibrated, found, progress)
    stages = Stages(progress, {_CHOOSING: 1, _SPARING: 1})
    spent = _finer(calibrated, found, stages.begin(_CHOOSING))
    bound = calibrated.settings.max_loss or MUCH
    network, spared = spare(calibrated, spent.network, bound, stages.begin(_SPARING))
    return replace(spent, network=network, spared=spared)


def _finer(calibrated: Calibrated, found: Rounded, progress: Tell) -> Spent:
    settings = calibrated.settings
    if settings.max_loss is not None:
        bound, demanded = settings.max_loss, settings.demanded
        return within_loss(calibrated, found, bound, settings.budget, demanded=demanded, progress=progress)
    if settings.budget:
        return within_budget(calibrated, found, settings.budget, progress)
    return Spent(found)
