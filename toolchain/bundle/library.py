"""The library of a bundle: what its files are called, and what programs in C find in it."""

from __future__ import annotations

from toolchain.support.errors import BundleError
from toolchain.targets import Target, is_macos, is_windows
from toolchain.targets.elf import Library

LIBRARY, ARCHIVE, HEADER = "model.so", "libmodel.a", "clipfree.h"
INTERFACE = "clipfree_get_functions"
"""What a library defines that has the interface for C."""

_DLL, _DYLIB = "model.dll", "model.dylib"


def library_file(target: Target) -> str:
    """Return what the library for a target is called."""
    return _DLL if is_windows(target.triple) else _DYLIB if is_macos(target.triple) else LIBRARY


def check_interface(library: Library, name: str) -> None:
    """Demand that programs in C can call ``library``, called ``name`` in messages.

    Raises:
        BundleError: it has no C interface.
    """
    if INTERFACE not in library.defines:
        raise BundleError(f"{name} has no C interface", hint="deploy the model again where there is a C compiler")
