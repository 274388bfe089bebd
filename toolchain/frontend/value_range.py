"""What black and white are for a network, at either end: 0..1, 0..255 or -1..1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from toolchain.frontend.graph import Array
from toolchain.support.errors import ModelError

UNIT, BYTES, SIGNED = (0.0, 1.0), (0.0, 255.0), (-1.0, 1.0)
RANGES = {"0..1": UNIT, "0..255": BYTES, "-1..1": SIGNED}

_SAY = "say --range 0..1, --range 0..255 or --range -1..1, or INPUT:OUTPUT such as --range 0..1:-1..1"

_FAITHFUL = 0.06
"""Largest deviation (RMS, of the range) of the output's local mean from the input that still counts as upscaling."""

_SIZE = 40
_BORDER = 8


@dataclass(frozen=True)
class Ends:
    """Black and white at the input and at the output."""

    input: tuple[float, float]
    output: tuple[float, float]

    @property
    def alike(self) -> bool:
        """Whether the network works on one range from zero on; otherwise its ends have to be rewritten to 0..1."""
        return self.input == self.output and self.input[0] == 0

    def __str__(self) -> str:
        words = {bounds: name for name, bounds in RANGES.items()}
        return f"{words[self.input]}:{words[self.output]}"


CANDIDATES = (Ends(UNIT, UNIT), Ends(BYTES, BYTES), Ends(SIGNED, SIGNED), Ends(UNIT, SIGNED))
"""What networks are made for; the last by some that were trained adversarially."""


def choose(
    given: str | None,
    limits: tuple[float, float] | None,
    scaled: str | None,
    errors: dict[Ends, float],
    likely: str | None = None,
) -> Ends:
    """Return the value ranges: as the final clip says, or the scalings, or the user, or the model's behaviour.

    Args:
        given: one of `RANGES` as the user said it, of the output at least, or two with a colon between, or None.
        limits: of the final clip, if the model has one.
        scaled: "0..1" or "0..255" if scalings in the graph say so.
        errors: from ``follow``, for `CANDIDATES`.
        likely: "0..1" or "0..255", which it is where nothing else tells and it does not behave as one around zero.

    Raises:
        ModelError: an unknown range is given, it contradicts the graph, or nothing tells.
    """
    wanted = _read(given)
    known = RANGES[scaled] if scaled is not None else None
    if limits is not None and known is None:
        known = next((bounds for bounds in RANGES.values() if np.allclose(limits, bounds, rtol=1e-4, atol=1e-6)), None)
    if known is not None and wanted is not None and wanted[1] != known:
        if limits is not None:
            low, high = limits
            raise ModelError(
                f"the value range {given} contradicts the model's final clip to {low:g}..{high:g}",
                hint="leave --range away",
            )
        raise ModelError(
            f"the value range {given} contradicts the scalings in the model, which end in {scaled}",
            hint="leave --range away",
        )
    output = wanted[1] if wanted is not None else known
    if wanted is not None and wanted[0] is not None:
        return Ends(wanted[0], output or wanted[1])
    if output == SIGNED:
        return min((ends for ends in CANDIDATES if ends.output == SIGNED), key=lambda ends: errors[ends])
    if output is not None:
        return Ends(output, output)
    if likely is not None:
        return _around_zero(errors) or Ends(RANGES[likely], RANGES[likely])
    return _by_behaviour(errors)


def alike(given: str | None) -> tuple[float, float]:
    """Return the one range of both ends that a user names, 0..1 if none: that of a network whose ends are joined.

    Raises:
        ModelError: an unknown range is given, or two that differ.
    """
    wanted = _read(given)
    if wanted is None:
        return UNIT
    if wanted[0] not in (None, wanted[1]):
        raise ModelError(
            f"the network takes or gives planes of Y, Cb and Cr or alpha, for which {given} is no range",
            hint="say --range 0..1, --range 0..255 or --range -1..1, of both ends",
        )
    return wanted[1]


def _read(given: str | None) -> tuple[tuple[float, float] | None, tuple[float, float]] | None:
    """Input (None: to be found out) and output that the user names."""
    if given is None:
        return None
    words = given.split(":")
    if len(words) > 2 or any(word not in RANGES for word in words):
        raise ModelError(f"'{given}' is not a value range", hint=_SAY)
    bounds = [RANGES[word] for word in words]
    if len(bounds) == 2:
        return bounds[0], bounds[1]
    return (None if bounds[0] == SIGNED else bounds[0]), bounds[0]


def _by_behaviour(errors: dict[Ends, float]) -> Ends:
    unit, large = CANDIDATES[:2]
    # Networks without large offsets treat both alike, and then the common convention is right. One made for 0..255 has
    # offsets that drown a picture of 0..1.
    if errors[unit] <= _FAITHFUL and (errors[unit] <= _FAITHFUL / 4 or errors[unit] <= 10 * errors[large]):
        return unit
    if errors[large] <= _FAITHFUL < errors[unit]:
        return large
    signed = min(errors[ends] for ends in CANDIDATES[2:])
    hint = "say --range -1..1" if _around_zero(errors) else _SAY
    raise ModelError(
        f"cannot tell whether the model works on 0..1, 0..255 or -1..1 (the output deviates from the "
        f"input by {errors[unit]:.0%}, {errors[large]:.0%} and {signed:.0%})",
        hint=hint,
    )


def _around_zero(errors: dict[Ends, float]) -> Ends | None:
    """Return the ends with black at -1 where the network follows pictures on these alone; else None.

    Linear networks follow pictures around zero better than others whatever they are made for.
    """
    best = min(CANDIDATES[2:], key=lambda ends: errors[ends])
    return best if min(errors[ends] for ends in CANDIDATES[:2]) > 3 * _FAITHFUL > errors[best] else None


def _means(values: Array, side: int) -> Array:
    """Return the means of whole squares of ``side`` pixels of (1, C, h, w)."""
    rows, columns = (size // side for size in values.shape[2:])
    whole = values[..., : rows * side, : columns * side]
    return np.asarray(whole.reshape(*values.shape[:2], rows, side, columns, side).mean((3, 5)))


def follow(run: Callable[[Array], Array], channels: int, scale: int | Fraction) -> dict[Ends, float]:
    """For each of `CANDIDATES`, how far the output is from the input: RMS of local means, as a part of the range.

    The pictures are mid-grey and a gradient through all levels; the border is left out.

    Args:
        run: makes (1, channels, h*scale, w*scale) of float32 (1, channels, h, w), both in the network's range.
        channels: of the network.
        scale: of the network.
    """
    border = max(1, _BORDER // scale.denominator)
    ramp = np.linspace(0.0, 1.0, _SIZE)
    gradient = 0.5 * (ramp[:, None] + ramp[None, ::-1])
    errors = {}
    for ends in CANDIDATES:
        (low, high), (black, white) = ends.input, ends.output
        squares: list[Array] = []
        for picture in (np.full((_SIZE, _SIZE), 0.5), gradient):
            x = np.broadcast_to(picture, (1, channels, _SIZE, _SIZE)).astype(np.float32)
            y = run(x * np.float32(high - low) + np.float32(low)).astype(np.float64)
            inner = slice(border, -border)
            with np.errstate(all="ignore"):  # a broken network may well give infinities
                local = _means((y - black) / (white - black), scale.numerator) - _means(x, scale.denominator)
                squares.append(local[..., inner, inner] ** 2)
        with np.errstate(all="ignore"):
            errors[ends] = float(np.nan_to_num(np.sqrt(np.mean(squares)), nan=np.inf))
    return errors
