"""What of a deployment depends on the target: found before work is done for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import bundle as store
from toolchain.backends import backend_for
from toolchain.schedules.select import Tuning, read_tuning
from toolchain.support.errors import BundleError, CalibrationError, ModelError, OutputError, TargetError, TuningError
from toolchain.targets import find_target
from toolchain.targets.precision import INT8, read_precision
from toolchain.workflows.deploy.request import Request, bundle_path

if TYPE_CHECKING:
    from toolchain.backends.base import Backend
    from toolchain.targets import Target
    from toolchain.targets.linker import Linker


@dataclass(frozen=True, eq=False)
class TargetBuild:
    """One bundle to make.

    Attributes:
        request: what was asked for.
        path: of the bundle.
        target: what it is for.
        backend: that compiles for it.
        linker: None where the backend can do without.
        tuning: schedules that are known for the target.
        lacking: warnings of what this machine lacks.
        unseen: why this machine cannot run the library; None if it can.
    """

    request: Request
    path: Path
    target: Target
    backend: Backend
    linker: Linker | None
    tuning: Tuning
    lacking: tuple[str, ...]
    unseen: str | None


def plan_build(request: Request) -> TargetBuild:
    """See what can be seen before minutes of calibration: whether the bundle can be written and the target compiled
    for, and what is known of it.

    Raises:
        OutputError: the bundle cannot be written, or would replace one for another target.
        TargetError: unknown target, or no linker.
        TuningError: a tuning log cannot be used.
        ModelError, CalibrationError: what is asked for suits no float network.
    """
    path = bundle_path(request.out, request.title)
    store.check_place(path)
    target = find_target(request.target)
    _check_replaced(path, target)
    backend = backend_for(target)
    backend.check(target)
    linker, lacking = backend.linker(target)
    if request.static:
        _check_static(target)
    integer = read_precision(request.precision) == INT8
    if not integer:
        _check_float(request, target)
    tuning = read_tuning(target, request.logs, request.size) if integer else Tuning()
    return TargetBuild(request, path, target, backend, linker, tuning, lacking, backend.obstacle(target))


def _check_replaced(path: Path, target: Target) -> None:
    """See that no bundle for another target would be lost: bundles of one network bear one name.

    Raises:
        OutputError: it would.
    """
    try:
        there = store.open_bundle(path, for_this_machine=False).manifest.target.name
    except BundleError:  # nothing is there, or nothing that could be used
        return
    if there != target.name:
        raise OutputError(
            f"{path} is made for {there}, and one for {target.name} would replace it",
            hint=f"name another folder, such as -o {path.parent / target.name}/, or remove it",
        )


def _check_static(target: Target) -> None:
    """See that a static library can be made.

    Raises:
        TargetError: it cannot.
    """
    from toolchain.backends.cpu.interface import archive_tools
    from toolchain.targets.linker import find_c_compiler

    if target.gpu is not None:
        raise TargetError(
            "there are no static libraries for OpenCL devices", hint="leave out --static; opencl/host holds the sources"
        )
    find_c_compiler(target.triple)
    archive_tools(target.triple)


def _check_float(request: Request, target: Target) -> None:
    from toolchain.kernels.vectors import vectors_for

    vectors_for(target, request.precision)
    if request.logs:
        raise TuningError("float kernels are not tuned: no log knows them", hint="leave out --logs")
    if request.layers:
        raise ModelError("float networks are not built layer by layer", hint="leave out --layers")
    if request.settings is not None:
        raise CalibrationError(
            "a float network has no codes: no ranges to estimate, no bits to choose",
            hint="leave out --estimator, --weights, --bits, --weight-bits, --codebook, --bits-nested, --budget "
            "and --max-loss",
        )
