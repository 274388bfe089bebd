"""Lanes as tiles: from neighbouring pixels to one column of each tile, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T


def transposed(vectors: Sequence[Any], lanes: int) -> list[Any]:
    """Return four vectors of ``lanes``: lane by lane in groups of four, rows become columns. The inverse of itself.

    Of four vectors of neighbouring pixels, what comes first are the pixels of which each is the first of four.
    """
    halves = vectors[:2], vectors[2:]
    pairs = [[_shuffled(half, order, lanes) for half in halves] for order in ((0, 4, 1, 5), (2, 6, 3, 7))]
    return [_shuffled(pair, order, lanes) for pair in pairs for order in ((0, 1, 4, 5), (2, 3, 6, 7))]


def _shuffled(pair: Sequence[Any], order: Sequence[int], lanes: int) -> Any:
    """In every group of four lanes, those of ``order``: 0 to 3 are the first vector's, 4 to 7 the second's."""
    places = [start + lane % 4 + lane // 4 * lanes for start in range(0, lanes, 4) for lane in order]
    return T.bind(tirx.Shuffle(list(pair), [tirx.const(place, "int32") for place in places]))
