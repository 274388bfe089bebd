"""Formats other than ONNX that models are read from: each is a file here, its name in the list.

A reader has two functions. ``recognizes(data)`` tells by a file's bytes whether it is its own; it is asked about every
file that is named as a model, and imports nothing large. ``read(path, data)`` makes an ONNX model of it, which is then
checked as one that came as a file; it raises ModelError.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol

import onnx

NAMES = ("exported_program", "nested", "tflite", "weights")


class Reader(Protocol):
    """What a file here is, to those who call it."""

    def recognizes(self, data: bytes) -> bool:
        """Return whether a file that holds ``data`` is of this format."""

    def read(self, path: Path, data: bytes) -> onnx.ModelProto:
        """Return the model that the file at ``path`` holds, whose bytes are ``data``.

        Raises:
            ModelError: it is damaged, or no network that can be deployed; or a package is missing that reads it.
        """


def reader_for(data: bytes) -> Reader | None:
    """Return who reads a file that holds ``data``; None if nobody here does: it is ONNX, or cannot be read."""
    readers = (importlib.import_module(f"toolchain.frontend.readers.{name}") for name in NAMES)
    return next((reader for reader in readers if reader.recognizes(data)), None)
