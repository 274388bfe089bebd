"""Targets: what is compiled for, which precision it computes in, and what links for it."""

from toolchain.targets.target import (
    ARCHITECTURES,
    CACHE,
    HOST,
    Target,
    architecture,
    best_target,
    find_target,
    list_targets,
    machines,
    target_folder,
)

__all__ = [
    "ARCHITECTURES",
    "CACHE",
    "HOST",
    "Target",
    "architecture",
    "best_target",
    "find_target",
    "list_targets",
    "machines",
    "target_folder",
]
