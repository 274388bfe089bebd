"""Streaming a picture through all kernels of a network in bands of rows: which rows each step computes, and when.

Executed layer by layer, a network writes every tensor to memory and reads it back. Here all steps work on one band of
rows after the other, while the rows between them are in the cache: a step computes as many new rows as the picture's
front advances, and lags behind the front by the rows that later convolutions' windows reach below. Of each tensor only
a *line buffer* is kept: the rows of a band, and before them the ``history`` that windows of the next band still read.
Nothing is computed twice, except where the picture is cut for several threads: there each thread computes the rows its
windows reach into (the halo).

Scheduling loops so that consumers follow producers through line buffers is what Halide calls storage folding (Ragan-
Kelley et al., PLDI 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Read:
    """A tensor as a step's operand.

    Attributes:
        buffer: index of the tensor; None: the picture that the network is given.
        above, below: rows read above and below the row that is computed.
    """

    buffer: int | None
    above: int = 0
    below: int = 0


@dataclass(frozen=True)
class Step:
    """A kernel's place in the network.

    Attributes:
        reads: its operands, in the order of the kernel's arguments.
        writes: index of the tensor it writes, or a part of it; None: the picture that the network returns.
    """

    reads: tuple[Read, ...]
    writes: int | None


@dataclass(frozen=True)
class StepBand:
    """A step's part of a band: which rows it computes, and where they lie in line buffers.

    Attributes:
        lag: rows by which it follows the front.
        up, down: rows beyond its cut that it computes, for the windows of later steps.
        offset: row of the line buffer to which the first row of its band is written; 0 for the picture.
        starts: for each operand, row of the line buffer where the window of its band begins; 0 for the picture.
    """

    lag: int
    up: int
    down: int
    offset: int
    starts: tuple[int, ...]


@dataclass(frozen=True)
class Bands:
    """Which rows are computed when. Row numbers are those of the picture; band b ends before row ``front(b)``.

    For a cut of the picture with rows ``first <= row < last``, of bands of ``rows`` rows, band b = 0, 1, ... of a step
    is the ``rows`` rows from ``first - lead + b * rows - lag`` on, as far as they are within the picture and within
    ``first - up <= row < last + down``.

    Attributes:
        steps: their parts of a band, in order.
        history: rows of each tensor that are kept from one band to the next.
        lead: rows by which the first band precedes the cut.
        tail: the bands end when the front is so many rows beyond the cut.
    """

    steps: tuple[StepBand, ...]
    history: tuple[int, ...]
    lead: int
    tail: int

    def count(self, rows: int, height: int) -> int:
        """Return bands of ``rows`` rows for a cut of ``height`` rows."""
        return -(-(height + self.lead + self.tail) // rows)


def plan_bands(steps: Sequence[Step], buffers: int) -> Bands:
    """Plan ``steps``, given in an order in which tensors are written before they are read.

    A tensor may be written by several steps, each a part of its channels; a step depends on those before it. The last
    step writes the picture.

    Args:
        steps: the network.
        buffers: number of tensors.
    """
    inputs, uses = _dependences(steps)
    lags = _lags(inputs, uses)
    up, down = [0] * len(steps), [0] * len(steps)
    for index in reversed(range(len(steps))):
        for reader, read in uses[index]:
            up[index] = max(up[index], up[reader] + read.above)
            down[index] = max(down[index], down[reader] + read.below)

    newest = [
        min((lag for step, lag in zip(steps, lags, strict=True) if step.writes == buffer), default=0)
        for buffer in range(buffers)
    ]
    history = [0] * buffers
    for step, lag in zip(steps, lags, strict=True):
        for read in step.reads:
            if read.buffer is not None:
                history[read.buffer] = max(history[read.buffer], lag + read.above - newest[read.buffer])

    def place(buffer: int | None, lag: int, above: int) -> int:
        return 0 if buffer is None else history[buffer] + newest[buffer] - lag - above

    bands = tuple(
        StepBand(
            lag,
            up[index],
            down[index],
            place(step.writes, lag, 0),
            tuple(place(read.buffer, lag, read.above) for read in step.reads),
        )
        for index, (step, lag) in enumerate(zip(steps, lags, strict=True))
    )
    lead = max(band.up - band.lag for band in bands)
    tail = max(band.down + band.lag for band in bands)
    return Bands(bands, tuple(history), lead, tail)


Links = list[list[tuple[int, Read]]]
"""For every step, other steps and the operands by which they are connected."""


def _dependences(steps: Sequence[Step]) -> tuple[Links, Links]:
    """Return the steps that write what a step reads, and those that read what it writes."""
    inputs: Links = [[] for _ in steps]
    uses: Links = [[] for _ in steps]
    for index, step in enumerate(steps):
        for read in step.reads:
            for writer in range(index):
                if read.buffer is not None and steps[writer].writes == read.buffer:
                    inputs[index].append((writer, read))
                    uses[writer].append((index, read))
    return inputs, uses


def _lags(inputs: Links, uses: Links) -> list[int]:
    """How far each step must follow the front, and then as far as its readers allow: a late step's input is mostly
    smaller than its output, and it is the input that must be kept.
    """
    lag = [0] * len(inputs)
    for index, sources in enumerate(inputs):
        lag[index] = max((lag[writer] + read.below for writer, read in sources), default=0)
    for index in reversed(range(len(uses))):
        lag[index] = min((lag[reader] - read.below for reader, read in uses[index]), default=lag[index])
    return lag
