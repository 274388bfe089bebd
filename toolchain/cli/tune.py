"""``clipfree tune``: measure which loop order each kernel of a network wants, here or on boards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli.board_options import Key, Rpc, Ssh, Tracker, Wait, reach
from toolchain.cli.completion import complete_model, complete_target
from toolchain.cli.console import MOST_THREADS, Console, Json, Quiet, Verbose, duration
from toolchain.cli.inputs import check_pictures
from toolchain.support.errors import InputError

if TYPE_CHECKING:
    from toolchain.tune.request import TuningRequest
    from toolchain.tune.search import Search
    from toolchain.tune.session import Point
    from toolchain.tune.tune import Summary

Models = Annotated[
    list[str],
    typer.Argument(help="ONNX files, float or QDQ, or zoo:NAME for embedded models.", autocompletion=complete_model),
]
Sizes = Annotated[list[str] | None, typer.Option("--size", help="HEIGHTxWIDTH of the input, default 360x640; repeat.")]
Counts = Annotated[
    list[int] | None,
    typer.Option("--threads", min=1, max=MOST_THREADS, help="Default: every core; may be repeated."),
]


def tune(
    models: Models,
    target: Annotated[
        str, typer.Option("--target", autocompletion=complete_target, help="See `clipfree targets list`.")
    ] = "host",
    size: Sizes = None,
    threads: Counts = None,
    trials: Annotated[int | None, typer.Option("--trials", min=1, help="Stop after so many.")] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0.0, help="Stop after so long.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the log ends: try nothing twice.")] = False,
    logs: Annotated[Path, typer.Option("--logs", help="Folder of the logs.")] = Path("tuning_logs"),
    calib: Annotated[Path | None, typer.Option("--calib", help="Photographs; noise does as well.")] = None,
    curve: Annotated[Path | None, typer.Option("--curve", help="Draw best-so-far: a .png or .svg.")] = None,
    rpc: Rpc = None,
    tracker: Tracker = None,
    key: Key = None,
    ssh: Ssh = None,
    wait: Wait = 60.0,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Find the fastest tiles for the kernels of some models, and keep them in a log that `deploy --logs` reads."""
    from toolchain.cli.bench import parse_size
    from toolchain.support.files import check_writable
    from toolchain.tune.request import TuningRequest
    from toolchain.tune.session import Budget
    from toolchain.zoo.embedded import resolve

    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    check_pictures(calib, "--calib")
    if curve is not None:
        if curve.suffix.lower() not in (".png", ".svg"):
            raise InputError(f"--curve {curve} ends neither in .png nor in .svg", hint="name it .png")
        check_writable(curve)
    budget = Budget(trials, None if minutes is None else 60 * minutes)
    sizes = tuple(dict.fromkeys(parse_size(one) for one in size or ["360x640"]))
    counts = tuple(dict.fromkeys(threads or []))
    paths = tuple(resolve(model) for model in models)
    with reach(rpc, tracker, key, ssh) as place:
        request = TuningRequest(paths, target, sizes, counts, budget, resume, logs, calib, place=place, wait=wait)
        done = run(request, console)
    summarize(done, console)
    if curve is not None and done.outcome.curve:
        _draw(done, curve)
        console.say(f"  {curve}")
    rows = [
        {
            "kernel": str(search.task),
            "height": search.task.height,
            "width": search.task.width,
            "threads": search.task.threads,
            "trials": len(search.tried),
            "space": len(search.space),
            "tile": search.best and search.best.tile,
            "seconds": search.best and search.best.seconds,
            "relative": search.best and search.best.relative,
            "rejected": [
                {"tile": trial.tile, "status": trial.status, "note": trial.note}
                for trial in search.tried.values()
                if trial.status != "ok"
            ],
        }
        for search in done.searches
    ]
    console.result(
        command="tune",
        target=done.target.name,
        log=done.log,
        reason=done.outcome.reason,
        kernels=rows,
        curve=done.outcome.curve,
    )


def run(request: TuningRequest, console: Console) -> Summary:
    """Tune with progress on the console."""
    from toolchain.tune.tune import tune

    with console.progress(100) as tell:

        def show(point: Point, search: Search) -> None:
            best = search.best
            found = f"{1e3 * best.seconds:.3f} ms, {best.relative:.0%} of the default" if best else "unknown"
            text = f"[{point.trials}] {search.task}: {found}; all kernels {point.relative:.0%}"
            tell(f"{text}; {duration(point.remaining)} left", round(100 * point.trials / (point.trials + point.left)))

        return tune(request, show, console.note)


def summarize(done: Summary, console: Console) -> None:
    """Say what came out, picture by picture."""
    from toolchain.schedules.task import describe, threads
    from toolchain.tune.session import relative

    points = done.outcome.curve
    pictures: dict[tuple[int, int, int], list[Search]] = {}
    for search in done.searches:
        pictures.setdefault((search.demand.height, search.demand.width, search.task.threads), []).append(search)
    for (height, width, count), searches in pictures.items():
        console.say(
            f"{done.target.name}, {height}x{width}{', ' * bool(count)}{threads(count) * bool(count)}: "
            f"{relative(searches):.0%} of the time with default tiles"
        )
        for search in searches:
            best = search.best
            found = f"{1e3 * best.seconds:8.3f} ms {best.relative:5.0%}  {best.tile}" if best else "not measured"
            console.say(f"  {describe(search.task.conv):40}{len(search.tried):4}/{len(search.space):<3}{found}")
    failed = sum(trial.status != "ok" for search in done.searches for trial in search.tried.values())
    if failed:
        console.note(f"warning: {failed} tiles were rejected; the log says why")
    if points:
        steps = [point for index, point in enumerate(points) if not index & (index + 1) or index == len(points) - 1]
        console.say("best so far: " + ", ".join(f"{point.relative:.0%} after {point.trials}" for point in steps))
        console.say(f"{points[-1].trials} trials in {duration(points[-1].elapsed)}; {done.outcome.reason}")
    console.say(f"{done.log}: use it with `clipfree deploy MODEL --logs {done.log.parent.parent}`")


def _draw(done: Summary, path: Path) -> None:
    from toolchain.pages import charts

    points = [(float(point.trials), 100 * point.relative) for point in done.outcome.curve]
    paint = charts.lines({"best so far": points}, ("trials", "time of all kernels (% of the default tiles')"))
    charts.save_chart(path, paint, f"Tuning for {done.target.name}: best so far")
