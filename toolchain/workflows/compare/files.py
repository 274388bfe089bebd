"""The files of a comparison: CSV for spreadsheets, Markdown for texts, JSON for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

from toolchain.support.files import atomic_write
from toolchain.support.serialization import plain
from toolchain.workflows.compare.result import Comparison, Row, Time
from toolchain.workflows.compare.text import markdown_table, notes

CSV, MARKDOWN, JSON = "compare.csv", "compare.md", "compare.json"

_COLUMNS = (
    "model", "target", "precision", "place", "device", "library_bytes", "gmac", "latency", "threads", "median_ms",
    "p90_ms", "onnxruntime_ms", "onnxruntime_ratio", "psnr_y_db", "float_psnr_y_db", "loss_db", "psnr_rgb_db", "ssim_y",
    "fidelity_db", "same_as", "failure",
)  # fmt: skip


def write_files(found: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write the files into ``folder``; returns their paths.

    Raises:
        OutputError: one cannot be written.
    """
    document = json.dumps({**plain(found), "command": "compare"}, indent=1) + "\n"
    contents = {CSV: as_csv(found).encode(), MARKDOWN: as_markdown(found).encode(), JSON: document.encode()}
    for name, data in contents.items():
        with atomic_write(folder / name) as file:
            file.write(data)
    return tuple(folder / name for name in contents)


def as_csv(found: Comparison) -> str:
    """Return a line for each row and number of threads."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in found.rows:
        for time in (row.latency.times if row.latency else ()) or (None,):
            writer.writerow(list(_cells(row, time)))
    return text.getvalue()


def _cells(row: Row, time: Time | None) -> Iterator[str | int | float]:
    latency, quality = row.latency, row.quality
    yield from (row.model, row.target, row.precision, row.place, latency.device if latency else "")
    yield from (row.library_bytes or "", round(row.gmac, 4) or "", latency.source if latency else "")
    other = time.beside[0] if time and time.beside else None
    yield from (time.threads, _ms(time.median_s), _ms(time.p90_s)) if time else ("", "", "")
    yield from (_ms(other.median_s), round(other.ratio, 3)) if other else ("", "")
    if quality:
        yield from (round(quality.psnr_y, 4), round(quality.float_psnr_y, 4), round(quality.loss, 4))
        yield from (round(quality.psnr_rgb, 4), round(quality.ssim, 5))
    else:
        yield from [""] * 5
    yield round(row.fidelity.psnr, 2) if row.fidelity else ""
    yield from (row.same_as, str(row.failure or ""))


def _ms(seconds: float) -> float:
    return round(1e3 * seconds, 4)


def as_markdown(found: Comparison) -> str:
    """Return the table and the sentences below it."""
    below = "\n".join(f"- {note}" for note in notes(found))
    return f"{markdown_table(found)}\n\n{below}\n\nclipfree {found.clipfree}, {found.date}.\n"
