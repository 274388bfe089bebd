"""Where a run of kernels is cut into segments through which rows stream.

Within a segment nothing but line buffers lies between kernels, and every thread computes the rows that later windows of
its part reach into (the halo, see `toolchain.kernels.bands`): in deep networks as many as the part itself has. Between
segments tensors are whole, written to memory and read back. Segments are chosen so that both cost the least, by dynamic
programming over the places where a run may be cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from toolchain.kernels.layout import PACK
from toolchain.kernels.network import Tensor
from toolchain.lower.calls import Launch

PART = 90
"""Rows of a thread's part of the picture that the costs are of: of 180 rows for two threads, of 360 for four."""

STORED = 20.0
"""What it costs to write a number to memory, or to read it back, in multiply-accumulates."""

NEAR = 5.0
"""What it costs a kernel to write a number to the cache, in multiply-accumulates."""

GAIN = 0.02
"""A run is cut where that saves so much of its time at least: whole tensors take memory."""

LONGEST = 96
"""Kernels of a segment of a run that is cut."""


@dataclass(frozen=True)
class _Cost:
    """A kernel as the costs see it: its operands' tensors with the rows read above and below and the stride, what it
    writes, and multiply-accumulates for a pixel of the picture.
    """

    reads: tuple[tuple[Any, int, int, int], ...]
    writes: Any
    scale: int
    rate: Fraction
    work: float


def cut(
    run: Sequence[Launch], roots: Mapping[Any, Any], work: Mapping[str, int], left: set[Any], shared: set[Any]
) -> list[range]:
    """Return the segments of ``run``, kernels that are called one after the other.

    Args:
        run: the kernels.
        roots: of every variable the tensor that it is, or is a later state of.
        work: multiply-accumulates for a pixel of their outputs, of kernels that are convolutions.
        left: tensors that are read or written outside of the run.
        shared: those of which a part is written outside of the run.
    """
    given = [_cost(launch, roots, work) for launch in run]
    size = {roots[launch.var]: _numbers(launch) for launch in run if isinstance(launch.result, Tensor)}
    count = len(run)
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, count + 1):
        found = [
            (best[start][0] + cost, start)
            for start, cost in _costs(given, size, end, left, shared, max(0, end - LONGEST))
            if best[start][0] < float("inf")
        ]
        best.append(min(found, default=(float("inf"), end - 1)))
    whole = next((cost for start, cost in _costs(given, size, count, left, shared, 0) if start == 0), float("inf"))
    if whole <= best[count][0] * (1 + GAIN):
        return [range(count)]
    segments, end = [], count
    while end:
        segments.append(range(best[end][1], end))
        end = best[end][1]
    return segments[::-1]


def _costs(
    given: Sequence[_Cost], size: Mapping[Any, float], end: int, left: set[Any], shared: set[Any], first: int
) -> list[tuple[int, float]]:
    """Return the costs of the segments that end before ``end``, by their starts, of those that can be."""
    later = left | {tensor for cost in given[end:] for tensor, *_ in cost.reads}
    later |= {cost.writes for cost in given[end:]}
    halo: dict[int, tuple[int, int]] = {}
    readers: dict[Any, list[int]] = {}
    total, found = 0.0, []
    for index in range(end - 1, first - 1, -1):
        own = given[index]
        up = down = 0
        for reader in readers.get(own.writes, ()):
            above, below = halo[reader]
            for tensor, before, behind, stride in given[reader].reads:
                if tensor == own.writes:
                    up = max(up, -(-(above * stride + before) // own.scale))
                    down = max(down, -(-(below * stride + behind - (stride - 1)) // own.scale))
        halo[index] = up, down
        for tensor, *_ in own.reads:
            readers.setdefault(tensor, []).append(index)
        total += own.work * (1 + float((up + down) / (2 * own.rate)) / PART)
        stored = _stored(given, range(index, end), size, shared, later)
        if stored is not None:
            found.append((index, total + stored))
    return found


def _stored(
    given: Sequence[_Cost], segment: range, size: Mapping[Any, float], shared: set[Any], later: set[Any]
) -> float | None:
    """Return what the whole tensors of a segment cost; None where it reads a tensor of which it wrote a part, and
    perhaps another segment the rest.
    """
    written: set[Any] = set()
    before = shared.union(cost.writes for cost in given[: segment.start])
    total = 0.0
    read_whole: set[Any] = set()
    for index in segment:
        cost = given[index]
        for tensor, *_ in cost.reads:
            if tensor in written:
                if tensor in before:
                    return None
            else:
                read_whole.add(tensor)
        if cost.writes in read_whole and any(
            tensor == cost.writes for other in segment if other > index for tensor, *_ in given[other].reads
        ):
            return None
        written.add(cost.writes)
    total += STORED * sum(size.get(tensor, 0.0) for tensor in read_whole)
    return total + STORED * sum(size.get(tensor, 0.0) for tensor in written & later)


def _cost(launch: Launch, roots: Mapping[Any, Any], work: Mapping[str, int]) -> _Cost:
    rate = Fraction(launch.scale)
    reads = tuple((roots.get(s.var, s.var), s.above, s.below, s.stride) for s in launch.sources)
    scale = launch.call.step.scale
    pixels = float((rate * scale) ** 2)
    macs = work.get(launch.call.kernel, 0) * float(rate**2)
    return _Cost(reads, roots[launch.var], scale, rate, macs + NEAR * _numbers(launch) * (pixels > 0))


def _numbers(launch: Launch) -> float:
    """Return numbers that a kernel writes for a pixel of the picture, bytes of codes of 16 bits being two."""
    if not isinstance(launch.result, Tensor):
        return float((Fraction(launch.scale) * launch.result.scale) ** 2 * launch.result.channels)
    packed = PACK if launch.result.dtype == "uint32" else 1
    view = launch.call.view
    blocks = launch.result.blocks if view is None else view.count * view.bytes
    return float((Fraction(launch.scale) * launch.call.step.scale) ** 2 * packed * blocks)
