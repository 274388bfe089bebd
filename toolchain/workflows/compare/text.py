"""A comparison in words: the cells of its table, the sentences below it, Markdown, and a table for notebooks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from toolchain.support.notebook import table
from toolchain.workflows.compare.result import NAMES, Comparison, Row

NOTHING = "-"
UNSTEADY = 0.2
"""Spread of timings from which on they are said to tell little."""


@dataclass(frozen=True)
class Heading:
    """A column of the table: its title, what it says of a row, and whether that is words, which are set left."""

    title: str
    say: Callable[[Row], str]
    words: bool = False


def headings(found: Comparison) -> tuple[Heading, ...]:
    """Return the columns that have something to say of a row at least."""
    every = (
        Heading("model", lambda row: row.model, words=True),
        Heading("target", lambda row: row.target, words=True),
        Heading("precision", lambda row: NAMES[row.precision], words=True),
        Heading("library", lambda row: f"{row.library_bytes / 1e3:.0f} kB" if row.library_bytes else NOTHING),
        Heading("GMAC", lambda row: f"{row.gmac:.2f}" if row.gmac else NOTHING),
        Heading("latency (threads)", latency),
        Heading("timed on", timed_on, words=True),
        Heading("onnxruntime", beside),
        Heading("PSNR Y", lambda row: decibel(row.quality.psnr_y) if row.quality else NOTHING),
        Heading("loss to FP32", lambda row: f"{round(row.quality.loss, 3) + 0.0:.3f} dB" if row.quality else NOTHING),
        Heading("INT8 to FP32", lambda row: f"{row.fidelity.psnr:.1f} dB" if row.fidelity else NOTHING),
    )
    always = every[:7]
    return tuple(one for one in every if one in always or any(one.say(row) != NOTHING for row in found.rows))


def latency(row: Row) -> str:
    """Return the times of a row with their threads; "~" stands before an estimate."""
    if row.failure is not None and row.latency is None:
        return "failed"
    if row.latency is None or not row.latency.times:
        return NOTHING
    about = "~" if row.latency.source == "estimated" else ""
    return ", ".join(f"{about}{milliseconds(time.median_s)} ({time.threads})" for time in row.latency.times)


def timed_on(row: Row) -> str:
    """Return where a row was timed, in a word."""
    if row.latency is None:
        return row.place or NOTHING
    if row.latency.source == "measured":
        return row.place or "here"
    return row.latency.source


def beside(row: Row) -> str:
    """Return the times of onnxruntime, and how many times as long as the library they are."""
    times = row.latency.times if row.latency else ()
    said = [f"{milliseconds(one.median_s)} ({one.ratio:.1f}x)" for time in times for one in time.beside]
    return ", ".join(said) or NOTHING


def milliseconds(seconds: float) -> str:
    """Return a time with three digits."""
    value = 1e3 * seconds
    return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f} ms"


def decibel(value: float) -> str:
    """Return a PSNR; "equal" where there is no difference."""
    return "equal" if math.isinf(value) else f"{value:.2f} dB"


def notes(found: Comparison) -> tuple[str, ...]:
    """Return what is to be said below the table."""
    said = [f"Input of {found.width} x {found.height} pixels; latency is the median."]
    measured = [(row, row.latency) for row in found.rows if row.latency and row.latency.source == "measured"]
    devices = {known.device: row.place or "here" for row, known in measured}
    said += [f"Timed on {device} ({where})." for device, where in devices.items()]
    unsteady = [row for row, known in measured if any(time.spread > UNSTEADY for time in known.times)]
    if unsteady:
        many = f"{len(unsteady)} of {len(measured)} rows"
        said.append(
            f"Times of {many} vary by more than {100 * UNSTEADY:.0f} %, as other programs were running: they tell "
            "little; what was timed in turn still compares."
        )
    others = [(row, row.latency) for row in found.rows if row.latency and row.latency.source != "measured"]
    unknown = [(row, one) for row, one in others if one.source != "estimated"]
    said += sorted({f"Estimated, ~: {one.device}, {one.note}." for _, one in others if one.source == "estimated"})
    said += sorted({f"{row.target}, {NAMES[row.precision]}: not measured, {one.note}." for row, one in unknown})
    if any(beside(row) != NOTHING for row in found.rows):
        names = sorted({b.runtime for row in found.rows if row.latency for t in row.latency.times for b in t.beside})
        said.append(
            f"{', '.join(names)}: the same network, size, threads and cores, call by call in turn; it takes all that "
            "the processor has, whatever the target."
        )
    if found.pictures:
        counts = sorted({row.quality.pictures for row in found.rows if row.quality})
        said.append(
            f"PSNR of luma in the mean of {' or '.join(map(str, counts)) or 'no'} pictures of {found.pictures}."
        )
        makers = sorted({row.quality.made_by for row in found.rows if row.quality} - {"library"})
        if makers:
            said.append(f"Where this machine cannot run the library, PSNR is that of the {' or the '.join(makers)}.")
    if any(row.fidelity for row in found.rows):
        said.append("INT8 to FP32: PSNR between both outputs, on crops that calibration did not use.")
    spared = dict.fromkeys(row.model for row in found.rows if row.same_as)
    said += [f"{model}: nothing needed 16 bits, INT8, mixed is INT8." for model in spared]
    said += [f"{named}: {failure}." for failure, named in failures(found).items()]
    return tuple(said)


def failures(found: Comparison) -> dict[str, str]:
    """Return which rows each sentence is of, by the sentence."""
    rows: dict[str, list[str]] = {}
    for row in found.failures:
        rows.setdefault(str(row.failure), []).append(row.title)
    return {said: named[0] + f", and {len(named) - 1} more" * (len(named) > 1) for said, named in rows.items()}


def markdown_table(found: Comparison) -> str:
    """Return the table as Markdown."""
    columns = headings(found)
    lines = [[column.title for column in columns], ["---" if column.words else "---:" for column in columns]]
    lines += [[column.say(row).replace("|", "\\|") for column in columns] for row in found.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def html_table(found: Comparison) -> str:
    """Return the table as HTML, without style."""
    columns = headings(found)
    below = "<br>".join(escape(note) for note in notes(found))
    shown = table([column.title for column in columns], ([column.say(row) for column in columns] for row in found.rows))
    return f"{shown}<p>{below}</p>"
