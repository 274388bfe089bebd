"""``clipfree demo``: the whole story with an embedded model and a real photograph."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli.completion import complete_model, complete_target
from toolchain.cli.console import Console, Json, Quiet, Verbose
from toolchain.cli.deploy import run_steps
from toolchain.cli.summary import summarize

if TYPE_CHECKING:
    from toolchain.bundle import Bundle
    from toolchain.workflows.beside import Beside
    from toolchain.workflows.demo import Demo

_SIZE = (360, 640)
"""Rows and columns that are timed."""


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="A folder.")] = Path("out/demo"),
    model: Annotated[
        str, typer.Option("--model", autocompletion=complete_model, help="zoo:NAME or an .onnx file.")
    ] = "zoo:xlsr_x3",
    target: Annotated[
        str, typer.Option("--target", autocompletion=complete_target, help="See `clipfree targets list`.")
    ] = "host",
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Show all of it in a minute: deploy a network, verify it, enlarge a photograph, compare with onnxruntime."""
    from toolchain.backends.open import load
    from toolchain.bundle import PAGE, open_bundle
    from toolchain.workflows.demo import make_demo
    from toolchain.workflows.deploy import Deployment, Request
    from toolchain.zoo.demo_photos import demo_photographs
    from toolchain.zoo.embedded import resolve

    begin = time.perf_counter()
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    photographs = demo_photographs()
    words = shlex.join(["clipfree", "deploy", model, "--target", target, "-o", str(out)])
    request = Request(resolve(model), out, photographs, target, page=True, command=words)
    (done,) = run_steps([request], console)
    assert isinstance(done, Deployment)
    summarize(done, console)
    bundle = open_bundle(done.path)
    manifest = bundle.manifest
    upscale = load(bundle).upscale
    shown = make_demo(photographs, upscale, channels=manifest.channels, scale=manifest.scale, out=out)
    beside = _beside(bundle, shown, console)
    page = done.path / PAGE if PAGE in manifest.files else None
    seconds = time.perf_counter() - begin
    _tell(shown, beside, page, seconds, console)
    console.result(
        command="demo",
        bundle=done.path,
        files=shown.files,
        bicubic=shown.bicubic,
        network=shown.network,
        onnxruntime=beside,
        report=page,
        seconds=seconds,
    )


def _beside(bundle: Bundle, shown: Demo, console: Console) -> Beside | None:
    """Compare with onnxruntime, where that can run the network; else a sentence says why not."""
    import numpy as np

    from toolchain.images import to_channels
    from toolchain.images.units import extended
    from toolchain.support.errors import ModelError
    from toolchain.workflows.beside import beside_onnxruntime

    manifest = bundle.manifest
    if manifest.target.gpu is not None:
        return None
    # The photograph, beside and below itself until it has the size that benchmarks have.
    small = to_channels(shown.small, manifest.channels)
    pixels = np.tile(small, (-(-_SIZE[0] // small.shape[0]), -(-_SIZE[1] // small.shape[1]), 1))[: _SIZE[0], : _SIZE[1]]
    try:
        return beside_onnxruntime(bundle, extended(np.ascontiguousarray(pixels), manifest.unit))
    except ModelError as error:
        console.note(f"not compared with onnxruntime: {error.message}")
        return None


def _tell(shown: Demo, beside: Beside | None, report: Path | None, seconds: float, console: Console) -> None:
    """Print what was seen."""
    if console.quiet:
        for path in shown.files:
            console.say(str(path))
        return
    rows = [
        (
            "quality",
            f"PSNR of luma against the original: bicubic {shown.bicubic.psnr_y:.2f} dB, "
            f"clipfree {shown.network.psnr_y:.2f} dB",
        )
    ]
    if beside is not None:
        rows += [("time", beside.time), ("bytes", beside.picture)]
    rows += [("pictures", str(path)) for path in shown.files]
    if report is not None:
        rows.append(("report", f"{report}, to be opened in a browser"))
    console.summary(f"a photograph, enlarged; all of it in {seconds:.0f} s", rows)
