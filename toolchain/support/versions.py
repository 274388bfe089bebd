"""Versions of what a library depends on."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass

from toolchain import __version__


@dataclass(frozen=True)
class Versions:
    """What a bundle was made with; TVM and its FFI must be the same where it runs."""

    clipfree: str
    tvm: str
    tvm_ffi: str

    @staticmethod
    def installed() -> Versions:
        """Return those of this machine, read without importing TVM; "none" for what is not installed."""
        return Versions(__version__, _installed("apache-tvm"), _installed("apache-tvm-ffi"))


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
