"""Figures as people read them."""

from __future__ import annotations

import math


def amount(value: float, unit: str) -> str:
    """Return a number of three digits with an SI prefix: ``amount(21600, "MAC")`` is "21.6 kMAC"."""
    for limit, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * limit:
            return f"{digits(value / limit)} {prefix}{unit}"
    return f"{digits(value)} {unit}"


def digits(value: float, most: int = 3) -> str:
    """Return a number rounded to so many digits, without an exponent where it has a few more."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = most - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):.{max(places, 0)}f}"


def percent(share: float) -> str:
    """Return a share of 1 in percent."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 99.95 or value == 0 else f"{value:.1f} %" if value >= 0.1 else "below 0.1 %"


def decibels(value: float | None, equal: str = "equal") -> str:
    """Return a ratio in dB; ``equal`` where there is no noise."""
    return equal if value is None or value == math.inf else f"{value:.1f} dB"
