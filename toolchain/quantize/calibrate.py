"""Measures the ranges of a float network's tensors, one crop at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from toolchain.quantize.estimators import Range
from toolchain.quantize.observe import Wanted, observe
from toolchain.quantize.overrides import choose_estimators
from toolchain.quantize.plan import QuantizationPlan
from toolchain.reference.graph import GraphView
from toolchain.support.progress import Tell, untold

if TYPE_CHECKING:
    from toolchain.frontend import SRModel

# A Clip's bound becomes the range's end where the data come this close to it: then the clip is the integer saturation.
_REACHED = 0.9


def measure_ranges(
    sr: SRModel,
    plan: QuantizationPlan,
    crops: Sequence[NDArray[np.uint8]],
    estimators: Mapping[str, str],
    default: str,
    *,
    progress: Tell = untold,
) -> dict[str, Range]:
    """Run ``crops``, u8 (h, w, C), through the float network and estimate every group that is not pinned.

    Args:
        sr: the float network.
        plan: says which tensors are observed and which share a range.
        crops: streamed; memory does not grow with their number.
        estimators: estimator names by tensor name or pattern, where they differ from ``default``; see
            ``choose_estimators``.
        default: estimator of all others.
        progress: is told how many crops are done.

    Returns: ranges by group.

    Raises:
        CalibrationError: the network gives NaN or infinity, or ``estimators`` cannot be followed.
    """
    names = choose_estimators(plan, estimators, default, constants=GraphView(sr.model).constants)
    members: dict[str, list[str]] = {}
    for name in plan.observed:
        members.setdefault(plan.group[name], []).append(name)
    wanted = {group: Wanted(tuple(members[group]), name) for group, name in names.items()}
    ranges = {group: estimator.result() for group, (estimator,) in observe(sr, wanted, crops, progress).items()}
    for name, (low, high) in plan.bounded.items():
        group = plan.group[name]
        if group in ranges:
            ranges[group] = _snap(ranges[group], low, high)
    return ranges


def _snap(found: Range, low: float, high: float) -> Range:
    """Where the data reach an inner clip's bounds, the range ends exactly there.

    Not where they go beyond: those are values of another tensor that shares the range, and has no such clip.
    """
    ends = [
        bound if _REACHED * abs(bound) <= abs(seen) <= abs(bound) and bound * seen >= 0 else end
        for bound, seen, end in ((low, found.seen_low, found.low), (high, found.seen_high, found.high))
    ]
    return Range(min(ends[0], 0.0), max(ends[1], 0.0), found.seen_low, found.seen_high, found.count, found.estimator)
