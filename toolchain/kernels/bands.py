"""Streaming a picture through all kernels of a network in bands of rows: which rows each step computes, and when.

Executed layer by layer, a network writes every tensor to memory and reads it back. Here all steps work on one band of
rows after the other, while the rows between them are in the cache: a step computes as many new rows as the picture's
front advances, and lags behind the front by the rows that later convolutions' windows reach below. Of each tensor only
a *line buffer* is kept: the rows of a band, and before them the ``history`` that windows of the next band still read.
Nothing is computed twice, except where the picture is cut for several threads: there each thread computes the rows its
windows reach into (the halo).

Tensors need not have as many rows as the picture. A step writes ``scale`` rows for each row that it computes (a pixel
shuffle), and reads ``stride`` rows further for each (a convolution that makes the picture smaller). That gives every
tensor and every step its *rate*: rows for one of the picture, a fraction. Each step counts its own rows.

Scheduling loops so that consumers follow producers through line buffers is what Halide calls storage folding (Ragan-
Kelley et al., PLDI 2013); that steps of several rates fire in a common period is synchronous data flow (Lee and
Messerschmitt, 1987).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class Read:
    """A tensor as a step's operand.

    Attributes:
        buffer: index of the tensor; None: the picture that the network is given.
        above, below: rows read above and below the row that is computed; that is row ``stride * y`` of the operand for
            row y of the step.
        stride: rows of the operand for one of the step.
    """

    buffer: int | None
    above: int = 0
    below: int = 0
    stride: int = 1

    @property
    def reach(self) -> int:
        """Rows read below the next row's place, less than none where the step leaves some of its operand out."""
        return self.below - (self.stride - 1)


@dataclass(frozen=True)
class Step:
    """A kernel's place in the network.

    Attributes:
        reads: its operands, in the order of the kernel's arguments.
        writes: index of the tensor it writes, or a part of it; None: the picture that the network returns.
        scale: rows that it writes for each that it computes.
    """

    reads: tuple[Read, ...]
    writes: int | None
    scale: int = 1


@dataclass(frozen=True)
class StepBand:
    """A step's part of a band: which of its rows it computes, and where they lie in line buffers.

    Attributes:
        rate: rows that it computes for one of the picture.
        lag: rows by which it follows the front.
        up, down: rows beyond its cut that it computes, for the windows of later steps.
        offset: row of the line buffer to which the first row of its band is written; 0 for what is whole.
        starts: for each operand, row of the line buffer where the window of its band begins; 0 for what is whole.
    """

    rate: Fraction
    lag: int
    up: int
    down: int
    offset: int
    starts: tuple[int, ...]


@dataclass(frozen=True)
class Bands:
    """Which rows are computed when.

    For a cut of the picture with rows ``first <= row < last``, of bands of ``rows`` rows, the front of band b = 0, 1,
    ... is ``first - lead + b * rows``. A step at ``rate`` computes ``rate * rows`` rows from ``rate * front - lag`` on,
    as far as they are within its tensor and within ``rate * first - up <= row < rate * last + down``.

    Attributes:
        steps: their parts of a band, in order.
        rates: rows of each tensor for one of the picture.
        history: rows of each tensor that are kept from one band to the next.
        lead: rows of the picture by which the first band precedes the cut.
        tail: the bands end when the front is so many rows of the picture beyond the cut.
        unit: ``rows`` and ``first`` must be multiples of it, and ``lead`` is: then every rate gives whole rows.
    """

    steps: tuple[StepBand, ...]
    rates: tuple[Fraction, ...]
    history: tuple[int, ...]
    lead: int
    tail: int
    unit: int

    def count(self, rows: int, height: int) -> int:
        """Return bands of ``rows`` rows for a cut of ``height`` rows."""
        return -(-(height + self.lead + self.tail) // rows)


def plan_bands(steps: Sequence[Step], buffers: int, whole: Mapping[int, Fraction] | None = None) -> Bands:
    """Plan ``steps``, given in an order in which tensors are written before they are read.

    A tensor may be written by several steps, each a part of its channels; a step depends on those before it.

    Args:
        steps: the network, or a part of it.
        buffers: number of tensors.
        whole: tensors of which there are no line buffers, as of pictures, and their rates; 0 where they have a single
            pixel. Steps read what was written before the first of them.
    """
    whole = whole or {}
    own, rates = _rates(steps, buffers, whole)
    inputs, uses = _dependences(steps, whole)
    lags = _lags(steps, inputs, uses)
    up, down = [0] * len(steps), [0] * len(steps)
    for index in reversed(range(len(steps))):
        scale = steps[index].scale
        for reader, read in uses[index]:
            up[index] = max(up[index], -(-(up[reader] * read.stride + read.above) // scale))
            down[index] = max(down[index], -(-(down[reader] * read.stride + read.reach) // scale))

    # From here on, lags of what is written and read are in rows of the tensor.
    written: list[list[int]] = [[] for _ in range(buffers)]
    for step, lag in zip(steps, lags, strict=True):
        if step.writes is not None and step.writes not in whole:
            written[step.writes].append(lag * step.scale)
    newest = [min(found, default=0) for found in written]
    history = [max(found, default=0) - new for found, new in zip(written, newest, strict=True)]
    for step, lag in zip(steps, lags, strict=True):
        for read in step.reads:
            if read.buffer is not None and read.buffer not in whole:
                oldest = lag * read.stride + read.above
                history[read.buffer] = max(history[read.buffer], oldest - newest[read.buffer])

    def place(buffer: int | None, behind: int) -> int:
        return 0 if buffer is None or buffer in whole else history[buffer] + newest[buffer] - behind

    bands = tuple(
        StepBand(
            own[index],
            lag,
            up[index],
            down[index],
            place(step.writes, lag * step.scale),
            tuple(place(read.buffer, lag * read.stride + read.above) for read in step.reads),
        )
        for index, (step, lag) in enumerate(zip(steps, lags, strict=True))
    )
    unit = math.lcm(*(rate.denominator for rate in (*own, *rates)))
    lead = max(math.ceil((band.up - band.lag) / band.rate) for band in bands)
    tail = max(math.ceil((band.down + band.lag) / band.rate) for band in bands)
    return Bands(bands, tuple(rates), tuple(history), -(-lead // unit) * unit, tail, unit)


Links = list[list[tuple[int, Read]]]
"""For every step, other steps and the operands by which they are connected."""


def _rates(steps: Sequence[Step], buffers: int, whole: Mapping[int, Fraction]) -> tuple[list[Fraction], list[Fraction]]:
    """Return rows of each step, and of each tensor, for one of the picture."""
    own, rates = [], [Fraction(whole.get(buffer, 1)) for buffer in range(buffers)]
    for step in steps:
        found = {(Fraction(1) if read.buffer is None else rates[read.buffer]) / read.stride for read in step.reads}
        found.discard(Fraction(0))
        assert len(found) == 1, "a kernel's operands have as many rows"
        own.append(found.pop())
        if step.writes is not None and step.writes not in whole:
            rates[step.writes] = own[-1] * step.scale
    return own, rates


def _dependences(steps: Sequence[Step], whole: Mapping[int, Fraction]) -> tuple[Links, Links]:
    """Return the steps that write what a step reads, and those that read what it writes."""
    inputs: Links = [[] for _ in steps]
    uses: Links = [[] for _ in steps]
    for index, step in enumerate(steps):
        for read in step.reads:
            for writer in range(index):
                if read.buffer is not None and read.buffer not in whole and steps[writer].writes == read.buffer:
                    inputs[index].append((writer, read))
                    uses[writer].append((index, read))
    return inputs, uses


def _lags(steps: Sequence[Step], inputs: Links, uses: Links) -> list[int]:
    """How far each step must follow the front, and then as far as its readers allow: a late step's input is mostly
    smaller than its output, and it is the input that must be kept.
    """
    lag = [0] * len(inputs)
    for index, sources in enumerate(inputs):
        needed = (-(-(lag[writer] * steps[writer].scale + read.reach) // read.stride) for writer, read in sources)
        lag[index] = max(needed, default=0)
    for index in reversed(range(len(uses))):
        allowed = ((lag[reader] * read.stride - read.reach) // steps[index].scale for reader, read in uses[index])
        lag[index] = min(allowed, default=lag[index])
    return lag
