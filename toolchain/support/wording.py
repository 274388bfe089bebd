"""How lists of names are put into sentences."""

from __future__ import annotations

from collections.abc import Sequence

_NAMED = 3


def name_some(names: Sequence[str]) -> str:
    """Return the first of several names, and how many more there are."""
    rest = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
