"""What is to be compared, and the rows that come of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolchain.board.place import Place, parse_place
from toolchain.images.sets import picture_files
from toolchain.runtime.measure import TimingPlan
from toolchain.schedules.select import SIZE
from toolchain.support.errors import BoardError, CalibrationError, InputError, TargetError
from toolchain.targets import Target, best_target, find_target, machines
from toolchain.targets.precision import FLOAT32, read_precision
from toolchain.workflows.compare.result import KINDS, MIX, Kind

FLOAT = "float"
DEFAULT = ("int8", MIX, FLOAT)
PLAN = TimingPlan(seconds=5.0)
RUNTIMES = ("onnxruntime",)


@dataclass(frozen=True)
class Model:
    """A model's file, and the photographs that it is calibrated with: a folder or files; None: there are none."""

    path: Path
    calibration: Path | tuple[Path, ...] | None = None


@dataclass(frozen=True)
class NamedBoard:
    """A board, and which target it is to run; empty: those that its processor can."""

    place: Place
    target: str = ""


def read_boards(rpc: Sequence[str], tracker: str | None, keys: Sequence[str]) -> tuple[NamedBoard, ...]:
    """Return the boards that ``--rpc``, ``--tracker`` and ``--key`` name, each with the target before "=", if any.

    Raises:
        InputError: they do not fit together, or one is not understood.
    """
    if tracker is not None and not keys:
        parse_place(None, tracker, None)
    alone = [(target, parse_place(name, None, None)) for target, _, name in (word.rpartition("=") for word in rpc)]
    among = [(target, parse_place(None, tracker, name)) for target, _, name in (word.rpartition("=") for word in keys)]
    return tuple(NamedBoard(place, target) for target, place in [*alone, *among] if place is not None)


@dataclass(frozen=True)
class Request:
    """What to compare.

    Attributes:
        models: each once.
        targets: names, or files; each once.
        precisions: "int8" (8 bits everywhere), "mix" (what `deploy` does unasked), "float32", "float16", or "float" for
            what suits the target.
        out: the folder for bundles, rows and tables. What is there from a run that was ended is taken up again.
        hr: a folder of high-resolution pictures; None: quality is told without labels.
        lr: their low-resolution ones; None: they are made.
        degradation: how, see `toolchain.images.degradation`; None for the usual.
        size: height and width of the input picture that is timed.
        threads: numbers of them; empty: 1 and all.
        plan: how often to time.
        boards: that are timed.
        wait: seconds to wait for one that is busy.
        beside: other runtimes that are timed in turn, out of `RUNTIMES`.
        value_range: of all models, as `deploy` takes it.
    """

    models: tuple[Model, ...]
    out: Path
    targets: tuple[str, ...] = ("host",)
    precisions: tuple[str, ...] = DEFAULT
    hr: Path | None = None
    lr: Path | None = None
    degradation: str | None = None
    size: tuple[int, int] = SIZE
    threads: tuple[int, ...] = ()
    plan: TimingPlan = PLAN
    boards: tuple[NamedBoard, ...] = ()
    wait: float = 10.0
    beside: tuple[str, ...] = ()
    value_range: str | None = None


@dataclass(frozen=True)
class Case:
    """What a row is of.

    Attributes:
        model: its file and photographs.
        name: of the model, and no other's.
        target: to compile for.
        asked: how the target was named.
        precision: of the library.
        place: the board to time on; None: this machine, if it can.
    """

    model: Model
    name: str
    target: Target
    asked: str
    precision: Kind
    place: Place | None


def cases_of(request: Request) -> tuple[Case, ...]:
    """Return what the rows are of: model by model, target by target, precision by precision, board by board.

    Raises:
        InputError: something is named twice or not understood.
        TargetError: an unknown target, or a board that runs none of those named.
        BoardError: a board that says no target does not answer.
    """
    named = _names(request.models)
    targets = _targets(request.targets)
    places = _places(request, targets)
    for runtime in request.beside:
        if runtime not in RUNTIMES:
            raise InputError(f"there is no runtime {runtime} to compare with", hint=f"there is {', '.join(RUNTIMES)}")
    cases: list[Case] = []
    for model, name in zip(request.models, named, strict=True):
        for asked, target in targets.items():
            for precision in _precisions(request.precisions, gpu=target.gpu is not None):
                spots = places[target.name] or [None]
                cases += [Case(model, name, target, asked, precision, place) for place in spots]
    return tuple(cases)


def _names(models: Sequence[Model]) -> list[str]:
    """Return a name for each model; a folder's stands before it where files are called alike."""
    seen: dict[str, Path] = {}
    for model in models:
        digest = file_digest(model.path)
        if digest in seen:
            other = seen[digest]
            same = f"{other} is named twice" if other == model.path else f"{other} and {model.path} are the same model"
            raise InputError(same, hint="name it once")
        seen[digest] = model.path
    stems = [model.path.stem for model in models]
    names = [
        stem if stems.count(stem) == 1 else f"{model.path.resolve().parent.name}-{stem}"
        for stem, model in zip(stems, models, strict=True)
    ]
    double = [str(model.path) for name, model in zip(names, models, strict=True) if names.count(name) > 1]
    if double:
        raise InputError(f"{' and '.join(double[:2])} cannot be told apart by name", hint="rename one")
    return names


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of its name where it cannot be read: what is wrong with it is said later."""
    try:
        data = path.read_bytes()
    except OSError:
        data = str(path.resolve()).encode()
    return hashlib.sha256(data).hexdigest()


def _targets(names: Sequence[str]) -> dict[str, Target]:
    found: dict[str, Target] = {}
    for name in names:
        target = find_target(name)
        for other, known in found.items():
            if known.name == target.name:
                both = f"--target {name} is named twice" if other == name else f"--target {other} and --target {name}"
                raise InputError(both if other == name else f"{both} are the same", hint="name it once")
        found[name] = target
    return found


def _precisions(words: Sequence[str], *, gpu: bool) -> list[Kind]:
    found: list[Kind] = []
    for word in words:
        name = MIX if word.lower() == MIX else read_precision(word, gpu=gpu)
        (kind,) = (kind for kind in KINDS if kind == name)
        if kind not in found:
            found.append(kind)
    return found


def check_calibration(models: Sequence[Model]) -> None:
    """See that there are pictures where a folder of them is named.

    Raises:
        CalibrationError: there are none.
    """
    for folder in {model.calibration for model in models if isinstance(model.calibration, Path)}:
        if not picture_files(folder):
            raise CalibrationError(
                f"there is no picture in {folder}", hint="give a folder of photographs (PNG, JPEG, ...)"
            )


def check_precisions(words: Sequence[str]) -> None:
    """See that precisions are known, and none is named twice.

    Raises:
        InputError: one is not, or is.
    """
    for word in words:
        if word.lower() != MIX:
            try:
                read_precision(word)
            except InputError as error:
                hint = "give one of int8, mix, float, float32, float16"
                raise InputError(error.message, hint=hint) from error
    double = [word for word in words if [*words].count(word) > 1]
    if double:
        raise InputError(f"--precision {double[0]} is named twice", hint="name it once")


def _places(request: Request, targets: dict[str, Target]) -> dict[str, list[Place | None]]:
    """Return the boards of each target, by the target's name."""
    found: dict[str, list[Place | None]] = {target.name: [] for target in targets.values()}
    seen: set[Place] = set()
    for board in request.boards:
        if board.place in seen:
            raise InputError(f"{board.place} is named twice", hint="name it once")
        seen.add(board.place)
        for name in _runs(board, targets, request.wait):
            found[name].append(board.place)
    return found


def _runs(board: NamedBoard, targets: dict[str, Target], wait: float) -> list[str]:
    """Return names of the targets that a board is to run."""
    if board.target:
        wanted = find_target(board.target).name
        if wanted not in [target.name for target in targets.values()]:
            raise InputError(f"no --target is {board.target}, which is to run on {board.place}", hint="name it as one")
        return [wanted]
    if len(targets) == 1:
        return [target.name for target in targets.values()]
    from toolchain.board.board import Board

    try:
        with Board(board.place, wait=wait) as opened:
            cpu = opened.description.cpu
    except BoardError as error:
        hint = error.hint or "is it on?"
        raise BoardError(error.message, hint=f"{hint}; or say which target it runs: TARGET=HOST:PORT") from error
    able = [
        target.name
        for target in targets.values()
        if target.gpu is None and cpu.machine in machines(target.triple) and not target.missing_on(cpu)
    ]
    if not able:
        best = best_target(cpu)
        raise TargetError(
            f"{board.place} ({cpu.name}) runs none of the targets",
            hint=f"add --target {best}" if best else "leave it away",
        )
    return able


def is_float(kind: Kind) -> bool:
    """Return whether a precision is none of integers."""
    return kind in (FLOAT32, "float16")
