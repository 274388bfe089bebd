"""Whether this machine can run what is made for a target, and if not, why."""

from __future__ import annotations

from toolchain.runtime.opencl.device import find_device
from toolchain.support.cpu import this_cpu
from toolchain.support.errors import TargetError
from toolchain.targets import Target, architecture
from toolchain.targets.linker import is_native


def obstacle(target: Target) -> str | None:
    """Why what is made cannot be compared with the reference here, and what does it; None if it can."""
    if target.gpu is not None:
        try:
            find_device("opencl-cpu")
        except TargetError as error:
            return f"{error.message}; {error.hint}"
        return None
    if not is_native(target.triple):
        return f"made for {architecture(target.triple)}, not run here; `clipfree verify --rpc` checks it on the board"
    missing = target.missing_on(this_cpu())
    if missing:
        return f"this CPU lacks {', '.join(missing)}; `clipfree verify` does it where it runs"
    return None
