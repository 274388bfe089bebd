"""``clipfree fidelity``: where a network loses quality when it is quantized, as JSON and a page."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli.completion import complete_model
from toolchain.cli.console import Console, Json, Quiet, Verbose
from toolchain.cli.deploy import (
    Bits,
    Budgets,
    Calib,
    Codebook,
    Estimators,
    MaxLoss,
    Outliers,
    Range,
    WeightBits,
    Weights,
    parse_settings,
)
from toolchain.cli.inputs import Inputs, check_pictures, parse_inputs
from toolchain.support.errors import InputError
from toolchain.support.serialization import plain

if TYPE_CHECKING:
    from toolchain.workflows.fidelity import Fidelity

_LISTED = 8


def fidelity(
    model: Annotated[
        str,
        typer.Argument(
            help="A float model (.onnx, .tflite, .pt2, .pth, .safetensors), or zoo:NAME.", autocompletion=complete_model
        ),
    ],
    calib: Calib = None,
    hr: Annotated[
        Path | None, typer.Option("--hr", help="High-resolution pictures to measure on; default: the photographs.")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="A folder.")] = Path("out/fidelity"),
    value_range: Range = None,
    estimator: Estimators = None,
    weights: Weights = None,
    bits: Bits = None,
    weight_bits: WeightBits = None,
    codebook: Codebook = False,
    outliers: Outliers = True,
    budget: Budgets = None,
    max_loss: MaxLoss = None,
    crops: Annotated[int, typer.Option("--crops", min=1, help="Pictures compared at most.")] = 6,
    inputs: Inputs = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Quantize a model and report what each tensor and each convolution costs."""
    from toolchain.quantize.weight_bits import AUTO
    from toolchain.support.files import atomic_write, check_writable
    from toolchain.workflows.fidelity import FidelityRequest, measure_fidelity
    from toolchain.workflows.report.fidelity_page import render
    from toolchain.zoo.demo_photos import photographs_for
    from toolchain.zoo.embedded import resolve

    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    check_pictures(calib, "--calib")
    check_pictures(hr, "--hr")
    check_writable(out / "index.html")
    if AUTO in (weight_bits or ()):
        raise InputError(
            f"--weight-bits {AUTO} is of deploy, which says what it has chosen", hint="say here what it chose"
        )
    settings = parse_settings(
        estimator, weights, bits, budget, max_loss, weight_bits, codebook=codebook, outliers=outliers
    )
    given = tuple(part for word in inputs or () for part in ("--input", word))
    given += tuple(part for word in weight_bits or () for part in ("--weight-bits", word)) + ("--codebook",) * codebook
    given += ("--no-outliers",) * (not outliers)
    words = (*_words(model, calib, value_range, estimator, weights, bits), *given)
    spent = _options(
        ("--hr", hr), *(("--budget", word) for word in budget or ()), ("--max-loss", max_loss), ("--crops", crops)
    )
    request = FidelityRequest(
        resolve(model),
        photographs_for(model, calib),
        hr,
        value_range,
        settings,
        crops,
        inputs=parse_inputs(inputs),
        command=shlex.join(["clipfree", "fidelity", *words, *spent]),
        words=words,
    )
    with console.progress(100, eta=True) as tell:
        found = measure_fidelity(request, progress=lambda text, done, total: tell(text, 100 * done // total))
    document = plain(found)
    for name, text in (
        ("fidelity.json", json.dumps(document, indent=1, default=str) + "\n"),
        ("index.html", render(document)),
    ):
        with atomic_write(out / name) as file:
            file.write(text.encode())
    if not console.quiet:
        summarize(found, console)
    console.say(str(out / "index.html"))
    console.result(command="fidelity", out=out, fidelity=found)


def _words(
    model: str,
    calib: Path | None,
    value_range: str | None,
    estimators: Sequence[str] | None,
    weights: str | None,
    bits: Sequence[str] | None,
) -> tuple[str, ...]:
    """Return what deploy takes too, as it was typed."""
    several = [("--estimator", word) for word in estimators or ()]
    several += [("--bits", word) for word in bits or ()]
    return (model, *_options(("--calib", calib), ("--range", value_range), ("--weights", weights), *several))


def _options(*pairs: tuple[str, object]) -> tuple[str, ...]:
    return tuple(
        word
        for name, value in pairs
        if value is not None
        for word in (name, f"{value:g}" if isinstance(value, float) else str(value))
    )


def summarize(found: Fidelity, console: Console) -> None:
    """Print the worst tensors and parts."""
    console.say(f"INT8 against FP32: {found.psnr:.2f} dB on {len(found.pictures)} pictures")
    mean = found.quality.mean if found.quality else None
    if mean is not None and mean.compared is not None:
        console.say(
            f"against the originals (Y): FP32 {mean.compared.psnr_y:.2f} dB, INT8 {mean.bundle.psnr_y:.2f} dB, "
            f"bicubic {mean.bicubic.psnr_y:.2f} dB"
        )
    for line in (*([found.weights] if found.weights else []), *found.spent):
        console.say(line)
    console.say(f"{'tensor':44}{'SQNR':>8}{'own':>8}{'cosine':>9}{'saturated':>11}{'used':>6}")
    for tensor in sorted(found.tensors, key=lambda tensor: tensor.sqnr)[:_LISTED]:
        console.say(
            f"{tensor.name[:43]:44}{tensor.sqnr:>8.2f}{tensor.own_sqnr:>8.2f}{tensor.cosine:>9.5f}"
            f"{tensor.saturated:>11.3%}{tensor.used:>6.0%}"
        )
    console.say(f"{'quantized part, error in grey levels squared':54}{'alone':>10}{'saved':>10}")
    for blame in sorted(found.blame.blames, key=lambda blame: -max(blame.alone, blame.gain))[:_LISTED]:
        console.say(f"{str(blame.part)[:53]:54}{blame.alone:>10.4f}{blame.gain:>10.4f}")
    console.say(f"PSNR lost to rounding: {found.drop:.3f} dB" + ("; what loses less:" if found.fixes else ""))
    for fix in found.fixes:
        console.say(f"  {fix.after:.3f} dB for {fix.work:.1f} % more work than 8 bits everywhere:\n    {fix.command}")
    for warning in found.warnings:
        console.note(f"warning: {warning}")
