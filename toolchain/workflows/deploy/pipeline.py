"""The whole line as one function: an ONNX model and photographs in, a verified bundle out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from toolchain import bundle as store
from toolchain.bundle import Manifest
from toolchain.images import ImageSet
from toolchain.reference.network import NetworkFigures, describe_network
from toolchain.runtime.verify import Verified, agreeing, make_cases, standard_for, verdict, verify
from toolchain.support.cpu import configure_tvm_threads
from toolchain.support.dump import DumpFolder, no_dump
from toolchain.targets.linker import Linker
from toolchain.targets.precision import INT8, read_precision
from toolchain.workflows.deploy.batch import AllFailed, Batch, Failed
from toolchain.workflows.deploy.files import make_manifest, make_report, write_files
from toolchain.workflows.deploy.page import PageWriter
from toolchain.workflows.deploy.prepare import Prepared, prepare_normalized, prepare_quantized
from toolchain.workflows.deploy.progress import Event, Progress
from toolchain.workflows.deploy.request import Request
from toolchain.workflows.deploy.target_build import TargetBuild

if TYPE_CHECKING:
    from toolchain.quantize.recipe import BoundRecipe, BudgetRecipe, TradeRecipe

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Deployment:
    """What came out.

    Attributes:
        path: of the bundle.
        manifest: of the bundle.
        network: figures of the quantized network.
        report: the content of the bundle's report.json.
        verified: the cases on which the library equals the reference; empty if this machine cannot run it.
        warnings: what the user should know, pictures left out included.
        seconds: of each step.
        budget: how one for tensors of 16 bits was spent; None without one.
        bound: how one on the loss was kept; None without one.
        cached: whether the quantized network is from an earlier deployment.
        traded: how bits were chosen under bounds of cost; None without them.
    """

    path: Path
    manifest: Manifest
    network: NetworkFigures
    report: dict[str, Any]
    verified: tuple[Verified, ...]
    warnings: tuple[str, ...]
    seconds: dict[str, float]
    budget: BudgetRecipe | None = None
    bound: BoundRecipe | None = None
    cached: bool = False
    traded: TradeRecipe | None = None

    @property
    def missed(self) -> float | None:
        """The loss of PSNR in dB that somebody wanted kept, and that is not."""
        asked = (one for one in (self.bound, self.traded) if one is not None and one.demanded and not one.kept)
        return next((one.wanted for one in asked), None)


def deploy(request: Request, *, progress: Callable[[Event], None] | None = None) -> Deployment:
    """Load, normalize, quantize, compile, verify and write a bundle; on any error nothing is left behind.

    Raises:
        ModelError: the model cannot be used.
        CalibrationError: the photographs cannot be used, or there are none.
        TargetError: unknown target, or no linker.
        TuningError: a tuning log cannot be used.
        VerificationError: the library does not equal the integer reference, or is too far from the float model.
        OutputError: the bundle or the dump cannot be written.
    """
    (outcome,) = deploy_batch([request], progress=progress)
    if isinstance(outcome, Failed):
        raise outcome.error
    return outcome


def deploy_batch(
    requests: Sequence[Request], *, progress: Callable[[Event], None] | None = None
) -> tuple[Deployment | Failed, ...]:
    """Do the same for several targets: one quantization, and a bundle for each; one that fails does not stop the
    others.

    Args:
        requests: that differ in their target and its place only, and for float networks in their precision.
        progress: is told what happens.

    Raises:
        ModelError, CalibrationError, OutputError: as ``deploy``, of what they have in common.
        ValueError: they differ in more.
    """
    first = requests[0]
    if any(replace(one, target=first.target, out=first.out, precision=first.precision) != first for one in requests):
        raise ValueError("only one network can be deployed for several targets")
    configure_tvm_threads()
    line = Progress(progress, len(requests))
    # What can fail for want of something on this machine fails first, not after minutes of calibration.
    batch: Batch[Deployment] = Batch(requests)
    try:
        batch.need_one()
        dump = no_dump if first.dump is None else DumpFolder(first.dump)
        if read_precision(first.precision) == INT8:
            prepared = prepare_quantized(first, batch.rehearse, line, dump)
        else:
            prepared = prepare_normalized(first, batch.rehearse_floats, line, dump)
    except AllFailed:
        return batch.outcomes
    pages = PageWriter(prepared, first.command) if first.page else None
    batch.finish(lambda build: _finish(build, prepared, pages, line))
    return batch.outcomes


def _finish(build: TargetBuild, prepared: Prepared, pages: PageWriter | None, line: Progress) -> Deployment:
    """Compile, verify and write."""
    request, target, backend = build.request, build.target, build.backend
    line.next_target(target.name)
    model, warnings = prepared.model, (*prepared.warnings, *build.lacking)
    with store.new_bundle(build.path) as folder:
        with line.step("compile") as note:
            compiled = prepared.compile(build)
            network = describe_network(model.model)
            manifest = make_manifest(request, prepared, target, compiled, network)
            note(manifest.arithmetic)
        with line.step("link") as note:
            library = folder / backend.file(target)
            warnings += compiled.export(library, build.linker, manifest.name, manifest.geometry)
            if request.static:
                compiled.archive(folder / store.ARCHIVE, build.linker, manifest.name, manifest.geometry)
            linked = (
                _linked(folder / store.library_file(target), build.linker)
                if build.linker
                else "no library, for want of a C compiler"
            )
            note(linked)
        with line.step("verify") as note:
            picture = _natural(prepared.photos, model.channels)
            reference = prepared.reference()
            verified: tuple[Verified, ...] = ()
            upscale = None
            if build.unseen is None:
                ways = backend.open_each_way(library, manifest.geometry)
                standard = standard_for(request.precision, manifest.coverage.float_operators)
                cases = make_cases(model.channels, picture)
                upscale = agreeing([way.upscale for way in ways])
                verified = verify(upscale, reference, cases, standard, progress=note)
                note(f"{verdict(verified, standard)} in {len(verified)} pictures")
            else:
                note(f"left out: {build.unseen}")
                warnings += (f"not verified: {build.unseen}",)
        with line.step("write") as note:
            report = make_report(request, prepared, manifest, compiled, network, verified, warnings)
            write_files(folder, prepared, reference, picture, report)
            if pages is not None:
                pages.write(folder, manifest, compiled, network, verified, report, upscale, backend)
            manifest = store.seal(folder, manifest)
            store.open_bundle(folder, for_this_machine=False)
            note(str(build.path))
    return Deployment(
        build.path,
        manifest,
        network,
        report,
        verified,
        warnings,
        line.seconds,
        prepared.budget,
        prepared.bound,
        prepared.cached,
        prepared.traded,
    )


def _linked(library: Path, linker: Linker) -> str:
    return f"{library.stat().st_size / 1e3:.0f} kB with {' '.join(linker.command)}"


def _natural(photos: ImageSet | None, channels: int) -> Pixels | None:
    if photos is None:
        return None
    image = max(photos.images, key=lambda pixels: min(pixels.shape[:2]))
    return image[:, :, :channels]
