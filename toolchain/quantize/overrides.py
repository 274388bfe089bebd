"""What a user says of some tensors by name or pattern: which estimator a range gets, how many bits its codes have."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar

from toolchain.quantize.bits import Bits
from toolchain.quantize.plan import QuantizationPlan
from toolchain.support.errors import CalibrationError

_HINT = "`clipfree fidelity` lists the names; * and ? stand for any letters"

Value = TypeVar("Value")


@dataclass(frozen=True)
class _Words:
    """The sentences of error messages about one kind of override.

    Attributes:
        several: how several of it are called.
        pixels: why pixels have none.
        constants: why constants have none.
    """

    several: str
    pixels: str
    constants: str


_ESTIMATORS = _Words(
    "estimators", "its range is theirs, and no estimator decides it", "only ranges of activations are estimated"
)
_BITS = _Words("numbers of bits", "they have 8 bits", "only activations can have 16 bits")


def choose_estimators(
    plan: QuantizationPlan, overrides: Mapping[str, str], default: str, *, constants: Collection[str] = ()
) -> dict[str, str]:
    """Estimator names by group, for every group that is observed.

    Args:
        plan: which tensors are quantized, and which share a range.
        overrides: estimators by tensor name or shell pattern, see ``choose_bits``.
        default: for all others.
        constants: names of the weights and biases, to say why they are none of the tensors.

    Raises:
        CalibrationError: a name or pattern fits no tensor whose range is estimated, or two of them contradict each
            other.
    """
    chosen = {plan.group[name]: default for name in plan.observed}
    return {**chosen, **_by_group(plan, overrides, constants, _ESTIMATORS)}


def choose_bits(
    plan: QuantizationPlan, bits: Mapping[str, Bits], *, constants: Collection[str] = ()
) -> dict[str, Bits]:
    """Return bits by group, for every group that something is said of.

    Args:
        plan: which tensors are quantized, and which share a range.
        bits: by tensor name or shell pattern. A name goes before every pattern, a longer pattern before a shorter one;
            what is said of one tensor holds for all that share its range.
        constants: names of the weights and biases, to say why they are none of the tensors.

    Raises:
        CalibrationError: as ``choose_estimators``.
    """
    return _by_group(plan, bits, constants, _BITS)


def _by_group(
    plan: QuantizationPlan, said: Mapping[str, Value], constants: Collection[str], words: _Words
) -> dict[str, Value]:
    free = {name: group for name, group in plan.group.items() if name in plan.points and group not in plan.pinned}
    found: dict[str, tuple[tuple[bool, int], str, Value]] = {}  # by group: how specific, key, value
    for key, value in sorted(said.items()):
        fitting = [key] if key in free else [name for name in free if fnmatchcase(name, key)]
        if not fitting:
            raise CalibrationError(_unfit(key, plan, constants, words), hint=_HINT)
        rank = (key in free, 0 if key in free else len(key))
        for group in {free[name] for name in fitting}:
            old = found.get(group)
            if old is not None and old[0] == rank and old[2] != value:
                raise CalibrationError(
                    f"'{old[1]}' and '{key}' share one range, and get two {words.several}: {old[2]} and {value}",
                    hint="give both the same",
                )
            if old is None or old[0] <= rank:
                found[group] = (rank, key, value)
    return {group: value for group, (_, _, value) in found.items()}


def _unfit(key: str, plan: QuantizationPlan, constants: Collection[str], words: _Words) -> str:
    if plan.group.get(key) in plan.pinned:
        return f"'{key}' holds pixels: {words.pixels}"
    if key in constants:
        return f"'{key}' is a constant of the model: {words.constants}"
    return f"the model has no quantized tensor '{key}'"
