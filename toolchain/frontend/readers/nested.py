"""Nested networks: of what a file holds, whole or cut, the member of the most bits."""

from __future__ import annotations

from pathlib import Path

import onnx

from toolchain.frontend.nested_file import MAGIC, read_nested, with_bits


def recognizes(data: bytes) -> bool:
    """Return whether ``data`` begins as a file of nested networks does."""
    return data[: len(MAGIC)] == MAGIC


def read(path: Path, data: bytes) -> onnx.ModelProto:
    """Return the network, as QDQ.

    Raises:
        ModelError: the file is damaged, or cut within a part.
    """
    found = read_nested(data, str(path))
    bits = found.held[-1]
    return with_bits(found.model(bits), bits)
