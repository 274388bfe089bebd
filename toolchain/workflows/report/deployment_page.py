"""The page of a deployment: what a bundle holds, and how well it does, for people to look at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolchain.images.metrics import psnr
from toolchain.pages import render
from toolchain.pages.pictures import embedded
from toolchain.pages.wording import amount, decibels, percent
from toolchain.reference.network import NetworkFigures
from toolchain.runtime.verify import standard_for, verdict
from toolchain.targets.precision import INT8
from toolchain.workflows.report import deployment_tables as tables
from toolchain.workflows.report.bands import BandPlan
from toolchain.workflows.report.deployment_charts import noise_chart, work_chart
from toolchain.workflows.report.look import Look
from toolchain.workflows.report.network_drawing import draw_network
from toolchain.workflows.report.structure import Part, float_parts, integer_parts
from toolchain.workflows.report.times import TimedKernels

if TYPE_CHECKING:
    import onnx

    from toolchain.bundle import Manifest
    from toolchain.runtime.verify import Verified

FULL_HD = 1080, 1920
"""The input picture that memory is said for."""


@dataclass(frozen=True, eq=False)
class DeploymentFacts:
    """What the page is made of.

    Attributes:
        manifest: of the bundle.
        report: the content of its report.json.
        model: canonical QDQ, or the normalized float network.
        network: its figures.
        verified: the cases on which the library equals the reference.
        library: name of the file that programs load, and its bytes.
        look: pictures and tensors; None without photographs.
        bands: how rows stream through it; empty where they do not.
        times: of its kernels on this machine; None where they were not measured.
        command: that made it; may be empty.
        date: of the day.
    """

    manifest: Manifest
    report: Mapping[str, Any]
    model: onnx.ModelProto
    network: NetworkFigures
    verified: tuple[Verified, ...]
    library: tuple[str, int]
    look: Look | None
    bands: tuple[BandPlan, ...]
    times: TimedKernels | None
    command: str
    date: str

    @property
    def integer(self) -> bool:
        """Whether the network is one in integers."""
        return self.manifest.precision == INT8

    @property
    def arithmetic(self) -> str:
        """What people call the network's numbers."""
        return "INT8" if self.integer else self.manifest.precision


def deployment_page(facts: DeploymentFacts) -> str:
    """Return the page, HTML that needs nothing beside it."""
    manifest = facts.manifest
    layers = {layer.name: layer for layer in facts.network.layers}
    parts = (integer_parts if facts.integer else float_parts)(facts.model, layers)
    compared = facts.look.tensors if facts.look else ()
    noise = {tensor.name: tensor.sqnr for tensor in compared}
    times = facts.times.of_layers(facts.network.layers) if facts.times else {}
    weight_bits = {layer["name"]: layer["weight_bits"] for layer in facts.report["network"]["layers"]}
    pictures = _pictures(facts)
    height, width = facts.look.found.shape[:2] if facts.look else (1, 1)
    return render(
        "deployment.html",
        title=f"{manifest.name} for {manifest.target.name}",
        lead=_lead(facts),
        tiles=_tiles(facts),
        warnings=facts.report["warnings"],
        pictures=pictures,
        pictures_text=_pictures_text(facts),
        width=width,
        height=height,
        network_text=_network_text(facts, parts),
        drawing=draw_network(parts, noise),
        toned=bool(noise),
        noise_chart=noise_chart(compared),
        noise_text="Of each tensor, against the float network. Where both lines are near each other, the tensor's own "
        "rounding is what costs; where the upper one is far above, errors of what stands before it do.",
        work_chart=work_chart(facts.network.layers, times),
        work_title="Where the work and the time are" if times else "Where the work is",
        work_text="Shares of all convolutions' multiply-accumulates, and of their time, see below."
        if times
        else "Multiply-accumulates for one input pixel. Work, not time: `clipfree bench` measures time.",
        layers=tables.layers(parts, layers, noise, weight_bits, times, facts.times),
        layers_text="Work is counted in multiply-accumulates; those that read codes of 16 bits count twice. Signal to "
        "noise is that of what the layer makes, errors before it included.",
        times_text=facts.times.describe() if facts.times else _no_times(facts),
        tensors=tables.tensors(compared),
        tensors_text=_tensors_text(facts),
        memory_text=f"For an input of {FULL_HD[1]} x {FULL_HD[0]} pixels, where nothing else is said.",
        memory=_memory(facts),
        bands=tables.bands(facts.bands),
        kernels=tables.kernels(facts.report, facts.times),
        changes=_changes(facts),
        verified_text=_verified_text(facts),
        verified=tables.verified(facts.verified),
        made=_made(facts),
    )


def _no_times(facts: DeploymentFacts) -> str:
    return "" if facts.verified else "Nothing is timed here: `clipfree bench` does it, where the library runs."


def _lead(facts: DeploymentFacts) -> str:
    manifest = facts.manifest
    kind = "RGB" if manifest.channels == 3 else "luma"
    done = _verified_text(facts) if facts.verified else "Not verified here."
    return f"Super-resolution x{manifest.scale}, {kind}, in {facts.arithmetic}. {done}"


def _tiles(facts: DeploymentFacts) -> list[tuple[str, ...]]:
    manifest, loss = facts.manifest, facts.manifest.loss
    tiles: list[tuple[str, ...]] = []
    if loss is not None and loss.drop is not None:
        tiles.append(("Lost against float", f"{max(loss.drop, 0.0):.3f} dB", "PSNR, on crops that chose nothing"))
    if loss is not None:
        tiles.append(("Near to float", f"{loss.psnr:.1f} dB", f"PSNR; {loss.worst:.1f} dB at worst"))
    library, size = facts.library
    tiles.append(("Library", amount(size, "B"), library))
    tiles.append(("Work per input pixel", amount(manifest.macs_per_pixel, "MAC"), "multiply-accumulates"))
    tiles.append(("Parameters", amount(facts.network.parameters, "").strip(), "weights and biases"))
    if facts.integer:
        tiles.append(("In integers", percent(manifest.coverage.share), "of the work"))
        tiles.append(("In tuned kernels", percent(manifest.tuned.share), "of the work"))
    tiles.append(("Working memory", amount(_workspace(facts), "B"), f"for {FULL_HD[1]} x {FULL_HD[0]} pixels"))
    return tiles


def _workspace(facts: DeploymentFacts) -> float:
    return facts.manifest.workspace_per_pixel * math.prod(FULL_HD)


def _pictures(facts: DeploymentFacts) -> list[tuple[str, str, str]]:
    look = facts.look
    if look is None:
        return []
    found: list[tuple[str, str, str]] = []
    near = "" if look.original is None else f", {decibels(psnr(look.found, look.original))} from the original"
    own = f"{facts.arithmetic} is at the right{near}."
    if facts.manifest.scale != 1:
        more = "" if look.original is None else f", {decibels(psnr(look.bicubic, look.original))} from the original"
        found.append(("bicubic", embedded(look.bicubic, exact=False), f"Enlarged without a network{more}. {own}"))
    if look.exact is not None and look.difference is not None:
        between = decibels(psnr(look.found, look.exact), "no difference")
        more = "" if look.original is None else f", {decibels(psnr(look.exact, look.original))} from the original"
        found.append(("float", embedded(look.exact), f"The float network in onnxruntime{more}. {own}"))
        said = (
            f"{facts.arithmetic} less float, {look.amplified} times as strong, about grey. Between both pictures: "
            f"{between}."
        )
        found.append(("difference", embedded(look.difference), said))
    if look.original is not None:
        said = f"The photograph before it was made small. {own}"
        found.append(("original", embedded(look.original, exact=False), said))
    return [*found, (facts.arithmetic, embedded(look.found), "")] if found else []


def _pictures_text(facts: DeploymentFacts) -> str:
    look = facts.look
    if look is None:
        return ""
    height, width = look.picture.shape[:2]
    small = "made small and enlarged again" if look.original is not None else "as the network is given it"
    return f"A piece of {look.photograph} with much detail, {small}: {width} x {height} pixels go in. Move the handle."


def _network_text(facts: DeploymentFacts, parts: tuple[Part, ...]) -> str:
    coverage, what = facts.manifest.coverage, "kernels" if facts.integer else "operators"
    text = f"{len(facts.network.layers)} convolutions; {len(parts) - 1} {what}, in the order in which they run."
    if facts.integer:
        text += f" In integers: {coverage}."
        if facts.manifest.weights:
            text += f" {facts.manifest.weights[0].upper()}{facts.manifest.weights[1:]}."
        if facts.network.wide:
            text += f" {facts.network.describe_wide()}."
    if facts.look and facts.look.tensors:
        text += " The colour is the signal to noise of what a part makes."
    return text


def _tensors_text(facts: DeploymentFacts) -> str:
    if facts.look is None:
        return ""
    height, width = facts.look.side
    return (
        f"Compared with the float network on {width} x {height} pixels of {facts.look.photograph}; `clipfree fidelity` "
        "compares more of them, and says which tensors are to blame. The output is out of range where the picture is "
        "clipped."
    )


def _memory(facts: DeploymentFacts) -> list[tuple[str, str]]:
    manifest = facts.manifest
    smallest = " x ".join(str(side) for side in reversed(manifest.smallest))
    return [
        ("library", f"{facts.library[0]}, {amount(facts.library[1], 'B')}"),
        ("working memory", f"{amount(_workspace(facts), 'B')}, input and output included"),
        ("line buffers", f"{amount(manifest.line_buffers, 'B')} a thread" if manifest.line_buffers else ""),
        ("context of a pixel", f"{manifest.halo} input pixels around it"),
        ("smallest picture", f"{smallest} pixels" if manifest.smallest != (1, 1) else ""),
        ("sides are multiples of", f"{manifest.unit} pixels" if manifest.unit > 1 else ""),
        ("rows", _streaming(facts.bands)),
    ]


def _streaming(bands: tuple[BandPlan, ...]) -> str:
    if not bands:
        return "the network runs layer by layer, on whole tensors"
    parts = "in one piece" if len(bands) == 1 else f"in {len(bands)} segments, with whole tensors between them"
    return f"stream through the network {parts}: only a band of rows of each tensor is kept"


def _changes(facts: DeploymentFacts) -> list[str]:
    weights = [facts.manifest.weights] if facts.manifest.weights else []
    return [*facts.report["model"]["changes"], *weights, *facts.report["calibration"]["spent"]]


def _verified_text(facts: DeploymentFacts) -> str:
    if not facts.verified:
        return "This machine cannot run the library: `clipfree verify` does, where it runs."
    manifest = facts.manifest
    standard = standard_for(manifest.precision, manifest.coverage.float_operators)
    said = f"{verdict(facts.verified, standard)} in {len(facts.verified)} pictures."
    return said[0].upper() + said[1:]


def _made(facts: DeploymentFacts) -> list[tuple[str, str | list[str]]]:
    manifest, report = facts.manifest, facts.report
    versions, calibration = manifest.versions, report["calibration"]
    tamed = calibration["representative"]
    return [
        ("command", facts.command),
        ("date", facts.date),
        ("model", [report["model"]["file"], f"SHA-256 {report['model']['sha256']}"]),
        ("target", f"{manifest.target.name} ({manifest.target.triple}, {manifest.target.cpu})"),
        ("photographs", ", ".join(calibration["photographs"])),
        (
            "representative set",
            f"{tamed['images']} images, {tamed['contracted']} of them contracted until the network's output stays "
            "within black and white"
            if tamed and tamed["images"]
            else "",
        ),
        ("made with", f"clipfree {versions.clipfree}, TVM {versions.tvm}, TVM FFI {versions.tvm_ffi}"),
        ("what is measured otherwise", "clipfree bench (time), clipfree evaluate (quality), clipfree fidelity (blame)"),
    ]
