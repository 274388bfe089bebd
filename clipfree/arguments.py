"""What functions for programs take, as the toolchain takes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from toolchain.quantize import Settings

Progress: TypeAlias = Callable[[str, float], None]
"""Is told what happens, as text, and the share of all that is done, 0 to 1. What it raises ends the work, and nothing
half-written is left."""

Photographs: TypeAlias = str | Path | Sequence[str | Path]
"""A folder, or picture files."""

Bits: TypeAlias = Mapping[str, int | tuple[int, ...]]
"""16 for tensors, by name or pattern of names, or the numbers of the channels that have 16."""


Budget: TypeAlias = float | str | Sequence[str]
"""Percent of more work, or bounds as ``clipfree deploy --budget`` reads them: "bops=100%", "size=60%"."""


def paths_of(photographs: Photographs) -> Path | Sequence[Path]:
    """Return photographs as paths."""
    if isinstance(photographs, (str, Path)):
        return Path(photographs)
    return tuple(Path(photo) for photo in photographs)


def photographs_for(model: str | Path, photographs: Photographs | None) -> Path | Sequence[Path]:
    """Return what to calibrate with; for an embedded model, if nothing is named, photographs of scikit-image.

    Raises:
        CalibrationError: there are none.
    """
    from toolchain.zoo.demo_photos import photographs_for as chosen

    return chosen(str(model), None) if photographs is None else paths_of(photographs)


def settings_of(
    bits: Bits | None = None,
    budget: Budget | None = None,
    max_loss: float | None = None,
    estimator: str | None = None,
    weights: str | None = None,
    weight_bits: int | str | Mapping[str, int] | None = None,
    *,
    codebook: bool = False,
    bits_nested: Sequence[int] = (),
    outliers: bool = True,
) -> Settings | None:
    """Return settings of quantizing; None where nothing is asked for.

    Raises:
        CalibrationError: there is no such estimator, or a number cannot be used.
    """
    from toolchain.quantize import Settings
    from toolchain.quantize.budgets import read_budgets

    words = [budget] if isinstance(budget, str) else budget
    work, costs = read_budgets(words) if isinstance(words, Sequence) else (words, ())
    narrow, spare = _read_weight_bits(weight_bits)
    asked = bits or narrow or spare or codebook or bits_nested or not outliers or estimator or weights
    if not (asked or budget is not None or max_loss is not None):
        return None
    settings = Settings(
        bits=bits or {},
        weight_bits=narrow,
        codebook=codebook,
        bits_nested=tuple(bits_nested),
        outliers=outliers,
        spare_weights=spare,
        budget=work,
        costs=costs,
        max_loss=max_loss,
    )
    settings = settings if estimator is None else replace(settings, activations=estimator)
    return settings if weights is None else replace(settings, weights=weights)


def _read_weight_bits(given: int | str | Mapping[str, int] | None) -> tuple[Mapping[str, int], bool]:
    from toolchain.quantize.weight_bits import EVERY, read_weight_bits

    if isinstance(given, str):
        return read_weight_bits([given])
    return {EVERY: given} if isinstance(given, int) else given or {}, False


def by_count(progress: Progress | None) -> Callable[[str, int, int], None] | None:
    """Return what is told (text, steps done, steps in all), for a ``progress`` that is told shares."""
    if progress is None:
        return None
    tell = progress
    return lambda text, done, total: tell(text, done / total if total else 0.0)
