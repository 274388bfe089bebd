"""Load what a bundle holds, after it was checked: loading executes its code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolchain.backends import backend_for
from toolchain.support.versions import Versions

if TYPE_CHECKING:
    from toolchain.backends.base import Runner
    from toolchain.bundle import Bundle
    from toolchain.runtime.opencl.runner import OpenClRunner
    from toolchain.runtime.runner import Runner as InTvm


def load(bundle: Bundle, *, threads: int | None = None) -> Runner:
    """Load a bundle's library on this machine's CPU; ``threads``: how many a call may use, None for all cores.

    Raises:
        BundleError: this machine cannot run it, or it cannot be loaded.
    """
    bundle.check_machine()
    manifest = bundle.manifest
    return backend_for(manifest.target).open(bundle.path / manifest.library, manifest.geometry, threads)


def load_each_way(bundle: Bundle, *, threads: int | None = None) -> tuple[Runner, ...]:
    """Load a bundle's library as `load` does, and in every other way in which it may be loaded elsewhere.

    Raises:
        BundleError: this machine cannot run it in one of them, or it cannot be loaded.
    """
    bundle.check_machine(versions=Versions.installed())
    manifest = bundle.manifest
    return backend_for(manifest.target).open_each_way(bundle.path / manifest.library, manifest.geometry, threads)


def load_in_tvm(bundle: Bundle, *, threads: int | None = None) -> InTvm:
    """Load a bundle's library by TVM, which can time its functions.

    Raises:
        BundleError: this machine cannot run it so, or it cannot be loaded.
    """
    from toolchain.runtime.runner import Runner

    bundle.check_machine(versions=Versions.installed())
    return Runner(bundle.path / bundle.manifest.library, bundle.manifest.geometry, threads)


def load_on(bundle: Bundle, device: str) -> OpenClRunner:
    """Load a bundle's kernels onto an OpenCL device, as the user calls it: "opencl-cpu" or "opencl-gpu".

    Raises:
        BundleError: the bundle holds a library for a CPU, or a file of it is garbled.
        TargetError: there is no such device, or it cannot run the kernels.
    """
    from toolchain.runtime.opencl.files import load_runner

    bundle.check_opencl()
    return load_runner(bundle.path / bundle.manifest.library, device)
