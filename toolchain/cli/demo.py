"""``clipfree demo``: deploy an embedded model and show on a real photograph what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.completion import complete_model, complete_target
from toolchain.cli.console import Console, Json, Quiet, Verbose
from toolchain.cli.deploy import run_steps
from toolchain.cli.summary import summarize


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
    """Deploy an embedded model with the photographs of scikit-image, and upscale one of them."""
    from toolchain.backends.open import load
    from toolchain.bundle import open_bundle
    from toolchain.workflows.demo import make_demo
    from toolchain.workflows.deploy import Deployment, Request
    from toolchain.zoo.demo_photos import demo_photographs
    from toolchain.zoo.embedded import resolve

    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    photographs = demo_photographs()
    (done,) = run_steps([Request(resolve(model), out, photographs, target)], console)
    assert isinstance(done, Deployment)
    summarize(done, console)
    bundle = open_bundle(done.path)
    manifest = bundle.manifest
    upscale = load(bundle).upscale
    shown = make_demo(photographs, upscale, channels=manifest.channels, scale=manifest.scale, out=out)
    console.say(
        f"PSNR of luma against the original: bicubic {shown.bicubic.psnr_y:.2f} dB, "
        f"clipfree {shown.network.psnr_y:.2f} dB"
    )
    for path in shown.files:
        console.say(str(path))
    console.result(command="demo", bundle=done.path, files=shown.files, bicubic=shown.bicubic, network=shown.network)
