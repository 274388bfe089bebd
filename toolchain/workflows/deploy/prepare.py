"""From a request to a network that is ready to be compiled: quantized, or normalized only for a float one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from toolchain import bundle as store
from toolchain.frontend import is_quantized, load_model, normalize
from toolchain.frontend.inputs import set_inputs
from toolchain.frontend.smallest import smallest_picture
from toolchain.frontend.unit import unit_of
from toolchain.images import ImageSet, read_calibration
from toolchain.quantize import IntegerReference, quantize
from toolchain.quantize.foreign import canonicalize
from toolchain.quantize.packing import bits_by_output, pack, say_bits
from toolchain.quantize.settings import Settings, for_deployment
from toolchain.quantize.spelling import for_runtimes
from toolchain.quantize.stand_in import stand_in
from toolchain.support.dump import Dump, no_dump
from toolchain.support.errors import CalibrationError, ModelError
from toolchain.support.progress import Stages
from toolchain.workflows.deploy.judge import judge
from toolchain.workflows.deploy.network_cache import CachedNetwork, entry_for
from toolchain.workflows.deploy.progress import Note, Progress
from toolchain.workflows.deploy.request import Request
from toolchain.workflows.deploy.target_build import TargetBuild
from toolchain.workflows.evaluate import float_upscale

if TYPE_CHECKING:
    import onnx

    from toolchain.backends.base import Compiled
    from toolchain.frontend import SRModel
    from toolchain.images.metrics import Loss
    from toolchain.quantize import QuantizedModel
    from toolchain.quantize.recipe import BoundRecipe, BudgetRecipe, TradeRecipe
    from toolchain.runtime.runner import Upscale

Rehearse: TypeAlias = Callable[["onnx.ModelProto"], None]
"""Is shown the structure of an integer network, canonical QDQ, and raises where no target can compile it."""
RehearseFloats: TypeAlias = Callable[["SRModel"], None]
"""The same of a float network."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A network that is ready to be compiled.

    Attributes:
        model: with its facts: quantized, or normalized only.
        photos: the user's.
        warnings: for the user.
        compile: to a library, for a target.
        reference: what the library is held against.
        files: of the bundle, by name: the network, and how it came to be.
        changes: what normalization did.
        representative: of the calibration, as a dictionary; None without one.
        budget: how one for tensors of 16 bits was spent; None without one.
        bound: how one on the loss was kept; None without one.
        loss: of the integer network against the float one; None where the latter is not known, or there is none.
        cached: whether it is from an earlier deployment.
        by_hand: words that ask `clipfree deploy` for the tensors of 16 bits that were chosen; empty without any.
        weights: how many bits they have, for people; empty where all have 8.
        traded: how bits were chosen under bounds of cost; None without them.
        weight_bits: of integer convolutions, by output.
    """

    model: QuantizedModel | SRModel
    photos: ImageSet | None
    warnings: tuple[str, ...]
    compile: Callable[[TargetBuild], Compiled]
    reference: Callable[[], Upscale]
    files: Mapping[str, bytes]
    changes: tuple[str, ...]
    representative: dict[str, Any] | None = None
    budget: BudgetRecipe | None = None
    bound: BoundRecipe | None = None
    loss: Loss | None = None
    cached: bool = False
    by_hand: tuple[str, ...] = ()
    weights: str = ""
    traded: TradeRecipe | None = None
    weight_bits: Mapping[str, int] = field(default_factory=dict)

    @property
    def unit(self) -> int:
        """Of how many pixels the sides of the network's pictures are multiples."""
        return unit_of(self.model.model)

    @property
    def smallest(self) -> tuple[int, int]:
        """Height and width of the smallest picture that the network takes."""
        return smallest_picture(self.model.model)


def prepare_quantized(request: Request, rehearse: Rehearse, line: Progress, dump: Dump = no_dump) -> Prepared:
    """Return the integer network. ``rehearse`` is shown its structure before photographs are read."""
    found = _quantize(request, rehearse, line, dump)
    model, recipe = found.model, found.model.recipe
    written = pack(for_runtimes(model.model), recipe).SerializeToString(deterministic=True)
    files = {store.QDQ: written, store.RECIPE: recipe.to_json().encode()}
    if model.nested:
        files[store.NESTED] = model.nested
    return Prepared(
        model,
        found.photos,
        found.warnings,
        lambda build: build.backend.compile(model, build.target, build.tuning, layers=build.request.layers, dump=dump),
        lambda: IntegerReference(model.model).run,
        files,
        recipe.changes,
        asdict(recipe.representative) if recipe.representative else None,
        recipe.budget,
        recipe.bound,
        found.loss,
        found.cached,
        recipe.by_hand,
        say_bits(recipe),
        recipe.traded,
        bits_by_output(model.model, recipe),
    )


def prepare_normalized(request: Request, rehearse: RehearseFloats, line: Progress, dump: Dump = no_dump) -> Prepared:
    """Return the float network. ``rehearse`` is shown it before photographs are read."""
    source = _load(request, line, dump)
    if is_quantized(source):
        raise ModelError(f"{request.model.name} is quantized already", hint="give the float model for a float network")
    model = _normalize(request, source, line, dump)
    rehearse(model)
    photos = None if request.calibration is None else _photos(request.calibration, model.channels, line)
    return Prepared(
        model,
        photos,
        _skipped(photos),
        lambda build: build.backend.compile_floats(model, build.target, build.request.precision, dump=dump),
        lambda: float_upscale(model.model, model.value_range),
        {store.FLOAT: model.model.SerializeToString(deterministic=True)},
        model.changes,
    )


@dataclass(frozen=True, eq=False)
class _Quantized:
    model: QuantizedModel
    photos: ImageSet | None
    loss: Loss | None
    warnings: tuple[str, ...]
    cached: bool = False


def _load(request: Request, line: Progress, dump: Dump) -> onnx.ModelProto:
    with line.step("load") as note:
        source = set_inputs(load_model(request.model), request.inputs)
        note(f"{request.model.name}, {len(source.graph.node)} operators")
    dump("as-read", ".onnx", source.SerializeToString)
    return source


def _normalize(request: Request, source: onnx.ModelProto, line: Progress, dump: Dump) -> SRModel:
    with line.step("normalize") as note:
        sr = normalize(source, value_range=request.value_range, dump=dump)
        clip = f"clip to {sr.clip.low:g}..{sr.clip.high:g} removed" if sr.clip else "no clip found"
        note(f"x{sr.scale}, {'RGB' if sr.channels == 3 else 'luma'}, {clip}")
    return sr


def _quantize(request: Request, rehearse: Rehearse, line: Progress, dump: Dump) -> _Quantized:
    source = _load(request, line, dump)
    if is_quantized(source):
        asked = request.settings
        if asked is not None and (
            asked.bits
            or asked.weight_bits
            or asked.bits_nested
            or asked.spare_weights
            or asked.budget
            or asked.costs
            or asked.max_loss
        ):
            raise CalibrationError(
                f"{request.model.name} is quantized already: its tensors and weights keep their bits",
                hint="give the float model, or leave out --bits, --weight-bits, --bits-nested, --budget and --max-loss",
            )
        model = canonicalize(source, value_range=request.value_range, keep_rounding=request.keep_rounding, dump=dump)
        rehearse(model.model)
        photos = _photos(request.calibration, 3, line) if request.calibration is not None else None
        with line.step("quantize") as note:
            note("the model is quantized already: its scales are kept" + ", and its roundings" * request.keep_rounding)
        dump("quantized", ".onnx", model.model.SerializeToString)
        return _Quantized(model, photos, None, (*_skipped(photos), *model.recipe.warnings))
    if request.keep_rounding:
        raise CalibrationError(f"{request.model.name} is not quantized: it has no roundings to keep")
    if request.calibration is None:
        raise CalibrationError("no photographs to calibrate with", hint="name a folder of photographs with --calib")
    sr = _normalize(request, source, line, dump)
    rehearse(stand_in(sr))
    photos = _photos(request.calibration, sr.channels, line)
    with line.step("quantize") as note:
        settings = for_deployment(request.settings)
        entry = entry_for(sr, photos, settings) if request.keep else None
        found = entry.read(sr) if entry else None
        ready = found or _made(sr, photos, settings, note)
        model = ready.model
        if entry and not found:
            entry.write(ready)
        whence = ", from the cache: --no-cache quantizes again" if found else ""
        note(f"{len(model.recipe.tensors)} tensors, {ready.loss.psnr:.1f} dB against float{whence}")
    if model.balanced is not None:
        dump("balanced", ".onnx", model.balanced.model.SerializeToString)
    dump("quantized", ".onnx", model.model.SerializeToString)
    warnings = (*_skipped(photos), *model.recipe.warnings, *ready.doubts)
    return _Quantized(model, photos, ready.loss, warnings, found is not None)


def _made(sr: SRModel, photos: ImageSet, settings: Settings, note: Note) -> CachedNetwork:
    stages = Stages(note, {"quantizing": 0.93, "comparing with the float network": 0.07})
    model = quantize(sr, photos.images, settings, progress=stages.begin("quantizing"))
    stages.begin("comparing with the float network")
    loss, doubts = judge(sr, model, photos, settings)
    return CachedNetwork(model, loss, doubts)


def _photos(source: Path | Sequence[Path], channels: int, line: Progress) -> ImageSet:
    with line.step("calibrate") as note:
        photos = read_calibration(source, channels)
        for skipped in photos.skipped:
            note(f"left out: {skipped.name} {skipped.reason}")
        note(f"{len(photos.images)} photographs" + (f", {len(photos.skipped)} left out" if photos.skipped else ""))
    return photos


def _skipped(photos: ImageSet | None) -> tuple[str, ...]:
    return tuple(f"left out: {skipped.name} {skipped.reason}" for skipped in photos.skipped) if photos else ()
