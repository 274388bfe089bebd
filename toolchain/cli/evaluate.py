"""``clipfree evaluate``: quality of a bundle on pictures, against what they should be and against the float network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli.board_options import Device, machine_for
from toolchain.cli.completion import complete_network
from toolchain.cli.console import Console, Json, Quiet, Threads, Verbose, decibel
from toolchain.cli.inputs import Inputs, check_pictures, parse_inputs
from toolchain.cli.run import Bundle
from toolchain.support.errors import InputError, QualityError

if TYPE_CHECKING:
    from toolchain.cli.results import Gate
    from toolchain.workflows.evaluate import Evaluation, Quality


def evaluate(
    bundle: Bundle,
    hr: Annotated[Path, typer.Option("--hr", help="A folder of high-resolution pictures.")],
    lr: Annotated[
        Path | None,
        typer.Option("--lr", help="A folder of their low-resolution ones; names may differ by x2, LR and the like."),
    ] = None,
    degradation: Annotated[
        str | None,
        typer.Option(
            "--degradation",
            help="How pictures are degraded without --lr: bicubic (default), matlab-bicubic, area; for networks "
            "that do not enlarge none (default), noise:SIGMA, jpeg:QUALITY.",
        ),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare",
            autocompletion=complete_network,
            help="The float model: .onnx, .tflite or zoo:NAME; or any other model, or a bundle.",
        ),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            "--max-drop", min=0.0, help="Exit with 12 if PSNR Y is lower by more than so many dB than of --compare."
        ),
    ] = None,
    perceptual: Annotated[
        bool, typer.Option("--perceptual", help="Measure FLIP as well: pip install 'clipfree\\[perceptual]'.")
    ] = False,
    shave: Annotated[
        int | None, typer.Option("--shave", min=0, help="Border pixels left out; default: the scale.")
    ] = None,
    value_range: Annotated[str | None, typer.Option("--range", help="Of the model of --compare, as in deploy.")] = None,
    inputs: Inputs = None,
    threads: Threads = None,
    device: Device = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Measure quality: upscale pictures and compare with the originals."""
    from toolchain.cli.results import EvaluateResult
    from toolchain.images.flip import load_flip
    from toolchain.images.pairs import find_pairs
    from toolchain.runtime.tiles import tiling
    from toolchain.targets.precision import TITLES
    from toolchain.workflows.compared import open_compared
    from toolchain.workflows.evaluate import evaluate
    from toolchain.zoo.embedded import resolve

    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    check_pictures(hr, "--hr")
    check_pictures(lr, "--lr")
    for option, given in (("--range", value_range), ("--max-drop", max_drop), ("--input", inputs)):
        if compare is None and given is not None:
            raise InputError(f"{option} is of the float model", hint=f"name it with --compare, or leave {option} away")
    flip = load_flip() if perceptual else None
    with machine_for(bundle, None, wait=0.0, threads=threads, device=device) as (opened, machine):
        if device is not None:
            console.note(f"on {machine.cpu.name}")
        manifest = opened.manifest
        if manifest.weights:
            console.note(manifest.weights)
        pictures = find_pairs(hr, lr, degradation, manifest.scale)
        if manifest.scale == 1 and pictures.origin == "none":
            console.note("nothing is degraded: --lr, --degradation noise:SIGMA or jpeg:QUALITY show what is repaired")
        other = None
        if compare is not None:
            other = open_compared(
                resolve(compare),
                manifest.geometry,
                value_range=value_range,
                inputs=parse_inputs(inputs),
                threads=threads,
            )
            if other.note:
                console.note(other.note)
        for skipped in pictures.skipped:
            console.note(f"left out: {skipped.name} {skipped.reason}")
        upscale = tiling(manifest).over(machine.upscale)
        with console.progress(len(pictures.pairs), eta=True) as tell:
            found = evaluate(
                upscale,
                pictures,
                channels=manifest.channels,
                scale=manifest.scale,
                shave=shave,
                compared=other.upscale if other else None,
                perceptual=flip,
                progress=lambda name, index, count: tell(f"[{index + 1}/{count}] {name}", index),
            )
    title = TITLES[manifest.precision]
    _print(console, found, pictures.text, [title, *([other.name, f"{title} against it"] if other else [])])
    gate = _gate(found, max_drop)
    console.document(
        EvaluateResult(
            bundle=str(bundle),
            shave=found.shave,
            scale=found.scale,
            degradation=found.degradation,
            compared=other.name if other else None,
            rows=found.rows,
            mean=found.mean,
            skipped=pictures.skipped,
            gate=gate,
        )
    )
    if gate is not None:
        said = f"{title} loses {gate.lost:.3f} dB of PSNR Y in the mean, {gate.allowed:g} dB are allowed"
        console.note(said if gate.kept else f"clipfree: {said}; deploy --max-loss keeps to a bound")
        if not gate.kept:
            raise typer.Exit(QualityError.exit_code)


def _gate(found: Evaluation, allowed: float | None) -> Gate | None:
    from toolchain.cli.results import Gate

    if allowed is None or found.drop is None:
        return None
    return Gate(allowed, found.drop, kept=found.drop <= allowed)


def _print(console: Console, found: Evaluation, text: str, columns: list[str]) -> None:
    """Print the table; ``columns`` are those behind that of the picture without a network."""
    flip = found.mean.bundle.flip is not None
    wide = 33 if flip else 25
    plain = "bicubic" if found.scale > 1 else "the input"
    head = f"{'PSNR RGB, PSNR Y in dB, SSIM Y' + ', FLIP' * flip:{36 if flip else 30}}"
    console.say(head + "".join(f"{name[: wide - 1]:>{wide}}" for name in (plain, *columns)))
    for row in (*found.rows, found.mean):
        qualities = [row.bicubic, row.bundle, row.compared, row.against_compared][: 1 + len(columns)]
        figures = "".join(f"{_figures(quality):>{wide}}" for quality in qualities)
        console.say(f"{row.name[: len(head) - 1]:{len(head)}}{figures}")
    console.say(f"{text}; border of {found.shave} pixels left out on each side; Y is BT.601 luma")


def _figures(quality: Quality | None) -> str:
    if quality is None:
        return "-"
    flip = "" if quality.flip is None else f" {quality.flip:7.4f}"
    return f"{decibel(quality.psnr_rgb)} {decibel(quality.psnr_y)} {quality.ssim:7.4f}{flip}"
