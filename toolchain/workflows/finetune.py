"""``finetune`` as one function: a model and photographs in, a quantized model whose weights were trained out."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from toolchain.frontend import SRModel, is_quantized, load_model, normalize
from toolchain.frontend.inputs import set_inputs
from toolchain.frontend.smallest import smallest_to_mirror
from toolchain.frontend.unit import unit_of
from toolchain.images import read_calibration
from toolchain.images.geometry import UNBOUNDED_HALO
from toolchain.quantize import QuantizedModel, canonicalize, quantize
from toolchain.quantize.crops import spread
from toolchain.quantize.floats import FloatModel, to_float
from toolchain.quantize.packing import pack, with_books
from toolchain.quantize.settings import for_deployment
from toolchain.quantize.spelling import for_runtimes
from toolchain.support.errors import InputError, ModelError
from toolchain.support.files import atomic_write, check_writable
from toolchain.support.progress import Stages, Tell, untold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolchain.images import Pixels
    from toolchain.quantize import Settings
    from toolchain.training.finetune import Finetuned, Plan
    from toolchain.training.patches import Teacher

CHECKPOINT = ".checkpoint.npz"
_CALIBRATING = 24  # photographs that decide ranges, where there are more
_PIECES = 1200  # of all photographs together
_MOST_EACH = 24


@dataclass(frozen=True)
class FinetuneRequest:
    """What to train.

    Attributes:
        model: a float model, which is quantized first, or a quantized one.
        photographs: a folder of photographs, or picture files, taken as low-resolution pictures as they are.
        out: the ONNX file to write; beside it lies a checkpoint while training runs.
        teacher: the float model whose pictures are to be matched; None: ``model`` itself, which must then be float.
        value_range: what the model's floats mean, "0..1" or "0..255"; None to find out.
        settings: of the quantization that training begins with; None for the defaults.
        inputs: values of the model's inputs beside the picture, by name.
        steps: of training; None for the default, or for as many as fit in ``minutes``.
        minutes: of training; None where ``steps`` decide.
        batch, patch, rate, seed: see `training.finetune.Plan`.
    """

    model: Path
    photographs: Path | Sequence[Path]
    out: Path
    teacher: Path | None = None
    value_range: str | None = None
    settings: Settings | None = None
    inputs: Mapping[str, float] = field(default_factory=dict)
    steps: int | None = None
    minutes: float | None = None
    batch: int = 12
    patch: int = 32
    rate: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise InputError where a number cannot be used."""
        if self.steps is not None and self.minutes is not None:
            raise InputError("training goes on for --steps or for --minutes", hint="give one of them")
        if (self.steps or 1) < 1 or self.batch < 1 or self.patch < 16 or not 0 < self.rate <= 1 or self.seed < 0:
            raise InputError(
                "training needs at least 1 step, 1 piece a step, pieces of 16 pixels, and a rate of at most 1",
                hint="leave out what you are not sure of",
            )
        if self.minutes is not None and not 0 < self.minutes < np.inf:
            raise InputError(f"{self.minutes:g} minutes are no time to train", hint="say --minutes 30")


@dataclass(frozen=True)
class FinetuneResult:
    """What became of a network; decibels are of its pictures against the teacher's, over photographs that were not
    learned from.

    Attributes:
        path: of the quantized model, standard QDQ ONNX.
        before, after: PSNR in dB; equal where training gained nothing, and the model is as it was.
        steps: that were made.
        changed, weights: of the weights so many have other codes.
        cycles: PSNR in dB after each cycle of training.
    """

    path: Path
    before: float
    after: float
    steps: int
    changed: int
    weights: int
    cycles: tuple[float, ...]

    @property
    def gained(self) -> bool:
        """Whether the model is another, and better."""
        return self.after > self.before


def finetune_model(request: FinetuneRequest, *, progress: Tell = untold) -> FinetuneResult:
    """Quantize a network, train its codes against the float one, and write what is best.

    A run that was stopped goes on from its checkpoint, if nothing else was asked for.

    Raises:
        InputError: PyTorch is not installed, the checkpoint is of another run, or the teacher makes other pictures.
        ModelError: a model cannot be used, or a quantized one has no teacher.
        CalibrationError: the photographs cannot be used.
        OutputError: the model or the checkpoint cannot be written.
    """
    if importlib.util.find_spec("torch") is None:
        raise InputError("training needs PyTorch, which is not installed", hint="pip install 'clipfree[train]'")
    check_writable(request.out)
    stages = Stages(progress, {"quantizing": 0.1, "training": 0.9})
    model, teacher, images = _start(request, stages.begin("quantizing"))
    state = request.out.with_name(request.out.name + CHECKPOINT)
    plan = _plan(request)
    found = train_quantized(model, teacher, images, plan, state=state, progress=stages.begin("training"))
    recipe = with_books(model.recipe, found.model) if plan.books else model.recipe
    with atomic_write(request.out) as file:
        file.write(pack(for_runtimes(found.model), recipe).SerializeToString(deterministic=True))
    state.unlink(missing_ok=True)
    return FinetuneResult(
        request.out, found.before, found.after, found.steps, found.changed, found.weights, found.cycles
    )


def _plan(request: FinetuneRequest) -> Plan:
    from toolchain.training.finetune import Plan

    steps = request.steps or (None if request.minutes else Plan.steps)
    books = request.settings is not None and request.settings.codebook
    return Plan(steps, request.minutes or 0.0, request.batch, request.patch, request.rate, request.seed, books)


def _start(request: FinetuneRequest, tell: Tell) -> tuple[QuantizedModel, SRModel, Sequence[Pixels]]:
    """Return the quantized network, its teacher and photographs."""
    source = set_inputs(load_model(request.model), request.inputs)
    if is_quantized(source):
        if request.teacher is None:
            raise ModelError(
                f"{request.model.name} is quantized already, and says nothing of what it was",
                hint="name the float model with --teacher, or give that in its place",
            )
        asked = request.settings
        if asked is not None and (asked.weight_bits or asked.spare_weights or asked.codebook):
            raise InputError(
                f"{request.model.name} is quantized already: its weights keep their bits",
                hint="leave out --weight-bits and --codebook, or give the float model",
            )
        model = canonicalize(source, value_range=request.value_range)
        teacher = _teacher_of(request.teacher, model, request)
        return model, teacher, read_calibration(request.photographs, model.channels).images
    sr = normalize(source, value_range=request.value_range)
    teacher = sr if request.teacher is None else _teacher_of(request.teacher, sr, request)
    images = read_calibration(request.photographs, sr.channels).images
    settings = for_deployment(request.settings)
    return quantize(sr, spread(images, _CALIBRATING), settings, progress=tell), teacher, images


def _teacher_of(path: Path, student: SRModel | QuantizedModel, request: FinetuneRequest) -> SRModel:
    source = set_inputs(load_model(path), request.inputs)
    if is_quantized(source):
        raise ModelError(f"{path.name} is quantized: it has nothing to teach", hint="--teacher names a float model")
    teacher = normalize(source)
    if (teacher.scale, teacher.channels) != (student.scale, student.channels):
        kinds = [f"x{one.scale} {'RGB' if one.channels == 3 else 'luma'}" for one in (teacher, student)]
        raise InputError(
            f"the teacher {path.name} is {kinds[0]}, and {request.model.name} is {kinds[1]}",
            hint="their pictures must be of one size and kind",
        )
    return teacher


def train_quantized(
    model: QuantizedModel,
    teacher: SRModel,
    images: Sequence[Pixels],
    plan: Plan,
    *,
    state: Path | None = None,
    progress: Tell = untold,
) -> Finetuned:
    """Train what `quantize` gave against a float network, see `training.finetune.finetune`.

    Args:
        model: of any number of bits.
        teacher: the float network.
        images: photographs, u8 (h, w, C); one in five judges.
        plan: how long and how fast.
        state: a checkpoint to go on from and to write; None to keep none.
        progress: is told what is done.

    Raises:
        CalibrationError, InputError, OutputError: as `training.finetune.finetune`.
    """
    from toolchain.training.finetune import finetune
    from toolchain.training.network import code_sets
    from toolchain.training.patches import Cut

    units = np.lcm(unit_of(model.model), unit_of(teacher.model))
    halo = model.halo if model.halo < UNBOUNDED_HALO else 0
    each = min(_MOST_EACH, max(2, _PIECES // max(1, len(images))))
    cut = Cut(plan.patch, each, model.channels, halo, model.scale, int(units), smallest_to_mirror(model.model))
    sets = code_sets(model.recipe)
    return finetune(model.model, images, cut, _teach(teacher), plan, among=sets, state=state, progress=progress)


def _teach(sr: SRModel) -> Teacher:
    model, (low, high) = FloatModel(sr.model), sr.value_range

    def teach(pixels: Pixels) -> NDArray[np.float32]:
        grey = (model.run(to_float(pixels, sr.value_range))[0] - low) * (255 / (high - low))
        clipped: NDArray[np.float32] = np.clip(grey, 0, 255).astype(np.float32)
        return clipped

    return teach
