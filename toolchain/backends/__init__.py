"""Backends: one folder for each kind of target, one interface (`toolchain.backends.base.Backend`) for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolchain.backends.base import Backend
from toolchain.backends.cpu import CpuBackend
from toolchain.backends.opencl import OpenClBackend

if TYPE_CHECKING:
    from toolchain.targets import Target

BACKENDS: dict[str, Backend] = {"cpu": CpuBackend(), "opencl": OpenClBackend()}
"""By the names that targets give them; a new one is a folder and an entry here."""


def backend_for(target: Target) -> Backend:
    """Find the backend of ``target``."""
    return BACKENDS[target.backend]


__all__ = ["BACKENDS", "Backend", "backend_for"]
