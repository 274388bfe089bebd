"""Tuning the kernels of some networks, from their files to the log."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolchain.board.board import Board
from toolchain.board.place import Place
from toolchain.cpu import Cpu, this_cpu, usable_cores
from toolchain.errors import InputError, TargetError, TuningError
from toolchain.kernels.intrinsics import dot_product
from toolchain.link import find_linker
from toolchain.targets import Target, find_target, machines
from toolchain.tune.builder import LocalBuilder
from toolchain.tune.database import open_log
from toolchain.tune.model import XGBoostModel
from toolchain.tune.network import kernels_of
from toolchain.tune.records import Header
from toolchain.tune.remote import open_boards
from toolchain.tune.runner import LocalRunner, Runner
from toolchain.tune.search import Search
from toolchain.tune.session import Budget, Outcome, Point, Session, Tools, resume
from toolchain.tune.space import tiles
from toolchain.tune.task import tasks_of

_MOST_WORKERS = 8


@dataclass(frozen=True)
class Request:
    """What to tune.

    Attributes:
        models: ONNX files.
        target: name, or "host" for the best one; the machine that is tuned on must be able to run it.
        sizes: height and width of the pictures.
        threads: numbers of threads; empty for one for each core.
        budget: where to stop.
        resume: count what was tried before, and do not try it again.
        logs: folder of the logs.
        calibration: a folder of photographs, or picture files; None for noise, which does as well.
        seed: of what is left to chance.
        place: of the boards to tune on; None for this machine.
        wait: seconds to wait for a board that is busy or was lost.
    """

    models: tuple[Path, ...]
    target: str
    sizes: tuple[tuple[int, int], ...]
    threads: tuple[int, ...]
    budget: Budget
    resume: bool
    logs: Path
    calibration: Path | Sequence[Path] | None = None
    seed: int = 0
    place: Place | None = None
    wait: float = 60.0


@dataclass(frozen=True)
class Summary:
    """What came out: for each task what is known of it, the curve, and the log."""

    target: Target
    log: Path
    searches: tuple[Search, ...]
    outcome: Outcome


def tune(
    request: Request, tell: Callable[[Point, Search], None] = lambda point, search: None,
    note: Callable[[str], None] = lambda text: None,
) -> Summary:  # fmt: skip
    """Find tiles for the kernels of ``request.models``, and append what was found to the log of the target.

    Args:
        request: what.
        tell: is told after every batch of trials how far the run is, and what the batch was for.
        note: is told what else the user should know.

    Raises:
        TuningError: XGBoost is missing, the log cannot be used, there is nothing to tune, or a kernel does not work.
        TargetError: unknown target, one that does not run here, or no linker.
        BoardError: there is no board, or all were lost.
        InputError: more threads than the machine has cores.
        ModelError: a model cannot be used.
        OutputError: the log cannot be written.
    """
    cpu = _cpu(request)
    target, counts = find_target(request.target, cpu=cpu), request.threads or (cpu.cores,)
    if target.gpu is not None:
        raise TargetError(f"kernels for {target.name} are cut as its target file says, there is nothing to tune yet",
                          hint="name a CPU")
    if max(counts) > cpu.cores:
        raise InputError(f"{max(counts)} threads cannot be timed on a machine with {cpu.cores} cores")
    missing = target.missing_on(cpu)
    if missing or cpu.machine not in machines(target.triple):
        lacks = f": it lacks {', '.join(missing)}" if missing else ""
        where = request.place or "this machine"
        raise TargetError(f"{where} cannot run code for {target.name}{lacks}", hint="tune on a machine that can")
    find_linker(target.triple)
    model, header = XGBoostModel(target), Header.of(target)
    with open_log(request.logs, header, note) as writer:
        if writer.cut:
            note(f"{writer.cut} bytes of an unfinished last line were removed from {writer.log.path}")
        networks = [kernels_of(path, target, request.calibration) for path in request.models]
        dot = dot_product(target.instruction_set)
        searches = [Search(task, tiles(task.conv, task.geometry(dot).columns, dot), demand)
                    for task, demand in tasks_of(networks, request.sizes, counts).items()]  # fmt: skip
        if not searches:
            raise TuningError("these models have no integer convolution, and nothing else is tuned")
        resume(searches, writer.log.records, cpu.name, trials=request.resume)
        with tempfile.TemporaryDirectory() as folder:
            runner = _runner(request, target, note)
            builder = LocalBuilder(target, Path(folder), min(usable_cores(), _MOST_WORKERS))
            tools = Tools(builder, runner, model, writer.append, cpu.name)
            try:
                outcome = Session(searches, tools, request.budget, tell, request.seed).run()
            finally:
                builder.close()
                runner.close()
    return Summary(target, writer.log.path, tuple(searches), outcome)


def _cpu(request: Request) -> Cpu:
    """The processor to tune on."""
    if request.place is None:
        return this_cpu()
    with Board(request.place, wait=request.wait) as board:
        return board.cpu


def _runner(request: Request, target: Target, note: Callable[[str], None]) -> Runner:
    if request.place is not None:
        return open_boards(request.place, target, request.wait, note)
    return LocalRunner(target.instruction_set)
