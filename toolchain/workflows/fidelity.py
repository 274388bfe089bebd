"""``fidelity`` as one function: quantize a float model and find out where quality is lost; nothing is compiled."""

from __future__ import annotations

import base64
import io
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from toolchain.images import ImageSet, read_calibration, read_images, to_channels
from toolchain.images.bicubic import shrink
from toolchain.images.degradation import find_degradation
from toolchain.images.metrics import psnr
from toolchain.images.pairs import degraded
from toolchain.images.scale import Scale
from toolchain.quantize import IntegerReference, Settings
from toolchain.quantize.choosing import spend
from toolchain.quantize.fidelity import BlameReport, TensorFidelity, assign_blame, compare_tensors, count_runs
from toolchain.quantize.mend import Fix, find_fixes
from toolchain.quantize.packing import say_bits
from toolchain.quantize.pipeline import calibrate
from toolchain.quantize.settings import for_deployment
from toolchain.support.errors import InputError
from toolchain.support.notebook import table
from toolchain.support.versions import Versions
from toolchain.workflows.evaluate import Evaluation, evaluate, float_upscale

if TYPE_CHECKING:
    from toolchain.frontend import SRModel

Pixels = NDArray[np.uint8]

_SHOWN, _SHOWN_SIDE = 3, 64  # pictures in the report, and their side in input pixels
_QUANTIZE, _COMPARE, _BLAME, _MEND, _MEASURE = 5, 40, 42, 80, 95  # about how many percent are done when each begins


@dataclass(frozen=True)
class FidelityRequest:
    """What to look at.

    Attributes:
        model: a float ONNX file.
        calibration: a folder of photographs, or picture files.
        hr: a folder of high-resolution pictures to measure on; None to measure on the calibration photographs.
        value_range: what the model's floats mean, "0..1" or "0..255"; None to find out.
        settings: of the quantization.
        crops: pictures that tensors and parts are compared on, at most.
        side: of each, in input pixels.
        inputs: values of the model's inputs beside the picture, by name.
        command: that asked for it, for the report.
        words: of `clipfree deploy`, without --budget and --max-loss, to which a fix adds its options.
    """

    model: Path
    calibration: Path | Sequence[Path]
    hr: Path | None = None
    value_range: str | None = None
    settings: Settings = field(default_factory=Settings)
    crops: int = 6
    side: int = 96
    inputs: Mapping[str, float] = field(default_factory=dict)
    command: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """A piece of a picture: the input, both outputs and ``amplified`` times their difference about grey, as PNG files
    in base64; ``psnr`` of INT8 against FP32 in dB.
    """

    name: str
    psnr: float
    amplified: int
    input: str
    fp32: str
    int8: str
    difference: str


@dataclass(frozen=True)
class Fidelity:
    """What fidelity.json holds.

    Attributes:
        model: the file's name.
        channels, scale, value_range: of the network.
        settings: of the quantization.
        pictures: names of the pictures compared, each at most ``side`` input pixels wide and high.
        side: see ``pictures``.
        drop: PSNR that INT8 loses against the original picture, in dB, on crops that chose nothing.
        weights: how many bits they have, for people; empty where all have 8.
        spent: what was spent on tensors of 16 bits, in sentences.
        fixes: what loses less, tried; empty where nothing needs to.
        psnr: the INT8 network's output against the FP32 network's, clipped and not rounded, in dB.
        tensors: every quantized tensor in graph order.
        blame: every part that is quantized, alone and left out.
        shown: the pieces of pictures that differ most.
        quality: on whole high-resolution pictures: INT8, FP32 and bicubic against the original; None without them.
        warnings: what the user should know.
        command: that asked for it.
        date: of the report, in UTC.
        versions: of what it was made with, by name.
    """

    model: str
    channels: int
    scale: Scale
    value_range: tuple[float, float]
    settings: Settings
    pictures: tuple[str, ...]
    side: int
    drop: float
    weights: str
    spent: tuple[str, ...]
    fixes: tuple[Fix, ...]
    psnr: float
    tensors: tuple[TensorFidelity, ...]
    blame: BlameReport
    shown: tuple[Shown, ...]
    quality: Evaluation | None
    warnings: tuple[str, ...]
    command: str
    date: str
    versions: dict[str, str]

    def _repr_html_(self) -> str:
        """Return a table of the tensors for notebooks, the worst first, and what loses less."""
        worst = sorted(self.tensors, key=lambda tensor: tensor.sqnr)
        rows = ([one.name, one.sqnr, one.own_sqnr, one.bits, f"{one.saturated:.3%}"] for one in worst)
        fixes = ([fix.command, fix.after, f"{fix.work:.1f} %"] for fix in self.fixes)
        mended = table(["what loses less", "dB lost", "more work"], fixes) if self.fixes else ""
        lost = f"<p>{self.drop:.3f} dB lost</p>"
        return table(["tensor", "SQNR, dB", "its own, dB", "bits", "saturated"], rows) + lost + mended


def measure_fidelity(request: FidelityRequest, *, progress: Callable[[str, int, int], None] | None = None) -> Fidelity:
    """Quantize, compare every tensor, blame every part, and measure quality where originals are given.

    Args:
        request: what to look at.
        progress: called with (text, steps done, steps in all) before each step.

    Raises:
        ModelError: the model cannot be used.
        CalibrationError: the photographs cannot be used.
        InputError: the high-resolution pictures cannot be used, or bits were to be chosen under a bound of cost.
    """
    from toolchain.frontend import load_model, normalize
    from toolchain.frontend.inputs import set_inputs

    if request.settings.costs:
        raise InputError(
            f"a budget of {request.settings.costs[0].kind} is of deploy, which says what it has chosen",
            hint="say here what it chose",
        )
    tell = progress or (lambda text, done, total: None)
    tell("loading", 0, 100)
    sr = normalize(set_inputs(load_model(request.model), request.inputs), value_range=request.value_range)
    photographs = read_calibration(request.calibration, sr.channels)
    originals = read_images(request.hr) if request.hr is not None else None
    names, pictures = _pictures(originals or photographs, sr, request.crops, request.side)
    tell(f"quantizing, photographs: {len(photographs.images)}", _QUANTIZE, 100)
    settings = for_deployment(request.settings)
    calibrated = calibrate(sr, photographs.images, settings)
    plain = calibrated.rounded()
    spent = spend(calibrated, plain)
    model = calibrated.described(spent.network, spent.budget, spent.bound, spent.spared)
    runs = count_runs(model)
    tell(f"comparing tensors on {len(pictures)} pictures", _COMPARE, 100)
    tensors = compare_tensors(model, pictures)
    blame = assign_blame(
        model, pictures, progress=lambda text, done: tell(text, _BLAME + (_MEND - _BLAME) * done // runs, 100)
    )
    tell("trying what would mend it", _MEND, 100)
    drop = calibrated.drop(spent.network.model)
    fixes = find_fixes(calibrated, plain, spent.network, drop, blame.blames)
    integer, exact = IntegerReference(model.model).run, float_upscale(sr.model, sr.value_range)
    quality = None
    if originals is not None:
        tell(f"upscaling {len(originals.images)} pictures", _MEASURE, 100)
        pairs = degraded(originals, find_degradation(None, sr.scale), sr.scale)
        quality = evaluate(integer, pairs, channels=sr.channels, scale=sr.scale, compared=exact)
    left_out = tuple(
        f"left out: {skipped.name} {skipped.reason}"
        for found in (photographs, originals)
        if found
        for skipped in found.skipped
    )
    return Fidelity(
        model=request.model.name,
        channels=sr.channels,
        scale=sr.scale,
        value_range=sr.value_range,
        settings=settings,
        pictures=names,
        side=request.side,
        drop=drop,
        weights=say_bits(model.recipe),
        spent=tuple(str(one) for one in (spent.budget, spent.bound, spent.spared) if one),
        fixes=tuple(
            replace(fix, command=shlex.join(["clipfree", "deploy", *request.words, *fix.options])) for fix in fixes
        ),
        psnr=math.inf if blame.everything == 0 else 10 * math.log10(255**2 / blame.everything),
        tensors=tensors,
        blame=blame,
        shown=_shown(names, pictures, integer, exact),
        quality=quality,
        warnings=left_out + model.recipe.warnings,
        command=request.command,
        date=datetime.now(UTC).date().isoformat(),
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    found = Versions.installed()
    return {"clipfree": found.clipfree, **{name: version(name) for name in ("onnxruntime", "onnx", "numpy")}}


def _pictures(photos: ImageSet, sr: SRModel, count: int, side: int) -> tuple[tuple[str, ...], tuple[Pixels, ...]]:
    """Return the middle of at most ``count`` of the photographs, spread over the set, made small as the network's
    scale.
    """
    chosen = range(0, len(photos.images), -(-len(photos.images) // count))
    pictures = []
    for index in chosen:
        photo = to_channels(photos.images[index], sr.channels)
        small = shrink(photo, sr.scale) if min(photo.shape[:2]) >= sr.scale * side else photo
        top, left = (max(0, (length - side) // 2) for length in small.shape[:2])
        pictures.append(np.ascontiguousarray(small[top : top + side, left : left + side]))
    return tuple(photos.names[index] for index in chosen), tuple(pictures)


def _shown(
    names: Sequence[str],
    pictures: Sequence[Pixels],
    integer: Callable[[Pixels], Pixels],
    exact: Callable[[Pixels], Pixels],
) -> tuple[Shown, ...]:
    """Return the pictures that differ most between both networks, worst first."""
    found = []
    for name, picture in zip(names, pictures, strict=True):
        top, left = (max(0, (length - _SHOWN_SIDE) // 2) for length in picture.shape[:2])
        piece = np.ascontiguousarray(picture[top : top + _SHOWN_SIDE, left : left + _SHOWN_SIDE])
        int8, fp32 = integer(piece), exact(piece)
        difference = int8.astype(np.int16) - fp32
        # The largest power of two at which the most different values are still told apart.
        factor = 2 ** max(0, int(math.log2(127 / max(1, int(np.abs(difference).max())))))
        grey = np.clip(128 + factor * difference, 0, 255).astype(np.uint8)
        found.append(Shown(name, psnr(int8, fp32), factor, *(_png(image) for image in (piece, fp32, int8, grey))))
    return tuple(sorted(found, key=lambda shown: shown.psnr)[:_SHOWN])


def _png(pixels: Pixels) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
