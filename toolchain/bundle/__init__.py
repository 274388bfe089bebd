"""Bundles: the folder that a deployment ends in, and that everything after it starts from."""

from toolchain.bundle.manifest import FORMAT_VERSION, IntegerCoverage, Manifest, TunedCoverage, Versions
from toolchain.bundle.store import (
    FLOAT,
    GOLDEN,
    LIBRARY,
    PLAN,
    QDQ,
    RECIPE,
    REPORT,
    SUFFIX,
    Bundle,
    check_place,
    library_of,
    new_bundle,
    open_bundle,
    seal,
)

__all__ = [
    "FLOAT",
    "FORMAT_VERSION",
    "GOLDEN",
    "LIBRARY",
    "PLAN",
    "QDQ",
    "RECIPE",
    "REPORT",
    "SUFFIX",
    "Bundle",
    "IntegerCoverage",
    "Manifest",
    "TunedCoverage",
    "Versions",
    "check_place",
    "library_of",
    "new_bundle",
    "open_bundle",
    "seal",
]
