"""``clipfree represent``: photographs in, a representative set (CFQP) and its proof out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli.completion import complete_model
from toolchain.cli.console import Console, Json, Quiet, Verbose
from toolchain.cli.deploy import Calib, Range
from toolchain.cli.inputs import Inputs, check_pictures, parse_inputs
from toolchain.cli.words import command_line

if TYPE_CHECKING:
    from toolchain.workflows.report.proof import Proof


def represent(
    context: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            help="A float model (.onnx, .tflite, .pt2, .pth, .safetensors), or zoo:NAME.", autocompletion=complete_model
        ),
    ],
    calib: Calib = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="A folder of its own.")] = Path("out/representative"),
    value_range: Range = None,
    overshoot: Annotated[
        str, typer.Option("--overshoot", help="What overshooting images become: contract or select.")
    ] = "contract",
    frames: Annotated[
        str, typer.Option("--frames", help="Added so that both ends are touched: flat,edge, one of them, or none.")
    ] = "flat,edge",
    patch: Annotated[
        int | None, typer.Option("--patch", min=1, help="Tame patches of N pixels a side, not whole images.")
    ] = None,
    crop: Annotated[int, typer.Option("--crop", min=1, help="Larger photographs are cut to their middle.")] = 512,
    most: Annotated[int, typer.Option("--most", min=1, help="Of more photographs so many, spread evenly.")] = 128,
    formats: Annotated[str, typer.Option("--save", help="The set as png, npz, or png,npz.")] = "png,npz",
    inputs: Inputs = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: Json = False,
) -> None:
    """Make representative images whose outputs need no clip, for calibrators that record extremes."""
    from toolchain.quantize.representative import Reading
    from toolchain.workflows.represent import RepresentRequest, make_representative_set
    from toolchain.zoo.demo_photos import photographs_for
    from toolchain.zoo.embedded import resolve

    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    check_pictures(calib, "--calib")
    reading = Reading(overshoot, () if frames == "none" else tuple(frames.split(",")), patch)
    photographs = photographs_for(model, calib)
    request = RepresentRequest(
        resolve(model),
        photographs,
        out,
        value_range,
        reading,
        crop,
        most,
        tuple(formats.split(",")),
        parse_inputs(inputs),
        command_line(context),
    )
    with console.progress(100, eta=True) as tell:
        proof = make_representative_set(request, progress=lambda text, done, total: tell(text, 100 * done // total))
    if not console.quiet:
        summarize(proof, console)
    console.say(str(out))
    console.result(command="represent", out=out, proof=proof)


def summarize(proof: Proof, console: Console) -> None:
    """Print the proof sheet."""
    console.say(f"{'image':34}{'output before':>20}{'after':>20}{'contrast':>10}  kind")
    for image in proof.images:
        before, after = (f"{low:.4f}..{high:.4f}" for low, high in (image.before, image.after))
        console.say(f"{image.name[:33]:34}{before:>20}{after:>20}{image.factor:>10.3f}  {image.kind}")
    low, high = proof.value_range
    covered = proof.coverage
    touched = [
        f"{end:g} {'touched' if there else 'not touched'} ({value:.4f})"
        for end, there, value in ((low, covered.touches_low, covered.low), (high, covered.touches_high, covered.high))
    ]
    console.say(
        f"the set: {' and '.join(touched)}, {'none' if covered.inside else 'some'} beyond; "
        f"before {proof.before[0]:.4f}..{proof.before[1]:.4f}"
    )
    meaning = "the pixels, so no clip is needed" if proof.proved else "not the pixels"
    console.say(
        f"a calibrator that records extremes writes scale {proof.output_scale:.6g}, zero point "
        f"{proof.output_zero_point}: {meaning}"
    )
    console.say(f"the inputs hold codes {proof.codes[0]}..{proof.codes[1]}: pin the input to 0..255 where you can")
    for left in proof.left_out[:5]:
        console.note(f"left out: {left.photograph} at {left.place[1]},{left.place[0]}")
    if len(proof.left_out) > 5:
        console.note(f"left out: {len(proof.left_out) - 5} more, see proof.json")
    for skipped in proof.skipped:
        console.note(f"left out: {skipped.name} {skipped.reason}")
    for warning in proof.warnings:
        console.note(f"warning: {warning}")
