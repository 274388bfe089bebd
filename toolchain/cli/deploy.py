"""``clipfree deploy``: an ONNX model and photographs in, a verified bundle out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolchain.cli.completion import choice, complete_model, complete_target
from toolchain.cli.console import Console, Json, Quiet, Verbose
from toolchain.cli.failure import explain
from toolchain.cli.inputs import Inputs, check_pictures, parse_inputs
from toolchain.cli.steps import show_steps
from toolchain.cli.summary import summarize
from toolchain.cli.words import command_line
from toolchain.support.errors import InputError, QualityError

if TYPE_CHECKING:
    from toolchain.quantize import Settings
    from toolchain.workflows.deploy import Deployment, Event, Failed, Request

Model = Annotated[
    str,
    typer.Argument(
        help="A model (.onnx or .tflite, float or quantized; .pt2, .pth, .safetensors), or zoo:NAME.",
        autocompletion=complete_model,
    ),
]
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
    typer.Option(
        "--bits",
        help="TENSOR=16 keeps a tensor or pattern of names at 16 bits, TENSOR=16:0-3,8 some of its channels, best by "
        "fours; several times for several.",
    ),
]
WeightBits = Annotated[
    list[str] | None,
    typer.Option(
        "--weight-bits",
        help="Of weights, 2 to 8 (default); PATTERN=BITS for some convolutions; auto: as few as keep to --max-loss, or "
        "0.05 dB; several times for several.",
    ),
]
Codebook = Annotated[
    bool,
    typer.Option("--codebook", help="Weights of at most 6 bits are places in a codebook of each convolution."),
]
BitsNested = Annotated[
    str | None,
    typer.Option(
        "--bits-nested",
        help="Of weights, such as 8,6,4: one file, model.nested, whose beginnings are the networks of fewer bits; see "
        "`clipfree nested`.",
    ),
]
Outliers = Annotated[
    bool,
    typer.Option(
        "--outliers/--no-outliers",
        help="Weights of at most 6 bits without a codebook: the largest few of each output keep 8 where that pays.",
    ),
]
Budgets = Annotated[
    list[str] | None,
    typer.Option(
        "--budget",
        help="Choose tensors to keep at 16 bits for at most so many percent more work; 0: 8 bits everywhere. "
        "Default: 8, where more than 0.05 dB is lost. bops=100% (bit operations, of 8 bits everywhere), size=60% or "
        "size=20kB (weights, packed): bits of weights and of activations together, for least loss, or with --max-loss "
        "for least cost; several times for several.",
    ),
]
MaxLoss = Annotated[
    float | None,
    typer.Option("--max-loss", help="PSNR in dB that INT8 may lose: as few tensors at 16 bits as keep to it."),
]


def deploy(
    context: typer.Context,
    model: Model,
    calib: Calib = None,
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            autocompletion=complete_target,
            help="See `clipfree targets list`; default: host. Several times: a bundle for each, of one quantization.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="A folder, or for one target NAME.clipfree.")] = Path("out"),
    name: Annotated[str | None, typer.Option("--name", help="Of the bundle; default: the model's.")] = None,
    value_range: Range = None,
    estimator: Estimators = None,
    weights: Weights = None,
    bits: Bits = None,
    weight_bits: WeightBits = None,
    codebook: Codebook = False,
    bits_nested: BitsNested = None,
    outliers: Outliers = True,
    budget: Budgets = None,
    max_loss: MaxLoss = None,
    logs: Annotated[Path | None, typer.Option("--logs", help="Tuning logs of your own, from `clipfree tune`.")] = None,
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            autocompletion=choice("int8", "float32", "float16", "float"),
            help="int8, or without photographs float32, float16, or float: which suits.",
        ),
    ] = "int8",
    tuned_for: Annotated[str, typer.Option("--tuned-for", help="Be fast for inputs of HEIGHTxWIDTH.")] = "360x640",
    layers: Annotated[
        bool, typer.Option("--layers", help="Run layer by layer: slower, but `bench --functions` times each kernel.")
    ] = False,
    dump: Annotated[
        Path | None, typer.Option("--dump", help="Write the network as it is after every step into this folder.")
    ] = None,
    keep_rounding: Annotated[
        bool,
        typer.Option(
            "--keep-rounding",
            help="Of a quantized model: round every tensor that it rounds, as its own runtime does; slower.",
        ),
    ] = False,
    no_cache: Annotated[
        bool,
        typer.Option("--no-cache", help="Quantize again, and do not keep the quantized network in the user's cache."),
    ] = False,
    static: Annotated[
        bool, typer.Option("--static", help="Write libmodel.a too, for programs that link with it, not with model.so.")
    ] = False,
    page: Annotated[
        bool, typer.Option("--report/--no-report", help="Write report.html into the bundle: a page to look at.")
    ] = True,
    inputs: Inputs = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
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
    wanted = targets or ["host"]
    found = [find_target(target) for target in wanted]
    precisions = [read_precision(precision, gpu=target.gpu is not None) for target in found]
    embedded = calib is None and model.startswith(PREFIX) and precisions[0] == INT8
    photographs = demo_photographs() if embedded else calib
    settings = None
    few = [weight_bits, codebook, bits_nested, not outliers]
    if any([estimator, weights, bits, *few, budget, max_loss is not None]):
        settings = parse_settings(
            estimator,
            weights,
            bits,
            budget,
            max_loss,
            weight_bits,
            codebook=codebook,
            outliers=outliers,
            nested=bits_nested,
        )
    request = Request(
        path,
        out,
        photographs,
        wanted[0],
        name,
        value_range,
        settings,
        () if logs is None else (logs,),
        parse_size(tuned_for, "--tuned-for"),
        precisions[0],
        layers,
        dump,
        keep_rounding,
        static=static,
        keep=not no_cache,
        page=page,
        command=command_line(context) if page else "",
        inputs=parse_inputs(inputs),
    )
    requests = [request]
    if len(wanted) > 1:
        requests = separate(request, list(zip(wanted, (target.name for target in found), precisions, strict=True)))
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose)
    report(run_steps(requests, console), console)


def separate(request: Request, wanted: Sequence[tuple[str, str, str]]) -> list[Request]:
    """Return a request for each of several targets, whose bundles are called after them.

    Args:
        request: for the first of them.
        wanted: as the user names each, what it is called, and the precision for it.

    Raises:
        InputError: two are the same, or one place is named for all.
    """
    from toolchain.bundle import SUFFIX

    if request.out.suffix == SUFFIX:
        raise InputError(
            f"{request.out} is one bundle, for {len(wanted)} targets", hint="name a folder with -o, or one --target"
        )
    if request.dump is not None:
        raise InputError("--dump shows the way to one target", hint="name one --target")
    words: dict[str, str] = {}
    requests = []
    for target, called, precision in wanted:
        if called in words:
            raise InputError(f"--target {words[called]} and --target {target} are the same", hint="name it once")
        words[called] = target
        one = replace(request, target=target, precision=precision)
        requests.append(replace(one, out=request.out / f"{one.title}-{called}{SUFFIX}"))
    return requests


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
    budgets: Sequence[str] | None,
    max_loss: float | None,
    weight_bits: Sequence[str] | None,
    *,
    codebook: bool,
    outliers: bool,
    nested: str | None = None,
) -> Settings:
    """Return the settings that the words of --estimator, --weights, --bits, --weight-bits, --codebook, --no-outliers,
    --bits-nested,
    --budget and --max-loss mean.

    Raises:
        InputError: they are not understood.
        CalibrationError: they ask for what there is not.
    """
    from toolchain.quantize import Settings
    from toolchain.quantize.bits import read_bits
    from toolchain.quantize.budgets import read_budgets
    from toolchain.quantize.weight_bits import read_bits_nested, read_weight_bits

    few, spare = read_weight_bits(weight_bits or ())
    chosen = dict(read_bits(word) for word in bits or ())
    work, costs = read_budgets(budgets or ())
    return Settings(
        **parse_estimators(estimators or [], weights),
        bits=chosen,
        weight_bits=few,
        codebook=codebook,
        bits_nested=read_bits_nested(nested) if nested is not None else (),
        outliers=outliers,
        spare_weights=spare,
        budget=work,
        costs=costs,
        max_loss=max_loss,
    )


def run_steps(requests: Sequence[Request], console: Console) -> tuple[Deployment | Failed, ...]:
    """Deploy with progress on the console; where only one thing was asked for, its error is raised."""
    from toolchain.workflows.deploy import STEPS, Failed, deploy_batch

    with show_steps(console) as steps:

        def show(event: Event) -> None:
            place = f"[{event.index + 1}/{len(STEPS)}]" + (f" {event.target}:" if event.target else "")
            if event.seconds is not None:
                steps.finished(f"{place} {event.step}: {event.detail} ({event.seconds:.1f} s)", event.share)
            else:
                steps.running(f"{place} {event.step}", event.share, event.detail, event.part)

        outcomes = deploy_batch(requests, progress=show)
    if len(outcomes) == 1 and isinstance(outcomes[0], Failed):
        raise outcomes[0].error
    return outcomes


def report(outcomes: Sequence[Deployment | Failed], console: Console) -> None:
    """Say what came out; the command's exit code is that of the first failure."""
    from toolchain.workflows.deploy import Failed

    done = [outcome for outcome in outcomes if not isinstance(outcome, Failed)]
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    for one in done:
        summarize(one, console)
    failures = [(one.request.target, explain(one.error)) for one in failed]
    for target, failure in failures:
        console.note(f"clipfree: no bundle for {target}: {failure}")
    if len(outcomes) == 1:
        console.result(command="deploy", **_document(done[0]))
    else:
        lost = [
            {"target": target, "message": failure.message, "hint": failure.hint, "exit_code": failure.code}
            for target, failure in failures
        ]
        console.result(command="deploy", bundles=[_document(one) for one in done], failed=lost)
    if failures:
        raise typer.Exit(failures[0][1].code)
    missed = [one.missed for one in done if one.missed is not None]
    if missed:
        console.note(f"clipfree: more is lost than the {missed[0]:g} dB asked for; the bundle is there all the same")
        raise typer.Exit(QualityError.exit_code)


def _document(done: Deployment) -> dict[str, Any]:
    return {
        "bundle": done.path,
        "target": done.manifest.target.name,
        "seconds": done.seconds,
        "precision": done.manifest.precision,
        "scale": done.manifest.scale,
        "channels": done.manifest.channels,
        "cached": done.cached,
        "report": done.report,
    }
