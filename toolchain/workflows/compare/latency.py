"""How long a picture takes: measured here or on a board, else by estimate, else not known. Which one is always said."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from toolchain.backends import backend_for
from toolchain.backends.open import load
from toolchain.board.board import Board
from toolchain.board.place import Place
from toolchain.bundle import Bundle
from toolchain.images.units import check_size
from toolchain.runtime.measure import free_memory
from toolchain.support.cores import pinned
from toolchain.support.errors import InputError
from toolchain.targets import Target
from toolchain.targets.precision import FLOAT16
from toolchain.workflows.bench import HostMachine, Machine, OnDevice, bench
from toolchain.workflows.beside import times_in_turn
from toolchain.workflows.compare.request import Request
from toolchain.workflows.compare.result import Beside, Latency, Time

_OPENCL_HERE = "opencl-cpu"

Pixels = npt.NDArray[np.uint8]


def here(bundle: Bundle, report: Mapping[str, Any], request: Request) -> Latency:
    """Time a bundle on this machine if it is for it; else say what is estimated, or that nothing is.

    Args:
        bundle: what is timed.
        report: of its deployment.
        request: what is asked for.

    Raises:
        InputError: the picture is too small for the network, or too large for this machine.
        BundleError, VerificationError: it does not run here as it should.
    """
    manifest = bundle.manifest
    check_size(request.size, manifest.smallest)
    obstacle = obstacle_to(manifest.target)
    if obstacle is not None:
        return _estimate(report, manifest.target, obstacle)
    _check_memory(bundle, request.size)
    if manifest.target.gpu is not None:
        return _timed(OnDevice(bundle, _OPENCL_HERE), bundle, request, ())
    machine = HostMachine(bundle)
    found = _timed(machine, bundle, request, request.threads)
    if not request.beside or manifest.precision == FLOAT16:
        return found
    times = tuple(_with_beside(one, machine, bundle, request) for one in found.times)
    return replace(found, times=times)


def on_board(place: Place, bundle: Bundle, request: Request) -> Latency:
    """Time a bundle on a board.

    Raises:
        BoardError: it cannot be reached, stays busy, or was lost.
        BundleError: it cannot run the bundle.
        InputError: the picture is too small for the network, or the board has fewer cores than threads.
    """
    check_size(request.size, bundle.manifest.smallest)
    with Board(place, wait=request.wait) as board:
        if bundle.manifest.target.gpu is None:
            board.load(bundle)
            return _timed(board, bundle, request, request.threads)
        board.load_opencl(bundle)
        return _timed(board, bundle, request, ())


def obstacle_to(target: Target) -> str | None:
    """Say why this machine is none to time what is made for ``target`` on; None if it is one."""
    if target.gpu is not None and target.name != _OPENCL_HERE:
        return f"no {target.gpu.name} here: name a board, --rpc {target.name}=HOST:PORT"
    found = backend_for(target).obstacle(target)
    return None if found is None else found.split(";")[0]


def _timed(machine: Machine, bundle: Bundle, request: Request, threads: tuple[int, ...]) -> Latency:
    rows = bench(machine, bundle, request.size, threads, request.plan)
    times = tuple(
        Time(row.threads, row.timing.median, row.timing.p90, row.timing.repeats, row.timing.spread) for row in rows
    )
    return Latency("measured", machine.cpu.name, "", times)


def _estimate(report: Mapping[str, Any], target: Target, obstacle: str) -> Latency:
    """Return what the records that chose the kernels' tiles say together; nothing where a kernel has none."""
    found = report.get("tuning", {}).get("expected")
    if not isinstance(found, Mapping) or target.gpu is not None:
        return Latency("not measured", "", obstacle)
    seconds, threads, cpu = float(found["seconds"]), int(found["threads"]), str(found["cpu"])
    how = "kernels timed one by one there" if found["measured"] else "a cost model's cycles of the kernels, no memory"
    return Latency("estimated", cpu, f"{how}; {obstacle}", (Time(threads, seconds, seconds),))


def _check_memory(bundle: Bundle, size: tuple[int, int]) -> None:
    """Refuse a picture that does not fit into memory, before the system ends the process for it."""
    manifest, pixels = bundle.manifest, size[0] * size[1]
    need = pixels * (manifest.workspace_per_pixel + manifest.channels * (1 + float(manifest.scale) ** 2))
    free = free_memory()
    if free is not None and need > free:
        raise InputError(
            f"a picture of {size[1]} x {size[0]} pixels needs {need / 1e9:.1f} GB of memory here, {free / 1e9:.1f} GB "
            "are free",
            hint="give a smaller --size",
        )


def _with_beside(one: Time, machine: HostMachine, bundle: Bundle, request: Request) -> Time:
    """Time onnxruntime in turn with the library: the same network, picture, threads and cores."""
    import onnxruntime

    pixels = np.random.default_rng(0).integers(0, 256, (*request.size, bundle.manifest.channels), dtype=np.uint8)
    with pinned(machine.cores(one.threads)):
        runner = load(bundle, threads=one.threads)
        ours, theirs = times_in_turn(bundle, runner, pixels, request.plan, threads=one.threads)
    name = f"onnxruntime {onnxruntime.__version__}"
    beside = Beside(name, statistics.median(theirs), statistics.median(theirs) / statistics.median(ours))
    return replace(one, beside=(beside,))
