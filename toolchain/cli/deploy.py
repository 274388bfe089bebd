"""``clipfree deploy``: an ONNX model and photographs in, a verified bundle out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolchain.cli.console import Console, Json, quantity
from toolchain.cli.inputs import check_pictures
from toolchain.support.errors import InputError, QualityError

if TYPE_CHECKING:
    from toolchain.quantize import Settings
    from toolchain.workflows.deploy import Deployment, Event, Request

Model = Annotated[str, typer.Argument(help="An .onnx file, float or QDQ, or zoo:NAME for an embedded model.")]
Range = Annotated[
    str | None, typer.Option("--range", help='What its numbers mean: "0..1", "0..255", "-1..1", or INPUT:OUTPUT.')
]
Calib = Annotated[Path | None, typer.Option("--calib", help="A folder of photographs.")]
Estimators = Annotated[
    list[str] | None,
    typer.Option(
        "--estimator",
        help="Of activation ranges: percentile[:P] (default), mse, minmax, entropy, average. "
        "TENSOR=NAME for one tensor or pattern of names; several times for several.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option("--weights", help="Of each channel's weights: output (default), mse, minmax or percentile:P."),
]
Bits = Annotated[
    list[str] | None,
    typer.Option("--bits", help="TENSOR=16 keeps a tensor or pattern of names at 16 bits; several times for several."),
]
Budget = Annotated[
    float | None,
    typer.Option(
        "--budget",
        help="Choose tensors to keep at 16 bits for at most so many percent more work; 0: 8 bits everywhere. "
        "Default: 5, where more than 0.05 dB is lost.",
    ),
]
MaxLoss = Annotated[
    float | None,
    typer.Option("--max-loss", help="PSNR in dB that INT8 may lose: as few tensors at 16 bits as keep to it."),
]


def deploy(
    model: Model,
    calib: Calib = None,
    target: Annotated[str, typer.Option("--target", help="See `clipfree targets list`.")] = "host",
    out: Annotated[Path, typer.Option("-o", "--out", help="A folder, or NAME.clipfree.")] = Path("out"),
    name: Annotated[str | None, typer.Option("--name", help="Of the bundle; default: the model's.")] = None,
    value_range: Range = None,
    estimator: Estimators = None,
    weights: Weights = None,
    bits: Bits = None,
    budget: Budget = None,
    max_loss: MaxLoss = None,
    logs: Annotated[Path | None, typer.Option("--logs", help="Tuning logs of your own, from `clipfree tune`.")] = None,
    precision: Annotated[
        str, typer.Option("--precision", help="int8, or without photographs float32, float16, or float: which suits.")
    ] = "int8",
    tuned_for: Annotated[str, typer.Option("--tuned-for", help="Be fast for inputs of HEIGHTxWIDTH.")] = "360x640",
    layers: Annotated[
        bool, typer.Option("--layers", help="Run layer by layer: slower, but `bench --functions` times each kernel.")
    ] = False,
    dump: Annotated[
        Path | None, typer.Option("--dump", help="Write the network as it is after every step into this folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Turn an ONNX super-resolution model into a verified bundle, in INT8 or in float."""
    from toolchain.cli.bench import parse_size
    from toolchain.targets import find_target
    from toolchain.targets.precision import INT8, read_precision
    from toolchain.workflows.deploy import Request
    from toolchain.zoo.demo_photos import demo_photographs
    from toolchain.zoo.embedded import PREFIX, resolve

    path = resolve(model)
    check_pictures(calib, "--calib")
    precision = read_precision(precision, gpu=find_target(target).gpu is not None)
    wanted = calib is None and model.startswith(PREFIX) and precision == INT8
    photographs = demo_photographs() if wanted else calib
    settings = None
    if estimator or weights or bits or budget is not None or max_loss is not None:
        settings = parse_settings(estimator, weights, bits, budget, max_loss)
    console = Console(as_json=as_json)
    request = Request(
        path,
        out,
        photographs,
        target,
        name,
        value_range,
        settings,
        () if logs is None else (logs,),
        parse_size(tuned_for, "--tuned-for"),
        precision,
        layers,
        dump,
    )
    done = run_steps(request, console)
    summarize(done, console)
    console.result(
        command="deploy",
        bundle=done.path,
        target=done.manifest.target.name,
        seconds=done.seconds,
        precision=precision,
        scale=done.manifest.scale,
        channels=done.manifest.channels,
        report=done.report,
    )
    if done.bound is not None and done.bound.demanded and not done.bound.kept:
        console.note(
            f"clipfree: more is lost than the {done.bound.wanted:g} dB asked for; the bundle is there all the same"
        )
        raise typer.Exit(QualityError.exit_code)


def parse_estimators(words: Sequence[str] | None, weights: str | None) -> dict[str, Any]:
    """Return ``Settings``' fields for the words of --estimator, at most one NAME and any number of TENSOR=NAME, and
    --weights.

    Raises:
        InputError: two estimators for all tensors, or a word that is not understood.
    """
    words = words or ()
    general = [word for word in words if "=" not in word]
    if len(general) > 1:
        both = f"{general[0]} and {general[1]}"
        raise InputError(f"--estimator {both}: which one?", hint="say TENSOR=NAME for some tensors")
    pairs = [word.rpartition("=") for word in words if "=" in word]
    for tensor, _, name in pairs:
        if not tensor or not name:
            raise InputError(f"--estimator {tensor}={name} is not understood", hint="say TENSOR=NAME or PATTERN=NAME")
    overrides = {tensor: name for tensor, _, name in pairs}
    chosen = {"activations": general[0] if general else None, "weights": weights}
    return {"overrides": overrides, **{field: name for field, name in chosen.items() if name}}


def parse_settings(
    estimators: Sequence[str] | None,
    weights: str | None,
    bits: Sequence[str] | None,
    budget: float | None,
    max_loss: float | None,
) -> Settings:
    """Return the settings that the words of --estimator, --weights, --bits, --budget and --max-loss mean.

    Raises:
        InputError: they are not understood.
        CalibrationError: they ask for what there is not.
    """
    from toolchain.quantize import Settings

    pairs = [word.rpartition("=") for word in bits or ()]
    for word, (tensor, _, number) in zip(bits or (), pairs, strict=True):
        if not tensor or not number.isdecimal():
            raise InputError(f"--bits {word} is not understood", hint="say TENSOR=16 or PATTERN=16")
    chosen = {tensor: int(number) for tensor, _, number in pairs}
    return Settings(**parse_estimators(estimators or [], weights), bits=chosen, budget=budget, max_loss=max_loss)


def run_steps(request: Request, console: Console) -> Deployment:
    """Deploy with progress on the console."""
    from toolchain.workflows.deploy import STEPS, deploy

    with console.progress(len(STEPS)) as tell:

        def show(event: Event) -> None:
            if event.seconds is not None:
                tell(
                    f"[{event.index + 1}/{len(STEPS)}] {event.step}: {event.detail} ({event.seconds:.1f} s)",
                    event.index + 1,
                )
            elif not event.note:
                tell("", event.index)

        return deploy(request, progress=show)


def summarize(done: Deployment, console: Console) -> None:
    """Say what came out, in a few lines."""
    from toolchain.runtime.verify import standard_for, verdict
    from toolchain.targets.precision import INT8

    manifest, model = done.manifest, done.report["model"]
    clip = model["clip"]
    work = quantity(manifest.macs_per_pixel, "MAC")
    console.say(f"{done.path}")
    kind = "RGB" if manifest.channels == 3 else "luma"
    console.say(f"  x{manifest.scale} {kind}, {done.network.parameters} parameters, {work} per input pixel")
    timed = manifest.tuned.share == 1 and not manifest.tuned.estimated_kernels
    slow = manifest.precision == INT8 and not timed and not manifest.target.gpu
    console.say(f"  {manifest.arithmetic}{'; `clipfree tune` finds faster tiles' if slow else ''}")
    if manifest.precision == INT8:
        console.say(f"  {manifest.loss or 'INT8 against float: not known, the model came quantized'}")
    for spent in (done.budget, done.bound):
        if spent:
            console.say(f"  {spent}")
    if done.network.wide:
        console.say(f"  {done.network.describe_wide()}")
    if clip:
        console.say(f"  final clip {clip['low']:g}..{clip['high']:g} ({clip['spelling']}) became the output's range")
    tamed = done.report["calibration"]["representative"]
    if tamed:
        before, after = (f"{low:.3g}..{high:.3g}" for low, high in (tamed["before"], tamed["after"]))
        proof = "both ends touched, none left" if tamed["proved"] else "the ends are not both touched"
        console.say(
            f"  representative set: outputs {before} tamed to {after}, {tamed['contracted']} of "
            f"{tamed['images']} images contracted; {proof}"
        )
    if done.verified:
        standard = standard_for(manifest.precision, manifest.coverage.float_operators)
        console.say(f"  {verdict(done.verified, standard)} in {len(done.verified)} pictures")
    for warning in done.warnings:
        console.note(f"warning: {warning}")
    console.say(f"  made for {manifest.target.name} in {sum(done.seconds.values()):.1f} s")
