"""Exported programs of PyTorch (``.pt2``): what ``torch.export.save`` writes."""

from __future__ import annotations

from pathlib import Path

import onnx

from toolchain.frontend.pytorch.archive import UnfitArchiveError, names, vetted
from toolchain.frontend.pytorch.process import export, need
from toolchain.support.errors import ModelError

_WHAT = "a PyTorch exported program"
_OLD = "serialized_exported_program.json"


def recognizes(data: bytes) -> bool:
    """Return whether this is a zip archive with the files of an exported program."""
    return data.startswith(b"PK") and any(n in ("archive_format", _OLD) or _OLD in n for n in names(data))


def read(path: Path, data: bytes) -> onnx.ModelProto:
    """Return the program as PyTorch exports it to ONNX."""
    need(path, _WHAT, ("torch", "onnxscript"), "torch")
    try:
        program = vetted(data)
    except UnfitArchiveError as error:
        raise ModelError(f"{path} is {_WHAT} which {error}", hint="save it again: docs/pytorch.md shows how") from error
    return export(path, program, "program")
