"""From a float network and photographs to a quantized model: the order of the steps, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from toolchain.frontend.smallest import smallest_to_mirror
from toolchain.images.geometry import UNBOUNDED_HALO
from toolchain.quantize.alternatives import check_bounds
from toolchain.quantize.calibrate import measure_ranges
from toolchain.quantize.calibrated import Calibrated
from toolchain.quantize.choosing import spend
from toolchain.quantize.crops import CropSet, cut_crops, stress
from toolchain.quantize.equalize import equalize, find_sites, measure_channels, share_ranges, widening
from toolchain.quantize.exact import exact_bits
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.nest import nested
from toolchain.quantize.overrides import choose_bits
from toolchain.quantize.plan import make_plan
from toolchain.quantize.quantized import QuantizedModel
from toolchain.quantize.representative import RepresentativeSet, represent
from toolchain.quantize.settings import DEFAULTS, Settings
from toolchain.quantize.weight_bits import choose_codes
from toolchain.reference.graph import GraphView
from toolchain.support.cpu import usable_cores
from toolchain.support.errors import CalibrationError
from toolchain.support.progress import Stages, Tell, untold

if TYPE_CHECKING:
    from toolchain.frontend import SRModel

_TAMING, _CHANNELS, _RANGES = "making representative photographs", "measuring channels", "measuring ranges"
_WEIGHTS, _SPENDING = "rounding weights", "choosing tensors for 16 bits"


def quantize(
    sr: SRModel, images: Sequence[NDArray[np.uint8]], settings: Settings | None = None, *, progress: Tell = untold
) -> QuantizedModel:
    """Quantize a normalized float network to 8 bits, some of its tensors to 16 where ``settings`` say so.

    Args:
        sr: the network, its final clip already taken off.
        images: calibration photos, u8 (h, w, channels), taken as low-resolution pictures as they are.
        settings: see ``Settings``; equal inputs give equal bytes.
        progress: is told what is done.

    Raises:
        CalibrationError: the photos cannot be used, the network gives NaN or infinity on them, or ``settings`` name
            tensors that it does not have, or bounds of cost that no choice of bits keeps.
        ModelError: the sums of a convolution that reads a tensor of 16 bits could overflow.
    """
    settings = settings or DEFAULTS
    if settings.costs:  # of which no outliers' bits are counted
        settings = replace(settings, outliers=False)
    stages = Stages(progress, _stages(settings))
    calibrated = calibrate(sr, images, settings, stages)
    if settings.bits_nested:
        return nested(calibrated, settings.bits_nested, stages.begin(_WEIGHTS))
    check_bounds(calibrated)
    found = calibrated.rounded(progress=stages.begin(_WEIGHTS))
    spent = spend(calibrated, found, stages.begin(_SPENDING) if _spends(settings) else untold)
    return calibrated.described(spent.network, spent.budget, spent.bound, spent.spared, spent.traded)


def calibrate(
    sr: SRModel, images: Sequence[NDArray[np.uint8]], settings: Settings, stages: Stages | None = None
) -> Calibrated:
    """Balance the channels of a network and measure its ranges, see ``quantize``; ``stages`` are told of it.

    Raises:
        CalibrationError: as ``quantize``.
    """
    stages = stages or Stages(untold, _stages(settings))
    crops = calibration_crops(sr, images, settings)
    tamed = _tamed(sr, crops, settings, stages)
    varied = crops.crops + (stress(crops.crops, settings.seed) if settings.augment else ())
    changed = [image.pixels for image in tamed.images if image.kind != "natural"] if tamed else []
    plan = make_plan(sr)
    if settings.equalize:
        groups = share_ranges(sr, plan, find_sites(sr))
        tell = stages.begin(_CHANNELS)
        channels = measure_channels(sr, groups, varied, settings.activations, progress=tell)
        sr = equalize(sr, groups, channels, widening(len(crops.sources)))
    constants = GraphView(sr.model).constants
    bits = choose_bits(plan, settings.bits, constants=constants)
    codes = choose_codes(plan, settings.weight_bits, constants, codebook=settings.codebook, outliers=settings.outliers)
    tell = stages.begin(_RANGES)
    ranges = measure_ranges(sr, plan, [*varied, *changed], settings.overrides, settings.activations, progress=tell)
    return Calibrated(sr, plan, exact_bits(sr, plan), ranges, crops, tamed, settings, codes).decided(bits)


def _spends(settings: Settings) -> bool:
    return bool(settings.budget) or settings.max_loss is not None or settings.spare_weights or bool(settings.costs)


def calibration_crops(sr: SRModel, images: Sequence[NDArray[np.uint8]], settings: Settings) -> CropSet:
    """Return the crops of calibration photos that ``quantize`` chooses by, and those that are held out.

    Raises:
        CalibrationError: the photos cannot be used.
    """
    return cut_crops(
        images,
        channels=sr.channels,
        halo=sr.halo if sr.halo < UNBOUNDED_HALO else 0,
        size=settings.crop,
        per_image=settings.crops_per_image,
        shrink=sr.scale,
        seed=settings.seed,
        unit=sr.unit,
        smallest=smallest_to_mirror(sr.model),
    )


def _stages(settings: Settings) -> dict[str, float]:
    """Return about how long each part takes."""
    return {
        **({_TAMING: 20} if settings.tame else {}),
        **({_CHANNELS: 20} if settings.equalize else {}),
        _RANGES: 25,
        _WEIGHTS: 35,
        **({_SPENDING: 200 if settings.demanded or settings.costs else 20} if _spends(settings) else {}),
    }


def _tamed(sr: SRModel, crops: CropSet, settings: Settings, stages: Stages) -> RepresentativeSet | None:
    model = FloatModel(sr.model)
    first = model.run(to_float(crops.crops[0], sr.value_range))
    if not np.isfinite(first).all():
        raise CalibrationError("the network's output is NaN or infinite on a calibration image")
    if not settings.tame:
        return None
    tell = stages.begin(_TAMING)
    return represent(
        lambda pixels: model.run(to_float(pixels, sr.value_range)),
        crops.crops,
        sr.value_range,
        halo=sr.halo if sr.halo < UNBOUNDED_HALO else None,
        at_once=usable_cores(),
        progress=lambda index: tell("", index / len(crops.crops)),
    )
