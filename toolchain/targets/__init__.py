"""Targets: what is compiled for, which precision it computes in, and what links for it."""

from toolchain.targets.devices import DEVICES, devices_of
from toolchain.targets.target import (
    ARCHITECTURES,
    CACHE,
    HOST,
    Target,
    architecture,
    best_target,
    find_target,
    is_macos,
    is_windows,
    list_targets,
    machines,
    system,
    target_folder,
)

__all__ = [
    "ARCHITECTURES",
    "CACHE",
    "DEVICES",
    "HOST",
    "Target",
    "architecture",
    "best_target",
    "devices_of",
    "find_target",
    "is_macos",
    "is_windows",
    "list_targets",
    "machines",
    "system",
    "target_folder",
]
