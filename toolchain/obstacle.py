"""Whether this machine can run what is made for a target, and if not, why."""

from __future__ import annotations

from toolchain.cpu import this_cpu
from toolchain.errors import TargetError
from toolchain.link import is_native
from toolchain.opencl.device import find_device
from toolchain.targets import Target, architecture


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
