"""The whole line as one function: an ONNX model and photographs in, a verified bundle out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from toolchain import bundle as store
from toolchain.backends import backend_for
from toolchain.bundle import Manifest
from toolchain.images import ImageSet
from toolchain.reference.network import NetworkFigures, describe_network
from toolchain.runtime.verify import Verified, make_cases, standard_for, verdict, verify
from toolchain.support.cpu import configure_tvm_threads
from toolchain.support.dump import DumpFolder, no_dump
from toolchain.targets import find_target
from toolchain.targets.linker import Linker
from toolchain.targets.precision import INT8, read_precision
from toolchain.workflows.deploy.files import make_manifest, make_report, write_files
from toolchain.workflows.deploy.prepare import prepare_normalized, prepare_quantized
from toolchain.workflows.deploy.progress import Event, Progress
from toolchain.workflows.deploy.request import Request, bundle_path

if TYPE_CHECKING:
    from toolchain.quantize.recipe import BoundRecipe, BudgetRecipe

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
    configure_tvm_threads()
    line = Progress(progress)
    # What can fail for want of something on this machine fails first, not after minutes of calibration.
    path = bundle_path(request.out, request.title)
    store.check_place(path)
    target = find_target(request.target)
    backend = backend_for(target)
    backend.check(target)
    linker, lacking = backend.linker(target)
    dump = no_dump if request.dump is None else DumpFolder(request.dump)
    prepare = prepare_quantized if read_precision(request.precision) == INT8 else prepare_normalized
    prepared = prepare(request, target, line, dump)
    model, warnings = prepared.model, (*prepared.warnings, *lacking)
    unseen = backend.obstacle(target)
    with store.new_bundle(path) as folder:
        with line.step("compile") as note:
            compiled = prepared.compile()
            network = describe_network(model.model)
            manifest = make_manifest(request, prepared, target, compiled, network)
            note(manifest.arithmetic)
        with line.step("link") as note:
            library = folder / backend.library
            compiled.export(library, linker)
            note(_linked(folder / store.LIBRARY, linker) if linker else "no library, for want of a C compiler")
        with line.step("verify") as note:
            picture = _natural(prepared.photos, model.channels)
            reference = prepared.reference()
            verified: tuple[Verified, ...] = ()
            if unseen is None:
                upscale = backend.open(library, model.channels, model.scale).upscale
                standard = standard_for(request.precision, manifest.coverage.float_operators)
                verified = verify(upscale, reference, make_cases(model.channels, picture), standard, progress=note)
                note(f"{verdict(verified, standard)} in {len(verified)} pictures")
            else:
                note(f"left out: {unseen}")
                warnings += (f"not verified: {unseen}",)
        with line.step("write") as note:
            report = make_report(request, prepared, manifest, compiled, network, verified, warnings)
            write_files(folder, prepared, reference, picture, report)
            manifest = store.seal(folder, manifest)
            store.open_bundle(folder, for_this_machine=False)
            note(str(path))
    return Deployment(
        path, manifest, network, report, verified, warnings, line.seconds, prepared.budget, prepared.bound
    )


def _linked(library: Path, linker: Linker) -> str:
    return f"{library.stat().st_size / 1e3:.0f} kB with {' '.join(linker.command)}"


def _natural(photos: ImageSet | None, channels: int) -> Pixels | None:
    if photos is None:
        return None
    image = max(photos.images, key=lambda pixels: min(pixels.shape[:2]))
    return image[:, :, :channels]
