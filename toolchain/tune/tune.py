"""Tuning the kernels of some networks, from their files to the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toolchain.schedules.database import open_log
from toolchain.schedules.records import LogHeader
from toolchain.support.errors import TuningError
from toolchain.support.files import scratch_folder
from toolchain.targets import HOST, Target, find_target
from toolchain.tune.opencl.tuned_target import TunedDevice
from toolchain.tune.request import TuningRequest
from toolchain.tune.search import Search
from toolchain.tune.session import Outcome, Point, Tools, TuningSession, resume
from toolchain.tune.tuned_target import TunedCpu, TunedTarget, tuned_cpu


@dataclass(frozen=True)
class Summary:
    """What came out: for each task what is known of it, the curve, and the log."""

    target: Target
    log: Path
    searches: tuple[Search, ...]
    outcome: Outcome


def tune(
    request: TuningRequest,
    tell: Callable[[Point, Search], None] = lambda point, search: None,
    note: Callable[[str], None] = lambda text: None,
) -> Summary:
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
    target, shop = _workshop(request)
    model, header = shop.model(), LogHeader.of(target)
    with open_log(request.logs, header, note) as writer:
        if writer.cut:
            note(f"{writer.cut} bytes of an unfinished last line were removed from {writer.log.path}")
        searches = shop.searches()
        if not searches:
            raise TuningError("these models have no integer convolution, and nothing else is tuned")
        resume(searches, writer.log.records, shop.name, trials=request.resume)
        with scratch_folder() as folder:
            runner = shop.runner(note)
            builder = shop.builder(folder)
            tools = Tools(builder, runner, model, writer.append, shop.name)
            try:
                outcome = TuningSession(searches, tools, request.budget, tell, request.seed).run()
            finally:
                builder.close()
                runner.close()
    return Summary(target, writer.log.path, tuple(searches), outcome)


def _workshop(request: TuningRequest) -> tuple[Target, TunedTarget]:
    """Return the target, and what it is tuned with."""
    if request.target != HOST and (gpu := (target := find_target(request.target)).gpu) is not None:
        return target, TunedDevice(request, target, gpu)
    cpu = tuned_cpu(request)
    target = find_target(request.target, cpu=cpu)
    return target, TunedCpu(request, target, cpu)
