"""``clipfree run``: photographs in, larger photographs out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolchain.cli.board_options import Device, machine_for
from toolchain.cli.completion import choice, complete_bundle
from toolchain.cli.console import Console, Json, Quiet, Threads, Verbose, duration
from toolchain.support.errors import InputError

if TYPE_CHECKING:
    from toolchain.bundle import Manifest
    from toolchain.runtime.batch import PictureOutcome

Bundle = Annotated[Path, typer.Argument(help="A folder made by `clipfree deploy`.", autocompletion=complete_bundle)]


def run(
    bundle: Bundle,
    photos: Annotated[
        list[Path],
        typer.Argument(help="Pictures of any size and kind, or folders of them; or one film; - for standard input."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="A picture or film, or a folder for several; - for standard output."),
    ] = None,
    recursive: Annotated[
        bool, typer.Option("-r", "--recursive", help="Of folders also what lies in their folders, which are kept.")
    ] = False,
    format_name: Annotated[
        str | None,
        typer.Option("--format", autocompletion=choice("png", "jpg", "webp", "tiff"), help="png, jpg, webp or tiff."),
    ] = None,
    quality: Annotated[int, typer.Option("--quality", min=1, max=100, help="Of JPEG and WebP.")] = 95,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out pictures whose result is there.")
    ] = False,
    tile: Annotated[str, typer.Option("--tile", help="auto, off, or a side in pixels.")] = "auto",
    memory: Annotated[
        int | None,
        typer.Option(
            "--memory",
            min=1,
            help="Megabytes that no picture may exceed, the program's own not counted. "
            "Default: 512, more where a picture needs it.",
        ),
    ] = None,
    size: Annotated[str | None, typer.Option("--size", help="HEIGHTxWIDTH of raw frames, from - or a .yuv.")] = None,
    pixels: Annotated[
        str,
        typer.Option(
            "--pixels",
            help="Of raw frames: yuv420p, yuv422p, yuv444p, gray, each of 10 bits too (gray10le), rgb24.",
        ),
    ] = "yuv420p",
    rate: Annotated[str, typer.Option("--rate", help="Frames a second of raw frames: 25, or 30000/1001.")] = "25",
    codec: Annotated[
        str | None,
        typer.Option(
            "--codec",
            autocompletion=choice("h264", "hevc", "vp9", "av1", "ffv1"),
            help="Of a film: h264, hevc, vp9, av1, or ffv1 (lossless).",
        ),
    ] = None,
    crf: Annotated[
        int | None, typer.Option("--crf", min=0, max=63, help="Of a film: less is better and larger.")
    ] = None,
    threads: Threads = None,
    device: Device = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Upscale photographs, or a film. Tiles give the same bytes as the whole picture."""
    import time

    from toolchain.cli.bench import parse_size
    from toolchain.cli.video import VideoOptions, is_film, run_film
    from toolchain.runtime.batch import BatchSettings, run_batch
    from toolchain.runtime.jobs import STANDARD, plan_jobs
    from toolchain.runtime.tiles import tiling

    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    side = parse_tile(tile)
    outcomes: list[PictureOutcome] = []
    video = VideoOptions(None if size is None else parse_size(size), pixels, rate, codec, crf)
    film = is_film(photos, out, video)
    with machine_for(bundle, None, wait=0.0, threads=threads, device=device) as (opened, machine):
        if device is not None:
            console.note(f"on {machine.cpu.name}")
        manifest = opened.manifest
        tiles = tiling(manifest, side=side, megabytes=(memory or 512) if tile == "auto" else None, threads=threads)
        if film:
            import hashlib

            from toolchain.video.work import Network

            network = Network(tiles.over(machine.upscale), manifest.geometry)
            digest = hashlib.sha256(manifest.to_json()).hexdigest()
            made = run_film(console, photos, out, network, digest, video, skip_existing=skip_existing)
            console.result(command="run", bundle=bundle, precision=manifest.precision, film=made)
            return
        jobs = plan_jobs(photos, out, scale=manifest.scale, recursive=recursive, format_name=format_name)
        to_stdout = jobs[0].output == STANDARD
        if to_stdout and (as_json or sys.stdout.isatty()):
            raise InputError("standard output is taken", hint="name a file with -o")
        settings = BatchSettings(
            tiles,
            manifest.geometry,
            quality=quality,
            budget=None if memory is None else memory * 10**6,
            skip_existing=skip_existing,
        )
        begin, share = time.perf_counter(), [0.0]
        with console.progress(1.0, eta=True) as tell:

            def progress(done: float) -> None:
                share[0] = done
                tell("", done)

            for outcome in run_batch(jobs, machine.upscale, settings, progress):
                outcomes.append(outcome)
                if outcome.error is not None and len(jobs) == 1:
                    raise outcome.error
                left = (time.perf_counter() - begin) * (1.0 / max(share[0], 1e-9) - 1.0)
                if console.quiet and outcome.error is not None:
                    console.note(f"left out: {outcome.error}")
                for line in _lines(outcome, manifest):
                    ahead = f"[{len(outcomes)}/{len(jobs)}] " if len(jobs) > 1 else ""
                    behind = f"; about {duration(left)} left" if len(outcomes) < len(jobs) and share[0] < 1.0 else ""
                    tell(ahead + line + behind, share[0])
                if outcome.header is not None and not to_stdout:
                    console.say(str(outcome.job.output))
    console.result(
        command="run", bundle=bundle, precision=manifest.precision, pictures=[_entry(outcome) for outcome in outcomes]
    )
    _summarize(console, outcomes)


def _lines(outcome: PictureOutcome, manifest: Manifest) -> list[str]:
    """Return what is said of a picture; with its notes, on one line."""
    from toolchain.targets.precision import TITLES

    name = outcome.job.source.name
    if outcome.error is not None:
        return [f"left out: {outcome.error}"]
    if outcome.picture is None or outcome.header is None:
        return [f"{name}: {outcome.job.output} is there"]
    picture, header = outcome.picture, outcome.header
    notes = "".join(f"; {note}" for note in outcome.notes)
    return [
        f"{name}: {picture.width} x {picture.height} to {header.width} x {header.height} in "
        f"{outcome.seconds:.2f} s, {TITLES[manifest.precision]}{notes}"
    ]


def _entry(outcome: PictureOutcome) -> dict[str, Any]:
    """Return a picture in the JSON document."""
    entry: dict[str, Any] = {"photo": outcome.job.source, "output": outcome.job.output, "skipped": outcome.skipped}
    if outcome.error is not None:
        return {**entry, "error": {"message": outcome.error.message, "hint": outcome.error.hint}}
    if outcome.header is None or outcome.cut is None:
        return entry
    cut, header = outcome.cut, outcome.header
    tile = (
        None
        if outcome.picture is None or (cut.columns is None and cut.rows >= outcome.picture.height)
        else {"rows": cut.rows, "columns": cut.columns or header.width}
    )
    return {
        **entry,
        "width": header.width,
        "height": header.height,
        "bits": 16 if header.deep else 8,
        "frames": len(header.durations),
        "tile": tile,
        "memory": cut.bytes,
        "seconds": outcome.seconds,
        "notes": outcome.notes,
    }


def _summarize(console: Console, outcomes: list[PictureOutcome]) -> None:
    """Say how many there were; ends the command where some could not be done."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    there = sum(outcome.skipped for outcome in outcomes)
    if len(outcomes) > 1 and (failed or not console.quiet):
        parts = [f"{len(outcomes) - len(failed) - there} of {len(outcomes)} pictures done"]
        parts += [f"{there} left as they are"] if there else []
        parts += [f"{len(failed)} could not be: {', '.join(str(one.job.source) for one in failed)}"] if failed else []
        console.note("; ".join(parts))
    if failed:
        raise typer.Exit(InputError.exit_code)


def parse_tile(tile: str) -> int | None:
    """Return the side of ``--tile N``, None for "auto" and "off".

    Raises:
        InputError: it is none of them.
    """
    if tile in ("auto", "off"):
        return None
    if not tile.isascii() or not tile.isdigit() or int(tile) < 1:
        raise InputError(f"--tile {tile} is not understood", hint="give auto, off, or a side in pixels such as 256")
    return int(tile)
