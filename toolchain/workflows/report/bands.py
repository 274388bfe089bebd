"""How rows stream through a compiled network, in figures for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolchain.kernels.network import Stream


@dataclass(frozen=True)
class BandPlan:
    """A segment of a network that runs in bands of rows.

    Attributes:
        kernels: how many follow each other.
        rows: of the input picture that a band has.
        lag: rows by which the last kernel follows the first, of the input picture.
        lines: tensors of which line buffers hold some rows.
        whole: tensors that lie in memory whole, for other segments.
        buffers: bytes of line buffers, and what goes with them, of each thread.
    """

    kernels: int
    rows: int
    lag: int
    lines: int
    whole: int
    buffers: int


def plan_of(segments: Sequence[Stream], width: int) -> tuple[BandPlan, ...]:
    """Return how rows stream through each segment, for a picture of ``width`` input pixels."""
    return tuple(
        BandPlan(
            kernels=len(segment.calls),
            rows=segment.band_rows(width),
            lag=segment.plan().tail,
            lines=len(segment.tensors) - len(segment.whole),
            whole=len(segment.whole),
            buffers=segment.workspace(width),
        )
        for segment in segments
    )
