"""Asking PyTorch for an ONNX model, in a process of its own that is ended if it takes too long."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path
from typing import Any

import onnx

from toolchain.support.errors import ModelError
from toolchain.support.worker import Died, Worker

_COMMAND = (sys.executable, "-m", "toolchain.frontend.pytorch.worker")
_SECONDS = 900.0
"""Longer than the largest networks take to be exported on a slow machine."""

_AGAIN = "export it to ONNX where it was made: docs/pytorch.md has the lines that do"


def need(path: Path, what: str, modules: tuple[str, ...], extra: str) -> None:
    """See that packages are installed, without importing them.

    Raises:
        ModelError: one is not.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ModelError(
            f"{path} is {what}, and {missing[0]}, which reads it, is not installed",
            hint=f"pip install 'clipfree[{extra}]', or export the network to ONNX: docs/pytorch.md has the lines",
        )


def export(path: Path, data: bytes, operation: str, **further: Any) -> onnx.ModelProto:
    """Return the model that PyTorch makes of a file's bytes.

    Args:
        path: of the file, for messages.
        data: what PyTorch is given to read.
        operation: of `toolchain.frontend.pytorch.worker`.
        further: for it.

    Raises:
        ModelError: it cannot be exported.
    """
    with tempfile.TemporaryDirectory(prefix="clipfree-") as folder:
        source, out = Path(folder) / "source", Path(folder) / "model.onnx"
        source.write_bytes(data)
        worker = Worker(_COMMAND)
        try:
            request = {"operation": operation, "source": str(source), "out": str(out), **further}
            answer = worker.ask(request, _SECONDS)
        except Died as error:
            what = "takes too long" if error.status == "hung" else "needs more memory than it may take, or crashed"
            raise ModelError(f"{path}: PyTorch, which exports it, {what}", hint=_AGAIN) from error
        finally:
            worker.close()
        if answer["status"] != "done":
            known = bool(answer["hint"])
            said = answer["note"] if known else "cannot be exported by PyTorch"
            raise ModelError(f"{path} {said}", hint=answer["hint"] or _AGAIN)
        model = onnx.load_model_from_string(out.read_bytes())
    model.graph.name = path.stem
    return model
