"""Bundles: the folder that a deployment ends in, and that everything after it starts from."""

from toolchain.bundle.library import ARCHIVE, HEADER, LIBRARY, check_interface, library_file
from toolchain.bundle.manifest import FORMAT_VERSION, IntegerCoverage, Manifest
from toolchain.bundle.store import (
    FLOAT,
    GOLDEN,
    NESTED,
    PAGE,
    PLAN,
    QDQ,
    RECIPE,
    REPORT,
    SUFFIX,
    Bundle,
    check_place,
    new_bundle,
    open_bundle,
    seal,
)

__all__ = [
    "ARCHIVE",
    "FLOAT",
    "FORMAT_VERSION",
    "GOLDEN",
    "HEADER",
    "LIBRARY",
    "NESTED",
    "PAGE",
    "PLAN",
    "QDQ",
    "RECIPE",
    "REPORT",
    "SUFFIX",
    "Bundle",
    "IntegerCoverage",
    "Manifest",
    "check_interface",
    "check_place",
    "library_file",
    "new_bundle",
    "open_bundle",
    "seal",
]
