"""``clipfree compare``: models, targets and precisions beside one another."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli.board_options import Wait
from toolchain.cli.completion import complete_model, complete_target
from toolchain.cli.console import MOST_THREADS, Console, Json, Quiet, Verbose
from toolchain.cli.inputs import check_pictures
from toolchain.cli.steps import show_steps
from toolchain.support.errors import InputError

if TYPE_CHECKING:
    from toolchain.workflows.compare import Comparison, Row

_WIDE = 200  # letters of a line where it is no terminal


def compare(
    models: Annotated[
        list[str],
        typer.Argument(help="Models (.onnx, .tflite, .pt2, ...), or zoo:NAME.", autocompletion=complete_model),
    ],
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            help="See `clipfree targets list`; several times for several.",
            autocompletion=complete_target,
        ),
    ] = None,
    calib: Annotated[Path | None, typer.Option("--calib", help="A folder of photographs.")] = None,
    hr: Annotated[
        Path | None, typer.Option("--hr", help="A folder of high-resolution pictures: for PSNR and loss.")
    ] = None,
    lr: Annotated[Path | None, typer.Option("--lr", help="Their low-resolution ones; default: they are made.")] = None,
    degradation: Annotated[
        str | None, typer.Option("--degradation", help="How, as `clipfree evaluate` has it.")
    ] = None,
    precisions: Annotated[
        list[str] | None,
        typer.Option(
            "--precision",
            help="int8 (8 bits everywhere), mix (16 where deploy spends them), float, float32, float16; "
            "several times. Default: int8, mix and float.",
        ),
    ] = None,
    size: Annotated[str, typer.Option("--size", help="HEIGHTxWIDTH of the input that is timed.")] = "360x640",
    threads: Annotated[
        list[int] | None,
        typer.Option("--threads", min=1, max=MOST_THREADS, help="May be given several times; default: 1 and all."),
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Calls timed at most.")] = 30,
    seconds: Annotated[float, typer.Option("--seconds", min=0.0, help="No further repeat after so long.")] = 5.0,
    beside: Annotated[
        list[str] | None, typer.Option("--with", help="Time onnxruntime in turn with what runs on this machine.")
    ] = None,
    rpc: Annotated[
        list[str] | None,
        typer.Option("--rpc", help="HOST:PORT of a board, or TARGET=HOST:PORT; several times, timed at once."),
    ] = None,
    tracker: Annotated[str | None, typer.Option("--tracker", help="HOST:PORT of a tracker, with --key.")] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option("--key", help="A board of the tracker, or TARGET=KEY; several times, timed at once."),
    ] = None,
    wait: Wait = 10.0,
    value_range: Annotated[str | None, typer.Option("--range", help="Of the models, as in deploy.")] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="A folder for tables and bundles; a run that was ended goes on there.")
    ] = Path("compared"),
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Deploy models for targets in several precisions, and show size, latency and quality in one table."""
    from toolchain.cli.bench import parse_size
    from toolchain.cli.results import CompareResult
    from toolchain.images.pairs import check_pairing
    from toolchain.runtime.measure import TimingPlan
    from toolchain.workflows.compare import DEFAULT, Model, Request, read_boards
    from toolchain.workflows.compare import compare as run
    from toolchain.workflows.compare.files import write_files
    from toolchain.workflows.compare.page import write_page
    from toolchain.workflows.compare.text import failures
    from toolchain.zoo.demo_photos import photographs_of
    from toolchain.zoo.embedded import resolve

    for folder, option in ((calib, "--calib"), (hr, "--hr"), (lr, "--lr")):
        check_pictures(folder, option)
    if hr is None and (lr is not None or degradation is not None):
        raise InputError(f"{'--lr' if lr else '--degradation'} is of the pictures of --hr", hint="name them with --hr")
    check_pairing(lr, degradation)
    request = Request(
        tuple(Model(resolve(model), photographs_of(model, calib)) for model in models),
        out,
        tuple(targets or ["host"]),
        tuple(precisions or DEFAULT),
        hr,
        lr,
        degradation,
        parse_size(size),
        tuple(sorted(set(threads or ()))),
        TimingPlan(repeats=repeats, seconds=seconds),
        read_boards(rpc or (), tracker, keys or ()),
        wait,
        tuple(dict.fromkeys(beside or ())),
        value_range,
    )
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    with show_steps(console) as steps:

        def done(row: Row, count: int, total: int) -> None:
            steps.finished(f"[{count}/{total}] {row.title}: {_said(row)}", count / total)

        found = run(request, progress=steps.running, done=done)
    paths = (write_page(found, out), *write_files(found, out))
    if not as_json and not quiet:
        show(found)
    for path in paths:
        console.say(f"{path}")
    if found.kept:
        console.note(f"{found.kept} of {len(found.rows)} rows are from an earlier run into {out}")
    console.document(CompareResult.of(found))
    for said, named in failures(found).items():
        console.note(f"clipfree: {named}: {said}")
    if found.failures and found.failures[0].failure is not None:
        raise typer.Exit(found.failures[0].failure.exit_code)


def _said(row: Row) -> str:
    from toolchain.workflows.compare.text import latency, timed_on

    if row.failure is not None:
        return "failed"
    return f"{latency(row)}, {timed_on(row)}; {row.library_bytes / 1e3:.0f} kB"


def show(found: Comparison) -> None:
    """Print the table and the sentences below it."""
    from rich.console import Console as Terminal
    from rich.table import Table
    from rich.text import Text

    from toolchain.workflows.compare.text import headings, notes

    columns = headings(found)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(Text(column.title), justify="left" if column.words else "right", overflow="fold")
    for row in found.rows:
        table.add_row(*(Text(column.say(row)) for column in columns))
    terminal = Terminal(file=sys.stdout, width=None if sys.stdout.isatty() else _WIDE, highlight=False, markup=False)
    terminal.print(table)
    for note in notes(found):
        terminal.print(note, soft_wrap=True)
