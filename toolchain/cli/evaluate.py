"""``clipfree evaluate``: PSNR and SSIM of a bundle on high-resolution pictures, also against the float network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli.board_options import Device, machine_for
from toolchain.cli.console import Console, Json, Threads, decibel
from toolchain.cli.inputs import check_pictures
from toolchain.cli.run import Bundle, tiling
from toolchain.support.errors import InputError

if TYPE_CHECKING:
    from toolchain.workflows.evaluate import Quality


def evaluate(
    bundle: Bundle,
    hr: Annotated[Path, typer.Option("--hr", help="A folder of high-resolution pictures.")],
    compare: Annotated[str | None, typer.Option("--compare", help="The float model: .onnx or zoo:NAME.")] = None,
    shave: Annotated[
        int | None, typer.Option("--shave", min=0, help="Border pixels left out; default: the scale.")
    ] = None,
    value_range: Annotated[str | None, typer.Option("--range", help="Of the float model, as in deploy.")] = None,
    threads: Threads = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Measure quality: shrink pictures (bicubic), upscale them and compare with the originals."""
    from toolchain.cli.results import EvaluateResult
    from toolchain.frontend import load_model, normalize
    from toolchain.images import read_images
    from toolchain.targets.precision import TITLES
    from toolchain.workflows.evaluate import evaluate, float_upscale
    from toolchain.zoo.embedded import resolve

    console = Console(as_json=as_json)
    check_pictures(hr, "--hr")
    if compare is None and value_range is not None:
        raise InputError("--range is of the float model", hint="name that with --compare, or leave --range away")
    with machine_for(bundle, None, wait=0.0, threads=threads, device=device) as (opened, machine):
        if device is not None:
            console.note(f"on {machine.cpu.name}")
        manifest = opened.manifest
        compared = None
        if compare is not None:
            sr = normalize(load_model(resolve(compare)), value_range=value_range)
            if (sr.scale, sr.channels) != (manifest.scale, manifest.channels):
                raise InputError(f"{compare} is another kind of network: x{sr.scale}, {sr.channels} channels")
            compared = float_upscale(sr.model, sr.value_range, threads=threads)
        pictures = read_images(hr)
        for skipped in pictures.skipped:
            console.note(f"left out: {skipped.name} {skipped.reason}")
        upscale = tiling(manifest).over(machine.upscale)
        with console.progress(len(pictures.images)) as tell:
            found = evaluate(
                upscale,
                pictures,
                channels=manifest.channels,
                scale=manifest.scale,
                shave=shave,
                compared=compared,
                progress=lambda name, index, count: tell(f"[{index + 1}/{count}] {name}", index),
            )
    title = TITLES[manifest.precision]
    columns = ["bicubic", title, *(["FP32 model", f"{title} against it"] if compared else [])]
    console.say(f"{'PSNR RGB, PSNR Y in dB, SSIM Y':30}" + "".join(f"{name:>25}" for name in columns))
    for row in (*found.rows, found.mean):
        qualities = [row.bicubic, row.bundle, row.compared, row.against_float][: len(columns)]
        console.say(f"{row.name[:29]:30}" + "".join(f"{_figures(quality):>25}" for quality in qualities))
    console.say(f"border of {found.shave} pixels left out on each side; Y is BT.601 luma")
    result = EvaluateResult(
        bundle=str(bundle),
        shave=found.shave,
        scale=found.scale,
        rows=found.rows,
        mean=found.mean,
        skipped=pictures.skipped,
    )
    console.document(result)


def _figures(quality: Quality | None) -> str:
    return f"{decibel(quality.psnr_rgb)} {decibel(quality.psnr_y)} {quality.ssim:7.4f}" if quality else "-"
