"""Which estimator each group of tensors gets: the default, or what a name or pattern says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

from toolchain.errors import CalibrationError
from toolchain.quantize.plan import Plan

_HINT = "`clipfree fidelity` lists the names; * and ? stand for any letters"


def choose_estimators(
    plan: Plan, overrides: Mapping[str, str], default: str, *, constants: Collection[str] = ()
) -> dict[str, str]:
    """Estimator names by group, for every group that is observed.

    Args:
        plan: which tensors are quantized, and which share a range.
        overrides: estimators by tensor name or shell pattern. A name goes before every pattern, a longer pattern before
            a shorter one; what is said of one tensor holds for all that share its range.
        default: for all others.
        constants: names of the weights and biases, to say why they are none of the tensors.

    Raises:
        CalibrationError: a name or pattern fits no tensor whose range is estimated, or two of them contradict each
            other.
    """
    free = {name: group for name, group in plan.group.items() if name in plan.points and group not in plan.pinned}
    chosen = {plan.group[name]: default for name in plan.observed}
    said: dict[str, tuple[tuple[bool, int], str, str]] = {}  # by group: how specific, key, estimator
    for key, estimator in sorted(overrides.items()):
        fitting = [key] if key in free else [name for name in free if fnmatchcase(name, key)]
        if not fitting:
            raise CalibrationError(_unfit(key, plan, constants), hint=_HINT)
        rank = (key in free, 0 if key in free else len(key))
        for group in {free[name] for name in fitting}:
            old = said.get(group)
            if old is not None and old[0] == rank and old[2] != estimator:
                raise CalibrationError(
                    f"'{old[1]}' and '{key}' share one range, and get two estimators: {old[2]} and {estimator}",
                    hint="give both the same",
                )
            if old is None or old[0] <= rank:
                said[group] = (rank, key, estimator)
    chosen.update({group: estimator for group, (_, _, estimator) in said.items()})
    return chosen


def _unfit(key: str, plan: Plan, constants: Collection[str]) -> str:
    if plan.group.get(key) in plan.pinned:
        return f"'{key}' holds pixels: its range is theirs, and no estimator decides it"
    if key in constants:
        return f"'{key}' is a constant of the model: only ranges of activations are estimated"
    return f"the model has no quantized tensor '{key}'"
