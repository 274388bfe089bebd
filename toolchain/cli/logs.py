"""``clipfree logs``: look at tuning logs, and bring them together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.console import Console, Json, guarded
from toolchain.cli.examples import examples
from toolchain.support.errors import TuningError

app = typer.Typer(help="The logs that tuning keeps, and deploy reads.", no_args_is_help=True)
Places = Annotated[list[Path] | None, typer.Argument(help="Logs or folders of logs; default: the package's own.")]
Sources = Annotated[list[Path], typer.Argument(help="Logs or folders of logs.")]
Out = Annotated[Path, typer.Option("-o", "--out", help="The folder to write to.")]


def check(places: Places = None, as_json: Json = False) -> None:
    """Read every log to its end, and say which are of use here; fails if one is damaged."""
    from toolchain.schedules.database import log_folder
    from toolchain.tune.logs import check as look
    from toolchain.tune.logs import find_logs

    console = Console(as_json=as_json)
    found = [look(path) for path in find_logs(places or [log_folder()])]
    for log in found:
        torn = f"; {log.torn} bytes of an unfinished last line, which the next tuning removes" if log.torn else ""
        state = log.obstacle or "of use here"
        console.say(f"{log.path}: {log.trials} trials, best tiles of {log.tasks} kernels and sizes; {state}{torn}")
    if not found:
        console.say("no logs")
    console.result(command="logs check", logs=found)
    damaged = sum(log.damaged for log in found)
    if damaged:
        console.note(f"{damaged} of {len(found)} tuning logs cannot be used")
        raise typer.Exit(TuningError.exit_code)


def show(places: Places = None, as_json: Json = False) -> None:
    """List the best tile of every kernel, size and number of threads."""
    from toolchain.schedules.database import log_folder, read_log
    from toolchain.tune.logs import find_logs

    console = Console(as_json=as_json)
    logs = [read_log(path) for path in find_logs(places or [log_folder()])]
    for log in logs:
        console.say(f"{log.path}: {log.header.target}, TVM {log.header.tvm}")
        for best in sorted(log.best(), key=lambda best: str(best.task)):
            console.say(f"  {best.task!s:60}{1e3 * best.seconds:9.3f} ms {best.relative:5.0%}  {best.tile}")
    if not logs:
        console.say("no logs")
    console.result(
        command="logs show",
        logs=[
            {"log": log.path, "target": log.header.target, "tvm": log.header.tvm, "best": log.best()} for log in logs
        ],
    )


def best(sources: Sources, out: Out, as_json: Json = False) -> None:
    """Write logs that hold the best tiles only: what is kept with a package."""
    _collect(sources, out, "logs best", only_best=True, as_json=as_json)


def merge(sources: Sources, out: Out, as_json: Json = False) -> None:
    """Write logs that hold what several do."""
    _collect(sources, out, "logs merge", only_best=False, as_json=as_json)


def _collect(sources: list[Path], out: Path, command: str, *, only_best: bool, as_json: bool) -> None:
    from toolchain.schedules.database import read_log
    from toolchain.tune.logs import collect, find_logs

    console = Console(as_json=as_json)
    written = collect([read_log(path) for path in find_logs(sources)], out, only_best=only_best)
    for path in written:
        console.say(str(path))
    console.result(command=command, logs=written)


app.command("check", epilog=examples("logs check"))(guarded(check))
app.command("show", epilog=examples("logs show"))(guarded(show))
app.command("best", epilog=examples("logs best"))(guarded(best))
app.command("merge", epilog=examples("logs merge"))(guarded(merge))
