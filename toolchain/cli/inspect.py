"""``clipfree inspect``: what a model or a bundle is, without running it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolchain.cli.completion import choice, complete_network, complete_target
from toolchain.cli.console import Console, Json, quantity
from toolchain.cli.inputs import Inputs, parse_inputs

if TYPE_CHECKING:
    from toolchain.workflows.report.inspection import Collapse

TYPICAL = ("host", "cortex-a76", "mali-g78")

Subject = Annotated[
    str,
    typer.Argument(help="A model (.onnx, .tflite, .pt2, ...), zoo:NAME, or a bundle.", autocompletion=complete_network),
]


def inspect(
    subject: Subject,
    value_range: Annotated[str | None, typer.Option("--range", help="As in deploy.")] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target", autocompletion=complete_target, help="What a deployment does there; several times for several."
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            autocompletion=choice("int8", "float32", "float16", "float"),
            help="Of the deployments: int8, float32, float16, or float: which suits.",
        ),
    ] = "int8",
    inputs: Inputs = None,
    as_json: Json = False,
) -> None:
    """Describe a model or a bundle: shapes, work, clip, integer coverage, memory, targets."""
    from toolchain.zoo.embedded import resolve

    console = Console(as_json=as_json)
    path = resolve(subject)
    if path.is_dir():
        _bundle(path, console)
    else:
        _model(path, value_range, target or TYPICAL, precision, parse_inputs(inputs), console)


def _model(
    path: Path,
    value_range: str | None,
    asked: Sequence[str],
    precision: str,
    inputs: Mapping[str, float],
    console: Console,
) -> None:
    from toolchain.images.geometry import UNBOUNDED_HALO
    from toolchain.support.cpu import this_cpu
    from toolchain.targets import list_targets
    from toolchain.targets.linker import is_native
    from toolchain.targets.precision import TITLES
    from toolchain.workflows.report.inspection import inspect_model

    found = inspect_model(path, value_range=value_range, targets=asked, precision=precision, inputs=inputs)
    low, high = found.value_range
    console.say(f"{path.name}: {found.kind} network '{found.name}'")
    console.say(f"  {_pictures(found.channels, found.scale, found.smallest)}")
    console.say(f"  floats mean {low:g}..{high:g}")
    clip = found.clip
    text = f"{clip.low:g}..{clip.high:g}, written as {clip.spelling}: becomes the output's range" if clip else "none"
    console.say(f"  final clip: {text}")
    console.say(f"  {found.parameters} parameters, {quantity(found.macs_per_pixel, 'MAC')} per input pixel")
    whole, side = found.halo >= UNBOUNDED_HALO, 2 * found.halo + 1
    console.say(f"  receptive field {'of the whole picture' if whole else f'{side} x {side} input pixels'}")
    console.say(f"  activations: {found.memory_per_pixel:.0f} bytes per input pixel in INT8")
    console.say(f"  integer coverage: {found.coverage}")
    if found.wide:
        console.say(f"  {found.wide}")
    if found.proof:
        console.say(f"  for any picture: {found.proof}")
    for change in found.changes:
        console.say(f"  normalized: {change}")
    if found.collapse:
        _collapse(found.collapse, console)
    console.say(f"  {'convolution':40}{'weight':>18}{'groups':>8}{'MAC/pixel':>12}")
    for layer in found.layers:
        shape = " x ".join(str(side) for side in layer.weight)
        console.say(f"  {layer.name[:39]:40}{shape:>18}{layer.groups:>8}{layer.macs_per_pixel:>12.0f}")
    cpu = this_cpu()
    targets = [
        {"name": target.name, "runs_here": is_native(target.triple) and not target.missing_on(cpu)}
        for target in list_targets()
    ]
    console.say(
        "  targets there are: " + ", ".join(f"{t['name']}{' (runs here)' if t['runs_here'] else ''}" for t in targets)
    )
    for outlook in found.outlooks:
        console.say(f"  {TITLES[outlook.precision]} on {outlook.target}: {outlook}")
    console.result(command="inspect", kind="model", model=found, targets=targets)


def _collapse(collapse: Collapse, console: Console) -> None:
    before, after = (quantity(macs, "MAC") for macs in (collapse.macs_before, collapse.macs_after))
    console.say(
        f"  linear branches: {collapse.nodes_before} operators with {before} per input pixel"
        f" became {collapse.nodes_after} with {after}"
    )
    console.say("  outliers: largest weight of a channel (127 in INT8) over its median, of the worst channel")
    console.say(f"  {'merged convolution':40}{'operators':>10}{'kernel':>8}{'MAC/pixel':>19}{'outliers':>17}")
    for merge in collapse.merges:
        kernel, macs = "x".join(map(str, merge.kernel)), f"{merge.macs_before:.0f} -> {merge.macs_after:.0f}"
        ratios = f"{merge.outliers_before:.1f} -> {merge.outliers_after:.1f}"
        console.say(f"  {merge.result[:39]:40}{merge.nodes:>10}{kernel:>8}{macs:>19}{ratios:>17}")


def _bundle(path: Path, console: Console) -> None:
    from toolchain.bundle import open_bundle
    from toolchain.reference.bounds import prove
    from toolchain.reference.network import describe_network
    from toolchain.support.errors import BundleError
    from toolchain.targets.precision import INT8, TITLES

    bundle = open_bundle(path, for_this_machine=False)
    manifest = bundle.manifest
    obstacle: Any = None
    try:
        bundle.check_machine()
    except BundleError as error:
        obstacle = error.message
    console.say(f"{path}: {TITLES[manifest.precision]} bundle of '{manifest.name}' for {manifest.target.name}")
    console.say(f"  {_pictures(manifest.channels, manifest.scale, manifest.smallest)}")
    if manifest.unit > 1:
        console.say(
            f"  sides are multiples of {manifest.unit} pixels: other pictures are extended by their border's pixels, "
            "and the result is cut to size"
        )
    work = quantity(manifest.macs_per_pixel, "MAC")
    console.say(f"  {work} and about {manifest.workspace_per_pixel:.0f} bytes per input pixel")
    if manifest.line_buffers:
        megabytes = manifest.line_buffers / 1e6
        console.say(f"  rows stream through its kernels: {megabytes:.1f} MB a thread at a width of 1920")
    elif manifest.target.gpu is None:
        console.say("  runs layer by layer, on whole tensors")
    console.say(f"  {manifest.arithmetic}")
    if manifest.loss:
        console.say(f"  {manifest.loss}")
    wide = describe_network(bundle.model()).describe_wide() if manifest.precision == INT8 else ""
    for line in (*([manifest.weights] if manifest.weights else []), *bundle.spent(), *([wide] if wide else [])):
        console.say(f"  {line}")
    proof = prove(bundle.model(), manifest.value_range) if manifest.precision == INT8 else None
    if proof:
        console.say(f"  for any picture: {proof}")
    console.say(
        f"  {len(manifest.kernels)} kernels, {len(manifest.tensors)} quantized tensors, halo {manifest.halo} pixels"
    )
    launches = bundle.launches()
    for line in launches.lines():
        console.say(f"  {line}")
    tiles = {} if launches.figures else bundle.tiles()
    for name, tile in tiles.items():
        console.say(f"  {name:24}{tile}")
    versions = manifest.versions
    console.say(
        f"  made with clipfree {versions.clipfree}, apache-tvm {versions.tvm}, apache-tvm-ffi {versions.tvm_ffi}"
    )
    console.say(f"  needs {' '.join(manifest.target.requires)}")
    for name, record in manifest.files.items():
        console.say(f"  {name:20}{record.size:>10} bytes  sha256 {record.sha256[:16]}...")
    console.say(f"  here: {obstacle or 'runs'}")
    console.result(
        command="inspect",
        kind="bundle",
        bundle=path,
        manifest=manifest,
        runs_here=obstacle is None,
        obstacle=obstacle,
        proof=proof,
        launches=launches.figures,
        tiles=tiles,
    )


def _pictures(channels: int, scale: int | Fraction, smallest: tuple[int, int]) -> str:
    """Return what pictures a network takes and gives, in words."""
    result = f"u8 (h*{scale}, w*{scale}, {channels})" if scale > 1 else "one of the same size"
    sides = "any h and w" if smallest == (1, 1) else f"h from {smallest[0]} and w from {smallest[1]} on"
    return f"u8 (h, w, {channels}) to {result}, {sides}"
