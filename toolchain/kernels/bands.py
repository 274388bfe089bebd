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
class Bands:
    """Which rows are computed when. Row numbers are those of the picture; band b ends before row ``front(b)``.

    For a cut of the picture with rows ``first <= row < last``, of bands of ``rows`` rows, band b = 0, 1, ... of step s
    is the ``rows`` rows from ``first - lead + b * rows - lag[s]`` on, as far as they are within the picture and within
    ``first - up[s] <= row < last + down[s]``.

    Attributes:
        lag: rows by which each step follows the front.
        up, down: rows beyond its cut that each step computes, for the windows of later ones.
        history: rows of each tensor that are kept from one band to the next.
        offset: for each step, the row of the line buffer to which the first row of its band is written.
        starts: for each step, for each operand, the row of the line buffer where the window of its band begins; 0 for
            the picture.
        lead: rows by which the first band precedes the cut.
        tail: the bands end when the front is so many rows beyond the cut.
    """

    lag: tuple[int, ...]
    up: tuple[int, ...]
    down: tuple[int, ...]
    history: tuple[int, ...]
    offset: tuple[int, ...]
    starts: tuple[tuple[int, ...], ...]
    lead: int
    tail: int

    def count(self, rows: int, height: int) -> int:
        """Bands of ``rows`` rows for a cut of ``height`` rows."""
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
    lag = _lags(inputs, uses)
    up, down = [0] * len(steps), [0] * len(steps)
    for index in reversed(range(len(steps))):
        for reader, read in uses[index]:
            up[index] = max(up[index], up[reader] + read.above)
            down[index] = max(down[index], down[reader] + read.below)

    newest = [
        min((lag[i] for i, step in enumerate(steps) if step.writes == buffer), default=0) for buffer in range(buffers)
    ]
    history = [0] * buffers
    for index, step in enumerate(steps):
        for read in step.reads:
            if read.buffer is not None:
                history[read.buffer] = max(history[read.buffer], lag[index] + read.above - newest[read.buffer])

    def place(buffer: int | None, step: int, above: int) -> int:
        return 0 if buffer is None else history[buffer] + newest[buffer] - lag[step] - above

    return Bands(
        lag=tuple(lag),
        up=tuple(up),
        down=tuple(down),
        history=tuple(history),
        offset=tuple(place(step.writes, index, 0) for index, step in enumerate(steps)),
        starts=tuple(
            tuple(place(read.buffer, index, read.above) for read in step.reads) for index, step in enumerate(steps)
        ),
        lead=max(u - behind for u, behind in zip(up, lag, strict=True)),
        tail=max(d + behind for d, behind in zip(down, lag, strict=True)),
    )


Links = list[list[tuple[int, Read]]]
"""For every step, other steps and the operands by which they are connected."""


def _dependences(steps: Sequence[Step]) -> tuple[Links, Links]:
    """The steps that write what a step reads, and those that read what it writes."""
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
