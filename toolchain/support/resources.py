"""Data that comes with the package, beside the code: targets, tuning logs, the licence."""

from __future__ import annotations

from pathlib import Path


def shipped(name: str) -> Path:
    """Return the file or folder ``name``: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_data" / name
    return installed if installed.exists() else package.parent / name
