"""``clipfree bench``: how long a bundle takes, here or on a board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli.board_options import Device, Key, Rpc, Ssh, Tracker, Wait, machine_for, reach
from toolchain.cli.console import MOST_THREADS, Console, Json, Quiet, Verbose
from toolchain.cli.run import Bundle
from toolchain.support.errors import InputError

if TYPE_CHECKING:
    from toolchain.cli.results import BenchFigures
    from toolchain.workflows.bench import BenchRow

_NEGLIGIBLE = 0.005
"""Share of the time below which a function of the network is not shown."""


def bench(
    bundle: Bundle,
    size: Annotated[str, typer.Option("--size", help="HEIGHTxWIDTH of the input.")] = "360x640",
    threads: Annotated[
        list[int] | None,
        typer.Option("--threads", min=1, max=MOST_THREADS, help="May be given several times; default: 1 and all."),
    ] = None,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Calls timed at most.")] = 30,
    warm_up: Annotated[int, typer.Option("--warm-up", min=0, help="Calls before.")] = 3,
    seconds: Annotated[float, typer.Option("--seconds", min=0.0, help="No further repeat after so long.")] = 10.0,
    cool_down: Annotated[
        float, typer.Option("--cool-down", min=0.0, max=3600.0, help="Seconds to rest after each repeat.")
    ] = 0.0,
    functions: Annotated[
        bool,
        typer.Option("--functions", help="Time each kernel as well, of a bundle deployed with --layers or for OpenCL."),
    ] = False,
    streams: Annotated[
        list[int] | None,
        typer.Option(
            "--streams",
            min=1,
            max=MOST_THREADS,
            help="Pictures at once, each on --threads; may be given several times.",
        ),
    ] = None,
    rpc: Rpc = None,
    tracker: Tracker = None,
    key: Key = None,
    ssh: Ssh = None,
    wait: Wait = 10.0,
    cpus: Annotated[
        str | None, typer.Option("--cpus", help="Which cores: big (default), little, or numbers such as 4-7.")
    ] = None,
    device: Device = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Time a bundle: percentiles, the fastest, frames a second, the first call, and the work done per second."""
    from toolchain.cli.results import BenchResult
    from toolchain.images.scale import enlarged
    from toolchain.images.units import check_size
    from toolchain.runtime.measure import TimingPlan, peak_memory
    from toolchain.targets.precision import TITLES
    from toolchain.workflows.bench import bench as run

    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    height, width = parse_size(size)
    with (
        reach(rpc, tracker, key, ssh) as place,
        machine_for(bundle, place, wait=wait, cpus=cpus, device=device) as (opened, machine),
    ):
        manifest, cpu = opened.manifest, machine.cpu
        if manifest.target.gpu is not None and (threads or cpus is not None):
            raise InputError("an OpenCL device has no --threads and no --cpus", hint="leave them away")
        check_size((height, width), manifest.smallest)
        work = manifest.macs_per_pixel * height * width
        sizes = f"{width} x {height} to {enlarged(width, manifest.scale)} x {enlarged(height, manifest.scale)}"
        title = TITLES[manifest.precision]
        if not quiet:
            console.say(f"{bundle}: {title}, {sizes} on {cpu.name}{f', {place}' if place else ''}")
        console.say(
            f"{'threads':>8}{'p50':>12}{'p90':>12}{'p99':>12}{'fastest':>12}{'fps':>9}{'spread':>7}{'repeats':>9}"
            f"{'rate':>14}  cores"
        )
        plan = TimingPlan(warm_up, repeats, seconds, cool_down)
        rows = tuple(
            _tell(row, work, console)
            for row in run(
                machine, opened, (height, width), threads or (), plan, functions=functions, streams=streams or ()
            )
        )
    if not quiet:
        console.say(f"{work / 1e9:.2f} GMAC a picture")
    if place is None and all(row.joules is None for row in rows):
        console.info("energy: this system does not tell (no RAPL that may be read)")
    memory = None if place else peak_memory() / 1e6
    if memory is not None and not quiet:
        console.say(f"peak memory of the whole process {memory:.0f} MB, clipfree's own included")
    result = BenchResult(
        bundle=str(bundle),
        precision=manifest.precision,
        height=height,
        width=width,
        cpu=cpu.name,
        cores=cpu.cores,
        board=str(place) if place else None,
        gmac=work / 1e9,
        peak_memory_mb=memory,
        rows=rows,
    )
    console.document(result)


def _tell(row: BenchRow, work: float, console: Console) -> BenchFigures:
    """Print a row; returns it for JSON."""
    from toolchain.cli.results import BenchFigures
    from toolchain.support.cores import ranges
    from toolchain.workflows.bench import HOT

    timing = row.timing
    figures = "".join(f"{1e3 * value:9.2f} ms" for value in (timing.median, timing.p90, timing.p99, timing.minimum))
    rate = timing.rate(work) / 1e9
    console.say(
        f"{row.threads:8}{figures}{1 / timing.median:9.1f}{timing.spread:7.0%} {timing.repeats:8}{rate:7.1f} GMAC/s"
        f"  {ranges(row.cores) or 'any'}"
    )
    if console.verbose:
        console.note(f"each call, in ms: {' '.join(f'{1e3 * seconds:.2f}' for seconds in timing.samples)}")
    if row.first is not None:
        console.say(f"{'':8}{1e3 * row.first:9.2f} ms from opening the library to its first picture")
    for count, frames in row.streams.items():
        each = f"{count} at once, each on {row.threads} thread{'s' * (row.threads > 1)}"
        console.say(f"{'':8}{frames:9.1f} fps of {each}")
    if row.joules is not None:
        console.say(f"{'':8}{row.joules:9.3f} J a picture, all that the processors use")
    if timing.drift > HOT:
        console.note(
            f"warning: the last repeats took {timing.drift - 1:.0%} longer than the first; if the machine "
            "grows hot, let it rest with --cool-down SECONDS"
        )
    elif timing.spread > 0.2:
        console.note("warning: timings vary by more than 20 %, other programs were running")
    whole = sum(row.functions.values())
    for name, seconds in sorted(row.functions.items(), key=lambda item: -item[1]):
        if seconds > _NEGLIGIBLE * whole:
            console.say(f"{'':8}{1e3 * seconds:9.3f} ms{seconds / whole:6.0%}  {name}")
    return BenchFigures(
        threads=row.threads,
        cores=row.cores,
        median_s=timing.median,
        p90_s=timing.p90,
        p99_s=timing.p99,
        minimum_s=timing.minimum,
        spread=timing.spread,
        drift=timing.drift,
        repeats=timing.repeats,
        warm_up=timing.warm_up,
        gmac_per_s=rate,
        frames_per_s=1 / timing.median,
        functions_s=row.functions,
        first_s=row.first,
        streams_frames_per_s={str(count): frames for count, frames in row.streams.items()},
        joules=row.joules,
        samples_s=timing.samples,
    )


def parse_size(size: str, option: str = "--size") -> tuple[int, int]:
    """Return the height and width of "360x640", the value of ``option``.

    Raises:
        InputError: it is not two positive numbers, or larger than any picture that is read.
    """
    from toolchain.images import MAX_PIXELS

    parts = size.lower().split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise InputError(f"{option} {size} is not understood", hint="give HEIGHTxWIDTH, such as 360x640")
    height, width = int(parts[0]), int(parts[1])
    if not 1 <= height * width <= MAX_PIXELS:
        raise InputError(f"{option} {size} has not 1 to {MAX_PIXELS} pixels", hint="give HEIGHTxWIDTH, such as 360x640")
    return height, width
