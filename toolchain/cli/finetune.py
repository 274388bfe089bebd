"""``clipfree finetune``: a model and photographs in, a quantized model whose weights were trained out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.completion import complete_model
from toolchain.cli.console import Console, Json, Quiet, Verbose
from toolchain.cli.deploy import Range, parse_settings
from toolchain.cli.inputs import Inputs, check_pictures, parse_inputs


def finetune(
    model: Annotated[
        str,
        typer.Argument(
            help="A float model (.onnx, .tflite, .pt2, .pth, .safetensors), zoo:NAME, or a quantized one.",
            autocompletion=complete_model,
        ),
    ],
    photos: Annotated[
        Path | None, typer.Option("--photos", help="A folder of photographs, better fifty than ten.")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The quantized model, ONNX.")] = Path("finetuned.qdq.onnx"),
    teacher: Annotated[
        str | None, typer.Option("--teacher", help="A float model whose pictures to match; default: the model.")
    ] = None,
    value_range: Range = None,
    weight_bits: Annotated[
        list[str] | None,
        typer.Option("--weight-bits", help="2 to 8, or PATTERN=BITS for some convolutions; default: 8."),
    ] = None,
    codebook: Annotated[
        bool, typer.Option("--codebook", help="Weights of few bits are places in codebooks, learnt too.")
    ] = False,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Of training; default: 2000.")] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="Of training, in place of --steps: as many steps as fit.")
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Pieces of photographs a step.")] = 12,
    patch: Annotated[int, typer.Option("--patch", min=16, help="A piece's side in pixels.")] = 32,
    rate: Annotated[float, typer.Option("--rate", help="The largest step of weights, in codes.")] = 0.02,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Where pieces are cut.")] = 0,
    inputs: Inputs = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Train the weights of a quantized network to give what the float one gives: no labels, in the deployed arithmetic.

    The result is a quantized ONNX model, which `clipfree deploy` takes as it is. It is never worse than the start.
    """
    from toolchain.workflows.finetune import FinetuneRequest, finetune_model
    from toolchain.zoo.demo_photos import photographs_for
    from toolchain.zoo.embedded import resolve

    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    check_pictures(photos, "--photos")
    settings = parse_settings(None, None, None, None, None, weight_bits, codebook=codebook, outliers=True)
    request = FinetuneRequest(
        resolve(model),
        photographs_for(model, photos),
        out,
        None if teacher is None else resolve(teacher),
        value_range,
        settings,
        parse_inputs(inputs),
        steps,
        minutes,
        batch,
        patch,
        rate,
        seed,
    )
    with console.progress(1, eta=True) as tell:
        found = finetune_model(request, progress=tell)
    if found.gained:
        changed = f"{found.changed} of {found.weights} weights changed"
        console.say(f"against float: {found.before:.2f} dB became {found.after:.2f} dB, {changed}")
    else:
        console.say(f"training gained nothing: {found.before:.2f} dB against float, and the model is as it was")
    console.say(str(found.path))
    console.result(command="finetune", result=found)
