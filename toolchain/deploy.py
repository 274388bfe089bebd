"""The whole line as one function: an ONNX model and photographs in, a verified bundle out."""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from toolchain import bundle as store
from toolchain.bundle import IntegerCoverage, Manifest, Versions
from toolchain.cpu import let_tvm_use_all_cores
from toolchain.errors import CalibrationError, ModelError, OutputError, TuningError
from toolchain.images import ImageSet, read_images
from toolchain.link import find_linker
from toolchain.obstacle import obstacle
from toolchain.precision import INT8, read_precision
from toolchain.report.network import Network, describe_network
from toolchain.stages import Compiled, Stages, Upscale, real_stages
from toolchain.targets import Target, find_target
from toolchain.tune.choose import SIZE, read_tuning
from toolchain.verify import Verified, make_cases, standard_for, verdict, verify

if TYPE_CHECKING:
    import onnx

    from toolchain.frontend import SRModel
    from toolchain.quantize import QuantizedModel, Settings

Pixels = npt.NDArray[np.uint8]

STEPS = ("load", "normalize", "calibrate", "quantize", "compile", "link", "verify", "write")
_PHOTO_SIDE = 1024  # of a calibration photo no more than a square of so many pixels is kept in memory


@dataclass(frozen=True)
class Event:
    """Progress: a step begins (``seconds`` is None) or has ended, or says something on the way (``note``)."""

    step: str
    index: int
    detail: str = ""
    seconds: float | None = None
    note: bool = False


@dataclass(frozen=True)
class Request:
    """What to deploy.

    Attributes:
        model: an ONNX file.
        out: the bundle's folder if it ends in ``.clipfree``, else the folder in which it is made.
        calibration: a folder of photographs, or picture files; not needed for a model that is quantized already, and
            for a float network only to be verified on.
        target: a target's name, or "host".
        name: of the bundle; default: the model file's.
        value_range: what the model's floats mean, "0..1" or "0..255"; None to find out.
        settings: of the quantization; None for the defaults.
        logs: folders of tuning logs that come before those of the package.
        size: height and width of the picture whose tuned tiles are taken.
        precision: "int8", or "float32" or "float16" for a baseline.
        layers: run layer by layer instead of streaming: slower, but kernels can be timed one by one.
    """

    model: Path
    out: Path
    calibration: Path | Sequence[Path] | None = None
    target: str = "host"
    name: str | None = None
    value_range: str | None = None
    settings: Settings | None = None
    logs: tuple[Path, ...] = ()
    size: tuple[int, int] = SIZE
    precision: str = INT8
    layers: bool = False

    @property
    def title(self) -> str:
        """The bundle's name; a float network's does not get in the way of the integer one's."""
        return self.name or self.model.stem + ("" if self.precision == INT8 else f"_{self.precision}")


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A network that is ready to be compiled.

    Attributes:
        model: with its facts: quantized, or normalized only.
        photos: the user's.
        warnings: for the user.
        compile: to a library.
        reference: what the library is held against.
        files: of the bundle, by name: the network, and how it came to be.
        changes: what normalization did.
        representative: of the calibration, as a dictionary; None without one.
    """

    model: QuantizedModel | SRModel
    photos: ImageSet | None
    warnings: tuple[str, ...]
    compile: Callable[[], Compiled]
    reference: Callable[[], Upscale]
    files: Mapping[str, bytes]
    changes: tuple[str, ...]
    representative: dict[str, Any] | None = None


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
    """

    path: Path
    manifest: Manifest
    network: Network
    report: dict[str, Any]
    verified: tuple[Verified, ...]
    warnings: tuple[str, ...]
    seconds: dict[str, float]


class _Progress:
    """Times the steps and tells them to the caller."""

    def __init__(self, tell: Callable[[Event], None] | None) -> None:
        self.tell = tell or (lambda event: None)
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """Announce a step; yields a function for notes on the way. The last note is the step's detail."""
        index, begin = STEPS.index(name), time.perf_counter()
        notes = [""]

        def note(text: str) -> None:
            notes.append(text)
            self.tell(Event(name, index, text, note=True))

        self.tell(Event(name, index))
        yield note
        self.seconds[name] = time.perf_counter() - begin
        self.tell(Event(name, index, notes[-1], self.seconds[name]))


def deploy(
    request: Request, *, progress: Callable[[Event], None] | None = None, stages: Stages | None = None
) -> Deployment:
    """Load, normalize, quantize, compile, verify and write a bundle; on any error nothing is left behind.

    Raises:
        ModelError: the model cannot be used.
        CalibrationError: the photographs cannot be used, or there are none.
        TargetError: unknown target, or no linker.
        TuningError: a tuning log cannot be used.
        VerificationError: the library does not equal the integer reference, or is too far from the float model.
        OutputError: the bundle cannot be written.
    """
    let_tvm_use_all_cores()
    line = _Progress(progress)
    # What can fail for want of something on this machine fails first, not after minutes of calibration.
    target = find_target(request.target)
    linker = find_linker(target.triple) if target.gpu is None else None
    stages = stages or real_stages()
    prepare = _quantized if read_precision(request.precision) == INT8 else _normalized
    prepared = prepare(request, stages, target, line)
    model, warnings = prepared.model, prepared.warnings
    path = bundle_path(request.out, request.title)
    unseen = obstacle(target)
    with store.new_bundle(path) as folder:
        with line.step("compile") as note:
            compiled = prepared.compile()
            network = describe_network(model.model)
            manifest = _manifest(request, model, target, compiled, network)
            note(manifest.arithmetic)
        with line.step("link") as note:
            library = folder / store.library_of(target)
            compiled.export(library, linker)
            note(f"{library.stat().st_size / 1e3:.0f} kB with {' '.join(linker.command)}" if linker
                 else f"{len(compiled.kernels)} kernels in OpenCL C, left to the device's compiler")
        with line.step("verify") as note:
            picture = _natural(prepared.photos, model.channels)
            reference = prepared.reference()
            verified: tuple[Verified, ...] = ()
            if unseen is None:
                upscale = stages.run(library, model.channels, model.scale)
                standard = standard_for(request.precision, manifest.coverage.float_operators)
                verified = verify(upscale, reference, make_cases(model.channels, picture), standard, progress=note)
                note(f"{verdict(verified, standard)} in {len(verified)} pictures")
            else:
                note(f"left out: {unseen}")
                warnings += (f"not verified: {unseen}",)
        with line.step("write") as note:
            report = _report(request, prepared, manifest, network, verified)
            report["warnings"] = list(warnings)
            report["tuning"] = _tuning(compiled, request.size)
            _write_files(folder, prepared, reference, picture, report)
            manifest = store.seal(folder, manifest)
            store.open_bundle(folder, for_this_machine=False)
            note(str(path))
    return Deployment(path, manifest, network, report, verified, warnings, line.seconds)


def bundle_path(out: Path, name: str) -> Path:
    """Where the bundle called ``name`` goes.

    Raises:
        OutputError: ``name`` cannot be a file's.
    """
    if out.suffix == store.SUFFIX:
        return out
    if not name or "/" in name or name.startswith("."):
        raise OutputError(f"a bundle cannot be called {name!r}", hint="choose a plain name with --name")
    return out / f"{name}{store.SUFFIX}"


def _quantized(request: Request, stages: Stages, target: Target, line: _Progress) -> _Prepared:
    """The integer network."""
    # What can fail for want of something on this machine fails first, not after minutes of calibration.
    tuning = read_tuning(target, request.logs, request.size)
    model, photos, warnings = _quantize(request, stages, line)
    recipe = model.recipe
    files = {store.QDQ: model.model.SerializeToString(deterministic=True), store.RECIPE: recipe.to_json().encode()}
    compile_ = stages.compile_layers if request.layers else stages.compile
    return _Prepared(model, photos, warnings, lambda: compile_(model, target, tuning),
                     lambda: stages.reference(model.model), files, recipe.changes,
                     asdict(recipe.representative) if recipe.representative else None)  # fmt: skip


def _normalized(request: Request, stages: Stages, target: Target, line: _Progress) -> _Prepared:
    """The float network."""
    from toolchain.kernels.vectors import vectors_for

    vectors_for(target, request.precision)  # fails now rather than later
    if request.logs:
        raise TuningError("float kernels are not tuned: no log knows them", hint="leave out --logs")
    if request.layers:
        raise ModelError("float networks are not built layer by layer", hint="leave out --layers")
    if request.settings is not None:
        raise CalibrationError("a float network has no ranges to estimate", hint="leave out --estimator")
    source = _load(request, stages, line)
    if stages.is_quantized(source):
        raise ModelError(f"{request.model.name} is quantized already", hint="give the float model for a float network")
    model = _normalize(request, stages, source, line)
    photos = None if request.calibration is None else _photos(request.calibration, model.channels, line)
    return _Prepared(model, photos, _skipped(photos), lambda: stages.compile_float(model, target, request.precision),
                     lambda: stages.float_reference(model.model, model.value_range),
                     {store.FLOAT: model.model.SerializeToString(deterministic=True)}, model.changes)  # fmt: skip


def _load(request: Request, stages: Stages, line: _Progress) -> onnx.ModelProto:
    with line.step("load") as note:
        source = stages.load(request.model)
        note(f"{request.model.name}, {len(source.graph.node)} operators")
    return source


def _normalize(request: Request, stages: Stages, source: onnx.ModelProto, line: _Progress) -> SRModel:
    with line.step("normalize") as note:
        sr = stages.normalize(source, value_range=request.value_range)
        clip = f"clip to {sr.clip.low:g}..{sr.clip.high:g} taken off" if sr.clip else "no clip found"
        note(f"x{sr.scale}, {'RGB' if sr.channels == 3 else 'luma'}, {clip}")
    return sr


def _quantize(
    request: Request, stages: Stages, line: _Progress
) -> tuple[QuantizedModel, ImageSet | None, tuple[str, ...]]:
    source = _load(request, stages, line)
    if stages.is_quantized(source):
        photos = _photos(request.calibration, 3, line) if request.calibration is not None else None
        with line.step("quantize") as note:
            model = stages.canonicalize(source)
            note("the model is quantized already: its scales are kept")
        return model, photos, _skipped(photos)
    if request.calibration is None:
        raise CalibrationError("no photographs to calibrate with", hint="name a folder of photographs with --calib")
    sr = _normalize(request, stages, source, line)
    photos = _photos(request.calibration, sr.channels, line)
    with line.step("quantize") as note:
        model = stages.quantize(sr, photos.images, request.settings)
        note(f"{len(model.recipe.tensors)} tensors")
    return model, photos, (*_skipped(photos), *model.recipe.warnings)


def _photos(source: Path | Sequence[Path], channels: int, line: _Progress) -> ImageSet:
    with line.step("calibrate") as note:
        photos = read_images(source, channels=channels, crop=_PHOTO_SIDE, crops_per_photo=1)
        for skipped in photos.skipped:
            note(f"left out: {skipped.name} {skipped.reason}")
        note(f"{len(photos.images)} photographs" + (f", {len(photos.skipped)} left out" if photos.skipped else ""))
    return photos


def _skipped(photos: ImageSet | None) -> tuple[str, ...]:
    return tuple(f"left out: {skipped.name} {skipped.reason}" for skipped in photos.skipped) if photos else ()


def _natural(photos: ImageSet | None, channels: int) -> Pixels | None:
    if photos is None:
        return None
    image = max(photos.images, key=lambda pixels: min(pixels.shape[:2]))
    return image[:, :, :channels]


def _coverage(compiled: Compiled, precision: str) -> IntegerCoverage:
    found, integer = compiled.coverage, precision == INT8
    return IntegerCoverage(
        int(found.convolutions), int(found.integer_convolutions) * integer, float(found.macs),
        float(found.integer_macs) * integer, tuple(found.float_operators),
    )  # fmt: skip


def _manifest(request: Request, model: QuantizedModel | SRModel, target: Target, compiled: Compiled,
              network: Network) -> Manifest:  # fmt: skip
    return Manifest(
        name=request.title,
        versions=Versions.installed(),
        target=target,
        library=store.library_of(target),
        entry="main",
        channels=model.channels,
        scale=model.scale,
        value_range=model.value_range,
        halo=model.halo,
        macs_per_pixel=network.macs_per_pixel,
        # At a large size, where the rounding of widths to column tiles no longer shows; the input comes on top.
        workspace_per_pixel=compiled.workspace(1080, 1920) / (1080 * 1920) + model.channels,
        line_buffers=compiled.line_buffers(1920),
        precision=request.precision,
        coverage=_coverage(compiled, request.precision),
        tuned=compiled.tuned,
        kernels=tuple(str(getattr(kernel, "name", kernel)) for kernel in compiled.kernels),
        tensors=network.tensors,
        files={},
    )


def _report(request: Request, prepared: _Prepared, manifest: Manifest, network: Network,
            verified: tuple[Verified, ...]) -> dict[str, Any]:  # fmt: skip
    """What was done, with nothing in it that differs between two runs on the same files."""
    model, photos = prepared.model, prepared.photos
    return {
        "model": {
            "file": request.model.name,
            "sha256": hashlib.sha256(request.model.read_bytes()).hexdigest(),
            "clip": asdict(model.clip) if model.clip else None,
            "changes": list(prepared.changes),
        },
        "network": {
            "parameters": network.parameters,
            "macs_per_pixel": network.macs_per_pixel,
            "layers": [asdict(layer) for layer in network.layers],
        },
        "calibration": {
            "photographs": list(photos.names) if photos else [],
            "left_out": [asdict(skipped) for skipped in photos.skipped] if photos else [],
            "representative": prepared.representative,
        },
        "precision": manifest.precision,
        "coverage": {**asdict(manifest.coverage), "share": manifest.coverage.share},
        "verification": [asdict(case) for case in verified],
    }


def _tuning(compiled: Compiled, size: tuple[int, int]) -> dict[str, Any]:
    """How much is tuned for pictures of ``size``, and the tile of every kernel."""
    tiles = {name: str(choice) for name, choice in compiled.choices.items()}
    share = compiled.tuned.share
    return {**asdict(compiled.tuned), "share": share, "height": size[0], "width": size[1], "tiles": tiles}


def _write_files(folder: Path, prepared: _Prepared, reference: Upscale, picture: Pixels | None,
                 report: dict[str, Any]) -> None:  # fmt: skip
    cases = make_cases(prepared.model.channels, picture)
    golden = cases[0 if picture is None else -1].pixels
    buffer = io.BytesIO()
    np.savez_compressed(buffer, input=golden, output=reference(golden))
    (folder / store.GOLDEN).write_bytes(buffer.getvalue())
    for name, data in prepared.files.items():
        (folder / name).write_bytes(data)
    (folder / store.REPORT).write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", encoding="utf-8")
