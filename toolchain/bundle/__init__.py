"""Bundles: the folder that a deployment ends in, and that everything after it starts from."""

from toolchain.bundle.manifest import FORMAT_VERSION, IntegerCoverage, Manifest
from toolchain.bundle.store import (
    ARCHIVE,
    FLOAT,
    GOLDEN,
    HEADER,
    LIBRARY,
    PLAN,
    QDQ,
    RECIPE,
    REPORT,
    SUFFIX,
    Bundle,
    check_interface,
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
    "new_bundle",
    "open_bundle",
    "seal",
]
