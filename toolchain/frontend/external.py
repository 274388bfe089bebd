"""External tensor data of ONNX models: contained in the model's folder, or refused."""

from __future__ import annotations

import math
import os
import re
import stat
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from toolchain.support.errors import ModelError

_HINT = "external data must lie in the model's own folder"


def read_external(tensor: onnx.TensorProto, folder: Path, budget: int) -> int:
    """Put a tensor's external data into it; returns the number of bytes read, of which ``budget`` are allowed.

    Raises:
        ModelError: the location leaves ``folder`` (absolute, '..', symbolic link) or is no regular file, offset or
            length lie outside the file, or the data does not fit the tensor's shape.
    """
    entries = {e.key: e.value for e in tensor.external_data}
    path = _contained(tensor.name, entries.get("location", ""), folder)
    try:
        expected = math.prod(tensor.dims) * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"tensor '{tensor.name}' has an unknown type", hint="the file is damaged") from error
    offset = _number(tensor.name, "offset", entries.get("offset", "0"))
    length = _number(tensor.name, "length", entries.get("length", str(expected)))
    if any(d < 0 for d in tensor.dims) or length != expected:
        raise ModelError(
            f"external data of tensor '{tensor.name}' has {length} bytes instead of {expected}",
            hint="the model or its data file is damaged",
        )
    if length > budget:
        raise ModelError("the model's external data is too large", hint="is it a super-resolution network?")
    try:
        # The file that is checked is the file that is read: one descriptor, not following a link put there meanwhile.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ModelError(f"external data '{path.name}' is not a regular file", hint=_HINT)
            if offset + length > status.st_size:
                raise ModelError(
                    f"external data of tensor '{tensor.name}' lies beyond the end of '{path.name}'",
                    hint="the data file is truncated or belongs to another model",
                )
            file.seek(offset)
            data = file.read(length)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError(
            f"cannot read external data '{path.name}' of tensor '{tensor.name}': {reason}", hint=_HINT
        ) from error
    tensor.raw_data = data
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]
    return length


def _contained(name: str, location: str, folder: Path) -> Path:
    parts = re.split(r"[/\\]", location)
    if not location or "\x00" in location:
        raise ModelError(f"external data of tensor '{name}' names no file", hint=_HINT)
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        raise ModelError(
            f"external data of tensor '{name}' points outside the model's folder: '{location}'", hint=_HINT
        )
    root = folder.resolve()
    try:
        path = (root / location).resolve()
    except (OSError, RuntimeError) as error:
        raise ModelError(f"external data of tensor '{name}' cannot be found: '{location}'", hint=_HINT) from error
    if not path.is_relative_to(root):
        raise ModelError(
            f"external data of tensor '{name}' leads out of the model's folder by a link: '{location}'", hint=_HINT
        )
    return path


def _number(name: str, key: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise ModelError(
            f"external data of tensor '{name}' has a wrong {key}: '{text[:40]}'", hint="the file is damaged"
        )
    return int(text)
