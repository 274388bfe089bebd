"""What tuning takes from the kind of target: the candidates, where they are made, and where they run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from toolchain.board.board import Board
from toolchain.kernels.intrinsics import dot_product
from toolchain.schedules.task import tasks_of
from toolchain.support.cpu import Cpu, this_cpu, usable_cores
from toolchain.support.errors import InputError, TargetError
from toolchain.targets import Target, machines
from toolchain.targets.linker import find_linker
from toolchain.tune.builder import Builder, LocalBuilder
from toolchain.tune.features import TileFeatures
from toolchain.tune.model import CostModel, XGBoostModel
from toolchain.tune.network import kernels_of
from toolchain.tune.remote import open_boards
from toolchain.tune.request import TuningRequest
from toolchain.tune.runner import LocalRunner, Runner
from toolchain.tune.search import Search
from toolchain.tune.search_space import tiles

MOST_WORKERS = 8


class TunedTarget(Protocol):
    """A kind of target.

    Attributes:
        name: of the processor or device, as logs have it.
    """

    name: str

    def model(self) -> CostModel:
        """To rank candidates by.

        Raises:
            TuningError: XGBoost is missing.
        """

    def searches(self) -> list[Search]:
        """Return the kernels of the request's models, each with its candidates.

        Raises:
            ModelError: a model cannot be used.
        """

    def builder(self, folder: Path) -> Builder:
        """To make candidates with, in ``folder``."""

    def runner(self, note: Callable[[str], None]) -> Runner:
        """To time candidates with; ``note`` is told what the user should know.

        Raises:
            BoardError: there is no board.
        """


def tuned_cpu(request: TuningRequest) -> Cpu:
    """Return the processor to tune on.

    Raises:
        BoardError: there is no board.
    """
    if request.place is None:
        return this_cpu()
    with Board(request.place, wait=request.wait) as board:
        return board.cpu


class TunedCpu:
    """Kernels for CPUs, on this machine or on boards.

    Args:
        request: what to tune.
        target: of the request.
        cpu: to tune on.

    Raises:
        TargetError: it does not run code for the target, or there is no linker.
        InputError: more threads than it has cores.
    """

    def __init__(self, request: TuningRequest, target: Target, cpu: Cpu) -> None:
        self.request, self.target, self.name = request, target, cpu.name
        self._counts = request.threads or (cpu.cores,)
        if max(self._counts) > cpu.cores:
            raise InputError(f"{max(self._counts)} threads cannot be timed on a machine with {cpu.cores} cores")
        missing = target.missing_on(cpu)
        if missing or cpu.machine not in machines(target.triple):
            lacks = f": it lacks {', '.join(missing)}" if missing else ""
            where = request.place or "this machine"
            raise TargetError(f"{where} cannot run code for {target.name}{lacks}", hint="tune on a machine that can")
        find_linker(target.triple)

    def model(self) -> CostModel:
        """Return boosted trees on the loops of tiles."""
        return XGBoostModel(TileFeatures(self.target))

    def searches(self) -> list[Search]:
        """Return the integer convolutions of the request's models."""
        request, dot = self.request, dot_product(self.target.instruction_set)
        networks = [kernels_of(path, self.target, request.calibration) for path in request.models]
        return [
            Search(task, tiles(task.conv, task.geometry(dot).columns, dot), demand)
            for task, demand in tasks_of(networks, request.sizes, self._counts).items()
        ]

    def builder(self, folder: Path) -> Builder:
        """Return libraries of one kernel, made on this machine."""
        return LocalBuilder(self.target, folder, min(usable_cores(), MOST_WORKERS))

    def runner(self, note: Callable[[str], None]) -> Runner:
        """Return the boards that are there, or this machine."""
        if self.request.place is not None:
            return open_boards(self.request.place, self.target, self.request.wait, note)
        return LocalRunner(self.target.instruction_set)
