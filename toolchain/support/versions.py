"""Versions of what a library depends on."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass

from toolchain import __version__

_NONE = "none"
_BUILT_ON = {
    "tvm": "apache-tvm",
    "tvm_ffi": "apache-tvm-ffi",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "numpy": "numpy",
    "pillow": "pillow",
    "pyvips": "pyvips",
    "xgboost": "xgboost-cpu",
    "typer": "typer",
}


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


def versions() -> dict[str, str | None]:
    """Return the versions of this program, Python, the system, and what matters of what it is built on; None for what
    is not installed.
    """
    found = {name: _installed(package) for name, package in _BUILT_ON.items()}
    return {
        "clipfree": __version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        **{name: None if version == _NONE else version for name, version in found.items()},
    }


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return _NONE
