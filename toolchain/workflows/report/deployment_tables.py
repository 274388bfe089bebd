"""The tables of a deployment's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from toolchain.pages import Cell, Column, Table, bar, distribution, figure, word
from toolchain.pages.wording import amount, decibels, digits, percent
from toolchain.workflows.report.structure import Part, plain_name

if TYPE_CHECKING:
    from toolchain.quantize.fidelity import TensorFidelity
    from toolchain.reference.network import Layer
    from toolchain.runtime.verify import Verified
    from toolchain.workflows.report.bands import BandPlan
    from toolchain.workflows.report.times import TimedKernels

_LOW, _SATURATED = 25.0, 0.001  # dB and share from which on a tensor calls for attention


def layers(
    parts: Sequence[Part],
    found: Mapping[str, Layer],
    noise: Mapping[str, float],
    weight_bits: Mapping[str, int | None],
    times: Mapping[str, float],
    timed: TimedKernels | None,
) -> Table:
    """Return the network's parts with their work, the bits of their weights (None: floats), and as far as they are
    known, the seconds they take, ``times``, and the signal to noise of what they make.
    """
    longest = max(times.values(), default=0.0)
    work = {name: _work(layer) for name, layer in found.items()}
    total, most = sum(work.values()) or 1.0, max(work.values(), default=0.0)
    columns = [
        Column("number"),
        Column("layer", text=True, name=True),
        Column("what it does", text=True),
        Column("multiply-accumulates per input pixel"),
        Column("share of the work"),
        *([Column("time (ms)"), Column("share of the time")] if times else []),
        Column("weights"),
        Column("bits of a weight"),
        Column("bits read"),
    ]
    columns += [Column("signal to noise (dB)")] * bool(noise)
    rows = []
    for number, part in enumerate(parts[1:], 1):
        layer = found.get(part.layer)
        done = work.get(part.layer, 0.0)
        row = [figure(number, str(number)), word(part.name), word(f"{part.kind} {part.detail}".strip())]
        if layer is None:
            row += [figure(0.0, "")] * (5 + 2 * bool(times))
        else:
            weights = 1
            for side in layer.weight:
                weights *= side
            row += [
                figure(layer.macs_per_pixel, amount(layer.macs_per_pixel, "").strip()),
                bar(done, most, percent(done / total)),
                *(_time(times.get(part.layer, 0.0), longest, timed) if timed and times else ()),
                figure(weights, amount(weights, "").strip()),
                figure(weight_bits.get(layer.name) or 32, str(weight_bits.get(layer.name) or "float")),
                figure(layer.bits or 32, _bits(layer)),
            ]
        rows.append([*row, *([_noise(noise.get(part.tensor))] if noise else [])])
    return Table(columns, rows)


def _time(seconds: float, longest: float, timed: TimedKernels) -> tuple[Cell, Cell]:
    return figure(seconds, digits(1e3 * seconds)), bar(seconds, longest, percent(timed.share(seconds)))


def _work(layer: Layer) -> float:
    return layer.macs_per_pixel * (2 - layer.coarse if layer.bits == 16 else 1)


def _bits(layer: Layer) -> str:
    if layer.bits is None:
        return "float"
    return f"16, {percent(layer.coarse)} of them 8" if layer.coarse else str(layer.bits)


def _noise(value: float | None) -> Cell:
    if value is None:
        return Cell("", -1.0)
    return figure(value, decibels(value), bad=value < _LOW)


def tensors(found: Sequence[TensorFidelity]) -> Table:
    """Return ranges, codes and noise of every tensor."""
    columns = (
        Column("tensor", text=True, name=True),
        Column("bits"),
        Column("range of the codes"),
        Column("values seen"),
        Column("range chosen by", text=True),
        Column("beyond the range"),
        Column("codes in use"),
        Column("its own rounding (dB)"),
        Column("errors before it included (dB)"),
        Column("values from the first code to the last (square roots)", text=True),
    )
    rows = [
        (
            word(plain_name(tensor.name), tensor.operator),
            figure(tensor.bits, str(tensor.bits)),
            figure(tensor.high - tensor.low, f"{digits(tensor.low)} to {digits(tensor.high)}"),
            figure(tensor.seen_high - tensor.seen_low, f"{digits(tensor.seen_low)} to {digits(tensor.seen_high)}"),
            word(tensor.estimator),
            figure(
                tensor.saturated,
                percent(tensor.saturated),
                bad=tensor.saturated > _SATURATED and tensor.estimator != "pixels",
            ),
            figure(tensor.used, percent(tensor.used)),
            _noise(tensor.own_sqnr),
            _noise(tensor.sqnr),
            Cell("", tensor.used, drawing=distribution(tensor.histogram)),
        )
        for tensor in found
    ]
    return Table(columns, rows)


def bands(found: Sequence[BandPlan]) -> Table:
    """Return how rows stream through the segments."""
    columns = (
        Column("segment"),
        Column("kernels"),
        Column("input rows of a band"),
        Column("rows that the last kernel is behind"),
        Column("tensors in line buffers"),
        Column("whole tensors"),
        Column("line buffers of a thread"),
    )
    rows = [
        (
            *(figure(value, str(value)) for value in (number, one.kernels, one.rows, one.lag, one.lines, one.whole)),
            figure(one.buffers, amount(one.buffers, "B")),
        )
        for number, one in enumerate(found, 1)
    ]
    return Table(columns, rows)


def kernels(report: Mapping[str, Any], timed: TimedKernels | None = None) -> Table:
    """Return the kernels with their time and their tiles, as far as they are known, or what is expected of launches on
    a device.
    """
    if launches := report.get("launches"):
        columns = (
            Column("launch", text=True, name=True),
            Column("multiply-accumulates"),
            Column("read from memory"),
            Column("written to memory"),
            Column("how it is cut", text=True),
        )
        rows = [
            (
                word(one["kernel"]),
                figure(one["macs"], amount(one["macs"], "")),
                figure(one["read"], amount(one["read"], "B")),
                figure(one["written"], amount(one["written"], "B")),
                word(one["cut"]),
            )
            for one in launches
        ]
        return Table(columns, rows, "What is expected of every launch: an estimate, nothing here was timed.")
    tiles = report["tuning"]["tiles"]
    name, order = Column("kernel", text=True, name=True), Column("order of its loops, and where it is from", text=True)
    if timed is None:
        return Table((name, order), [(word(kernel), word(tile)) for kernel, tile in tiles.items()])
    times = timed.times.kernels
    longest = max(times.values(), default=0.0)
    shown = [*times, *(kernel for kernel in tiles if kernel not in times)]
    ordered = name, Column("time (ms)"), Column("share of the time"), order
    return Table(ordered, [_timed(kernel, times.get(kernel, 0.0), longest, timed, tiles) for kernel in shown])


def _timed(
    kernel: str, seconds: float, longest: float, timed: TimedKernels, tiles: Mapping[str, str]
) -> tuple[Cell, ...]:
    return word(kernel), *_time(seconds, longest, timed), word(tiles.get(kernel, ""))


def verified(cases: Sequence[Verified]) -> Table:
    """Return the pictures that were compared."""
    columns = (
        Column("picture", text=True, name=True),
        Column("width (pixels)"),
        Column("height (pixels)"),
        Column("largest difference (codes of 255)"),
    )
    rows = [
        (
            word(case.name),
            figure(case.width, str(case.width)),
            figure(case.height, str(case.height)),
            figure(case.difference, str(case.difference)),
        )
        for case in cases
    ]
    return Table(columns, rows)
